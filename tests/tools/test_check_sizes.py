"""Tests of ``tools/check_sizes.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tools.check_sizes import LIMITS, Size, check_files, sizes

if TYPE_CHECKING:
    from pathlib import Path


def function_of(lines: int, docstring: str = "") -> str:
    """Return the source of a function whose body has so many lines."""
    return "\n".join(["def f():", *([f'    """{docstring}"""'] if docstring else []), *["    x = 1"] * lines])


def test_a_function_is_measured_by_its_body_without_the_docstring() -> None:
    measured = list(sizes(function_of(7, docstring="One.\n\n    Two.\n    "), "m.py"))
    assert Size("function", "m.py:1 f", 7) in measured


def test_a_function_that_is_only_a_docstring_has_no_body() -> None:
    assert Size("function", "m.py:1 f", 0) in sizes('def f():\n    """Nothing."""\n', "m.py")


def test_methods_and_nested_functions_are_measured_too() -> None:
    source = "class C:\n    async def f(self):\n        def g():\n            return 1\n        return g\n"
    assert {size.where for size in sizes(source, "m.py")} == {"m.py", "m.py:1 C", "m.py:2 f", "m.py:3 g"}


def test_the_limits_themselves_are_allowed() -> None:
    for kind, (soft, hard) in LIMITS.items():
        assert [Size(kind, "", lines).verdict for lines in (soft, soft + 1, hard, hard + 1)] == [
            "",
            "warning",
            "warning",
            "error",
        ]


def test_only_what_is_above_its_budget_is_reported_the_worst_last(tmp_path: Path) -> None:
    _, hard = LIMITS["function"]
    for name, lines in (("small", 3), ("worst", hard + 1), ("large", hard)):
        (tmp_path / f"{name}.py").write_text(function_of(lines))
    found = check_files(sorted(tmp_path.glob("*.py")), tmp_path)
    assert [(size.where, size.verdict) for size in found] == [
        ("large.py:1 f", "warning"),
        ("worst.py:1 f", "error"),
    ]
    assert "never above 80" in str(found[-1])
