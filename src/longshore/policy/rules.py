"""The text of an egress rule, and what it covers (PURE).

======================================  ==================================================================
rule                                    covers
======================================  ==================================================================
``public``                              what the public Internet routes
``private``                             everything else, this host included (workerd's ``private``)
``local``                               this host: loopback and the unspecified address
``network``                             everything: ``public`` and ``private``
``10.0.0.0/8``, ``2001:db8::/32``       addresses in that range
``192.0.2.7``, ``2001:db8::7``          that address
``db.internal``                         that name; not its sub-domains
``*.example.com``                       every name below it, at any depth; not ``example.com``
======================================  ==================================================================

Each may end in ``:port`` and then covers that port alone; an IPv6 address or range with a port stands in
brackets (``[2001:db8::/32]:443``). Names are compared without regard to case or a final dot. A rule about
addresses holds for whatever reaches them (``core.ip_ranges``).

Mistakes that would quietly open or close nothing are errors: host bits in a range, an address that is only
almost one (``10.0.0``), a misspelled word, a range of IPv6 addresses that stand for IPv4 ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_network
from typing import Final

from longshore.core.host_syntax import IpAddress, parse_host, parse_port, reject_url_characters, try_parse_ip
from longshore.core.ip_ranges import IpNetwork, IpRange, IpScope, classify_ip, embedding_network, normalize_ip
from longshore.core.shown import shown
from longshore.errors import ArgumentTypeError, ArgumentValueError

__all__ = ["Rule", "parse_rule", "parse_rules"]

_WORDS: Final[dict[str, frozenset[IpScope]]] = {
    "public": frozenset({"public"}),
    "private": frozenset({"private", "local"}),
    "local": frozenset({"local"}),
    "network": frozenset({"public", "private", "local"}),
}
_FORMS: Final = (
    "write 'public', 'private', 'local', an IP address or range, a host name or '*.domain'; each may end in ':port'"
)
_BRACKETS: Final = "write '[IPv6]:port' or '[IPv6/length]:port'"
# workerd's other two words; no TCP destination is meant by them.
_UNIX_WORDS: Final = frozenset({"unix", "unix-abstract"})
# Behind the slash stands a length: a mask may be a netmask or its inverse, and 0.0.0.0 is both.
_MASK: Final = re.compile(r"/.*\.")
# How alike a single label must be to one of the words above to be taken for a mistake (difflib's ratio).
_LIKENESS: Final = 0.75
# RFC 6761 §6.3: this name, and every name below it, is loopback whoever is asked.
_LOOPBACK_NAMES: Final = ("localhost",)
# Names that the public DNS cannot answer: RFC 6761 (test), RFC 6762 (local and appendix G), RFC 8375, and
# "internal", which ICANN reserved for private use in 2024.
_PRIVATE_USE_NAMES: Final = (
    "internal",
    "local",
    "home.arpa",
    "test",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One parsed rule. Exactly one of ``scopes``, ``network`` and ``name`` says what it covers."""

    text: str
    """As the operator wrote it."""
    port: int | None = None
    """The only port it covers, or None for all."""
    scopes: frozenset[IpScope] = frozenset()
    """For a word: the scopes it stands for."""
    network: IpNetwork | None = None
    """For an address or a range."""
    name: str | None = None
    """For a host name, in lower case; of ``*.example.com`` the part behind the star."""
    is_wildcard: bool = False
    """Whether ``name`` covers what is below it, and not itself."""

    def covers_port(self, port: int) -> bool:
        """Say whether the rule speaks about ``port``."""
        return self.port is None or self.port == port

    def covers_ip(self, ip: IpAddress) -> bool:
        """Say whether ``ip`` is in the scope or range of the rule; a name rule covers no address."""
        if self.network is not None:
            return ip in self.network
        return bool(self.scopes) and classify_ip(ip) in self.scopes

    def covers_name(self, hostname: str) -> bool:
        """Say whether ``hostname`` is one of the rule's names; a rule about addresses covers none."""
        if self.name is None:
            return False
        name = _canonical_name(hostname)
        return name.endswith("." + self.name) if self.is_wildcard else name == self.name

    def opens_name_at(self, hostname: str, at: IpRange) -> bool:
        """Say whether the rule lets ``hostname`` be connected where it resolved to.

        A name is worth as much as whoever answers for it, so a name rule opens public addresses; a private
        network's only when the name cannot exist in public DNS; this host only as ``localhost``. Link-local,
        metadata and reserved addresses need a rule about addresses (see ``policy.evaluate``).
        """
        if not self.covers_name(hostname):
            return False
        if at.scope == "local":
            return _is_below(hostname, _LOOPBACK_NAMES)
        return at.scope == "public" or (at.is_site and _is_private_use(hostname))


def parse_rules(texts: Iterable[str], where: str) -> tuple[Rule, ...]:
    """Parse a list of rules.

    Args:
        texts: the rules.
        where: the list's name (``"allow"``), for messages.

    Raises:
        ArgumentTypeError: it is a single str or no list, or an item is no str.
        ArgumentValueError: an item is no rule.
    """
    if isinstance(texts, (str, bytes, Mapping)) or not isinstance(texts, Iterable):
        raise ArgumentTypeError(f"{where} is {shown(texts)}: write a list of rules, like ['public']")
    return tuple(parse_rule(text, where) for text in texts)


