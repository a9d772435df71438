"""Descriptions of exceptions."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from longshore.proto.ipc.messages import HandlerFailed, encode_message
from longshore.runtime.worker.report import MAX_FRAMES, error_report, users_stack
from tests.runtime.worker.driver import make_module

if TYPE_CHECKING:
    from pathlib import Path

    from longshore.proto.ipc.messages import ErrorReport


def report_of(folder: Path, source: str, **options: Any) -> ErrorReport:
    """Return the report of what ``main()`` of a module raises."""
    module = make_module(folder, source)
    try:
        module.main()
    except BaseException as exc:  # noqa: BLE001 - whatever it is
        return error_report(exc, str(folder), **options)
    raise AssertionError("nothing was raised")


def test_type_message_and_frames(tmp_path: Path) -> None:
    report = report_of(tmp_path, "import json\n\ndef main():\n    json.loads('{')\n")
    assert report.type == "json.decoder.JSONDecodeError"
    assert report.message.startswith("Expecting property name")
    mine = [frame for frame in report.frames if frame.is_users]
    (frame,) = mine
    assert (frame.file, frame.line, frame.function, frame.first_line) == (str(tmp_path / "entry.py"), 4, "main", 1)
    assert frame.source == ("import json", "", "def main():", "    json.loads('{')")
    assert report.frames[-1].file.endswith("decoder.py")
    assert report.frames[-1].source
    assert report.text.endswith(f"{report.type}: {report.message}\n")


def test_frames_of_the_runtime_and_the_import_system_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "inner_of_test_report.py").write_text("raise ValueError('x')", encoding="utf-8")
    sys.path.insert(0, str(tmp_path))
    try:
        report = report_of(
            tmp_path,
            "def main():\n  import asyncio\n  import longshore.runtime.worker.call as call\n"
            "  call.function_caller(inner, call.arity_of(inner, ('a',), ''))(1, 2, 3)\n"
            "def inner(a):\n  import inner_of_test_report\n",
        )
    finally:
        sys.path.remove(str(tmp_path))
    assert [frame.function for frame in report.frames] == ["report_of", "main", "inner", "<module>"]
    assert "longshore/runtime" not in report.text
    assert "importlib" not in report.text


def test_installed_libraries_below_the_project_are_not_the_users(tmp_path: Path) -> None:
    folder = tmp_path / ".venv" / "lib" / "site-packages"
    folder.mkdir(parents=True)
    module = make_module(folder, "def main(): raise ValueError")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its own
        module.main()
    assert not any(frame.is_users for frame in error_report(caught.value, str(tmp_path)).frames)


def test_project_behind_a_link_is_the_users(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    module = make_module(link, "def main(): raise ValueError")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its own
        module.main()
    assert error_report(caught.value, str(real)).frames[-1].is_users
    assert error_report(caught.value, "", str(link)).frames[-1].is_users
    assert not error_report(caught.value).frames[-1].is_users


CHAINS = {
    "from": ("raise B('b') from a", "direct cause"),
    "while": ("raise B('b')", "During handling"),
}


@pytest.mark.parametrize(("line", "words"), CHAINS.values(), ids=CHAINS)
def test_causes_are_kept(tmp_path: Path, line: str, words: str) -> None:
    source = f"class B(Exception): pass\ndef main():\n  try:\n    1 / 0\n  except ZeroDivisionError as a:\n    {line}\n"
    report = report_of(tmp_path, source)
    assert report.type == "entry.B" or report.type.endswith("B")
    assert words in report.text
    assert report.cause is not None
    assert (report.cause.type, report.cause.message) == ("ZeroDivisionError", "division by zero")
    assert [frame.line for frame in report.cause.frames] == [4]
    assert report.cause.cause is None


def test_suppressed_context_is_no_cause(tmp_path: Path) -> None:
    source = "def main():\n  try:\n    1 / 0\n  except ZeroDivisionError:\n    raise ValueError from None\n"
    assert report_of(tmp_path, source).cause is None


def test_causes_in_a_circle_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    report = error_report(first)
    assert report.cause is not None
    assert report.cause.cause is None


def test_notes(tmp_path: Path) -> None:
    report = report_of(tmp_path, "def main():\n  e = ValueError('x')\n  e.add_note('look there')\n  raise e")
    assert report.notes == ("look there",)
    assert report.text.endswith("ValueError: x\nlook there\n")


def test_import_with_the_prefix_src(tmp_path: Path) -> None:
    report = report_of(tmp_path, "def main():\n  import src.helpers\n")
    assert report.notes[0].endswith("your import statement shouldn't include a 'src.' prefix")
    assert report.notes[0] in report.text


def test_a_denied_destination_is_followed_by_what_to_write(tmp_path: Path) -> None:
    path = "import longshore\nP = longshore.EgressPolicy({})\nA = longshore.SocketAddress('127.0.0.1', 9)\n"
    main = "def main():\n  P.check_name(A)\n"
    report = report_of(tmp_path, path.format("") + main)
    assert report.notes[0].endswith('allow = ["public", "127.0.0.1:9"]')
    assert report.notes[0] in report.text
    # Another rule that opens would change nothing where one closes.
    assert report_of(tmp_path, path.format("deny=['local']") + main).notes == ()


def test_syntax_error_has_a_place(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("x = 1\nif x\n    y\n", encoding="utf-8")
    report = report_of(
        tmp_path,
        f"def main():\n  compile(__import__('pathlib').Path({str(path)!r}).read_text(), {str(path)!r}, 'exec')\n",
    )
    frame = report.frames[-1]
    assert (frame.file, frame.line, frame.is_users) == (str(path), 2, True)
    assert frame.source[1] == "if x"
    assert report.message == "expected ':'"
    assert "^" in report.text


def test_exception_group_shows_its_members(tmp_path: Path) -> None:
    source = "def main():\n  raise ExceptionGroup('two', [ValueError('one'), KeyError('other')])\n"
    report = report_of(tmp_path, source)
    assert report.message == "two (2 sub-exceptions)"
    assert "ValueError: one" in report.text
    assert "KeyError: 'other'" in report.text


def test_endless_recursion_is_short(tmp_path: Path) -> None:
    report = report_of(tmp_path, "def main():\n  main()\n")
    assert report.type == "RecursionError"
    assert len(report.frames) <= MAX_FRAMES
    assert len(report.text) < 10_000


HOSTILE = {
    "__str__": "class E(Exception):\n  def __str__(self): raise RuntimeError('no')\n",
    "__str__ that exits": "class E(Exception):\n  def __str__(self): raise SystemExit\n",
    "__notes__": "class E(Exception):\n  __notes__ = 5\n",
    "notes that are no text": "class E(Exception):\n  __notes__ = [1, None]\n",
    "__class__": "class E(Exception):\n  @property\n  def __class__(self): raise RuntimeError('no')\n",
    "__cause__": "class E(Exception):\n  @property\n  def __cause__(self): raise RuntimeError('no')\n",
    "__getattribute__": "class E(Exception):\n  def __getattribute__(self, name): raise RuntimeError('no')\n",
    "surrogates": "class E(Exception):\n  def __str__(self): return '\\ud800'\n",
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_report_never_raises(tmp_path: Path, source: str) -> None:
    report = report_of(tmp_path, f"{source}def main():\n  raise E('x')\n")
    assert report.type.endswith("E")
    encode_message(HandlerFailed(where="fetch", request_id="1", subject="GET /", report=report))


def test_long_texts_are_cut(tmp_path: Path) -> None:
    report = report_of(tmp_path, "def main():\n  raise ValueError('x' * 10_000_000)\n")
    assert len(report.message) < 2000
    assert report.message.endswith("characters more)")
    assert len(report.text) < 5000
    many = report_of(tmp_path, "def main():\n  raise ValueError('x\\n' * 1_000_000)\n")
    assert len(many.text) < 70_000
    assert "characters left out" in many.text


def test_values_of_variables_are_not_shown(tmp_path: Path) -> None:
    report = report_of(tmp_path, "def main():\n  password = 'hun' + 'ter2'\n  raise ValueError\n")
    assert "hunter2" not in repr(report)


def test_exception_without_a_traceback() -> None:
    report = error_report(ValueError("x"))
    assert (report.text, report.frames) == ("ValueError: x\n", ())


def test_file_that_is_gone_has_no_source(tmp_path: Path) -> None:
    module = make_module(tmp_path, "def main(): raise ValueError")
    os.remove(tmp_path / "entry.py")
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - its own
        module.main()
    frame = error_report(caught.value, str(tmp_path)).frames[-1]
    assert (frame.source, frame.first_line) == ((), 0)


@pytest.mark.parametrize(
    ("source", "place", "columns"),
    [
        ("def broken(:\n    pass\n", "def broken(:", (12, 13)),
        ("x = 1\nreturn = 2\n", "return = 2", (8, 9)),
        ("if x:\npass\n", "pass", (1, 5)),
        ("x = 'never\n", "x = 'never", (5, 5)),
        ("x = (1,\n     2\n", "x = (1,", (5, 0)),
    ],
)
def test_a_syntax_error_has_its_column(tmp_path: Path, source: str, place: str, columns: tuple[int, int]) -> None:
    path = tmp_path / "broken.py"
    path.write_text(source, encoding="utf-8")
    with pytest.raises(SyntaxError) as caught:
        compile(source, str(path), "exec")
    frame = error_report(caught.value, str(tmp_path)).frames[-1]
    assert frame.source[frame.line - frame.first_line] == place
    assert frame.column == columns[0]
    assert frame.end_column in {columns[1], 0}, "its end depends on the version of Python"


@pytest.mark.parametrize(
    ("module", "package"),
    [("no_such_package_here", "no_such_package_here"), ("no_such_package_here.inner", "no_such_package_here")],
)
def test_a_package_that_is_missing_can_be_installed(tmp_path: Path, module: str, package: str) -> None:
    report = report_of(tmp_path, f"def main():\n  import {module}\n")
    (note,) = report.notes
    assert note.endswith(f"the Python that runs Longshore: {sys.executable} -m pip install {package}")
    assert note in report.text


def test_a_missing_part_of_a_package_that_is_there_cannot_be_installed(tmp_path: Path) -> None:
    assert report_of(tmp_path, "def main():\n  import json.no_such_part\n").notes == ()


def test_where_a_thread_is_begins_with_the_users_code(tmp_path: Path) -> None:
    source = "import sys, json\ndef main():\n    return json.loads('[1]', object_hook=None, parse_int=look)\n"
    module = make_module(tmp_path, source + "def look(text):\n    return sys._getframe()\n")
    (frame,) = module.main()
    frames = users_stack(frame, str(tmp_path))
    assert [(frame.line, frame.function) for frame in frames if frame.is_users] == [(3, "main"), (5, "look")]
    assert frames[0].function == "main"
    assert frames[1].file.endswith("json/__init__.py")
    assert users_stack(frame, "", "") == ()
