"""Names, labels and values of the pool's metrics.

Base units, no text of a client in a label, and never more than so many series: see ``metrics``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from longshore.pool.admin.averages import added
from longshore.pool.inspection.model import ClientState, ServerState
from longshore.pool.statistics import BOUNDS_S, Statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from prometheus_client import Metric

    from longshore.pool.inspection.model import PoolInfo, Snapshot

__all__ = ["COUNTERS", "GAUGES", "HISTOGRAMS", "LABELLED", "PLAIN", "families"]

MAX_POOLS: Final = 200
"""So many pools have series of their own: where clients choose their account, there may be any number of pools."""
OTHER: Final = "other"
_LABELS: Final = ("database", "user")


@dataclass(slots=True)
class Series:
    """What is told about one pool, or about all beyond the bound."""

    labels: tuple[str, str]
    statistics: Statistics
    clients: dict[ClientState, int]
    servers: dict[ServerState, int]
    size: int
    paused: int
    max_wait_s: float


COUNTERS: Final[tuple[tuple[str, str, Callable[[Statistics], float]], ...]] = (
    ("transactions", "Transactions that ended.", lambda s: s.transactions),
    ("queries", "Query messages, and Syncs of the extended protocol, that were answered.", lambda s: s.queries),
    ("client_received_bytes", "Bytes from clients.", lambda s: s.client_bytes),
    ("server_received_bytes", "Bytes from servers.", lambda s: s.server_bytes),
    (
        "idle_in_transaction_seconds",
        "How long server connections waited for their client in all.",
        lambda s: s.idle_in_transaction_s,
    ),
    ("client_logins", "Clients that logged in.", lambda s: s.logins),
    ("server_logins", "Server connections that were opened.", lambda s: s.server_logins),
    ("server_login_failures", "Logins at the database that failed.", lambda s: s.server_login_failures),
    ("cancels", "Cancel requests.", lambda s: s.cancels),
    ("probes", "How often a server was asked what a session left behind.", lambda s: s.probes),
)
"""Name without prefix and ``_total``, help, value."""
LABELLED: Final[tuple[tuple[str, str, Callable[[Statistics], dict[str, int]]], ...]] = (
    ("rejections", "Sessions that got no server connection.", lambda s: dict(s.rejected)),
    ("pins", "How often a session was tied to its server connection.", lambda s: dict(s.pins)),
    ("cache_reads", "Reads, by where the result came from, or why it was not kept.", lambda s: dict(s.cache)),
)
"""Counters with the label ``reason``."""
HISTOGRAMS: Final[tuple[tuple[str, str, Callable[[Statistics], tuple[Sequence[int], float]]], ...]] = (
    (
        "wait_seconds",
        "How long sessions waited that did not get a server connection at once.",
        lambda s: (s.waits, s.wait_s),
    ),
    ("held_seconds", "How long a session had a server connection each time.", lambda s: (s.held, s.busy_s)),
)
GAUGES: Final[tuple[tuple[str, str, Callable[[Series], float]], ...]] = (
    ("size", "Server connections, at most.", lambda x: x.size),
    ("paused", "1 after PAUSE, until RESUME.", lambda x: x.paused),
    ("max_wait_seconds", "How long the client has waited that waits longest.", lambda x: x.max_wait_s),
)
PLAIN: Final[tuple[tuple[str, str, Callable[[Snapshot], float]], ...]] = (
    ("cache_entries", "Results that the cache holds, of all pools together.", lambda seen: seen.cache_entries),
    ("cache_bytes", "Bytes of them.", lambda seen: seen.cache_bytes),
)
"""Gauges without labels."""


def families(seen: Snapshot) -> list[Metric]:
    """Return every metric."""
    series = _series(seen)
    plain = (GaugeMetricFamily(f"longshore_pool_{name}", text, value=read(seen)) for name, text, read in PLAIN)
    return [*_counters(series), *_histograms(series), *_gauges(series), _databases(seen), *plain]


def _series(seen: Snapshot) -> list[Series]:
    """Return one for each pair of labels: pools of an old configuration may have those of a new one."""
    found: dict[tuple[str, str], Series] = {}
    for pool in seen.pools:
        one = _of_pool(pool)
        if one.labels not in found and len(found) >= MAX_POOLS:
            one.labels = (OTHER, OTHER)
        former = found.get(one.labels)
        found[one.labels] = one if former is None else _merged(former, one)
    return list(found.values())


def _of_pool(pool: PoolInfo) -> Series:
    return Series(
        labels=(pool.database, pool.user),
        statistics=pool.statistics,
        clients=dict(pool.clients),
        servers=dict(pool.servers),
        size=pool.size,
        paused=int(pool.is_paused),
        max_wait_s=pool.max_wait_s,
    )


def _merged(one: Series, other: Series) -> Series:
    return Series(
        labels=one.labels,
        statistics=added(one.statistics, other.statistics),
        clients={state: one.clients.get(state, 0) + other.clients.get(state, 0) for state in ClientState},
        servers={state: one.servers.get(state, 0) + other.servers.get(state, 0) for state in ServerState},
        size=one.size + other.size,
        paused=one.paused + other.paused,
        max_wait_s=max(one.max_wait_s, other.max_wait_s),
    )


def _counters(series: Sequence[Series]) -> Iterator[Metric]:
    for name, text, read in COUNTERS:
        family = CounterMetricFamily(f"longshore_pool_{name}", text, labels=_LABELS)
        for one in series:
            family.add_metric(one.labels, read(one.statistics))
        yield family
    for name, text, reasons in LABELLED:
        family = CounterMetricFamily(f"longshore_pool_{name}", text, labels=(*_LABELS, "reason"))
        for one in series:
            for reason, count in reasons(one.statistics).items():
                family.add_metric((*one.labels, reason), count)
        yield family


def _histograms(series: Sequence[Series]) -> Iterator[Metric]:
    bounds = [*(f"{bound:g}" for bound in BOUNDS_S), "+Inf"]
    for name, text, read in HISTOGRAMS:
        family = HistogramMetricFamily(f"longshore_pool_{name}", text, labels=_LABELS)
        for one in series:
            classes, total = read(one.statistics)
            sums = [sum(classes[: index + 1]) for index in range(len(classes))]
            family.add_metric(one.labels, list(zip(bounds, sums, strict=True)), total)
        yield family


def _gauges(series: Sequence[Series]) -> Iterator[Metric]:
    for name, text, read in GAUGES:
        family = GaugeMetricFamily(f"longshore_pool_{name}", text, labels=_LABELS)
        for one in series:
            family.add_metric(one.labels, read(one))
        yield family
    clients = GaugeMetricFamily("longshore_pool_clients", "Clients, by what they do.", labels=(*_LABELS, "state"))
    servers = GaugeMetricFamily(
        "longshore_pool_servers", "Server connections, by what they do.", labels=(*_LABELS, "state")
    )
    for one in series:
        _add_states(clients, one.labels, ((state.value, one.clients.get(state, 0)) for state in ClientState))
        _add_states(servers, one.labels, ((state.value, one.servers.get(state, 0)) for state in ServerState))
    yield clients
    yield servers


def _add_states(family: GaugeMetricFamily, labels: tuple[str, str], counts: Iterable[tuple[str, int]]) -> None:
    for state, count in counts:
        family.add_metric((*labels, state), count)


def _databases(seen: Snapshot) -> Metric:
    family = GaugeMetricFamily(
        "longshore_pool_database_disabled", "1 after DISABLE, until ENABLE.", labels=("database",)
    )
    for database in seen.databases:
        family.add_metric((database.name,), int(database.is_disabled))
    return family
