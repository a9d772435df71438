"""Tests of the collector itself: it must not overlook a block."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.docs import snippets
from tests.docs.projects import Call, calls_of, write_project
from tests.docs.snippets import blocks_of, is_test, is_worker, matches

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


WORKER_PAGE = """\
```toml
name = "one"
main = "app/main.py"
```

```python
class Default: ...
```

```console
$ curl http://localhost:8787/x
yes
and more
$ curl -X PUT -d on http://localhost:8787/y?z=1
$ longshore dev
$ curl http://localhost:8787  # the root
root
```

```toml
[network]
allow = ["public"]
```

```python
def test_it(worker): ...
```

```python
print("neither")
```
"""


def test_workers_have_their_configuration_and_what_they_are_asked(page: Path) -> None:
    page.write_text(WORKER_PAGE, encoding="utf-8")
    worker, test, plain = [block for block in blocks_of(page) if block.info == "python"]
    assert [(is_worker(block), is_test(block)) for block in (worker, test, plain)] == [
        (True, False),
        (False, True),
        (False, False),
    ]
    assert worker.config == test.config == 'name = "one"\nmain = "app/main.py"\n'
    assert worker.code == test.worker == "class Default: ...\n"
    assert calls_of(worker.session) == [
        Call("/x", None, None, "yes\nand more"),
        Call("/y?z=1", "PUT", "on", ""),
        Call("/", None, None, "root"),
    ]
    assert calls_of(test.session) == []


def test_an_option_that_would_be_ignored_is_an_error() -> None:
    with pytest.raises(ValueError, match="curl --compressed: not understood"):
        calls_of("$ curl --compressed http://localhost:8787/\n")


def test_a_project_has_the_main_module_where_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    write_project(tmp_path / "a", 'name = "one"\nmain = "app/main.py"\n', "env.DB")
    assert (tmp_path / "a" / "app" / "main.py").read_text() == "env.DB"
    assert 'binding = "DB"' in (tmp_path / "a" / "longshore.toml").read_text()
    (tmp_path / "b").mkdir()
    write_project(tmp_path / "b", "", "plain")
    assert (tmp_path / "b" / "src" / "entry.py").read_text() == "plain"
    assert "DB" not in (tmp_path / "b" / "longshore.toml").read_text()
