"""``EgressResolver``: names as the host sees them, for one worker, with a memory.

Theory of operation. The answer is always the system's ``getaddrinfo``: ``/etc/hosts``, ``nsswitch.conf``, search list,
multicast DNS and the order of RFC 6724 are what every other program on the machine gets. It tells no time to live,
so the host's name server, which has just been asked, is asked for that; where it has the same addresses its TTL counts.
A server that takes long over it is not waited for.

* One look-up per name at a time; whoever else asks meanwhile shares it, and one who goes away does not end it.
* Bounded: ``max_threads`` look-ups run, ``max_waiting`` are accepted, what is beyond fails at once.
* The configuration's ``hosts`` come first, except that ``localhost`` is loopback whoever is asked (RFC 6761 §6.3).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import partial
from ipaddress import ip_address
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from longshore.aio.tasks import spawn
from longshore.core.ip_ranges import classify_ip
from longshore.egress.answers import Answer, AnswerCache
from longshore.egress.lookup_threads import LookupThreads
from longshore.egress.names import canonical_name, is_localhost
from longshore.egress.system_dns import SystemDns
from longshore.net.resolve import ip_of_sockaddr, resolve_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from longshore.core.host_syntax import IpAddress

__all__ = ["EgressResolver"]

_logger = logging.getLogger(__name__)

# When the system's name service says nothing about time: short, for it has a cache of its own if it wants one.
_DEFAULT_TTL_S: Final = 10
# A service that is just being started is asked for again and again; it must not stay unknown for long.
_NEGATIVE_TTL_S: Final = 2
# RFC 9520 §3.2: a failure is remembered for at least a second.
_FAILED_TTL_S: Final = 1
_OVERRIDE_TTL_S: Final = 60
_MAX_TTL_S: Final = 300
# For so long nobody asks for a time to live after one came too late.
_TTL_PAUSE_S: Final = 30.0

_NO_NAME: Final = frozenset({socket.EAI_NONAME})
_NO_ADDRESS: Final = frozenset(
    code for name in ("EAI_NODATA", "EAI_ADDRFAMILY") if (code := getattr(socket, name, None)) is not None
)
_LOOPBACK: Final = Answer("found", (ip_address("127.0.0.1"),), _OVERRIDE_TTL_S)


class EgressResolver:
    """Resolves names for one worker; a ``longshore.abc.Resolver``.

    Args:
        hosts: addresses of names, instead of what the system says (``[network] hosts``); a name with none does not
            exist.
        get_addresses: the blocking look-up; None for ``socket.getaddrinfo``.
        system_dns: answers other questions; None for the host's name servers.
        max_threads: so many look-ups run at once.
        max_waiting: so many names may be in the making.
        ttl_patience_s: so long a found answer waits for its time to live.
        clock: seconds.

    Raises:
        ValueError: a value of ``hosts`` is no IP address.
    """

    def __init__(
        self,
        hosts: Mapping[str, Sequence[str]] | None = None,
        *,
        get_addresses: Callable[..., Sequence[tuple[Any, ...]]] | None = None,
        system_dns: SystemDns | None = None,
        max_threads: int = 16,
        max_waiting: int = 256,
        ttl_patience_s: float = 0.02,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._overrides = {canonical_name(host): _override(texts) for host, texts in (hosts or {}).items()}
        self._get_addresses = get_addresses
        self.system_dns = system_dns or SystemDns()
        """For questions about other things than addresses."""
        self._threads = LookupThreads(max_threads)
        self._max_waiting = max_waiting
        self._ttl_patience_s = ttl_patience_s
        self._clock = clock
        self._cache = AnswerCache()
        self._flights: dict[str, tuple[asyncio.Task[Answer], asyncio.Future[Answer]]] = {}
        self._ttl_asked_again_at = 0.0

    async def resolve(self, host: str, port: int) -> Sequence[IpAddress]:
        """Return the addresses of ``host`` in the order of preference, never empty.

        Raises:
            ResolveError: the name is unknown, has no address, or the name service does not answer.

        Cancellation: safe.
        """
        answer = await self.lookup(host)
        if not answer.addresses:
            raise _error(host, answer)
        return answer.addresses

    async def lookup(self, host: str) -> Answer:
        """Return what is known about ``host`` or can be found out; never raises for what the name service says.

        Cancellation: safe; the look-up goes on for whoever else waits.
        """
        name = canonical_name(host)
        answer = self.peek(name)
        if answer is not None:
            return answer
        if name not in self._flights:
            if len(self._flights) >= self._max_waiting:
                return _failed(f"{self._max_waiting} names are being looked up already")
            self._start(name)
        return await asyncio.shield(self._flights[name][1])

    def peek(self, host: str) -> Answer | None:
        """Return the answer for ``host`` when nobody needs to be asked for it."""
        name = canonical_name(host)
        override = self._overrides.get(name)
        if override is not None and not is_localhost(name):
            return override
        return self._cache.get(name, self._clock())

    def forget(self, host: str) -> None:
        """Ask anew the next time: what was answered turned out to lead nowhere."""
        self._cache.forget(canonical_name(host))

    async def aclose(self) -> None:
        """End all look-ups; who waits for one gets a failure. Idempotent.

        Cancellation: safe.
        """
        await asyncio.gather(*self.abort(), return_exceptions=True)

    def abort(self) -> list[asyncio.Task[Answer]]:
        """Do the same without waiting; return what is ending."""
        tasks = [task for task, _ in self._flights.values()]
        for task in tasks:
            task.cancel()
        return tasks

    def _start(self, name: str) -> None:
        # Those who wait hold the future, not the task: a cancelled task would cancel them.
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        task = spawn(self._look_up(name), name=f"look up {name}", on_done=partial(self._landed, name))
        self._flights[name] = (task, future)

    def _landed(self, name: str, task: asyncio.Task[Answer]) -> None:
        _, future = self._flights.pop(name)
        answer = _failed("the worker ended") if task.cancelled() else _result(task)
        self._cache.put(name, answer, self._clock())
        future.set_result(answer)

    async def _look_up(self, name: str) -> Answer:
        if is_localhost(name):
            return await self._look_up_localhost()
        answer = await self._ask_system(name)
        return await self._timed(name, answer) if self._is_timed_by_dns(name, answer) else answer

    async def _look_up_localhost(self) -> Answer:
        """Return the system's loopback addresses in its order: not every machine has ``::1``."""
        answer = await self._ask_system("localhost")
        found = tuple(ip for ip in answer.addresses if classify_ip(ip) == "local")
        return Answer("found", found, _OVERRIDE_TTL_S) if found else _LOOPBACK

    async def _ask_system(self, name: str) -> Answer:
        look_up = partial(self._get_addresses or socket.getaddrinfo, name, None, type=socket.SOCK_STREAM)
        try:
            found = await self._threads.run(look_up, name=f"getaddrinfo {name}")
            addresses = tuple(dict.fromkeys(ip_of_sockaddr(sockaddr) for *_, sockaddr in found))
        except (OSError, ValueError, RuntimeError) as exc:
            return _answer_of(exc)
        if not addresses:
            return Answer("no-address", ttl_s=_NEGATIVE_TTL_S, reason="it has no address")
        return Answer("found", addresses, _DEFAULT_TTL_S)

    def _is_timed_by_dns(self, name: str, answer: Answer) -> bool:
        """Say whether the host's name server may know how long an answer holds, and is quick enough to tell."""
        if "." not in name or name.endswith(".local") or self._clock() < self._ttl_asked_again_at:
            return False
        return any(classify_ip(ip) != "local" for ip in answer.addresses)

    async def _timed(self, name: str, answer: Answer) -> Answer:
        try:
            async with asyncio.timeout(self._ttl_patience_s):
                known = await self.system_dns.times_to_live(name)
        except TimeoutError:
            self._ttl_asked_again_at = self._clock() + _TTL_PAUSE_S
            return answer
        times = [known[ip] for ip in answer.addresses if ip in known]
        if not times:
            return answer
        # At least a second: A and AAAA are asked for one after the other, and should see the same.
        return Answer("found", answer.addresses, max(1, min(*times, _MAX_TTL_S)))


