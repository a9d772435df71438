"""The page that a browser shows in development when a handler failed (PURE: a report in, HTML out).

It loads nothing and runs nothing: one file with its style, no script. Everything that comes from the report or the
request is escaped. Frames of the project are open, those of libraries folded; headers that carry credentials are
hidden.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from longshore.runtime.worker.error_style import STYLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from longshore.proto.ipc.messages import ErrorReport, SourceFrame
    from longshore.workers._context import RequestContext

__all__ = ["error_page"]

HIDDEN_HEADERS = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"x-api-key"})


def error_page(report: ErrorReport, context: RequestContext) -> str:
    """Return the page.

    Args:
        report: what happened.
        context: the request that it happened to.
    """
    title = f"{report.type}: {_first_line(report.message)}".rstrip(": ")
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>",
        f'<p class="subject">{escape(context.subject)}</p>',
        *_error(report, "h1"),
        *_causes(report),
        *_request(context),
        "<section><h2>Traceback</h2>",
        f"<details><summary>as text</summary><pre>{escape(report.text)}</pre></details></section>",
        "<footer>longshore dev shows this page; longshore serve answers with a bare 500</footer>",
        "</body></html>",
    ]
    return "\n".join(parts)


def _causes(report: ErrorReport) -> Iterator[str]:
    cause = report.cause
    while cause is not None:
        yield '<p class="because">which happened because of</p>'
        yield from _error(cause, "h2")
        cause = cause.cause


def _error(report: ErrorReport, heading: str) -> Iterator[str]:
    yield "<section>"
    yield f'<{heading}><span class="type">{escape(report.type)}</span></{heading}>'
    if report.message:
        yield f'<p class="message">{escape(report.message)}</p>'
    for note in report.notes:
        yield f'<p class="note">{escape(note)}</p>'
    yield from _frames(report.frames)
    yield "</section>"


def _frames(frames: Iterable[SourceFrame]) -> Iterator[str]:
    """Innermost first: that is where a reader looks."""
    folded: list[SourceFrame] = []
    for frame in reversed(tuple(frames)):
        if frame.is_users:
            yield from _fold(folded)
            folded = []
            yield _frame(frame, is_open=True)
        else:
            folded.append(frame)
    yield from _fold(folded)


def _fold(frames: list[SourceFrame]) -> Iterator[str]:
    if not frames:
        return
    count = f"{len(frames)} frames" if len(frames) > 1 else "1 frame"
    yield f'<details class="libraries"><summary>{count} in libraries</summary>'
    for frame in frames:
        yield _frame(frame, is_open=False)
    yield "</details>"


def _frame(frame: SourceFrame, *, is_open: bool) -> str:
    function = f' in <b class="function">{escape(frame.function)}</b>' if frame.function else ""
    place = f'<span class="file">{escape(frame.file)}</span>:{frame.line}{function}'
    if not frame.source:
        return f'<p class="frame">{place}</p>'
    rows = "".join(_row(number, line, frame) for number, line in enumerate(frame.source, frame.first_line))
    return f'<details class="frame"{" open" if is_open else ""}><summary>{place}</summary><pre>{rows}</pre></details>'


def _row(number: int, line: str, frame: SourceFrame) -> str:
    if number != frame.line:
        return f"<span><i>{number}</i>{escape(line)}\n</span>"
    return f'<span class="marked"><i>{number}</i>{_underlined(line, frame)}\n</span>'


def _underlined(line: str, frame: SourceFrame) -> str:
    """Return a line with the part that is wrong underlined, where that is known."""
    if not 0 < frame.column <= len(line) + 1:
        return escape(line)
    begin, end = frame.column - 1, max(frame.column, frame.end_column - 1)
    # Behind the last character there is nothing to underline but a space.
    return f"{escape(line[:begin])}<u>{escape(line[begin:end]) or ' '}</u>{escape(line[end:])}"


def _request(context: RequestContext) -> Iterator[str]:
    yield "<section><h2>Request</h2><table>"
    yield _pair("id", context.request_id)
    yield _pair("method", context.method)
    yield _pair("path", context.path)
    client = context.scope.get("client")
    if client:
        yield _pair("client", str(client[0]))
    for name, value in context.scope.get("headers", ()):
        shown = "(hidden)" if name.lower() in HIDDEN_HEADERS else value.decode("latin-1")
        yield _pair(name.decode("latin-1"), shown)
    yield "</table></section>"


def _pair(name: str, value: str) -> str:
    return f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>"


def _first_line(text: str) -> str:
    return text.partition("\n")[0][:120]
