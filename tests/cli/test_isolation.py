"""How far workers are shut in, in words."""

from __future__ import annotations

from longshore.cli.isolation import enclosed_words, is_worrying, missing_words
from longshore.runtime.host.events import Enclosed


def test_off_says_what_that_means() -> None:
    assert enclosed_words(Enclosed("off", (), ())) == (
        "off: workers may do what this account may do; the network's rules hold for connect() and fetch() only"
    )
    assert not is_worrying(Enclosed("off", (), ()))


def test_a_system_that_has_nothing_says_so() -> None:
    nothing = Enclosed("auto", (), (("user", "Linux only", "a"), ("seccomp", "Linux only", "b"), ("pid", "x", "a")))
    assert enclosed_words(nothing).startswith("none: workers may do what this account may do")
    assert missing_words(nothing) == ["without user, seccomp (Linux only): a, b", "without pid (x): a"]
    assert is_worrying(nothing)


def test_what_required_would_do_without_is_no_worry() -> None:
    assert not is_worrying(Enclosed("auto", ("user",), (("cgroup", "not writable", "no bounds"),)))
    assert is_worrying(Enclosed("auto", ("user",), (("cgroup", "", ""), ("seccomp", "", ""))))


def test_reasons_cannot_speak_to_the_terminal() -> None:
    assert missing_words(Enclosed("auto", (), (("user", "\x1b[31m", "a"),))) == [r"without user (\x1b[31m): a"]
