"""What becomes of an exception: a message to the host, and an answer to the client.

In development the answer says everything: a page for browsers, the traceback for everybody else. In production it says
nothing but the id under which the log has the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from longshore.proto.ipc.messages import HandlerFailed, LogLine
from longshore.runtime.worker.report import error_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from longshore.config.model import WorkerConfig
    from longshore.proto.ipc.messages import ErrorReport
    from longshore.runtime.worker.flight import Flight
    from longshore.runtime.worker.reporter import Reporter
    from longshore.runtime.worker.streaming import Send
    from longshore.workers._context import RequestContext

__all__ = ["Failures"]


class Failures:
    """Reports and answers failures of one worker.

    Args:
        config: for the folders that are the user's.
        reporter: gets a ``HandlerFailed`` for each.
        is_dev: whether clients are told what happened.
    """

    def __init__(self, config: WorkerConfig, reporter: Reporter, *, is_dev: bool) -> None:
        self._config = config
        self._reporter = reporter
        self._is_dev = is_dev
        self.disconnect_grace_s = config.serve.disconnect_grace_s
        self.body_timeout_s = config.serve.body_timeout_s
        # Called with where, the context and the exception itself: a test in the same process wants to raise it.
        self.on_failure: Callable[[str, RequestContext, BaseException], None] | None = None

    def tell(self, where: str, context: RequestContext, exc: BaseException) -> ErrorReport:
        """Send a ``HandlerFailed`` and return its report."""
        if self.on_failure is not None:
            self.on_failure(where, context, exc)
        report = error_report(exc, self._config.project_dir, self._config.module_root)
        self._reporter.send(
            HandlerFailed(where=where, request_id=context.request_id, subject=context.subject, report=report)
        )
        return report

    def warn(self, context: RequestContext, text: str) -> None:
        """Send a warning about a request."""
        self._reporter.send(LogLine(level="warning", text=text, request_id=context.request_id, logger="longshore"))

    def page(self, flight: Flight, report: ErrorReport) -> tuple[bytes, bytes]:
        """Return the content type and the body of the answer."""
        if not self._is_dev:
            return b"text/plain; charset=utf-8", f"Internal Server Error\nrequest {flight.request_id}\n".encode()
        if _wants_html(flight.scope):
            from longshore.runtime.worker.error_page import error_page  # noqa: PLC0415 - development only

            return b"text/html; charset=utf-8", error_page(report, flight).encode("utf-8", "replace")
        return b"text/plain; charset=utf-8", report.text.encode("utf-8", "replace")

    async def answer(self, flight: Flight, report: ErrorReport, send: Send) -> None:
        """Send a 500, unless a response has begun."""
        if flight.status or flight.connection.is_lost:
            return
        await answer(flight, send, 500, *self.page(flight, report))


async def answer(
    flight: Flight, send: Any, status: int, content_type: bytes, body: bytes, *, is_last: bool = False
) -> None:
    """Send a whole response of the runtime's own; ``is_last`` closes the connection behind it."""
    flight.status = status
    headers = [
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if is_last:
        headers.append((b"connection", b"close"))
    if content_type.startswith(b"text/html"):
        headers.append((b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _wants_html(scope: Any) -> bool:
    return any(name == b"accept" and b"text/html" in value.lower() for name, value in scope.get("headers", ()))
