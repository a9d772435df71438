"""Turns an exception into an ``ErrorReport``: readable where its process is not, and free of our own frames.

``error_report()`` never raises, also for exceptions whose ``__str__`` does. Local variables are not shown and long
lines are cut, so that neither secrets nor megabytes travel with a traceback.
"""

from __future__ import annotations

import linecache
import os
import sys
import traceback
from itertools import dropwhile
from typing import TYPE_CHECKING

import msgspec

from longshore.compat.hints import import_hint, install_hint
from longshore.errors import PolicyDenied
from longshore.proto.ipc.messages import ErrorReport, SourceFrame

if TYPE_CHECKING:
    from types import FrameType, TracebackType

__all__ = ["error_report", "users_stack"]

LINES_BEFORE = 5
LINES_AFTER = 4
MAX_FRAMES = 60
MAX_CAUSES = 10
MAX_LINE_CHARS = 1000
MAX_TEXT_CHARS = 64 * 1024

RUNTIME_DIR = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
PACKAGE_DIR = os.path.dirname(os.path.dirname(RUNTIME_DIR)) + os.sep
# Ours, the server's and the import system's: what stands between the event loop and the user's code.
OWN_PREFIXES = (
    RUNTIME_DIR,
    os.path.join(PACKAGE_DIR, "compat") + os.sep,
    "<frozen importlib",
    "<frozen runpy",
)
OWN_PARTS = (f"{os.sep}uvicorn{os.sep}", f"{os.sep}a2wsgi{os.sep}", f"{os.sep}importlib{os.sep}__init__.py")
LIBRARY_PARTS = ("site-packages", "dist-packages", "python_modules", "node_modules", ".venv", "venv", ".venv-workers")

POLICY_NOTE = 'where a worker may connect is said by [network] in its configuration: allow = ["public", "{address}"]'
SRC_NOTE = "if the main module is in the folder 'src', your import statement shouldn't include a 'src.' prefix"


def error_report(exc: BaseException, project_dir: str = "", module_root: str = "") -> ErrorReport:
    """Describe ``exc``; never raises.

    Args:
        exc: with or without a traceback.
        project_dir: files below are the user's, except installed libraries.
        module_root: likewise.
    """
    try:
        return _Describer(project_dir, module_root).describe(exc)
    except BaseException as failure:  # noqa: BLE001 - whatever an exception's own methods do, there must be a report
        name = type_name(type(exc))
        text = f"{name}: <it cannot be described: {type(failure).__name__}>\n"
        return ErrorReport(type=name, message="", text=text)


def users_stack(frame: FrameType, project_dir: str = "", module_root: str = "") -> tuple[SourceFrame, ...]:
    """Describe where a thread is: from the outermost frame of the user's on, nothing when there is none.

    Args:
        frame: the innermost one.
        project_dir: files below are the user's, except installed libraries.
        module_root: likewise.
    """
    describer = _Describer(project_dir, module_root)
    stack = [(each.f_code, line) for each, line in traceback.walk_stack(frame) if not _is_own(each.f_code.co_filename)]
    frames = [describer.frame(code.co_filename, line, code.co_qualname) for code, line in reversed(stack)]
    return tuple(dropwhile(lambda each: not each.is_users, frames))[-MAX_FRAMES:]


def type_name(cls: type) -> str:
    """Return the qualified name, ``builtins.`` left out."""
    module = str(getattr(cls, "__module__", ""))
    return cls.__qualname__ if module in ("builtins", "__main__", "") else f"{module}.{cls.__qualname__}"


