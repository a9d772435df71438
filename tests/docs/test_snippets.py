"""Tests of the collector itself: it must not overlook a block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs import snippets
from tests.docs.snippets import blocks_of, matches

if TYPE_CHECKING:
    from pathlib import Path

PAGE = """\
# Title

```python
print("one")
```

```text
one
```

Words.

```text
not an output
```

!!! note

    ```python
    if True:
        print("two")
    ```

More words.

````text
```python
this is text
```
````
"""


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The page above."""
    monkeypatch.setattr(snippets, "ROOT", tmp_path)
    path = tmp_path / "page.md"
    path.write_text(PAGE, encoding="utf-8")
    return path


def test_blocks_are_found_with_their_place_language_and_code(page: Path) -> None:
    found = [(block.id, block.info, block.code) for block in blocks_of(page) if block.info == "python"]
    assert found == [
        ("page.md:3", "python", 'print("one")\n'),
        ("page.md:19", "python", 'if True:\n    print("two")\n'),
    ]


def test_output_is_the_text_block_right_behind_and_no_other(page: Path) -> None:
    assert [block.output for block in blocks_of(page) if block.info == "python"] == ["one\n", None]


def test_a_longer_fence_holds_shorter_ones(page: Path) -> None:
    assert blocks_of(page)[-1].code == "```python\nthis is text\n```\n"


def test_a_block_without_end_is_an_error(page: Path) -> None:
    page.write_text("```python\nprint()\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"page\.md:1: the block is not closed"):
        blocks_of(page)


@pytest.mark.parametrize(
    ("expected", "printed", "verdict"),
    [
        ("one\n", "one\n", True),
        ("one\n", "one\ntwo\n", False),
        ("took … s\n", "took 0.5 s\n", True),
        ("took … s\n", "took 0.5\n s\n", False),
        ("a.c\n", "abc\n", False),
        ("", "anything\n", False),
    ],
)
def test_output_matches(expected: str, printed: str, verdict: bool) -> None:
    assert matches(expected, printed) is verdict