def parse_rule(text: str, where: str = "rules") -> Rule:
    """Parse one rule.

    Raises:
        ArgumentTypeError: it is no str.
        ArgumentValueError: it is no rule; the message names it and says what to write.
    """
    if not isinstance(text, str):
        raise ArgumentTypeError(f"rule {shown(text)} in {where} has type {type(text).__name__}: {_FORMS}")
    subject = f"rule {shown(text)} in {where}"
    _check_characters(text, subject)
    target, port = _split_port(text.lower(), subject)
    if target in _WORDS:
        return Rule(text, port, scopes=_WORDS[target])
    network = _parse_network(target, subject)
    if network is not None:
        return Rule(text, port, network=network)
    if port is None:
        _reject_misspelled_word(target, subject)
    name = _parse_name(target.removeprefix("*."), subject)
    return Rule(text, port, name=name, is_wildcard=target.startswith("*."))


def _check_characters(text: str, subject: str) -> None:
    # A slash belongs to a range here; everything else that a URL has is as wrong as in an address.
    reject_url_characters(text.replace("/", ""), subject)
    # Before lower(), which turns the Kelvin sign into a "k".
    if not text.isascii():
        raise ArgumentValueError(f"{subject} is not ASCII: write an internationalised name as 'xn--…'")


def _split_port(text: str, subject: str) -> tuple[str, int | None]:
    """Cut ``:port`` off; a bare IPv6 address or range has none."""
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        if not bracket or not (rest == "" or rest.startswith(":")) or ":" not in inside:
            raise ArgumentValueError(f"{subject} has wrong brackets: write '[IPv6]:port' or '[IPv6/length]:port'")
        return inside, parse_port(rest[1:], subject) if rest else None
    target, colon, port = text.rpartition(":")
    if not colon:
        return text, None
    if ":" not in target:
        return target, parse_port(port, subject)
    if port.isdecimal() and try_parse_ip(target) is not None:
        raise ArgumentValueError(f"{subject} is ambiguous: write '[{text}]' or '[{target}]:{port}'")
    return text, None


def _parse_network(target: str, subject: str) -> IpNetwork | None:
    if "%" in target:
        raise ArgumentValueError(f"{subject} has a zone: rules are about addresses on every interface")
    try:
        network = ip_network(target)
    except ValueError as error:
        if "/" not in target and ":" not in target:
            return None
        raise ArgumentValueError(f"{subject} is no address range: {_range_hint(target)}") from error
    if _MASK.search(target):
        raise ArgumentValueError(f"{subject} has a mask: write '{network}'")
    return _judged_network(network, subject)


def _range_hint(target: str) -> str:
    try:
        return f"it has host bits set, write '{ip_network(target, strict=False)}'"
    except ValueError:
        return "write it like '10.0.0.0/8' or '[2001:db8::/32]:443'"


def _judged_network(network: IpNetwork, subject: str) -> IpNetwork:
    """Return the range as addresses are judged: a rule for ``::ffff:10.0.0.1`` covers ``10.0.0.1``."""
    if network.num_addresses == 1:
        return ip_network(normalize_ip(network.network_address))
    outer = embedding_network(network)
    if outer is not None:
        raise ArgumentValueError(
            f"{subject} is in {outer}, where the IPv4 address inside is judged: write the IPv4 range"
        )
    return network


def _parse_name(target: str, subject: str) -> str:
    if not target or target == "*":
        raise ArgumentValueError(f"{subject} covers nothing: {_FORMS}")
    name = _canonical_name(parse_host(target, subject)[0])
    last_label = name.rpartition(".")[2]
    # As in WHATWG URL, "ends in a number": the C library reads such a name as an address.
    if last_label.isdigit() or last_label.startswith("0x"):
        raise ArgumentValueError(f"{subject} is no complete address: write four numbers, or a range like '10.0.0.0/8'")
    return name


def _reject_misspelled_word(target: str, subject: str) -> None:
    """Refuse a single label that differs from a word by one letter; a final dot says that a host is meant."""
    if target in _UNIX_WORDS:
        raise ArgumentValueError(f"{subject} is about Unix sockets: these rules are about TCP, {_FORMS}")
    for word in get_close_matches(target, _WORDS, cutoff=_LIKENESS):
        if abs(len(word) - len(target)) <= 1 and "." not in target:
            raise ArgumentValueError(f"{subject} looks like {word!r}: write that, or '{target}.' for a host")


def _canonical_name(hostname: str) -> str:
    return hostname.lower().removesuffix(".")


def _is_below(hostname: str, domains: tuple[str, ...]) -> bool:
    name = _canonical_name(hostname)
    return any(name == domain or name.endswith("." + domain) for domain in domains)


def _is_private_use(hostname: str) -> bool:
    """Say whether only a resolver of the operator's own can answer for ``hostname``."""
    return "." not in _canonical_name(hostname) or _is_below(hostname, _PRIVATE_USE_NAMES)
