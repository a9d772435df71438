"""The records of one dial."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from longshore.egress.audit import Audit, audit_time
from longshore.errors import LimitExceeded
from longshore.proto.ipc.egress import AuditRecord
from tests.egress.audited import STAMP, Book

if TYPE_CHECKING:
    import pytest


def test_a_connection_is_an_open_and_a_close_of_the_same_number() -> None:
    book = Book()
    entry = book.audit.begin(name="db.example", port=5432, via="binding", request_id="1-2", binding="DB")
    assert not book.records
    book.now += 0.5
    entry.opened("192.0.2.1:5432", "192.0.2.9:40000", "*.example:5432", dns_s=0.1, tcp_s=0.2, tls_s=0.3)
    assert entry.is_settled
    book.now += 2
    entry.closed(bytes_sent=10, bytes_received=20)
    shared = AuditRecord(
        time=STAMP,
        event="open",
        worker="shop",
        worker_id=7,
        connection_id=1,
        request_id="1-2",
        via="binding",
        name="db.example",
        port=5432,
        address="192.0.2.1:5432",
        local_address="192.0.2.9:40000",
        binding="DB",
        rule="*.example:5432",
    )
    replace = msgspec.structs.replace
    assert book.records == [
        replace(shared, outcome="connected", dns_s=0.1, tcp_s=0.2, tls_s=0.3, duration_s=0.5),
        replace(shared, event="close", outcome="closed", bytes_sent=10, bytes_received=20, duration_s=2.0),
    ]


def test_a_refused_connection_is_a_fail() -> None:
    book = Book()
    book.begin().failed("refused", address="127.0.0.1:80", rule="local")
    (record,) = book.records
    assert (record.event, record.outcome, record.address, record.rule) == ("fail", "refused", "127.0.0.1:80", "local")


def test_a_denial_names_the_rule() -> None:
    book = Book()
    book.begin("metadata").denied("deny private", address="169.254.169.254:80")
    (record,) = book.records
    assert (record.event, record.outcome, record.rule) == ("deny", "blocked by policy", "deny private")
    assert (record.name, record.address) == ("metadata", "169.254.169.254:80")


def test_a_limit_is_named_with_its_value() -> None:
    book = Book()
    book.begin().limited(LimitExceeded("words", limit="open_sockets", value=100))
    (record,) = book.records
    assert (record.event, record.outcome, record.detail) == ("limit", "limit open_sockets of 100 reached", "words")


def test_what_no_worker_may_do_is_a_refuse() -> None:
    book = Book()
    book.audit.refuse("listen", "a socket of the host")
    book.audit.refuse("io_uring")
    assert [(each.event, each.detail) for each in book.records] == [
        ("refuse", "listen: a socket of the host"),
        ("refuse", "io_uring"),
    ]


def test_refusals_do_not_fill_the_disk_and_are_counted() -> None:
    book = Book()
    for _ in range(1_000):
        book.audit.refuse("bind")
    written = len(book.records)
    assert written == 100
    book.now += 5
    book.audit.refuse("bind")
    book.audit.refuse("bind")
    details = [each.detail for each in book.records[written:]]
    assert details == ["bind (900 like it before are not in the log)", "bind"]


def test_many_refusals_of_one_kind_do_not_hide_another() -> None:
    book = Book()
    for _ in range(1_000):
        book.audit.refuse("disconnect", "AF_UNSPEC")
    book.audit.refuse("MSG_FASTOPEN")
    assert book.records[-1].detail == "MSG_FASTOPEN"


def test_only_the_first_outcome_counts() -> None:
    book = Book()
    error = LimitExceeded("words", limit="bytes", value=1)
    entry = book.begin()
    entry.opened("a:1", "b:2", "rule")
    entry.opened("a:1", "b:2", "rule")
    entry.failed("refused")
    entry.denied("rule")
    entry.limited(error)
    entry.closed(bytes_sent=1, bytes_received=1)
    entry.closed(bytes_sent=2, bytes_received=2)
    assert book.events == ["open", "close"]
    for outcome in ("failed", "denied"):
        other = book.begin()
        getattr(other, outcome)("x")
        other.opened("a:1", "b:2", "rule")
        other.closed(bytes_sent=1, bytes_received=1)
    assert book.events == ["open", "close", "fail", "deny"]


def test_an_end_that_is_known_before_the_connection_is_told_comes_behind_it() -> None:
    book = Book()
    entry = book.begin()
    entry.closed(bytes_sent=1, bytes_received=2, detail="early")
    assert book.events == []
    entry.opened("a:1", "b:2", "rule")
    assert book.events == ["open", "close"]
    assert (book.records[1].bytes_sent, book.records[1].detail) == (1, "early")


def test_connections_are_counted() -> None:
    book = Book()
    assert [book.begin().connection_id for _ in range(3)] == [1, 2, 3]


def test_a_record_that_cannot_be_written_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def write(record: AuditRecord) -> None:
        raise OSError(28, "no space")

    Audit("shop", 1, write).begin(name="x", port=1, via="socket").failed("refused")
    assert "could not be written" in caplog.text


def test_the_time_is_rfc_3339_with_milliseconds() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", audit_time())
