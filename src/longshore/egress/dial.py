"""``OutboundDial``: one connection that a worker asked for by a message, from its words to a connected socket.

The steps, in this order: parse, judge the name, admit (limits), resolve, judge every candidate, Happy Eyeballs. They
are ``net.opening``'s, with the worker's own judge and resolver, so that errors are those of a ``DirectDialer``.

Rule that must not be broken: whatever happens, the permit is used exactly once, and the audit entry gets its outcome.
"""

from __future__ import annotations

import errno
from asyncio import CancelledError
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from longshore.core.addresses import SocketAddress
from longshore.credentials.errors import CredentialError
from longshore.egress.ask import parse_ask
from longshore.egress.judge import denial
from longshore.errors import (
    ConnectError,
    ConnectTimeout,
    LimitExceeded,
    PolicyDenied,
    ResetError,
    ResolveError,
    SocketError,
    TlsError,
    UsageError,
)
from longshore.net.connect import format_address
from longshore.net.opening import Opening
from longshore.proto.ipc.egress import CREDENTIALS_FAILED, Dial

if TYPE_CHECKING:
    from longshore.core.host_syntax import IpAddress
    from longshore.egress.ask import Ask
    from longshore.egress.context import WorkerContext
    from longshore.egress.gate import Permit
    from longshore.egress.judge import Verdict
    from longshore.egress.names import Destination
    from longshore.net.opening import Opened, Progress
    from longshore.proto.ipc.pool import DialServer

__all__ = ["OutboundDial", "outcome_of"]

SERVER_KEEP_ALIVE_S: Final = 60.0
"""A server connection that nobody uses is not forgotten by what lies between."""

_OUTCOMES: Final = {
    errno.ECONNREFUSED: "refused",
    errno.ETIMEDOUT: "timed out",
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
}


class OutboundDial:
    """One dial: ``begin()``, ``finish()`` when that did not do, then ``take()`` and ``opened()``; or ``failed()``.

    Args:
        context: of the worker.
        dial: what it says; or the pool, on its behalf.

    Raises:
        UsageError: it may not ask for that.
    """

    __slots__ = (
        "_context",
        "_denied_as",
        "_destination",
        "_entry",
        "_has_name",
        "_judged",
        "_opened",
        "_opening",
        "_permit",
        "_rules",
        "ask",
        "hostname",
    )

    def __init__(self, context: WorkerContext, dial: Dial | DialServer) -> None:
        self._context = context
        ask, self._destination = _aimed(context, dial) if isinstance(dial, Dial) else _aimed_at_server(context, dial)
        self.ask: Ask = ask
        address = ask.request.address
        self.hostname = address.hostname if self._destination is None else self._destination.hostname
        self._entry = context.audit.begin(
            name=self.hostname, port=address.port, via=ask.via, request_id=ask.request_id, binding=ask.binding
        )
        self._permit: Permit | None = None
        self._opened: Opened | None = None
        # A literal is judged by begin(), a name's addresses one by one as they are found.
        self._opening = Opening(ask.request, context.resolver, self if address.ip is None else None)
        self._has_name = address.ip is None or address.hostname != self.hostname
        # The rule that allowed each candidate; the last one that was judged.
        self._rules: dict[IpAddress, str] = {}
        self._judged: tuple[IpAddress, int] | None = None
        self._denied_as = ""

    @property
    def progress(self) -> Progress:
        """How far it has come."""
        return self._opening.progress

    # -- opening ---------------------------------------------------------------------------------

    def begin(self) -> bool:
        """Do what can be done at once; return whether it is connected already.

        Raises:
            PolicyDenied, ConnectError: it is over.
        """
        address = self.ask.request.address
        if address.ip is None:
            self.check_name(address)
        else:
            self.check_address(address.ip, address.port, hostname=self.hostname)
        try:
            self._permit = self._context.gate.try_admit(self.ask.request_id)
        except LimitExceeded:
            self.progress.during = "queue"
            return False  # it may be its turn later
        self._opened = self._opening.begin()
        return self._opened is not None

    async def finish(self) -> None:
        """Do the rest.

        Raises:
            LimitExceeded: it had to wait too long for its turn, or cannot have one.
            ResolveError, PolicyDenied, ConnectError: as a ``DirectDialer``.

        Cancellation: safe; every descriptor opened so far is closed. ``failed()`` is still to be called.
        """
        if self._permit is None:
            self._permit = await self._context.gate.admit(self.ask.request_id)
            self.progress.during = "resolve"
            self._opened = self._opening.begin()
        if self._opened is None:
            self._opened = await self._opening.finish()

    def take(self) -> Opened:
        """Return the connection; its socket belongs to the caller."""
        assert self._opened is not None
        opened, self._opened = self._opened, None
        return opened

    def check_name(self, address: SocketAddress) -> None:
        """Judge the name; see ``AddressPolicy``.

        Raises:
            PolicyDenied: it must not even be resolved.
        """
        verdict = None if self.ask.is_free else self._context.judge.judge_name(self.hostname, address.port)
        if verdict is not None:
            self._deny(verdict, address.port)

    def check_address(self, ip: IpAddress, port: int, *, hostname: str) -> None:
        """Judge a candidate; see ``AddressPolicy``.

        Raises:
            PolicyDenied: it must not be connected.
        """
        del hostname  # that of the request may be the real address behind a synthetic one
        self._judged = ip, port
        judge = self._context.judge
        if self.ask.is_free:
            loop = judge.judge_loop(ip, port)
            if loop is not None:
                self._deny(loop, port)
            self._rules[ip] = f"binding {self.ask.binding}"
            return
        also = () if self._destination is None else self._destination.also
        verdict = judge.judge(ip, port, hostname=self.hostname, also=also)
        if not verdict.is_allowed:
            self._deny(verdict, port)
        self._rules[ip] = verdict.rule

    def _deny(self, verdict: Verdict, port: int) -> NoReturn:
        self._denied_as = verdict.outcome
        raise denial(verdict, self.hostname, port)

    # -- its outcome -----------------------------------------------------------------------------

    def track(self, opened: Opened) -> None:
        """Count the connection from now on; before its socket is given away."""
        assert self._permit is not None
        permit, self._permit = self._permit, None
        permit.connected(opened.sock, self._entry)

    def opened(self, opened: Opened, local_address: str, *, tls_s: float | None = None) -> None:
        """Write that the connection is up."""
        rule = self._rules.get(opened.ip, "")
        self._entry.opened(
            opened.remote_address, local_address, rule, dns_s=opened.dns_s, tcp_s=opened.tcp_s, tls_s=tls_s
        )
        if self._has_name:
            self._context.names.note_reached(self.hostname, opened.ip)

    def failed(self, error: BaseException) -> None:
        """Give back what it holds, and write how it ended. Idempotent."""
        self._opening.abandon()
        if self._opened is not None:
            self.take().sock.close()
        if self._permit is not None:
            permit, self._permit = self._permit, None
            permit.release()
        if isinstance(error, LimitExceeded):
            self._entry.limited(error)
        elif isinstance(error, PolicyDenied):
            self._entry.denied(error.rule, address=self._judged_address(), outcome=self._denied_as)
        else:
            if isinstance(error, ConnectError) and self.ask.request.address.ip is None:
                self._context.resolver.forget(self.hostname)  # it may have moved
            rule = next(reversed(self._rules.values()), "")
            self._entry.failed(outcome_of(error), address=self._judged_address(), rule=rule)

    def _judged_address(self) -> str:
        return "" if self._judged is None else format_address(*self._judged)


