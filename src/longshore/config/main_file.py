"""Finds the module that ``main`` means (PURE but for the question whether a file exists, which the caller answers)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEFAULT_FILES", "MainFile", "MainFileError", "find_main", "normal_path"]

DEFAULT_FILES: Final = ("src/entry.py", "entry.py", "src/main.py", "main.py")
"""Where the main module is looked for when no key says it, in this order."""

_APPLICATION: Final = re.compile(r"(?P<module>[^:]+):(?P<attribute>[^\W\d]\w*(?:\.[^\W\d]\w*)*)")
_MODULE: Final = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
# Windows paths and URLs are no applications.
_JAVASCRIPT: Final = frozenset({".js", ".mjs", ".cjs", ".ts", ".mts", ".tsx", ".jsx"})


@dataclass(frozen=True, slots=True)
class MainFile:
    """The main module."""

    main: str
    """Absolute path of its file, or ``module:attribute``."""
    module_root: Path
    """The folder that its imports begin at."""


class MainFileError(Exception):
    """There is no such module.

    Attributes:
        message: what is wrong.
        hint: what to do.
    """

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint


def find_main(main: str | None, base: Path, project: Path, is_file: Callable[[Path], bool]) -> MainFile:
    """Return the main module of a project.

    Args:
        main: what the key says: a file, or ``module:attribute``; None looks in the usual places.
        base: the absolute folder that a relative ``main`` begins at.
        project: the absolute folder of the project, which ``main`` must be in.
        is_file: says whether a path is a file.

    Raises:
        MainFileError: there is none, or it is no Python file of the project.
    """
    if main is None:
        return _default(project, is_file)
    application = _APPLICATION.fullmatch(main)
    if application is not None:
        return _application(main, application["module"], application["attribute"], base, project, is_file)
    path = _inside(main, base, project)
    _check_python(main, path)
    if not is_file(path):
        raise MainFileError(f"{main!r} does not exist", _other_spelling(main, base, is_file))
    return MainFile(str(path), path.parent)


def _default(project: Path, is_file: Callable[[Path], bool]) -> MainFile:
    for name in DEFAULT_FILES:
        if is_file(project / name):
            return MainFile(str(project / name), (project / name).parent)
    tried = ", ".join(DEFAULT_FILES)
    raise MainFileError(f"no main module: tried {tried}", 'set main, like main = "src/entry.py"')


def _application(
    main: str, module: str, attribute: str, base: Path, project: Path, is_file: Callable[[Path], bool]
) -> MainFile:
    if module.endswith(".py") or "/" in module:
        path = _inside(module, base, project)
        _check_python(module, path)
        if not is_file(path):
            raise MainFileError(f"{main!r}: the file {module!r} does not exist", "write the path from here")
        return MainFile(f"{path.stem}:{attribute}", path.parent)
    if not _MODULE.fullmatch(module):
        raise MainFileError(f"{main!r}: {module!r} is no module", "write it like 'app:app' or 'src/app.py:app'")
    inner = module.removeprefix("src.")
    for root, name in ((base, module), (base / "src", module), (base / "src", inner)):
        if _is_module(root, name, is_file):
            if name != module:
                raise MainFileError(
                    f"{main!r} has the prefix 'src.'", f"imports begin inside src: write '{inner}:{attribute}'"
                )
            return MainFile(main, root)
    tried = f"{module.replace('.', '/')}.py and its __init__.py"
    raise MainFileError(f"{main!r}: no module {module!r}", f"tried {tried} in the project and in its folder src")


def _is_module(root: Path, name: str, is_file: Callable[[Path], bool]) -> bool:
    parts = name.split(".")
    path = root.joinpath(*parts)
    if parts[0] == "src" and not is_file(root / "src" / "__init__.py"):
        return False
    return is_file(path.with_suffix(".py")) or is_file(path / "__init__.py")


def _inside(main: str, base: Path, project: Path) -> Path:
    if not main or "\x00" in main:
        raise MainFileError(f"{main!r} is no file", "write it like 'src/entry.py'")
    path = normal_path(base / main)
    if not path.is_relative_to(project):
        raise MainFileError(f"{main!r} is outside of the project", f"move it into {str(project)!r}")
    return path


def normal_path(path: Path) -> Path:
    """Resolve ``..`` in the text alone: a link stays what its owner called it."""
    parts: list[str] = []
    for part in path.parts:
        if part != "..":
            parts.append(part)
        elif len(parts) > 1:
            parts.pop()
    return Path(*parts)


def _check_python(main: str, path: Path) -> None:
    if path.suffix in _JAVASCRIPT:
        raise MainFileError(f"{main!r} is JavaScript", "Longshore runs Python workers: write a .py file")
    if path.suffix != ".py":
        raise MainFileError(f"{main!r} is no .py file", "write it like 'src/entry.py', or 'app:app' for an application")
    if not path.stem.isidentifier():
        raise MainFileError(
            f"{main!r} cannot be imported", f"{path.stem!r} is no module name: use letters, digits and '_'"
        )


def _other_spelling(main: str, base: Path, is_file: Callable[[Path], bool]) -> str:
    for name in (f"src/{main}", main.removeprefix("src/"), *DEFAULT_FILES):
        if name != main and is_file(normal_path(base / name)):
            return f"did you mean {name!r}?"
    return "write the path from the configuration file's folder"
