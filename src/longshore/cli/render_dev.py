"""One event as coloured lines for the person at ``longshore dev``.

A request is one line when it is done. What it caused before that, its connections and its failures, stands above it,
and all of them end in the same tag, ``#17``, so that requests that run at the same time can be told apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatchmethod
from typing import TYPE_CHECKING, Final

from rich.text import Text

from longshore.cli.egress_words import Allowing, advice, audited_line, audited_words, destination, is_news
from longshore.cli.isolation import enclosed_words, is_worrying, missing_words
from longshore.cli.render_error import error_lines, headline
from longshore.cli.words import (
    EGRESS_LOST,
    POOL_LOST,
    closed_words,
    cut_off_words,
    duration,
    exited_words,
    opened_words,
    port_taken_words,
    printable,
    restart_words,
    status_words,
    tag,
)
from longshore.proto.ipc.messages import (
    ConnectionClosed,
    ConnectionOpened,
    Drained,
    HandlerFailed,
    LogLine,
    RequestFinished,
    ScheduledFinished,
)
from longshore.runtime.host import events as host

if TYPE_CHECKING:
    from collections.abc import Iterable

    from longshore.proto.ipc.egress import AuditRecord
    from longshore.proto.ipc.messages import ErrorReport, WorkerMessage

__all__ = ["ASCII", "UNICODE", "DevRenderer", "Symbols"]

STATUS_STYLES: Final = {1: "cyan", 2: "green", 3: "cyan", 4: "yellow", 5: "bold red"}
LEVEL_STYLES: Final = {"debug": "dim", "info": "cyan", "warning": "yellow", "error": "bold red"}
MANY_TAGS: Final = 1000


@dataclass(frozen=True, slots=True)
class Symbols:
    """The signs at the beginnings of lines."""

    opened: str
    closed: str
    failed: str
    reload: str
    cron: str
    dots: str


UNICODE: Final = Symbols(opened="→", closed="←", failed="✗", reload="↻", cron="◷", dots="…")
ASCII: Final = Symbols(opened="->", closed="<-", failed="x", reload="*", cron="@", dots="...")


class DevRenderer:
    """Turns events into lines.

    Args:
        project_dir: what the paths of the user's own files are shown relative to.
        symbols: signs that the terminal can show.
        allowing: where the worker's rules stand.
    """

    def __init__(
        self,
        project_dir: str = "",
        symbols: Symbols = UNICODE,
        allowing: Allowing = Allowing(),  # noqa: B008 - frozen
    ) -> None:
        self._project_dir = project_dir
        self._symbols = symbols
        self._allowing = allowing
        # Requests that have a line above their own, which the tag then connects.
        self._tagged: dict[str, None] = {}
        # Denials that were explained.
        self._explained: set[str] = set()

    def render(self, event: host.HostEvent) -> list[Text]:
        """Return the lines of an event; none when a developer need not know of it."""
        return self._lines(event.message if isinstance(event, host.FromWorker) else event)

    @singledispatchmethod
    def _lines(self, subject: host.HostEvent | WorkerMessage) -> list[Text]:
        return []

    # --- the host -------------------------------------------------------------------------------------------------

    @_lines.register
    def _(self, event: host.PortTaken) -> list[Text]:
        return [_warning(port_taken_words(event))]

    @_lines.register
    def _(self, event: host.Enclosed) -> list[Text]:
        words = (enclosed_words(event), "green" if event.in_force else "yellow")
        style = "yellow" if is_worrying(event) else "dim"
        missing = [Text.assemble(("! ", "yellow"), (line, style)) for line in missing_words(event)]
        return [Text.assemble(("Isolation  ", "bold"), words), *missing, Text()]

    @_lines.register
    def _(self, event: host.EgressLost) -> list[Text]:
        return [_error(EGRESS_LOST)]

    @_lines.register
    def _(self, event: host.PoolLost) -> list[Text]:
        return [_error(POOL_LOST)]

    @_lines.register
    def _(self, event: host.CertificateNotice) -> list[Text]:
        return [_warning(f"{printable(event.key_path)} {printable(event.text)}")]

    @_lines.register
    def _(self, event: host.Audited) -> list[Text]:
        record = event.record
        if record.event in {"limit", "refuse"}:
            return [self._belonging(_warning(audited_line(record)), record.request_id)]
        if record.event == "deny":
            return self._denied(record)
        if not is_news(record):
            return []
        signs = {"open": self._symbols.opened, "close": self._symbols.closed}
        style = "red" if record.event == "fail" else "cyan"
        head = (f"  {signs.get(record.event, self._symbols.failed)} {destination(record)}", style)
        return [self._belonging(Text.assemble(head, (f"  {audited_words(record)}", "dim")), record.request_id)]

    def _denied(self, record: AuditRecord) -> list[Text]:
        """Explain a denial once: who is denied tries again, often at once."""
        line = audited_line(record)
        if line in self._explained:
            return []
        if len(self._explained) >= MANY_TAGS:
            self._explained.clear()
        self._explained.add(line)
        hint = advice(record, self._allowing)
        return [self._belonging(_warning(line), record.request_id), *([Text(f"  {hint}", style="dim")] if hint else [])]

    @_lines.register
    def _(self, event: host.BootFailure) -> list[Text]:
        what = "the new code cannot be run" if event.is_reload else "the worker cannot be run"
        waiting = Text("  Waiting for a change.", style="dim")
        return [*self._error(what, event.report), waiting]

    @_lines.register
    def _(self, event: host.ReloadStarted) -> list[Text]:
        self._explained.clear()  # as if it had begun anew
        head = (f"{self._symbols.reload} Reloading{self._symbols.dots}", "cyan")
        return [Text.assemble(head, (f" {self._paths(event.paths)}", "dim"))]

    @_lines.register
    def _(self, event: host.Reloaded) -> list[Text]:
        return [Text(f"{self._symbols.reload} Reloaded in {duration(event.duration_s)}", style="green")]

    @_lines.register
    def _(self, event: host.ConfigReloaded) -> list[Text]:
        self._allowing = Allowing.of(event.config)
        return [Text("The configuration was read anew.", style="cyan")]

    @_lines.register
    def _(self, event: host.WorkerExited) -> list[Text]:
        return [] if event.was_expected else [_error(f"the worker {exited_words(event)}")]

    @_lines.register
    def _(self, event: host.RestartScheduled) -> list[Text]:
        return [_warning(restart_words(event))]

    @_lines.register
    def _(self, event: host.Draining) -> list[Text]:
        return [Text("Stopping at once" if event.is_hurried else f"Stopping{self._symbols.dots}", style="dim")]

    @_lines.register
    def _(self, event: host.CronDue) -> list[Text]:
        if event.worker_id is None:
            return [_warning(f"cron {event.cron}: no worker is ready")]
        return [Text(f"{self._symbols.cron} cron {printable(event.cron)} fired", style="cyan")]

    @_lines.register
    def _(self, event: host.HostFailed) -> list[Text]:
        return [_error(printable(event.message))]

    # --- the worker -----------------------------------------------------------------------------------------------

    @_lines.register
    def _(self, message: RequestFinished) -> list[Text]:
        style = STATUS_STYLES.get(message.status // 100, "yellow") if message.outcome != "canceled" else "yellow"
        line = Text.assemble(
            (printable(message.method), "bold"),
            f" {printable(message.path)} ",
            (status_words(message), style),
            (f" ({duration(message.duration_s)})", "dim"),
        )
        if message.request_id in self._tagged:
            del self._tagged[message.request_id]
            _with_tag(line, message.request_id)
        return [line]

    @_lines.register
    def _(self, message: ConnectionOpened) -> list[Text]:
        symbol, style = (self._symbols.failed, "red") if message.error else (self._symbols.opened, "cyan")
        head = (f"  {symbol} {printable(message.address)}", style)
        return [self._belonging(Text.assemble(head, (f"  {opened_words(message)}", "dim")), message.request_id)]

    @_lines.register
    def _(self, message: ConnectionClosed) -> list[Text]:
        head = (f"  {self._symbols.closed} {printable(message.address)}", "cyan")
        return [self._belonging(Text.assemble(head, (f"  {closed_words(message)}", "dim")), message.request_id)]

    @_lines.register
    def _(self, message: HandlerFailed) -> list[Text]:
        # The line of the request comes next and says the rest.
        what = "" if message.where == "fetch" else f"{message.where} failed: {printable(message.subject)}"
        head, *rest = self._error(what, message.report)
        return [self._belonging(head, message.request_id), *rest]

    @_lines.register
    def _(self, message: ScheduledFinished) -> list[Text]:
        style = "green" if message.outcome == "ok" else "bold red"
        words = (f"{self._symbols.cron} cron {printable(message.cron)} ", "cyan")
        return [Text.assemble(words, (message.outcome, style), (f" ({duration(message.duration_s)})", "dim"))]

    @_lines.register
    def _(self, message: LogLine) -> list[Text]:
        first, *rest = printable(message.text).splitlines() or [""]
        style = LEVEL_STYLES.get(message.level, "")
        logger = (f" {printable(message.logger)}", "dim") if message.logger else ""
        head = Text.assemble((f"  {message.level}", style), logger, f"  {first}")
        return [self._belonging(head, message.request_id), *(Text(f"    {line}") for line in rest)]

    @_lines.register
    def _(self, message: Drained) -> list[Text]:
        if not (message.cancelled_requests or message.cancelled_tasks):
            return []
        return [_warning(cut_off_words(message))]

    # --- pieces ---------------------------------------------------------------------------------------------------

    def _error(self, what: str, report: ErrorReport) -> list[Text]:
        first = Text(f"{self._symbols.failed} {headline(report)}", style="bold red")
        if what:
            first = Text.assemble(first, (f"  {what}", "dim"))
        return [first, *error_lines(report, self._project_dir)]

    def _belonging(self, line: Text, request_id: str) -> Text:
        """Return a line above that of its request; from now on the request's own line is tagged too."""
        if not request_id:
            return line
        self._tagged[request_id] = None
        if len(self._tagged) > MANY_TAGS:
            # Requests whose own line never came, or came before.
            del self._tagged[next(iter(self._tagged))]
        return _with_tag(line, request_id)

    def _paths(self, paths: Iterable[str]) -> str:
        prefix = f"{self._project_dir}/"
        return printable(", ".join(path.removeprefix(prefix) for path in paths))


def _with_tag(line: Text, request_id: str) -> Text:
    return line.append(f"  {tag(request_id)}", style="dim magenta")


def _warning(words: str) -> Text:
    return Text.assemble(("warning: ", "bold yellow"), words)


def _error(words: str) -> Text:
    return Text.assemble(("error: ", "bold red"), words)