class _Describer:
    def __init__(self, project_dir: str, module_root: str) -> None:
        roots = {os.path.realpath(folder) for folder in (project_dir, module_root) if folder}
        self._roots = tuple(folder.rstrip(os.sep) + os.sep for folder in roots)

    def describe(self, exc: BaseException) -> ErrorReport:
        printed = traceback.TracebackException(type(exc), exc, exc.__traceback__, compact=True)
        _without_own_frames(printed, set())
        notes = _notes(exc)
        text = "".join(printed.format())
        for note in notes[len(_own_notes(exc)) :]:
            text += note + "\n"
        return self._report(exc, _bounded(text), notes, {id(exc)})

    def _report(self, exc: BaseException, text: str, notes: tuple[str, ...], seen: set[int]) -> ErrorReport:
        return ErrorReport(
            type=type_name(type(exc)),
            message=_message(exc),
            text=text,
            frames=self._frames(exc),
            notes=notes,
            cause=self._cause(exc, seen),
        )

    def _cause(self, exc: BaseException, seen: set[int]) -> ErrorReport | None:
        cause = exc.__cause__
        if cause is None and not exc.__suppress_context__:
            cause = exc.__context__
        if cause is None or id(cause) in seen or len(seen) >= MAX_CAUSES:
            return None
        seen.add(id(cause))
        return self._report(cause, f"{type_name(type(cause))}: {_message(cause)}\n", _notes(cause), seen)

    def _frames(self, exc: BaseException) -> tuple[SourceFrame, ...]:
        found = [self.frame(*place) for place in _places(exc.__traceback__)]
        if isinstance(exc, SyntaxError) and exc.filename and exc.lineno:
            found.append(self._syntax_frame(exc, exc.filename, exc.lineno))
        if len(found) > MAX_FRAMES:  # endless recursion: its beginning and its end tell
            found = [*found[: MAX_FRAMES // 2], *found[-MAX_FRAMES // 2 :]]
        return tuple(found)

    def _syntax_frame(self, exc: SyntaxError, file: str, line: int) -> SourceFrame:
        """Return the place of a syntax error, with its column: nothing was running there."""
        end = exc.end_offset if exc.end_lineno == line else None
        return msgspec.structs.replace(
            self.frame(file, line, ""), column=max(0, exc.offset or 0), end_column=max(0, end or 0)
        )

    def frame(self, file: str, line: int, function: str) -> SourceFrame:
        """Return one level of a traceback."""
        first = max(1, line - LINES_BEFORE)
        lines = linecache.getlines(file)[first - 1 : line + LINES_AFTER]
        return SourceFrame(
            file=_bounded(file),
            line=line,
            function=function,
            first_line=first if lines else 0,
            source=tuple(_bounded(each.rstrip("\n")) for each in lines),
            is_users=self._is_users(file),
        )

    def _is_users(self, file: str) -> bool:
        path = os.path.realpath(file)
        if not os.path.isabs(file) and not os.path.exists(path):
            return False  # `uvloop/loop.pyx`: compiled somewhere else, and relative to there
        for root in self._roots:
            if path.startswith(root):
                return not any(part in LIBRARY_PARTS for part in path[len(root) :].split(os.sep))
        return False


def _places(trace: TracebackType | None) -> list[tuple[str, int, str]]:
    found = []
    for frame, line in traceback.walk_tb(trace):
        file = frame.f_code.co_filename
        if not _is_own(file):
            found.append((file, line, frame.f_code.co_qualname))
    return found


def _is_own(file: str) -> bool:
    return file.startswith(OWN_PREFIXES) or any(part in file for part in OWN_PARTS)


def _without_own_frames(printed: traceback.TracebackException, seen: set[int]) -> None:
    if id(printed) in seen:
        return
    seen.add(id(printed))
    kept = [frame for frame in printed.stack if not _is_own(frame.filename)]
    printed.stack[:] = kept
    related = [printed.__cause__, printed.__context__, *(getattr(printed, "exceptions", None) or ())]
    for each in related:
        if each is not None:
            _without_own_frames(each, seen)


def _message(exc: BaseException) -> str:
    try:
        if isinstance(exc, SyntaxError):
            return _bounded(exc.msg or "")
        return _bounded(str(exc))
    except BaseException:  # noqa: BLE001 - __str__ is the user's code
        return "<its __str__ raised an exception>"


def _own_notes(exc: BaseException) -> tuple[str, ...]:
    notes = getattr(exc, "__notes__", ())
    return tuple(_bounded(str(note)) for note in notes) if isinstance(notes, (list, tuple)) else ()


def _notes(exc: BaseException) -> tuple[str, ...]:
    notes = _own_notes(exc)
    if isinstance(exc, PolicyDenied) and _may_be_allowed(exc):
        return (*notes, POLICY_NOTE.format(address=exc.address))
    if not isinstance(exc, ModuleNotFoundError):
        return notes
    hint = _hint(str(exc.name or ""))
    return notes if hint is None else (*notes, hint)


def _hint(module: str) -> str | None:
    """Return what to do about a module that was not found."""
    name = module.partition(".")[0]
    if name == "src":
        return SRC_NOTE
    if (hint := import_hint(module)) is not None:
        return hint
    # Of a package that is there, only a part is missing.
    return None if name in sys.modules else install_hint(module, sys.executable)


def _may_be_allowed(exc: PolicyDenied) -> bool:
    """Return whether naming the destination would open it: not what is denied, and not where machines get passwords."""
    return exc.rule.startswith("default: ") and "cloud metadata" not in exc.rule


def _bounded(text: str) -> str:
    """Cut long lines, and the middle of what is still too long."""
    # What Unicode does not allow alone (a surrogate) could not be sent.
    text = text.encode("utf-8", "backslashreplace").decode()
    text = "\n".join(_cut(line) for line in text.split("\n"))
    if len(text) > MAX_TEXT_CHARS:
        half = MAX_TEXT_CHARS // 2
        text = f"{text[:half]}\n… ({len(text) - 2 * half} characters left out) …\n{text[-half:]}"
    return text


def _cut(line: str) -> str:
    if len(line) <= MAX_LINE_CHARS:
        return line
    return f"{line[:MAX_LINE_CHARS]}… ({len(line) - MAX_LINE_CHARS} characters more)"
