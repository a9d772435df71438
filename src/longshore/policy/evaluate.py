"""``EgressPolicy`` says whether a destination may be connected (PURE).

Rule K4. There are two questions, and a dialer asks both:

1. ``check_name`` before anything is resolved. It refuses what is already decided: an IP literal, a name
   that a deny rule covers, and a name that no allow rule could ever let through (so that not even its
   DNS query leaves).
2. ``check_address`` for **every** resolved address, on the very address that is connected next. It is
   complete in itself: nobody needs to have called ``check_name`` before.

How a verdict is reached:

* **Deny wins**, whatever allow rules say and however precise they are. A deny rule about addresses holds
  for every reading of the address (``core.ip_ranges.reached_ips``), one about a name for the name asked for.
* Otherwise some allow rule must cover the port and either the address, judged as what it reaches, or the
  name.
* **Port 25 is closed** unless an allow rule names it (``public:25``, ``mail.example.com:25``).
* What no rule covers is not allowed.

Names and addresses together, and DNS rebinding. An allow rule for a name hands the choice of address to
whoever answers for that name, so it opens:

* public addresses, for every name;
* addresses of a private network (RFC 1918, RFC 6598, RFC 4193) when public DNS cannot answer for the name:
  a single label (``db``), or below ``.internal``, ``.local``, ``.home.arpa``, ``.test`` and the like;
* this host for ``localhost`` and names below it;
* nothing else. ``db.example.com:5432`` on a private address, any other name on this host, and link-local,
  metadata or reserved addresses need a rule about addresses (``10.0.0.5:5432``, ``10.0.0.0/8:5432``).

A deny rule for a name does not keep the same server from being reached under another: deny its addresses.

``check_*`` raise for a dialer; ``judge_*`` return the ``Verdict`` with the deciding rule, of a permission too.

The message of a denial says where and "blocked by policy", which is all that untrusted code should learn;
the deciding rule is in ``PolicyDenied.rule``, for the operator.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from longshore.core.host_syntax import join_host_port
from longshore.core.ip_ranges import normalize_ip, range_of_ip, reached_ips
from longshore.errors import PolicyDenied
from longshore.policy.rules import parse_rules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.core.addresses import SocketAddress
    from longshore.core.host_syntax import IpAddress
    from longshore.core.ip_ranges import IpRange
    from longshore.policy.rules import Rule

__all__ = ["EgressPolicy", "Verdict"]

# Mail relay: the one port that is closed until it is named, as in workerd's production.
_SMTP_PORT: Final = 25
# So many rules are quoted in a denial; the rest are counted.
_QUOTED_RULES: Final = 5


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done about one destination, and why."""

    is_allowed: bool
    rule: str
    """The text of the rule that decided, or ``"default: …"``; for the operator."""
    is_loop: bool = False
    """Whether it is denied because it is the worker's own address (``longshore.egress.judge``)."""

    @property
    def outcome(self) -> str:
        """How a denial is called in the audit log."""
        return "loop detected" if self.is_loop else "blocked by policy"


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """Allow and deny rules for outbound connections; by default the public Internet without port 25.

    Raises:
        ArgumentTypeError: a list is no list of str.
        ArgumentValueError: a rule is wrong; the message names it.
    """

    allow: Sequence[str] = ("public",)
    """Rules that open; kept as a tuple."""
    deny: Sequence[str] = ()
    """Rules that close, and win; kept as a tuple."""
    _allow_rules: tuple[Rule, ...] = field(init=False, repr=False, compare=False)
    _deny_rules: tuple[Rule, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("allow", "deny"):
            rules = parse_rules(getattr(self, name), name)
            object.__setattr__(self, name, tuple(rule.text for rule in rules))
            object.__setattr__(self, f"_{name}_rules", rules)

    def check_name(self, address: SocketAddress) -> None:
        """Judge what can be judged before the name is resolved; an IP literal is judged completely.

        Raises:
            PolicyDenied: the destination is already forbidden.
        """
        if address.ip is not None:
            self.check_address(address.ip, address.port, hostname=address.hostname)
            return
        verdict = self.judge_name(address.hostname, address.port)
        if verdict is not None:
            raise _denied(address.hostname, address.port, verdict.rule)

    def check_address(self, ip: IpAddress, port: int, *, hostname: str) -> None:
        """Judge the address that is about to be connected.

        Args:
            ip: the candidate, as the resolver or the literal gave it.
            port: the destination port.
            hostname: the name that was asked for, or the literal's spelling.

        Raises:
            PolicyDenied: the destination is forbidden.
        """
        verdict = self.judge_address(ip, port, hostname=hostname)
        if not verdict.is_allowed:
            raise _denied(hostname, port, verdict.rule)

    def judge_name(self, hostname: str, port: int) -> Verdict | None:
        """Return the denial of a name that no address could redeem; None when its addresses decide."""
        for rule in self._deny_rules:
            if rule.covers_port(port) and rule.covers_name(hostname):
                return Verdict(is_allowed=False, rule=rule.text)
        if not any(rule.name is None or rule.covers_name(hostname) for rule in self._openers(port)):
            return Verdict(is_allowed=False, rule=self._default_reason(port))
        return None

    def judge_address(self, ip: IpAddress, port: int, *, hostname: str, also: Sequence[str] = ()) -> Verdict:
        """Return the verdict on one address.

        Args:
            ip: as the resolver or the literal gave it.
            port: the destination port.
            hostname: the name that was asked for, or the literal's spelling.
            also: other names that ``ip`` is known under: rules about them decide, too.
        """
        readings, names = reached_ips(ip), (hostname, *also)
        for rule in self._deny_rules:
            if rule.covers_port(port) and (any(map(rule.covers_name, names)) or any(map(rule.covers_ip, readings))):
                return Verdict(is_allowed=False, rule=rule.text)
        judged, at = normalize_ip(ip), range_of_ip(ip)
        for rule in self._openers(port):
            if rule.covers_ip(judged) or any(rule.opens_name_at(name, at) for name in names):
                return Verdict(is_allowed=True, rule=rule.text)
        return Verdict(is_allowed=False, rule=self._default_reason(port, _found(ip, judged, at)))

    def _openers(self, port: int) -> list[Rule]:
        """Return the allow rules that speak about ``port``."""
        if port == _SMTP_PORT:
            return [rule for rule in self._allow_rules if rule.port == port]
        return [rule for rule in self._allow_rules if rule.covers_port(port)]

    def _default_reason(self, port: int, found: str = "") -> str:
        if port == _SMTP_PORT and not self._openers(port):
            return f"default: port {port} is closed until a rule names it"
        quoted = [repr(rule.text) for rule in self._allow_rules[:_QUOTED_RULES]]
        more = len(self._allow_rules) - _QUOTED_RULES
        if more > 0:
            quoted.append(f"{more} more")
        return f"default: not allowed by {', '.join(quoted) or 'an empty list'}{found}"


def _found(ip: IpAddress, judged: IpAddress, at: IpRange) -> str:
    reaches = "" if ip == judged else f" reaches {judged} and"
    return f" ({ip}{reaches} is {at.scope}: {at.name})"


def _denied(hostname: str, port: int, rule: str) -> PolicyDenied:
    destination = join_host_port(hostname, port)
    return PolicyDenied(f"connection to {destination} blocked by policy", address=destination, rule=rule)
