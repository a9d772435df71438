"""Which name stands behind which address of a worker (PURE).

A worker never learns from DNS where a name really is. Each pair of name and real address gets a *synthetic* address,
which means something inside that one worker only; ``destination`` maps it back when the worker connects. So policy is
judged by name as well as by address, many names may share one server, and a name cannot be bound to something else
between check and use (DNS rebinding).

* IPv4 comes from the upper half of 198.18.0.0/15 (RFC 2544, routed nowhere), IPv6 from the lower half of a ``/96`` of
  our own. The halves matter: the worker's own addresses, ``WORKER_IPV4`` and ``WORKER_IPV6``, are in the other ones, so
  that to the C library all synthetic addresses are equally near (RFC 6724 rule 9) and stay in the order of the answer.
* An address that is forgotten, because the table is full, is not given out again before the whole range was used. A
  client that kept it connects to nothing rather than to the wrong server.
* ``localhost`` and names below it are the worker's own loopback (RFC 6761 §6.3) and get no synthetic address.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import TYPE_CHECKING, Final

from longshore.core.ip_ranges import normalize_ip
from longshore.core.private_names import private_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.config.model import WorkerConfig
    from longshore.core.host_syntax import IpAddress

__all__ = [
    "SYNTHETIC_IPV4",
    "SYNTHETIC_IPV6",
    "WORKER_IPV4",
    "WORKER_IPV6",
    "Destination",
    "SyntheticNames",
    "canonical_name",
    "is_localhost",
    "is_synthetic",
    "names_of",
]

SYNTHETIC_IPV4: Final = IPv4Network("198.18.0.0/15")
SYNTHETIC_IPV6: Final = IPv6Network("fd4c:6f6e:6773:686f:7265::/96")
"""A unique local prefix (RFC 4193) that never leaves a worker."""
WORKER_IPV4: Final = IPv4Address("198.18.255.254")
"""Of the worker's loopback interface, with the prefix length of ``SYNTHETIC_IPV4``, so that the C library sees IPv4."""
WORKER_IPV6: Final = SYNTHETIC_IPV6[0xFFFF_FFFE]
"""The same for IPv6."""

# The first address of each half, and how many there are without the first and the last of it.
_FIRST: Final = {4: int(IPv4Address("198.19.0.1")), 6: int(SYNTHETIC_IPV6[1])}
_COUNT: Final = {4: 0xFFFE, 6: 0x7FFF_FFFE}
# A quarter of the IPv4 half: an address that was forgotten is left alone for at least three times as many others.
_MAX_NAMES: Final = 16_384
_MAX_REACHED: Final = 4_096
# So many names of one real address are remembered; virtual hosting puts thousands behind one.
_MAX_ALSO: Final = 8


@dataclass(frozen=True, slots=True)
class Destination:
    """What a worker means by an address it connects to."""

    hostname: str
    """The name, or the literal's text."""
    ip: IpAddress
    """The real address. Of the private name of a binding, which has none, the synthetic one."""
    is_synthetic: bool
    also: tuple[str, ...] = ()
    """Names under which a literal was reached before, the latest first."""
    binding: str | None = None
    """The ``[[egress]]`` or ``[[hyperdrive]]`` binding whose private name this is."""


