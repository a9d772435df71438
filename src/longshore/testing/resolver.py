"""``StaticResolver``: name resolution from a table, with failures and delays that the test chooses."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TYPE_CHECKING, TypeAlias, final

from longshore.errors import ArgumentValueError, ResolveError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping, Sequence

__all__ = ["StaticResolver"]

_Answer: TypeAlias = tuple[IPv4Address | IPv6Address, ...] | Exception


@final
class StaticResolver:
    """A ``Resolver`` that knows the names in its table and no others.

    ::

        StaticResolver({"db.example": ["2001:db8::1", "192.0.2.1"], "gone.example": ResolveError("gone")})

    Args:
        hosts: from a name to its addresses in the order of preference, or to the exception to raise.
        gate: every answer waits until this event is set; None answers at once.

    Raises:
        ArgumentValueError: an address is no IP address, or a name has none.
    """

    def __init__(self, hosts: Mapping[str, Sequence[str] | Exception], *, gate: asyncio.Event | None = None) -> None:
        self._answers = {host.lower(): _parse_answer(host, answer) for host, answer in hosts.items()}
        self._gate = gate
        self._queries: list[tuple[str, int]] = []

    @property
    def queries(self) -> tuple[tuple[str, int], ...]:
        """Every ``(host, port)`` that was asked for, in order."""
        return tuple(self._queries)

    async def resolve(self, host: str, port: int) -> Sequence[IPv4Address | IPv6Address]:
        """Return the addresses of ``host``.

        Raises:
            ResolveError: the name is not in the table.
            Exception: the one in the table.

        Cancellation: safe.
        """
        self._queries.append((host, port))
        if self._gate is not None:
            await self._gate.wait()
        answer = self._answers.get(host.lower())
        if answer is None:
            known = ", ".join(self._answers) or "none"
            message = f"cannot resolve {host!r}: StaticResolver knows these names: {known}"
            raise ResolveError(message, address=host, during="resolve")
        if isinstance(answer, Exception):
            raise answer
        return answer


def _parse_answer(host: str, answer: Sequence[str] | Exception) -> _Answer:
    if isinstance(answer, Exception):
        return answer
    if isinstance(answer, str) or not answer:
        raise ArgumentValueError(f"hosts[{host!r}] is {answer!r}: give a list of IP addresses, or an exception")
    try:
        return tuple(ip_address(text) for text in answer)
    except ValueError as exc:
        raise ArgumentValueError(f"hosts[{host!r}] is {answer!r}: {exc}") from exc
