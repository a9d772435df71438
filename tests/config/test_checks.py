"""What single values must be."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.config import checks
from longshore.config.jsonc import MAX_DEPTH

Check = Callable[[Any], None]

GOOD: list[tuple[Check, list[Any]]] = [
    (checks.check_binding_name, ["DB", "_x", "a1"]),
    (checks.check_worker_name, ["hello", "a", "My_worker-2", "a" * 63]),
    (checks.check_date, ["2026-01-31", dt.date(2026, 1, 31)]),
    (checks.check_host, ["localhost", "0.0.0.0", "::1", "worker.example"]),
    (
        checks.check_cron,
        ["* * * * *", "*/5 1-3,7 L 1-12/2 MON-FRI", "0 0 LW JAN sun", "0 0 * * 5#2", "0 0 * * 5L", " 0  0 1 1 7 "],
    ),
    (checks.check_json, [None, True, "x", 1.5, 2**64 - 1, -(2**63), {"a": [1, {"b": None}]}]),
    (checks.check_connection_string, ["postgres://u:p@h/d"]),
    (lambda value: checks.check_rule(value, "allow"), ["public", "10.0.0.0/8", "*.example.com:443"]),
]


@pytest.mark.parametrize(("check", "value"), [(check, value) for check, values in GOOD for value in values])
def test_what_is_right(check: Check, value: Any) -> None:
    check(value)


FIELDS = "write * or {}, with ',', '-' and '/'"

BAD: list[tuple[Check, Any, str]] = [
    (checks.check_binding_name, "", "'' is no binding name: use letters, digits and '_', and no digit first"),
    (checks.check_binding_name, "my-db", "'my-db' is no binding name: use letters, digits and '_', and no digit first"),
    (checks.check_binding_name, "1", "'1' is no binding name: use letters, digits and '_', and no digit first"),
    (checks.check_worker_name, "", "'' is no worker name: use 1 to 63 letters, digits, '-' and '_'"),
    (checks.check_worker_name, "a b", "'a b' is no worker name: use 1 to 63 letters, digits, '-' and '_'"),
    (checks.check_date, "2026-1-31", "'2026-1-31' is no date: write it like '2026-01-31'"),
    (checks.check_date, "2026-02-30", "'2026-02-30' is no date: write it like '2026-01-31'"),
    (checks.check_date, "20260131", "'20260131' is no date: write it like '2026-01-31'"),
    (checks.check_date, 20260131, "expected a date like '2026-01-31', found 20260131"),
    (checks.check_date, None, "expected a date like '2026-01-31', found None"),
    (
        checks.check_date,
        dt.datetime(2026, 1, 31, tzinfo=dt.UTC),
        "expected a date like '2026-01-31', found datetime.datetime(2026, 1, 31, 0, 0, tzinfo=datetime.timezone.utc)",
    ),
    (checks.check_host, "", "'' is no address to listen on: write it like 'localhost' or '0.0.0.0'"),
    (checks.check_host, "http://x", "'http://x' is no address to listen on: write it like 'localhost' or '0.0.0.0'"),
    (checks.check_host, "a\nb", "'a\\nb' is no address to listen on: write it like 'localhost' or '0.0.0.0'"),
    (
        checks.check_cron,
        "@daily",
        (
            "'@daily' has 1 field, a cron expression has 5: minute, hour, day of month, month, day of week, like"
            " '*/15 * * * *'"
        ),
    ),
    (
        checks.check_cron,
        "0 * * * * *",
        (
            "'0 * * * * *' has 6 fields, a cron expression has 5: minute, hour, day of month, month, day of week, like"
            " '*/15 * * * *'"
        ),
    ),
    (checks.check_cron, "61 * * * *", f"'61 * * * *' has '61' as minute (character 1): {FIELDS.format('0-59')}"),
    (checks.check_cron, "*  25 * * *", f"'*  25 * * *' has '25' as hour (character 4): {FIELDS.format('0-23')}"),
    (
        checks.check_cron,
        "* * 0 * *",
        f"'* * 0 * *' has '0' as day of month (character 5): {FIELDS.format('1-31 or L')}",
    ),
    (
        checks.check_cron,
        "* * * MAY-APR *",
        f"'* * * MAY-APR *' has 'MAY-APR' as month (character 7): {FIELDS.format('1-12 or JAN-DEC')}",
    ),
    (
        checks.check_cron,
        "* * * * 8",
        f"'* * * * 8' has '8' as day of week (character 9): {FIELDS.format('0-7 or SUN-SAT')}",
    ),
    (
        checks.check_cron,
        "* * 15W * *",
        f"'* * 15W * *' has '15W' as day of month (character 5): 'W' is not supported: {FIELDS.format('1-31 or L')}",
    ),
    (checks.check_cron, "*/0 * * * *", f"'*/0 * * * *' has '*/0' as minute (character 1): {FIELDS.format('0-59')}"),
    (checks.check_cron, "0 0 31 2 *", "'0 0 31 2 *' never comes: no month of it has that day"),
    (checks.check_json, dt.date(2026, 1, 1), "a date cannot be passed on: write it as text, in quotes"),
    (checks.check_json, [dt.time(1)], "a time cannot be passed on (at [0]): write it as text, in quotes"),
    (checks.check_json, {"a": [float("nan")]}, "nan is no number that JSON has (at a[0]): write it as text, in quotes"),
    (checks.check_json, 2**64, "a number of more than 64 bits: write it as text, in quotes"),
    (
        checks.check_connection_string,
        "x",
        "connection string no URL with a scheme: write 'postgres://user:password@host:5432/database'",
    ),
    (
        lambda value: checks.check_rule(value, "deny"),
        "pubilc",
        "rule 'pubilc' in deny looks like 'public': write that, or 'pubilc.' for a host",
    ),
]


@pytest.mark.parametrize(("check", "value", "message"), BAD)
def test_what_is_wrong(check: Check, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check(value)


def test_values_are_bounded_in_depth() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    checks.check_json(value)
    with pytest.raises(ValueError, match=f"^nested more than {MAX_DEPTH} levels deep$"):
        checks.check_json([value])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_what_is_allowed_reaches_the_worker_unchanged(value: Any) -> None:
    try:
        checks.check_json(value)
    except ValueError:
        return
    assert msgspec.json.decode(msgspec.json.encode(value)) == value


@given(st.text(st.sampled_from("0123456789*/,-#LWMON?"), max_size=6), st.integers(0, 4))
def test_nothing_else_is_raised_whatever_the_cron(field: str, index: int) -> None:
    fields = ["*"] * 5
    fields[index] = field
    try:
        checks.check_cron(" ".join(fields))
    except ValueError:
        pass


@pytest.mark.parametrize(
    ("cron", "is_numbered"),
    [
        ("* * * * *", False),
        ("* * * * */2", False),
        ("* * * * MON#1", False),
        ("* * * * 1", True),
        ("0 0 * * MON,5", True),
    ],
)
def test_numbered_weekdays(cron: str, is_numbered: bool) -> None:
    assert checks.has_numbered_weekday(cron) is is_numbered