def _result(task: asyncio.Task[Answer]) -> Answer:
    """Return what a look-up found; a bug in it is a failure for those who wait, and no wait for ever."""
    exc = task.exception()
    if exc is None:
        return task.result()
    _logger.error("a look-up broke", exc_info=exc)
    return _failed("the look-up broke")


def _override(texts: Sequence[str]) -> Answer:
    addresses = tuple(map(ip_address, texts))
    if not addresses:
        return Answer("no-name", (), _OVERRIDE_TTL_S, is_override=True, reason="the configuration gives it no address")
    return Answer("found", addresses, _OVERRIDE_TTL_S, is_override=True)


def _answer_of(exc: Exception) -> Answer:
    code = exc.errno or 0 if isinstance(exc, socket.gaierror) else 0
    reason = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)
    if code in _NO_NAME or isinstance(exc, UnicodeError):
        return Answer("no-name", ttl_s=_NEGATIVE_TTL_S, code=code, reason=reason)
    if code in _NO_ADDRESS:
        return Answer("no-address", ttl_s=_NEGATIVE_TTL_S, code=code, reason=reason)
    return Answer("failed", ttl_s=_FAILED_TTL_S, code=code, reason=reason)


def _failed(reason: str) -> Answer:
    return Answer("failed", reason=reason)


def _error(host: str, answer: Answer) -> Exception:
    cause = socket.gaierror(answer.code, answer.reason) if answer.code else OSError(answer.reason)
    error = resolve_error(host, cause)
    error.__cause__ = cause
    return error
