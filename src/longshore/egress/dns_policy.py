"""``NamePolicy``: what the egress rules say before a port is known (PURE).

A question about a name comes before the connection and says nothing about a port. So a name is refused, and no query
leaves for it, when it is refused on **every** port; and an address is left out of the answer when it could be connected
on none, as long as another one could. If none could, all stay in: then it is the connection that fails, with a clear
"permission denied" and a line in the audit log that names address and port.

There are only as many different ports as the rules name, and one that they do not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from longshore.policy.rules import parse_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.config.model import NetworkRules
    from longshore.core.host_syntax import IpAddress
    from longshore.egress.judge import Judge, Verdict

__all__ = ["NamePolicy"]

# Closed until a rule names it, so never the one that stands for all others.
_SMTP_PORT: Final = 25


class NamePolicy:
    """Judges names and addresses without a port.

    Args:
        rules: of the worker.
        judge: gives the verdicts.
    """

    def __init__(self, rules: NetworkRules, judge: Judge) -> None:
        self._judge = judge
        self.ports = _ports_that_differ(rules)
        """Enough ports to know what holds on any."""

    def denial(self, hostname: str) -> Verdict | None:
        """Return why nothing may be asked about a name, or None when it may.

        Of a service (``_xmpp-client._tcp.example.com``) the rules know the domain as well as the whole name.
        """
        names = dict.fromkeys((hostname, _without_service(hostname)))
        verdicts = [self._judge.judge_name(name, port) for name in names for port in self.ports]
        return None if None in verdicts else verdicts[0]

    def reachable(self, hostname: str, addresses: Sequence[IpAddress]) -> Sequence[IpAddress]:
        """Return the addresses that some port can be connected at; all of them when there is none."""
        return [ip for ip in addresses if self._is_reachable(hostname, ip)] or addresses

    def _is_reachable(self, hostname: str, ip: IpAddress) -> bool:
        return any(self._judge.judge(ip, port, hostname=hostname).is_allowed for port in self.ports)


def _ports_that_differ(rules: NetworkRules) -> tuple[int, ...]:
    parsed = (*parse_rules(rules.allow, "allow"), *parse_rules(rules.deny, "deny"))
    named = {rule.port for rule in parsed if rule.port is not None}
    other = next(port for port in range(1, len(named) + 3) if port not in named and port != _SMTP_PORT)
    return (other, *sorted(named))


def _without_service(hostname: str) -> str:
    """Cut off what RFC 2782 and RFC 8552 put before a domain: labels that begin with an underscore."""
    labels = hostname.split(".")
    while len(labels) > 1 and labels[0].startswith("_"):
        del labels[0]
    return ".".join(labels)
