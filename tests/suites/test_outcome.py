"""What is read out of the output of a suite."""

from __future__ import annotations

from tests.suites.outcome import Comparison, Outcome, parse_pytest, parse_unittest
from tests.suites.report import page, reason_of

PYTEST = """\
tests/test_a.py::TestA::test_one PASSED [ 10%]
tests/test_a.py::TestA::test_two[x y] FAILED [ 20%]
tests/test_a.py::TestA::test_three SKIPPED (why) [ 30%]
tests/test_a.py::TestA::test_four PASSED [ 40%]
tests/test_a.py::TestA::test_four ERROR [ 40%]
tests/test_a.py::TestA::test_five
FAILED tests/test_a.py::TestA::test_five - AssertionError: PASSED
"""
UNITTEST = """\
test_one (tests.test_a.A.test_one) ... ok
test_two (tests.test_a.A.test_two)
What it is about. ... FAIL
test_three (tests.test_a.A.test_three) ... skipped 'why'
test_four (tests.test_a.A.test_four) ... something printed
ok
test_five (tests.test_a.A.test_five) ... ERROR
"""


def test_the_output_of_pytest() -> None:
    outcome = parse_pytest(PYTEST.splitlines())
    prefix = "tests/test_a.py::TestA::test_"
    assert outcome.passed == {prefix + "one"}
    assert outcome.failed == {prefix + "two[x y]", prefix + "four", prefix + "five"}
    assert outcome.skipped == {prefix + "three"}


def test_the_output_of_unittest() -> None:
    outcome = parse_unittest(UNITTEST.splitlines())
    prefix = "tests.test_a.A.test_"
    assert outcome.passed == {prefix + "one", prefix + "four"}
    assert outcome.failed == {prefix + "two", prefix + "five"}
    assert outcome.skipped == {prefix + "three"}


def test_what_differs_is_named_with_its_reason_or_without_one() -> None:
    comparison = Comparison(Outcome(passed={"a", "b"}), Outcome(passed={"a"}, failed={"b"}))
    assert comparison.broken == ["b"]
    assert not comparison.mended
    text = page({"pg8000": comparison})
    assert "| pg8000 | 1.31.6 | 2 | 1 | 1 |" in text
    assert "`b`: **not explained yet**" in text
    assert "process id" in reason_of("tests.test_connection.TestConnectionInfo.test_backend_pid")
