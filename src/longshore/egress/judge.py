"""``Judge``: where one worker may connect to (PURE).

The rules are ``longshore.policy``'s. What they do not know is the worker itself: a connection to an address at which
the host listens for this very worker is a loop, whatever the rules say.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from longshore.core.addresses import SocketAddress
from longshore.core.host_syntax import join_host_port
from longshore.core.ip_ranges import classify_ip, normalize_ip, reached_ips
from longshore.errors import PolicyDenied
from longshore.policy.evaluate import EgressPolicy, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from longshore.config.model import NetworkRules
    from longshore.core.host_syntax import IpAddress

__all__ = ["Judge", "Verdict", "denial"]

_CACHED_VERDICTS: Final = 1024
_LOOP: Final = Verdict(is_allowed=False, rule="default: loop detected, the worker's own address", is_loop=True)


def _is_never(_ip: IpAddress) -> bool:
    return False


class Judge:
    """Gives a verdict on each destination.

    Args:
        rules: of the worker.
        own_addresses: ``ip:port`` at which the host listens for the worker; the unspecified address stands for every
            address of this host.
        is_of_this_host: tells whether an address that is not loopback is one of this host's; asked only when the
            host listens on all of them, and on that port.

    Raises:
        ArgumentTypeError, ArgumentValueError: a rule or an address is wrong.
    """

    def __init__(
        self,
        rules: NetworkRules,
        own_addresses: Iterable[str] = (),
        *,
        is_of_this_host: Callable[[IpAddress], bool] = _is_never,
    ) -> None:
        self._policy = EgressPolicy(rules.allow, rules.deny)
        # A program asks for few destinations, again and again.
        self._judge_address = lru_cache(maxsize=_CACHED_VERDICTS)(self._policy.judge_address)
        self._is_of_this_host = is_of_this_host
        self._own: set[tuple[IpAddress, int]] = set()
        self._own_everywhere: set[int] = set()
        self._own_ports: set[int] = set()
        for text in own_addresses:
            address = SocketAddress.parse(text)
            if address.ip is None:
                continue  # the host tells addresses; a name would be nobody's
            self._own_ports.add(address.port)
            if address.ip.is_unspecified:
                self._own_everywhere.add(address.port)
            else:
                self._own.add((normalize_ip(address.ip), address.port))

    def judge_name(self, hostname: str, port: int) -> Verdict | None:
        """Judge a name before it is resolved.

        Returns:
            The denial, when no address of the name could be connected; None when its addresses decide.
        """
        return self._policy.judge_name(hostname, port)

    def judge(self, ip: IpAddress, port: int, *, hostname: str, also: Sequence[str] = ()) -> Verdict:
        """Judge the address that is about to be connected; complete in itself.

        Args:
            ip: the real address.
            port: the destination port.
            hostname: the name that was asked for, or the literal's spelling.
            also: other names under which the worker has reached ``ip``.
        """
        return self.judge_loop(ip, port) or self._judge_address(ip, port, hostname=hostname, also=tuple(also))

    def judge_loop(self, ip: IpAddress, port: int) -> Verdict | None:
        """Return the denial when ``ip`` and ``port`` are the worker's own; None otherwise.

        For destinations that the operator chose, to which the rules do not apply.
        """
        if port not in self._own_ports:
            return None
        return _LOOP if any(self._is_own(reading, port) for reading in reached_ips(ip)) else None

    def _is_own(self, ip: IpAddress, port: int) -> bool:
        if (ip, port) in self._own:
            return True
        return port in self._own_everywhere and (classify_ip(ip) == "local" or self._is_of_this_host(ip))


def denial(verdict: Verdict, hostname: str, port: int) -> PolicyDenied:
    """Return what a worker is told of a verdict that is no permission."""
    destination = join_host_port(hostname, port)
    why = ": loop detected, this is the worker's own address" if verdict.is_loop else ""
    return PolicyDenied(f"connection to {destination} blocked by policy{why}", address=destination, rule=verdict.rule)
