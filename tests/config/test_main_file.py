"""Which module ``main`` means."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.config.main_file import MainFile, MainFileError, find_main, normal_path

PROJECT = Path("/srv/app")


def find(main: str | None, *files: str, base: str = "") -> MainFile:
    existing = {PROJECT / file for file in files}
    return find_main(main, PROJECT / base, PROJECT, existing.__contains__)


GOOD = [
    (None, ["src/entry.py", "entry.py", "main.py"], "/srv/app/src/entry.py", "src"),
    (None, ["entry.py", "main.py"], "/srv/app/entry.py", ""),
    (None, ["main.py"], "/srv/app/main.py", ""),
    ("src/entry.py", ["src/entry.py"], "/srv/app/src/entry.py", "src"),
    ("./a/../src/entry.py", ["src/entry.py"], "/srv/app/src/entry.py", "src"),
    ("/srv/app/entry.py", ["entry.py"], "/srv/app/entry.py", ""),
    ("app:app", ["app.py"], "app:app", ""),
    ("app:create.app", ["app/__init__.py"], "app:create.app", ""),
    ("app:app", ["src/app.py"], "app:app", "src"),
    ("site.asgi:application", ["site/asgi.py"], "site.asgi:application", ""),
    ("src/app.py:app", ["src/app.py"], "app:app", "src"),
    ("src.app:app", ["src/__init__.py", "src/app.py"], "src.app:app", ""),
]


@pytest.mark.parametrize(("main", "files", "found", "root"), GOOD)
def test_what_is_found(main: str | None, files: list[str], found: str, root: str) -> None:
    assert find(main, *files) == MainFile(found, PROJECT / root)


def test_the_command_line_begins_where_the_command_runs() -> None:
    assert find("entry.py", "src/entry.py", base="src").main == "/srv/app/src/entry.py"


BAD = [
    (
        None,
        [],
        "no main module: tried src/entry.py, entry.py, src/main.py, main.py",
        'set main, like main = "src/entry.py"',
    ),
    ("", [], "'' is no file", "write it like 'src/entry.py'"),
    ("a\0.py", [], "'a\\x00.py' is no file", "write it like 'src/entry.py'"),
    ("entry.py", ["src/entry.py"], "'entry.py' does not exist", "did you mean 'src/entry.py'?"),
    ("src/entry.py", ["entry.py"], "'src/entry.py' does not exist", "did you mean 'entry.py'?"),
    ("src/entyr.py", ["src/entry.py"], "'src/entyr.py' does not exist", "did you mean 'src/entry.py'?"),
    ("worker.py", [], "'worker.py' does not exist", "write the path from the configuration file's folder"),
    ("../entry.py", [], "'../entry.py' is outside of the project", "move it into '/srv/app'"),
    ("/etc/entry.py", ["/etc/entry.py"], "'/etc/entry.py' is outside of the project", "move it into '/srv/app'"),
    (
        "src/index.ts",
        ["src/index.ts"],
        "'src/index.ts' is JavaScript",
        "Longshore runs Python workers: write a .py file",
    ),
    ("src", [], "'src' is no .py file", "write it like 'src/entry.py', or 'app:app' for an application"),
    (
        "my-app.py",
        ["my-app.py"],
        "'my-app.py' cannot be imported",
        "'my-app' is no module name: use letters, digits and '_'",
    ),
    (
        "app:app",
        [],
        "'app:app': no module 'app'",
        "tried app.py and its __init__.py in the project and in its folder src",
    ),
    (
        "a.b:app",
        [],
        "'a.b:app': no module 'a.b'",
        "tried a/b.py and its __init__.py in the project and in its folder src",
    ),
    ("a-b:app", [], "'a-b:app': 'a-b' is no module", "write it like 'app:app' or 'src/app.py:app'"),
    ("app.py:app", [], "'app.py:app': the file 'app.py' does not exist", "write the path from here"),
    ("src.app:app", ["src/app.py"], "'src.app:app' has the prefix 'src.'", "imports begin inside src: write 'app:app'"),
    ("app:", ["app.py"], "'app:' is no .py file", "write it like 'src/entry.py', or 'app:app' for an application"),
]


@pytest.mark.parametrize(("main", "files", "message", "hint"), BAD)
def test_what_is_wrong(main: str | None, files: list[str], message: str, hint: str) -> None:
    with pytest.raises(MainFileError) as caught:
        find(main, *files)
    assert (caught.value.message, caught.value.hint) == (message, hint)


@given(st.text(st.sampled_from("ab./:-\0\n é"), max_size=12))
def test_nothing_else_is_raised_whatever_the_text(main: str) -> None:
    for is_file in (lambda _: True, lambda _: False):
        try:
            found = find_main(main, PROJECT, PROJECT, is_file)
        except MainFileError:
            continue
        assert found.module_root.is_relative_to(PROJECT)


@pytest.mark.parametrize(("path", "normal"), [("/a/../b", "/b"), ("/../a", "/a"), ("/a/b/../../c", "/c"), ("/", "/")])
def test_dots_are_resolved_in_the_text(path: str, normal: str) -> None:
    assert normal_path(Path(path)) == Path(normal)
