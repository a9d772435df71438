"""The state of a pool: its rules hold whatever happens in whatever order."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from longshore.pool.slots.model import (
    Assign,
    CloseServer,
    OpenServer,
    Paused,
    PauseRequested,
    ProbeServer,
    ReconnectRequested,
    Reject,
    RejectReason,
    ResumeRequested,
    Rules,
    RulesChanged,
    ServerBroke,
    ServerClosed,
    ServerFailed,
    ServerOpened,
    ServerReturned,
    SessionGone,
    SessionWaits,
    TimePassed,
    back_off_s,
)
from longshore.pool.slots.state import Phase, PoolState

if TYPE_CHECKING:
    from longshore.pool.slots.model import Action, Event

LIFETIME_S = 3600.0


class Play:
    """A pool whose database answers at once, unless told otherwise."""

    def __init__(self, rules: Rules) -> None:
        self.now = 0.0
        self.state = PoolState(rules)
        self.has: dict[int, int] = {}  # session -> server
        self.rejected: dict[int, RejectReason] = {}
        self.opening: list[int] = []
        self.closed: list[tuple[int, str]] = []
        self.probed: list[int] = []
        self.is_paused = False

    def feed(self, event: Event) -> list[Action]:
        actions = self.state.step(self.now, event)
        for action in actions:
            match action:
                case Assign(session_id, server_id):
                    self.has[session_id] = server_id
                case Reject(session_id, reason):
                    self.rejected[session_id] = reason
                case OpenServer(server_id):
                    self.opening.append(server_id)
                case CloseServer(server_id, reason):
                    self.closed.append((server_id, reason))
                case ProbeServer(server_id):
                    self.probed.append(server_id)
                case Paused():
                    self.is_paused = True
        return actions

    def open_all(self, lifetime_s: float = LIFETIME_S) -> None:
        while self.opening:
            self.feed(ServerOpened(self.opening.pop(0), lifetime_s))

    def wait(self, session_id: int, tenant: str = "") -> None:
        self.feed(SessionWaits(session_id, tenant))

    def give_back(self, session_id: int) -> None:
        self.feed(ServerReturned(self.has.pop(session_id)))

    def at(self, now: float) -> None:
        self.now = now
        self.feed(TimePassed())


def test_a_connection_is_opened_for_whoever_waits_and_kept_for_the_next() -> None:
    play = Play(Rules(size=2))
    play.wait(1)
    assert play.opening == [1]
    play.open_all()
    assert play.has == {1: 1}
    play.give_back(1)
    play.wait(2)
    assert play.has == {2: 1}
    assert not play.opening


def test_no_more_are_opened_than_sessions_wait_or_the_size_allows() -> None:
    play = Play(Rules(size=2))
    for session in range(1, 5):
        play.wait(session)
    assert play.opening == [1, 2]


def test_the_last_used_goes_first() -> None:
    play = Play(Rules(size=3))
    for session in (1, 2, 3):
        play.wait(session)
    play.open_all()
    for session in (2, 3, 1):
        play.give_back(session)
    play.wait(4)
    assert play.has[4] == 1


def test_a_free_connection_goes_to_the_tenant_that_has_fewest() -> None:
    play = Play(Rules(size=2))
    play.wait(1, "greedy")
    play.wait(2, "greedy")
    play.open_all()
    play.wait(3, "greedy")
    play.wait(4, "modest")
    play.give_back(1)
    assert 4 in play.has
    assert 3 not in play.has


def test_within_a_tenant_who_waits_longest_is_next() -> None:
    play = Play(Rules(size=1))
    play.wait(1)
    play.open_all()
    for session in (2, 3):
        play.wait(session)
    play.give_back(1)
    assert list(play.has) == [2]


def test_a_wait_ends_with_its_time() -> None:
    play = Play(Rules(size=1, wait_timeout_s=5.0))
    play.wait(1)
    play.open_all()
    play.wait(2)
    assert play.state.deadline() == 5.0
    play.at(5.0)
    assert play.rejected == {2: RejectReason.TIMED_OUT}


def test_the_queue_is_bounded() -> None:
    play = Play(Rules(size=1, max_waiting=1))
    play.wait(1)
    play.wait(2)
    assert play.rejected == {2: RejectReason.TOO_MANY}


def test_a_refused_login_rejects_at_once_when_there_is_no_other_connection() -> None:
    play = Play(Rules(size=1))
    play.wait(1)
    play.feed(ServerFailed(play.opening.pop(), is_permanent=True))
    assert play.rejected == {1: RejectReason.CANNOT_LOG_IN}


def test_an_outage_is_waited_for_so_long_and_then_told_at_once() -> None:
    play = Play(Rules(outage_s=10.0))
    play.wait(1)
    play.feed(ServerFailed(play.opening.pop(0), is_permanent=False))
    while play.now < 10.0:
        assert not play.rejected
        due = play.state.deadline()
        assert due is not None
        play.at(due)
        play.feed(ServerFailed(play.opening.pop(0), is_permanent=False))
    assert play.rejected == {1: RejectReason.CANNOT_LOG_IN}
    play.wait(2)
    assert play.rejected[2] is RejectReason.CANNOT_LOG_IN
    assert not play.opening
    play.at(play.now + back_off_s(100))
    play.wait(3)  # whose attempt finds that it is over
    play.open_all()
    assert 3 in play.has
    play.give_back(3)
    play.wait(4)
    assert 4 in play.has


def test_a_database_that_is_down_is_tried_less_and_less_by_one_at_a_time() -> None:
    play = Play(Rules(size=5))
    for session in range(1, 4):
        play.wait(session)
    for server in list(play.opening):
        play.feed(ServerFailed(server, is_permanent=False))
    play.opening.clear()
    assert play.state.deadline() == back_off_s(3)
    play.at(back_off_s(3))
    assert len(play.opening) == 1
    play.open_all()
    assert len(play.has) >= 1
    play.open_all()
    assert len(play.has) == 3


def test_idle_connections_are_closed_after_their_time_down_to_the_minimum() -> None:
    play = Play(Rules(size=3, min_idle=1, idle_timeout_s=10.0, probe_after_s=99.0))
    for session in (1, 2, 3):
        play.wait(session)
    play.open_all()
    for session in (1, 2, 3):
        play.give_back(session)
    play.at(10.0)
    assert [reason for _, reason in play.closed] == ["idle", "idle"]


def test_the_minimum_is_opened_without_anybody_waiting() -> None:
    play = Play(Rules(size=3, min_idle=2))
    play.at(0.0)
    assert len(play.opening) == 2


def test_a_connection_that_was_idle_for_long_is_probed_first() -> None:
    play = Play(Rules(size=1, probe_after_s=30.0))
    play.wait(1)
    play.open_all()
    play.give_back(1)
    play.now = 31.0
    play.wait(2)
    assert play.probed == [1]
    assert 2 not in play.has
    play.feed(ServerReturned(1))
    assert play.has == {2: 1}


def test_a_probe_that_fails_opens_another() -> None:
    play = Play(Rules(size=1, probe_after_s=30.0))
    play.wait(1)
    play.open_all()
    play.give_back(1)
    play.now = 31.0
    play.wait(2)
    play.feed(ServerBroke(1))
    play.feed(ServerClosed(1))
    play.open_all()
    assert play.has == {2: 2}


def test_a_connection_is_replaced_when_its_life_is_over_but_not_while_it_is_used() -> None:
    play = Play(Rules(size=1))
    play.wait(1)
    play.open_all(lifetime_s=100.0)
    play.at(200.0)
    assert not play.closed
    play.give_back(1)
    assert play.closed == [(1, "lifetime")]


def test_pause_waits_for_those_in_use_and_resume_goes_on() -> None:
    play = Play(Rules(size=1))
    play.wait(1)
    play.open_all()
    play.feed(PauseRequested())
    before = play.is_paused
    play.wait(2)
    play.give_back(1)
    assert (before, play.is_paused) == (False, True)
    assert 2 not in play.has
    play.feed(ResumeRequested())
    assert 2 in play.has


def test_nobody_is_refused_because_of_a_pause() -> None:
    play = Play(Rules(size=1, wait_timeout_s=10))
    play.feed(PauseRequested())
    play.wait(1)
    assert play.opening == []
    play.at(1000)
    assert not play.rejected
    play.feed(ResumeRequested())
    assert play.opening == [1]
    assert play.state.deadline() == 1010
    play.at(1010)
    assert play.rejected == {1: RejectReason.TIMED_OUT}


def test_reconnect_uses_no_old_connection_again() -> None:
    play = Play(Rules(size=2))
    for session in (1, 2):
        play.wait(session)
    play.open_all()
    play.give_back(1)
    play.feed(ReconnectRequested())
    assert play.closed == [(1, "reconnect")]
    play.give_back(2)
    assert play.closed[1] == (2, "reconnect")


def test_a_smaller_size_closes_those_that_are_idle() -> None:
    play = Play(Rules(size=2))
    for session in (1, 2):
        play.wait(session)
    play.open_all()
    play.give_back(1)
    play.feed(RulesChanged(Rules(size=1)))
    assert play.closed == [(1, "size")]


def test_the_short_way_gives_what_the_long_way_gives() -> None:
    play = Play(Rules(size=1))
    assert play.state.take(0.0) is None
    play.wait(1)
    play.open_all()
    assert play.state.take(0.0) is None, "it is in use"
    assert play.state.give_back(1.0, play.has.pop(1))
    assert play.state.take(1.0) == 1
    play.wait(2)
    assert not play.state.give_back(2.0, 1), "somebody waits"


class Anything(RuleBasedStateMachine):
    """Every event at every time."""

    def __init__(self) -> None:
        super().__init__()
        self.numbers = Rules(
            size=3, min_idle=1, max_waiting=4, wait_timeout_s=5.0, idle_timeout_s=8.0, probe_after_s=3.0
        )
        self.state = PoolState(self.numbers)
        self.now = 0.0
        self.next_session = 0
        self.waiting: dict[int, float] = {}
        self.used: dict[int, tuple[int, str]] = {}  # server -> session, tenant
        self.tenants: dict[int, str] = {}
        self.opening: set[int] = set()
        self.probing: set[int] = set()
        self.closing: set[int] = set()
        self.idle: set[int] = set()
        self.seen: set[int] = set()

    def feed(self, event: Event) -> None:
        for action in self.state.step(self.now, event):
            match action:
                case Assign(session_id, server_id):
                    assert session_id in self.waiting
                    assert server_id in self.idle
                    del self.waiting[session_id]
                    self.idle.discard(server_id)
                    self.used[server_id] = (session_id, self.tenants[session_id])
                case Reject(session_id, _):
                    del self.waiting[session_id]
                case OpenServer(server_id):
                    assert server_id not in self.seen
                    self.seen.add(server_id)
                    self.opening.add(server_id)
                case CloseServer(server_id, _):
                    assert server_id not in self.used
                    self.idle.discard(server_id)
                    self.closing.add(server_id)
                case ProbeServer(server_id):
                    self.idle.remove(server_id)
                    self.probing.add(server_id)
                case Paused():
                    assert not self.used
                    assert not self.probing

    @rule(tenant=st.sampled_from(["a", "b", "c"]))
    def wait(self, tenant: str) -> None:
        self.next_session += 1
        self.tenants[self.next_session] = tenant
        server_id = self.state.take(self.now, tenant)
        if server_id is not None:
            assert not self.waiting
            self.idle.remove(server_id)
            self.used[server_id] = (self.next_session, tenant)
            return
        self.waiting[self.next_session] = self.now
        self.feed(SessionWaits(self.next_session, tenant))

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        session = data.draw(st.sampled_from(sorted(self.waiting)))
        del self.waiting[session]
        self.feed(SessionGone(session))

    @precondition(lambda self: self.opening)
    @rule(data=st.data(), lifetime_s=st.sampled_from([2.0, 100.0]))
    def open(self, data: st.DataObject, lifetime_s: float) -> None:
        server = data.draw(st.sampled_from(sorted(self.opening)))
        self.opening.remove(server)
        self.idle.add(server)
        self.feed(ServerOpened(server, lifetime_s))

    @precondition(lambda self: self.opening)
    @rule(data=st.data(), is_permanent=st.booleans())
    def fail(self, data: st.DataObject, is_permanent: bool) -> None:
        server = data.draw(st.sampled_from(sorted(self.opening)))
        self.opening.remove(server)
        self.feed(ServerFailed(server, is_permanent))

    @precondition(lambda self: self.used or self.probing)
    @rule(data=st.data(), is_broken=st.booleans())
    def end_use(self, data: st.DataObject, is_broken: bool) -> None:
        server = data.draw(st.sampled_from(sorted({*self.used, *self.probing})))
        was_used = self.used.pop(server, None) is not None
        self.probing.discard(server)
        if is_broken:
            self.feed(ServerBroke(server))
        else:
            self.idle.add(server)
            if not (was_used and self.state.give_back(self.now, server)):
                self.feed(ServerReturned(server))

    @precondition(lambda self: self.closing)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        server = data.draw(st.sampled_from(sorted(self.closing)))
        self.closing.remove(server)
        self.feed(ServerClosed(server))

    @rule(event=st.sampled_from([PauseRequested(), ResumeRequested(), ReconnectRequested()]))
    def command(self, event: Event) -> None:
        self.feed(event)

    @rule(size=st.integers(1, 4))
    def resize(self, size: int) -> None:
        self.numbers = Rules(
            size=size, min_idle=1, max_waiting=4, wait_timeout_s=5.0, idle_timeout_s=8.0, probe_after_s=3.0
        )
        self.feed(RulesChanged(self.numbers))

    @rule(seconds=st.sampled_from([0.0, 0.05, 1.0, 4.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.feed(TimePassed())

    @rule()
    def reach_the_deadline(self) -> None:
        deadline = self.state.deadline()
        if deadline is not None:
            self.now = max(self.now, deadline)
            self.feed(TimePassed())
            following = self.state.deadline()
            assert following is None or following > self.now, "a deadline that passes does something"

    @invariant()
    def both_agree(self) -> None:
        assert self.state.waiting == len(self.waiting)
        assert {server for server, phase in self.state.servers() if phase is Phase.USED} == set(self.used)
        assert {server for server, phase in self.state.servers() if phase is Phase.IDLE} == self.idle
        for phase in Phase:
            assert self.state.count(phase) == sum(each is phase for _, each in self.state.servers())

    @invariant()
    def nobody_waits_beside_a_free_connection(self) -> None:
        assert not (self.waiting and self.idle) or self.state.is_paused

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        assert not self.waiting or self.state.is_paused or self.state.deadline() is not None

    @invariant()
    def fairness_counts_what_is_used(self) -> None:
        assert Counter(self.state._in_use) == Counter(tenant for _, tenant in self.used.values())


TestAnything = Anything.TestCase