class SyntheticNames:
    """The table of one worker.

    Args:
        max_names: pairs of name and real address to remember; the least recently used goes first.
        max_reached: real addresses to remember the names of; the least recently used goes first.
    """

    def __init__(self, *, max_names: int = _MAX_NAMES, max_reached: int = _MAX_REACHED) -> None:
        if not 1 <= max_names <= _MAX_NAMES:
            raise ValueError(f"max_names is {max_names}: from 1 to {_MAX_NAMES} pairs can be remembered")
        if max_reached < 1:
            raise ValueError(f"max_reached is {max_reached}: at least 1 address is remembered")
        self._max_names = max_names
        self._max_reached = max_reached
        # Both in the order of use, the least recent first.
        self._given: dict[tuple[str, IpAddress], IpAddress] = {}
        self._meaning: dict[IpAddress, Destination] = {}
        self._bindings: dict[str, IpAddress] = {}
        self._reached: dict[IpAddress, tuple[str, ...]] = {}
        self._next = {4: 0, 6: 0}

    def __len__(self) -> int:
        """Return how many pairs are remembered."""
        return len(self._given)

    def address_for(self, hostname: str, ip: IpAddress) -> IpAddress:
        """Return the address that stands for ``hostname`` at its real address ``ip``, of the same family.

        The same pair gets the same address for as long as it is remembered. ``localhost`` gets ``ip`` itself.
        """
        name = canonical_name(hostname)
        if is_localhost(name):
            return ip
        pair = (name, ip)
        given = self._given.pop(pair, None)
        if given is None:
            self._make_room()
            given = self._unused(ip.version)
            self._meaning[given] = Destination(name, ip, is_synthetic=True)
        self._given[pair] = given  # now the most recent
        return given

    def add_binding(self, hostname: str, binding: str) -> IpAddress:
        """Give the private name of a binding an address, for good; again the same for the same name."""
        name = canonical_name(hostname)
        given = self._bindings.get(name)
        if given is None:
            given = self._bindings[name] = self._unused(4)
        self._meaning[given] = Destination(name, given, is_synthetic=True, binding=binding)
        return given

    def bindings(self) -> Mapping[str, IpAddress]:
        """Return the private names, with their addresses."""
        return self._bindings

    def binding_address(self, hostname: str) -> IpAddress | None:
        """Return the address of a binding's private name, or None when ``hostname`` is no such name."""
        return self._bindings.get(canonical_name(hostname))

    def binding_of(self, hostname: str) -> str | None:
        """Return the binding whose private name this is; None when it is another one."""
        ip = self.binding_address(hostname)
        return None if ip is None else self._meaning[ip].binding

    def destination(self, ip: IpAddress) -> Destination | None:
        """Return what connecting to ``ip`` means; an IPv4 address may be mapped into IPv6 (``::ffff:…``).

        Returns:
            None for a synthetic address that nobody was given, or that is forgotten. There is nothing at it.
        """
        literal, key = _literal(ip)
        if literal is not None:
            also = self._reached.get(key)
            return literal if also is None else Destination(literal.hostname, literal.ip, is_synthetic=False, also=also)
        ip = _unmapped(ip)
        meaning = self._meaning.get(ip)
        if meaning is not None and meaning.binding is None:
            self._touch(meaning, ip)
        return meaning

    def note_reached(self, hostname: str, ip: IpAddress) -> None:
        """Remember that the worker got a connection to ``hostname`` at the real address ``ip``.

        What a server tells about itself, and what ``getpeername()`` says, are real addresses. From now on the worker
        may mean this name by this literal.
        """
        name, key = canonical_name(hostname), _key(ip)
        if is_synthetic(key) or is_localhost(name):
            return
        others = tuple(each for each in self._reached.pop(key, ()) if each != name)
        if len(self._reached) >= self._max_reached:
            del self._reached[next(iter(self._reached))]
        self._reached[key] = (name, *others)[:_MAX_ALSO]

    def name_of(self, ip: IpAddress) -> str | None:
        """Return the name behind an address the worker may know, for a reverse look-up; None when there is none."""
        ip = _unmapped(ip)
        if is_synthetic(ip):
            meaning = self._meaning.get(ip)
            return None if meaning is None else meaning.hostname
        return next(iter(self._reached.get(_key(ip), ())), None)

    def _touch(self, meaning: Destination, given: IpAddress) -> None:
        pair = (meaning.hostname, meaning.ip)
        del self._given[pair]
        self._given[pair] = given

    def _make_room(self) -> None:
        if len(self._given) >= self._max_names:
            del self._meaning[self._given.pop(next(iter(self._given)))]

    def _unused(self, version: int) -> IpAddress:
        """Return the next address of the ring that means nothing; there always is one."""
        while True:
            number = _FIRST[version] + self._next[version]
            self._next[version] = (self._next[version] + 1) % _COUNT[version]
            ip = IPv4Address(number) if version == 4 else IPv6Address(number)
            if ip not in self._meaning:
                return ip


def names_of(config: WorkerConfig) -> SyntheticNames:
    """Return the table of a new worker: the private names of its bindings, which have the same addresses each time."""
    names = SyntheticNames()
    pooled = [each.binding for each in config.hyperdrive if each.is_pooled or each.is_private]
    for binding in (*(each.binding for each in config.egress), *pooled):
        names.add_binding(private_name(binding), binding)
    return names


def canonical_name(hostname: str) -> str:
    """Return ``hostname`` in lower case (RFC 4343) and without the final dot."""
    return hostname.lower().removesuffix(".")


def is_localhost(hostname: str) -> bool:
    """Say whether a name is ``localhost`` or below it."""
    name = canonical_name(hostname)
    return name == "localhost" or name.endswith(".localhost")


def is_synthetic(ip: IpAddress) -> bool:
    """Say whether ``ip``, also mapped into IPv6, is in one of the ranges that synthetic addresses come from."""
    ip = _unmapped(ip)
    return ip in SYNTHETIC_IPV4 if isinstance(ip, IPv4Address) else ip in SYNTHETIC_IPV6


def _unmapped(ip: IpAddress) -> IpAddress:
    return (ip.ipv4_mapped or ip) if isinstance(ip, IPv6Address) else ip


@lru_cache(maxsize=1024)
def _literal(ip: IpAddress) -> tuple[Destination | None, IpAddress]:
    """Return what ``ip`` means if no name was ever reached at it, None when it is synthetic; and its key."""
    ip = _unmapped(ip)
    return None if is_synthetic(ip) else Destination(str(ip), ip, is_synthetic=False), _key(ip)


def _key(ip: IpAddress) -> IpAddress:
    """Return what ``ip`` is remembered under: all spellings of one destination are one."""
    return normalize_ip(ip)
