"""Where records go."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from longshore.egress.audit_trail import AuditTrail
from longshore.proto.ipc.egress import AuditRecord
from tests.egress.audited import until

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

RECORD = AuditRecord(event="deny", worker="shop", worker_id=1, name="ü.example", port=80, rule="private", time="t")


async def test_every_record_is_a_line_and_is_told(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    told: list[AuditRecord] = []
    trail = AuditTrail(str(path), told.append)
    second = msgspec.structs.replace(RECORD, event="open", bytes_sent=0)
    trail.write(RECORD)
    trail.write(second)
    await until(lambda: path.read_bytes().count(b"\n") == 2)
    trail.write(RECORD)
    trail.close()
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [msgspec.json.decode(line, type=AuditRecord) for line in lines] == [RECORD, second, RECORD] == told
    assert json.loads(lines[0]) == {
        "time": "t",
        "event": "deny",
        "worker": "shop",
        "worker_id": 1,
        "name": "ü.example",
        "port": 80,
        "rule": "private",
    }


async def test_a_log_that_was_rotated_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    trail = AuditTrail(str(path), lambda _: None)
    trail.reopen()
    trail.write(RECORD)
    await until(path.read_bytes)
    path.rename(tmp_path / "audit.jsonl.1")
    trail.write(RECORD)
    trail.close()
    assert path.read_bytes().count(b"\n") == 1


async def test_without_a_file_the_host_is_told() -> None:
    told: list[AuditRecord] = []
    trail = AuditTrail(None, told.append)
    trail.write(RECORD)
    trail.reopen()
    trail.close()
    assert told == [RECORD]


async def test_a_file_that_cannot_be_opened_is_said_and_the_host_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[AuditRecord] = []
    trail = AuditTrail(str(tmp_path / "none" / "audit.jsonl"), told.append)
    trail.write(RECORD)
    trail.close()
    assert told == [RECORD]
    assert caplog.text.count("there is no audit log") == 1
