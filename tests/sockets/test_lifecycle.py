"""Tests of ``longshore.sockets._lifecycle``: the table, for every sequence of events (rule K6)."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from longshore.sockets._lifecycle import TERMINAL, TRANSITIONS, Action, Event, Lifecycle, State

OPENED = {Action.RESOLVE_OPENED, Action.REJECT_OPENED}
CLOSED = {Action.RESOLVE_CLOSED, Action.REJECT_CLOSED}
RELEASING = {Action.RELEASE, Action.RESET, Action.KEEP_UNREAD, Action.CANCEL_DIAL}
EVENTS = st.lists(st.sampled_from(Event), max_size=14)


def walk(events: list[Event], *, half_open: bool) -> tuple[Lifecycle, list[Action]]:
    """Return where the events lead, and everything that is done on the way."""
    lifecycle = Lifecycle(allow_half_open=half_open)
    done: list[Action] = []
    for event in events:
        done += lifecycle.step(event)
    return lifecycle, done


@given(EVENTS, st.booleans())
@example([Event.CONNECTED, Event.PEER_ENDED, Event.WRITE_SHUT, Event.BROKEN], False)
@example([Event.UPGRADE, Event.CONNECT_FAILED], False)
def test_each_promise_settles_at_most_once_and_closed_exactly_at_the_end(events: list[Event], half_open: bool) -> None:
    """K6."""
    lifecycle, done = walk(events, half_open=half_open)
    counts = Counter(done)
    assert sum(counts[action] for action in OPENED) <= 1
    assert sum(counts[action] for action in CLOSED) == int(lifecycle.is_finished)


@given(EVENTS, st.booleans())
def test_opened_is_settled_whenever_the_socket_is_over_unless_it_was_upgraded_while_connecting(
    events: list[Event], half_open: bool
) -> None:
    """K6: ``start_tls()`` leaves the old ``opened`` to the dial that still runs."""
    lifecycle, done = walk(events, half_open=half_open)
    is_settled = any(action in OPENED for action in done)
    if lifecycle.state is State.CONNECTING:
        assert not is_settled
    elif lifecycle.state is not State.UPGRADED:
        assert is_settled


@given(EVENTS, st.booleans())
def test_the_connection_is_given_up_exactly_once(events: list[Event], half_open: bool) -> None:
    lifecycle, done = walk(events, half_open=half_open)
    released = sum(action in RELEASING for action in done)
    was_given_away = lifecycle.state is State.UPGRADED
    never_was = Action.REJECT_OPENED in done and Action.CANCEL_DIAL not in done
    assert released == int(lifecycle.is_finished and not was_given_away and not never_was)


@given(EVENTS, st.booleans())
def test_nothing_is_done_after_closed_has_settled(events: list[Event], half_open: bool) -> None:
    _, done = walk(events, half_open=half_open)
    settled = [index for index, action in enumerate(done) if action in CLOSED]
    assert settled in ([], [len(done) - 1])


@given(EVENTS)
def test_half_open_only_leaves_the_answer_to_the_peers_end_out(events: list[Event]) -> None:
    """K7."""
    ordinary, done = walk(events, half_open=False)
    half_open, done_half_open = walk(events, half_open=True)
    assert ordinary.state is half_open.state
    assert [action for action in done if action is not Action.END_WRITE] == [
        action for action in done_half_open if action is not Action.END_WRITE
    ]


@pytest.mark.parametrize(("state", "event"), list(product(sorted(TERMINAL, key=lambda s: s.name), Event)))
def test_terminal_states_ignore_everything(state: State, event: Event) -> None:
    lifecycle = Lifecycle(allow_half_open=False)
    lifecycle.state = state
    assert lifecycle.step(event) == ()
    assert lifecycle.state is state


@pytest.mark.parametrize("state", set(State) - TERMINAL, ids=lambda state: state.name)
def test_every_state_ends_by_abort_and_by_close_or_its_time_limit(state: State) -> None:
    """K8."""
    reached = TRANSITIONS[state]
    assert reached[Event.ABORT][0] is State.FAILED
    assert (Event.CLOSE if state is not State.CLOSING else Event.CLOSE_TIMED_OUT) in reached


def test_the_table_has_every_state_and_every_state_is_reached() -> None:
    assert set(TRANSITIONS) == set(State)
    reached = {following for events in TRANSITIONS.values() for following, _ in events.values()}
    assert reached == set(State) - {State.CONNECTING}


def test_no_clean_end_follows_an_aborted_write() -> None:
    """K5: bytes were dropped, so no FIN may say that all is well."""
    for following, actions in TRANSITIONS[State.WRITE_ABORTED].values():
        assert following is State.FAILED
        assert Action.END_WRITE not in actions
        assert Action.RELEASE not in actions


def test_the_peers_end_closes_the_write_side() -> None:
    """K7."""
    lifecycle, done = walk([Event.CONNECTED, Event.PEER_ENDED], half_open=False)
    assert lifecycle.state is State.READ_ENDED
    assert done == [Action.RESOLVE_OPENED, Action.END_WRITE]
    lifecycle, done = walk([Event.CONNECTED, Event.PEER_ENDED], half_open=True)
    assert done == [Action.RESOLVE_OPENED]