def outcome_of(error: BaseException) -> str:
    """Return how a dial ended, in a few words for the audit log."""
    match error:
        case ConnectTimeout():
            return "timed out"
        case ResolveError():
            return "name not resolved"
        case ConnectError(attempts=(*_, last)):
            return _OUTCOMES.get(last.error.errno or 0, last.error.strerror or str(last.error))
        case TlsError(__cause__=CredentialError() as cause):
            return f"{CREDENTIALS_FAILED}: {cause}"
        case TlsError():
            return f"TLS failed: {error.verify_reason or error.alert or error.message}"
        case ResetError():
            return "reset"
        case SocketError():
            return error.message
        case _:
            return "given up" if isinstance(error, CancelledError) else "internal error"


def _aimed_at_server(context: WorkerContext, dial: DialServer) -> tuple[Ask, Destination | None]:
    """Do the same for what the pool asks for."""
    plain = Dial(dial_id=0, address=dial.address, keep_alive_s=SERVER_KEEP_ALIVE_S)
    if dial.is_declared:
        ask = parse_ask(context.config, plain)
        return replace(ask, via="pool", binding=dial.binding, is_free=True), None
    ask, destination = _aimed(context, plain)
    if ask.binding:
        raise UsageError(f"a database of env.{dial.binding}.get() cannot be reached through another binding")
    return replace(ask, via="pool", binding=dial.binding), destination


def _aimed(context: WorkerContext, dial: Dial) -> tuple[Ask, Destination | None]:
    """Return the ask with a real address or a name in it, and what the worker's literal means."""
    ask = parse_ask(context.config, dial)
    if ask.is_free:
        return ask, None
    address = ask.request.address
    ip = address.ip or context.names.binding_address(address.hostname)
    if ip is None:
        return ask, None
    destination = context.names.destination(ip)
    if destination is None:
        raise ConnectError(f"cannot connect to {address}: nothing has this address", address=str(address))
    if destination.binding is not None:
        return parse_ask(context.config, msgspec.structs.replace(dial, binding=destination.binding)), None
    if destination.is_synthetic:
        real = SocketAddress(str(destination.ip), address.port)
        ask = replace(ask, request=replace(ask.request, address=real))
    return ask, destination
