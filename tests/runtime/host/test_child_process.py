"""What a program that the host starts inherits; its life is tested with the zygote's."""

from __future__ import annotations

import errno
import os

import pytest

from longshore.runtime.host.child_process import _write_only


def test_of_a_terminal_only_the_output_is_inherited() -> None:
    master, terminal = os.openpty()
    output = _write_only(terminal)
    assert output is not None
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
            os.read(output, 1)
        assert os.isatty(output)
        os.write(output, b"hello")
        assert b"hello" in os.read(master, 100)
    finally:
        for fd in (master, terminal, output):
            os.close(fd)


def test_a_pipe_is_inherited_as_it_is() -> None:
    reading, writing = os.pipe()
    try:
        assert _write_only(writing) is None
    finally:
        os.close(reading)
        os.close(writing)


def test_what_is_not_open_is_nothing() -> None:
    assert _write_only(1 << 20) is None
