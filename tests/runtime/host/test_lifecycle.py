"""The life cycle of workers: scenarios as tables of events and actions, and any order of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from longshore.runtime.host.lifecycle import HostState
from longshore.runtime.host.lifecycle_model import (
    Action,
    AnnounceBootFailure,
    AnnounceDraining,
    AnnounceExit,
    AnnounceReload,
    AnnounceReloaded,
    AnnounceRestart,
    Begin,
    BootRejected,
    DrainWorker,
    Event,
    Finish,
    KillWorker,
    Phase,
    ReloadRequested,
    Rules,
    SpawnWorker,
    StopRequested,
    TimePassed,
    WorkerBecameReady,
    WorkerEnded,
    restart_delay_s,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

Step = tuple[float, Event, "Sequence[Action]"]

SERVE = Rules()
DEV = Rules(is_dev=True)
TWO = Rules(workers=2)


def play(rules: Rules, *steps: Step) -> HostState:
    """Feed the events and compare what is decided at each."""
    state = HostState(rules)
    for number, (now, event, expected) in enumerate(steps):
        assert state.step(now, event) == list(expected), f"step {number}: {event}"
    return state


def spawn(worker_id: int, generation: int, *, is_broken: bool = False) -> SpawnWorker:
    return SpawnWorker(worker_id, generation, is_broken)


def drain(worker_id: int, *, hand_over: bool, timeout_s: float = 30.0) -> DrainWorker:
    return DrainWorker(worker_id, timeout_s, hand_over)


STARTED: tuple[Step, ...] = ((0, Begin(), [spawn(1, 1)]), (1, WorkerBecameReady(1), []))
RELOADED: tuple[Step, ...] = (
    *STARTED,
    (2, ReloadRequested(), [AnnounceReload(2), spawn(2, 2)]),
    (2.5, WorkerBecameReady(2), [drain(1, hand_over=True), AnnounceReloaded(2, 0.5)]),
)


def test_a_reload_drains_the_old_worker_when_the_new_one_is_ready() -> None:
    state = play(SERVE, *RELOADED)
    assert state.serving() == (2,)
    assert state.step(3, WorkerEnded(1, 0)) == [AnnounceExit(1, 0, was_expected=True)]
    assert state.deadline() is None


def test_all_workers_of_a_generation_are_awaited() -> None:
    play(
        TWO,
        (0, Begin(), [spawn(1, 1), spawn(2, 1)]),
        (1, WorkerBecameReady(1), []),
        (1, WorkerBecameReady(2), []),
        (2, ReloadRequested(), [AnnounceReload(2), spawn(3, 2), spawn(4, 2)]),
        (3, WorkerBecameReady(4), []),
        (
            4,
            WorkerBecameReady(3),
            [drain(1, hand_over=True), drain(2, hand_over=True), AnnounceReloaded(2, 2.0)],
        ),
    )


def test_the_first_start_that_fails_ends_serve_with_3() -> None:
    play(
        SERVE,
        (0, Begin(), [spawn(1, 1)]),
        (1, BootRejected(1), [AnnounceBootFailure(1, is_reload=False, reason="")]),
        (1, WorkerEnded(1, 3), [AnnounceExit(1, 3, was_expected=True), Finish(3)]),
    )


def test_two_workers_that_fail_are_reported_once() -> None:
    play(
        TWO,
        (0, Begin(), [spawn(1, 1), spawn(2, 1)]),
        (
            1,
            BootRejected(2),
            [AnnounceBootFailure(2, is_reload=False, reason=""), drain(1, hand_over=False)],
        ),
        (1, BootRejected(1), []),
        (1, WorkerEnded(1, 3), [AnnounceExit(1, 3, was_expected=True)]),
        (1, WorkerEnded(2, 3), [AnnounceExit(2, 3, was_expected=True), Finish(3)]),
    )


def test_a_worker_that_serves_is_drained_when_its_sibling_cannot_boot() -> None:
    play(
        TWO,
        (0, Begin(), [spawn(1, 1), spawn(2, 1)]),
        (1, WorkerBecameReady(1), []),
        (
            1,
            BootRejected(2),
            [
                AnnounceBootFailure(2, is_reload=False, reason=""),
                AnnounceDraining(30.0, is_hurried=False),
                drain(1, hand_over=False),
            ],
        ),
        (1, WorkerEnded(2, 3), [AnnounceExit(2, 3, was_expected=True)]),
        (2, WorkerEnded(1, 0), [AnnounceExit(1, 0, was_expected=True), Finish(3)]),
    )


def test_in_dev_a_first_start_that_fails_is_shown_as_a_page_until_the_next_change() -> None:
    play(
        DEV,
        (0, Begin(), [spawn(1, 1)]),
        (1, BootRejected(1), [AnnounceBootFailure(1, is_reload=False, reason=""), spawn(2, 2, is_broken=True)]),
        (1, WorkerEnded(1, 3), [AnnounceExit(1, 3, was_expected=True)]),
        (2, WorkerBecameReady(2), []),
        (5, ReloadRequested(), [AnnounceReload(3), spawn(3, 3)]),
        (6, WorkerBecameReady(3), [drain(2, hand_over=True), AnnounceReloaded(3, 1.0)]),
    )


def test_in_dev_a_reload_that_fails_replaces_the_old_code_by_the_page() -> None:
    play(
        DEV,
        *STARTED,
        (2, ReloadRequested(), [AnnounceReload(2), spawn(2, 2)]),
        (3, BootRejected(2), [AnnounceBootFailure(2, is_reload=True, reason=""), spawn(3, 3, is_broken=True)]),
        (4, WorkerBecameReady(3), [drain(1, hand_over=True)]),
    )


def test_in_serve_a_reload_that_fails_keeps_the_old_workers() -> None:
    state = play(
        SERVE,
        *STARTED,
        (2, ReloadRequested(), [AnnounceReload(2), spawn(2, 2)]),
        (3, BootRejected(2), [AnnounceBootFailure(2, is_reload=True, reason="")]),
        (3, WorkerEnded(2, 3), [AnnounceExit(2, 3, was_expected=True)]),
    )
    assert state.serving() == (1,)


def test_a_page_that_cannot_be_shown_ends_the_host() -> None:
    play(
        DEV,
        (0, Begin(), [spawn(1, 1)]),
        (1, BootRejected(1), [AnnounceBootFailure(1, is_reload=False, reason=""), spawn(2, 2, is_broken=True)]),
        (1, WorkerEnded(1, 3), [AnnounceExit(1, 3, was_expected=True)]),
        (2, BootRejected(2), [AnnounceBootFailure(2, is_reload=False, reason="")]),
        (2, WorkerEnded(2, 3), [AnnounceExit(2, 3, was_expected=True), Finish(70)]),
    )


def test_a_page_that_cannot_be_shown_in_place_of_a_dead_worker_ends_the_host() -> None:
    state = play(
        DEV,
        *STARTED,
        (2, WorkerEnded(1, 1), [AnnounceExit(1, 1, was_expected=False), AnnounceRestart(0.0, 1), spawn(2, 1)]),
        (3, BootRejected(2), [AnnounceBootFailure(2, is_reload=False, reason=""), spawn(3, 2, is_broken=True)]),
    )
    state.step(4, BootRejected(3))
    state.step(4, WorkerEnded(2, 3))
    assert state.step(4, WorkerEnded(3, 3))[-1] == Finish(70)


def test_a_page_that_crashes_comes_back_as_a_page() -> None:
    play(
        DEV,
        (0, Begin(), [spawn(1, 1)]),
        (1, BootRejected(1), [AnnounceBootFailure(1, is_reload=False, reason=""), spawn(2, 2, is_broken=True)]),
        (1, WorkerEnded(1, 3), [AnnounceExit(1, 3, was_expected=True)]),
        (2, WorkerBecameReady(2), []),
        (
            9,
            WorkerEnded(2, -9),
            [AnnounceExit(2, -9, was_expected=False), AnnounceRestart(0.0, 1), spawn(3, 2, is_broken=True)],
        ),
    )


@pytest.mark.parametrize(("code", "words"), [(-11, "was ended by signal 11"), (0, "ended with exit code 0")])
def test_a_worker_that_ends_while_it_boots_is_a_boot_failure(code: int, words: str) -> None:
    reason = f"worker 1 {words} before it was ready"
    play(
        SERVE,
        (0, Begin(), [spawn(1, 1)]),
        (
            1,
            WorkerEnded(1, code),
            [
                AnnounceExit(1, code, was_expected=True),
                AnnounceBootFailure(1, is_reload=False, reason=reason),
                Finish(3),
            ],
        ),
    )


def test_an_end_before_ready_that_no_boot_failure_tells_is_told() -> None:
    play(
        SERVE,
        *STARTED,
        (2, WorkerEnded(1, -9), [AnnounceExit(1, -9, was_expected=False), AnnounceRestart(0.0, 1), spawn(2, 1)]),
        (
            3,
            WorkerEnded(2, 5),
            [
                AnnounceExit(2, 5, was_expected=True),
                AnnounceBootFailure(2, is_reload=False, reason="worker 2 ended with exit code 5 before it was ready"),
                AnnounceRestart(1.0, 2),
            ],
        ),
        (4, TimePassed(), [spawn(3, 1)]),
        (5, WorkerEnded(3, 5), [AnnounceExit(3, 5, was_expected=False), AnnounceRestart(2.0, 3)]),
    )


def test_a_worker_that_is_not_ready_in_time_is_killed_and_is_a_boot_failure() -> None:
    state = play(SERVE, (0, Begin(), [spawn(1, 1)]))
    assert state.deadline() == 30.0
    killed, failure = state.step(30, TimePassed())
    assert killed == KillWorker(1)
    assert isinstance(failure, AnnounceBootFailure)
    assert "not ready within 30 s" in failure.reason
    assert state.step(31, WorkerEnded(1, -9))[-1] == Finish(3)


def test_a_worker_that_dies_is_replaced_at_once_and_then_with_growing_pauses() -> None:
    state = play(
        SERVE,
        *STARTED,
        (2, WorkerEnded(1, -9), [AnnounceExit(1, -9, was_expected=False), AnnounceRestart(0.0, 1), spawn(2, 1)]),
        (3, WorkerBecameReady(2), []),
        (4, WorkerEnded(2, 1), [AnnounceExit(2, 1, was_expected=False), AnnounceRestart(1.0, 2)]),
    )
    assert state.deadline() == 5.0
    assert state.step(5, TimePassed()) == [spawn(3, 1)]
    assert state.step(5.5, WorkerBecameReady(3)) == []
    # Long afterwards it counts from the beginning again.
    assert AnnounceRestart(0.0, 1) in state.step(100, WorkerEnded(3, -9))


def test_a_replacement_that_does_not_boot_is_reported_once_and_tried_again() -> None:
    state = play(
        SERVE,
        *STARTED,
        (2, WorkerEnded(1, -9), [AnnounceExit(1, -9, was_expected=False), AnnounceRestart(0.0, 1), spawn(2, 1)]),
        (
            3,
            BootRejected(2),
            [AnnounceBootFailure(2, is_reload=False, reason=""), AnnounceRestart(1.0, 2)],
        ),
        (3, WorkerEnded(2, 3), [AnnounceExit(2, 3, was_expected=True)]),
        (4, TimePassed(), [spawn(3, 1)]),
        (5, BootRejected(3), [AnnounceRestart(2.0, 3)]),
    )
    assert not state.is_stopping


def test_in_dev_a_replacement_that_does_not_boot_becomes_the_page() -> None:
    play(
        DEV,
        *STARTED,
        (2, WorkerEnded(1, -9), [AnnounceExit(1, -9, was_expected=False), AnnounceRestart(0.0, 1), spawn(2, 1)]),
        (3, BootRejected(2), [AnnounceBootFailure(2, is_reload=False, reason=""), spawn(3, 2, is_broken=True)]),
    )


def test_a_new_worker_that_dies_before_its_siblings_are_ready_fails_the_reload() -> None:
    state = play(
        TWO,
        (0, Begin(), [spawn(1, 1), spawn(2, 1)]),
        (1, WorkerBecameReady(1), []),
        (1, WorkerBecameReady(2), []),
        (2, ReloadRequested(), [AnnounceReload(2), spawn(3, 2), spawn(4, 2)]),
        (3, WorkerBecameReady(3), []),
    )
    exited, failure, drained = state.step(3, WorkerEnded(3, -11))
    assert exited == AnnounceExit(3, -11, was_expected=True)
    assert drained == drain(4, hand_over=True)
    assert isinstance(failure, AnnounceBootFailure)
    assert state.serving() == (1, 2)


def test_changes_during_a_reload_become_one_reload_after_it() -> None:
    play(
        DEV,
        *STARTED,
        (2, ReloadRequested(), [AnnounceReload(2), spawn(2, 2)]),
        (2.1, ReloadRequested(), []),
        (2.2, ReloadRequested(), []),
        (
            2.5,
            WorkerBecameReady(2),
            [drain(1, hand_over=True), AnnounceReloaded(2, 0.5), AnnounceReload(3), spawn(3, 3)],
        ),
        (3, WorkerBecameReady(3), [drain(2, hand_over=True), AnnounceReloaded(3, 0.5)]),
    )


def test_a_reload_that_hangs_is_superseded_by_the_next() -> None:
    state = play(
        DEV,
        *STARTED,
        (2, ReloadRequested(), [AnnounceReload(2), spawn(2, 2)]),
        (2.1, ReloadRequested(), []),
    )
    assert state.deadline() == 3.0
    assert state.step(3, TimePassed()) == [drain(2, hand_over=True), AnnounceReload(3), spawn(3, 3)]
    assert state.serving() == (1,)
    assert state.step(4, TimePassed()) == [KillWorker(2)], "nobody waits for it, and it said nothing"


def test_a_superseded_worker_that_had_begun_to_serve_is_granted_its_whole_drain() -> None:
    state = play(
        DEV,
        *STARTED,
        (2, ReloadRequested(), [AnnounceReload(2), spawn(2, 2)]),
        (4, ReloadRequested(), [drain(2, hand_over=True), AnnounceReload(3), spawn(3, 3)]),
        (4.1, WorkerBecameReady(2), []),
        (6, TimePassed(), []),
    )
    assert state.step(4 + 35, TimePassed())[0] == KillWorker(2)


def test_a_failure_that_the_next_change_may_have_mended_is_not_reported() -> None:
    play(
        DEV,
        *STARTED,
        (2, ReloadRequested(), [AnnounceReload(2), spawn(2, 2)]),
        (2.1, ReloadRequested(), []),
        (2.2, BootRejected(2), [AnnounceReload(3), spawn(3, 3)]),
    )


def test_stop_drains_everybody_and_ends_with_0() -> None:
    play(
        SERVE,
        *RELOADED,
        (
            3,
            StopRequested(),
            [
                AnnounceDraining(30.0, is_hurried=False),
                drain(1, hand_over=False),
                drain(2, hand_over=False),
            ],
        ),
        (4, WorkerEnded(2, 0), [AnnounceExit(2, 0, was_expected=True)]),
        (4, WorkerEnded(1, 0), [AnnounceExit(1, 0, was_expected=True), Finish(0)]),
    )


def test_stop_before_anything_began_ends_at_once() -> None:
    play(SERVE, (0, StopRequested(), [AnnounceDraining(30.0, is_hurried=False), Finish(0)]))


def test_the_second_stop_leaves_half_a_second_and_the_third_nothing() -> None:
    state = play(
        SERVE,
        *STARTED,
        (2, StopRequested(), [AnnounceDraining(30.0, is_hurried=False), drain(1, hand_over=False)]),
        (
            3,
            StopRequested(),
            [AnnounceDraining(0.0, is_hurried=True), drain(1, hand_over=False, timeout_s=0.0)],
        ),
    )
    assert state.deadline() == 3.5
    assert state.step(3.1, StopRequested())[-1] == KillWorker(1)


def test_a_worker_that_does_not_end_is_killed_and_killed_again() -> None:
    state = play(
        SERVE,
        *STARTED,
        (2, StopRequested(), [AnnounceDraining(30.0, is_hurried=False), drain(1, hand_over=False)]),
    )
    assert state.step(37, TimePassed()) == [KillWorker(1)]
    assert state.step(42, TimePassed()) == [KillWorker(1)]
    assert state.step(43, WorkerEnded(1, -9))[-1] == Finish(0)


def test_after_stop_neither_changes_nor_deaths_start_anything() -> None:
    play(
        TWO,
        (0, Begin(), [spawn(1, 1), spawn(2, 1)]),
        (
            1,
            StopRequested(),
            [AnnounceDraining(30.0, is_hurried=False), drain(1, hand_over=False), drain(2, hand_over=False)],
        ),
        (1.5, ReloadRequested(), []),
        (1.5, WorkerEnded(1, -9), [AnnounceExit(1, -9, was_expected=True)]),
        (1.5, BootRejected(2), []),
        (1.5, WorkerEnded(2, 3), [AnnounceExit(2, 3, was_expected=True), Finish(0)]),
        (3, StopRequested(), []),
    )


def test_events_about_unknown_workers_change_nothing() -> None:
    play(
        SERVE,
        *STARTED,
        (2, WorkerBecameReady(7), []),
        (2, BootRejected(7), []),
        (2, WorkerEnded(7, 0), []),
        (2, WorkerBecameReady(1), []),
    )


def test_who_serves() -> None:
    state = play(TWO, (0, Begin(), [spawn(1, 1), spawn(2, 1)]))
    assert (state.serving(), state.current_generation) == ((), None)
    state.step(1, WorkerBecameReady(2))
    assert (state.serving(), state.current_generation) == ((2,), None), "better one of those that come than nobody"
    state.step(1, WorkerBecameReady(1))
    assert (state.serving(), state.current_generation) == ((1, 2), 1)
    state.step(2, ReloadRequested())
    state.step(3, WorkerBecameReady(3))
    assert (state.serving(), state.current_generation) == ((1, 2), 1)


def test_restart_delays() -> None:
    assert [restart_delay_s(crashes) for crashes in range(8)] == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


class LifeCycle(RuleBasedStateMachine):
    """Any order of events, from an environment that does what it is told sooner or later."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.alive: dict[int, int] = {}  # worker -> generation
        self.ready: set[int] = set()
        self.killed: set[int] = set()
        self.drained: set[int] = set()
        self.finished: list[int] = []
        self.boot_failures: list[int] = []
        self.stops = 0

    @initialize(workers=st.integers(1, 3), is_dev=st.booleans())
    def begin(self, workers: int, is_dev: bool) -> None:
        self.numbers = Rules(workers=workers, is_dev=is_dev)
        self.state = HostState(self.numbers)
        self.feed(Begin())

    def feed(self, event: Event) -> None:
        for action in self.state.step(self.now, event):
            self.obey(action)

    def obey(self, action: Action) -> None:
        assert not self.finished, f"{action} after the end"
        match action:
            case SpawnWorker(worker_id, generation):
                assert not self.stops, "nothing is started after stop"
                assert worker_id not in self.alive
                self.alive[worker_id] = generation
            case KillWorker(worker_id):
                assert worker_id in self.alive
                self.killed.add(worker_id)
            case DrainWorker(worker_id):
                assert worker_id in self.alive
                self.drained.add(worker_id)
            case AnnounceBootFailure(worker_id, _, _):
                self.boot_failures.append(worker_id)
            case Finish(code):
                assert not self.alive, "no worker is left behind"
                self.finished.append(code)
            case _:
                pass

    def pick(self, data: st.DataObject, workers: set[int]) -> int:
        return data.draw(st.sampled_from(sorted(workers)))

    def accepting(self) -> set[int]:
        return {w.worker_id for w in self.state.workers if w.phase is Phase.READY}

    @precondition(lambda self: set(self.alive) - self.ready)
    @rule(data=st.data())
    def becomes_ready(self, data: st.DataObject) -> None:
        worker_id = self.pick(data, set(self.alive) - self.ready)
        self.ready.add(worker_id)
        before = self.accepting()
        self.feed(WorkerBecameReady(worker_id))
        assert self.accepting() or not before, "a reload never leaves a moment without a ready worker"

    @precondition(lambda self: set(self.alive) - self.ready)
    @rule(data=st.data())
    def boot_fails(self, data: st.DataObject) -> None:
        worker_id = self.pick(data, set(self.alive) - self.ready)
        before = self.accepting()
        self.feed(BootRejected(worker_id))
        if not self.state.is_stopping:
            assert self.accepting() or not before or self.numbers.workers > 1

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), code=st.sampled_from([0, 1, 3, -9, -11]))
    def ends(self, data: st.DataObject, code: int) -> None:
        worker_id = self.pick(data, set(self.alive))
        self.forget(worker_id)
        self.feed(WorkerEnded(worker_id, code))

    def forget(self, worker_id: int) -> None:
        del self.alive[worker_id]
        self.ready.discard(worker_id)
        self.killed.discard(worker_id)
        self.drained.discard(worker_id)

    @rule()
    def reload(self) -> None:
        before = self.accepting()
        self.feed(ReloadRequested())
        assert self.accepting() or not before, "asking for a reload never takes the last worker away"

    @rule(seconds=st.floats(0.01, 40.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.feed(TimePassed())

    @precondition(lambda self: self.state.deadline() is not None)
    @rule()
    def deadline_is_reached(self) -> None:
        self.now = max(self.now, self.state.deadline() or 0.0)
        self.feed(TimePassed())

    @rule()
    def stop(self) -> None:
        self.stops += 1
        self.feed(StopRequested())

    @invariant()
    def nobody_is_forgotten(self) -> None:
        if not hasattr(self, "state"):
            return
        assert {w.worker_id for w in self.state.workers} == set(self.alive)
        for worker in self.state.workers:
            assert (worker.deadline is None) == (worker.phase is Phase.READY)
            assert worker.phase is not Phase.READY or not self.state.is_stopping

    @invariant()
    def deadlines_lie_ahead(self) -> None:
        if hasattr(self, "state"):
            due = self.state.deadline()
            assert due is None or due > self.now, "a deadline that passed sets the next one"

    @invariant()
    def failures_are_said_once(self) -> None:
        assert len(self.boot_failures) == len(set(self.boot_failures))

    @invariant()
    def somebody_serves_or_will(self) -> None:
        if hasattr(self, "state") and not self.state.is_stopping:
            assert self.accepting() or self.state.deadline() is not None, "the host would answer nobody for ever"

    def teardown(self) -> None:
        """Stop, and let only kills end workers: it ends in bounded time."""
        if not hasattr(self, "state"):
            return
        if not self.finished:
            self.stop()
        for _ in range(20):
            if self.finished:
                break
            for worker_id in sorted(self.killed & set(self.alive)):
                self.forget(worker_id)
                self.feed(WorkerEnded(worker_id, -9))
            if (due := self.state.deadline()) is not None:
                self.now = max(self.now, due)
                self.feed(TimePassed())
        assert len(self.finished) == 1, "it ends, once"


LifeCycle.TestCase.settings = settings(max_examples=300, stateful_step_count=40)
TestLifeCycle = LifeCycle.TestCase
