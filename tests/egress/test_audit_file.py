"""The audit log on a real file system."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from pathlib import Path

import pytest

from longshore.egress import audit_file
from longshore.egress.audit_file import AuditFile


def test_lines_are_appended_and_only_the_owner_reads_them(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for lines in (b"1\n2\n", b"3\n"):
        with closing(AuditFile(str(path))) as file:
            file.write(lines)
    assert path.read_bytes() == b"1\n2\n3\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        AuditFile(str(tmp_path / "none" / "audit.jsonl"))


def wait_for(path: Path, content: bytes) -> None:
    """Wait for the thread; the test's own time limit ends it otherwise."""
    while not path.exists() or path.read_bytes() != content:
        os.sched_yield()


@pytest.mark.parametrize("makes_new", [True, False])
def test_a_log_that_was_rotated_is_followed(tmp_path: Path, makes_new: bool) -> None:
    path, old = tmp_path / "audit.jsonl", tmp_path / "audit.jsonl.1"
    with closing(AuditFile(str(path))) as file:
        file.write(b"1\n")
        wait_for(path, b"1\n")
        path.rename(old)
        if makes_new:
            path.touch()
        file.write(b"2\n")
        wait_for(path, b"2\n")
    assert old.read_bytes() == b"1\n"


def test_a_log_that_was_copied_and_truncated_goes_on_at_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with closing(AuditFile(str(path))) as file:
        file.write(b"1\n")
        wait_for(path, b"1\n")
        os.truncate(path, 0)
        file.write(b"2\n")
    assert path.read_bytes() == b"2\n"


def test_reopen_is_for_what_cannot_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with closing(AuditFile(str(path))) as file:
        fd = file._fd
        keep = os.dup(fd)  # so that the number is not given again
        file.reopen()
        file.write(b"1\n")
        wait_for(path, b"1\n")
        os.close(keep)
        assert not file._must_reopen


def test_a_full_disk_is_said_once_and_its_end_too(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    path = tmp_path / "audit.jsonl"
    path.symlink_to(full)
    with closing(AuditFile(str(path))) as file:
        for _ in range(5):
            file.write(b"lost\n")
        while file._waiting_bytes:
            os.sched_yield()
        path.unlink()
        file.write(b"1\n")
    assert path.read_bytes() == b"1\n"
    assert caplog.text.count("are lost") == 1
    assert caplog.text.count("written again") == 1
    assert "about 25 bytes" in caplog.text


def test_a_line_that_was_written_half_is_finished_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "audit.jsonl"
    write = os.write
    room = 0

    def write_some(fd: int, data: bytes) -> int:
        nonlocal room
        if fd != file._fd:
            return write(fd, data)
        if not room:
            raise OSError(28, "No space left on device")
        count = write(fd, data[:room])
        room -= count
        return count

    file = AuditFile(str(path))
    monkeypatch.setattr(os, "write", write_some)
    room = 8
    file.write(b"first\nsecond\nthird\n")
    wait_for(path, b"first\nse")
    while not file._has_failed:
        os.sched_yield()
    room = 1000
    file.write(b"fourth\n")
    file.close()
    assert path.read_bytes() == b"first\nsecond\nfourth\n"


def test_a_disk_that_hangs_costs_records_and_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(audit_file, "_MOST_WAITING_BYTES", 100)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    file = AuditFile(str(pipe))
    try:
        file.write(b"x" * 99 + b"\n")
        file.write(b"x" * 101)
        assert "not written as fast" in caplog.text
    finally:
        file.close()
        os.close(reader)
