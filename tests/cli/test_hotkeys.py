"""``longshore dev`` in a real terminal: its keys, its colours, and the terminal given back as it was."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from tests.cli.launched import LIMIT_S, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENTRY: Final = """\
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello\\n")

    async def scheduled(self, controller, env, ctx):
        print("ran", controller.cron, flush=True)
"""
COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
HINT: Final = r"x exit"
TAKE_TERMINAL: Final = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Makes standard input the terminal of its session, as a login does, and becomes another program."""


class Screen:
    """The other side of a terminal: reads what a program shows and presses keys."""

    def __init__(self, process: subprocess.Popen[bytes], master: int, slave: int) -> None:
        self.process = process
        self.raw = ""
        self._master = master
        self._slave = slave
        self._looked_at = 0

    @property
    def mode(self) -> list[object]:
        """How the terminal is set."""
        return termios.tcgetattr(self._slave)

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the first match in what was not looked at yet, colours left out."""
        end = time.monotonic() + LIMIT_S
        while True:
            text = COLOURS.sub("", self.raw)
            if (match := re.compile(pattern).search(text, self._looked_at)) is not None:
                self._looked_at = match.end()
                return match
            assert time.monotonic() < end, f"nothing like {pattern!r} in:\n{text}"
            assert self._read(), f"it ended before anything like {pattern!r}:\n{text}"

    def _read(self) -> bool:
        if not select.select([self._master], [], [], 0.2)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:
            return False
        self.raw += data.decode(errors="replace")
        return bool(data)

    def press(self, keys: str) -> None:
        """Press keys."""
        os.write(self._master, keys.encode())

    def ended(self) -> int:
        """Wait for the end, reading all the while; return the exit code."""
        end = time.monotonic() + LIMIT_S
        while self.process.poll() is None:
            assert time.monotonic() < end, f"it did not end:\n{self.raw}"
            self._read()
        return self.process.returncode

    def hang_up(self) -> None:
        """Take the terminal away."""
        os.close(self._master)
        self._master = -1

    def close(self) -> None:
        """Let go of the terminal."""
        for fd in (self._master, self._slave):
            with contextlib.suppress(OSError):
                os.close(fd)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A worker with two crons."""
    config = 'name = "shop"\nmain = "entry.py"\n[triggers]\ncrons = ["*/5 * * * *", "0 9 * * MON"]\n'
    (tmp_path / "longshore.toml").write_text(config)
    (tmp_path / "entry.py").write_text(ENTRY)
    return tmp_path


@contextlib.contextmanager
def on_a_screen(*arguments: str, cwd: Path, **variables: str) -> Iterator[Screen]:
    """Run ``longshore`` in the foreground of a terminal of its own."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))

    process = subprocess.Popen(
        [sys.executable, "-c", TAKE_TERMINAL, sys.executable, "-m", "longshore", *arguments],
        cwd=cwd,
        env=environment(TERM="xterm-256color", **variables),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    screen = Screen(process, master, slave)
    try:
        yield screen
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        screen.close()


def started(screen: Screen) -> str:
    """Wait until the keys are shown; return the URL."""
    url = screen.wait_for(r"Ready on (http://\S+)")[1]
    screen.wait_for(HINT)
    return url


@pytest.mark.parametrize("key", ["x", "q", "X", "\x03", "\x04"])
def test_keys_that_end_it_give_the_terminal_back(project: Path, key: str) -> None:
    with on_a_screen("dev", "--port", "0", cwd=project) as screen:
        before = screen.mode
        started(screen)
        assert screen.mode != before
        screen.press(key)
        assert screen.ended() == 0
        assert screen.mode == before
        assert "Traceback" not in screen.raw


def test_a_signal_gives_the_terminal_back(project: Path) -> None:
    with on_a_screen("dev", "--port", "0", cwd=project) as screen:
        before = screen.mode
        started(screen)
        screen.process.send_signal(signal.SIGTERM)
        assert screen.ended() == 0
        assert screen.mode == before


def test_it_ends_with_its_terminal(project: Path) -> None:
    with on_a_screen("dev", "--port", "0", cwd=project) as screen:
        started(screen)
        screen.hang_up()
        assert screen.process.wait(LIMIT_S) == 0


def test_reload(project: Path) -> None:
    with on_a_screen("dev", "--port", "0", cwd=project) as screen:
        started(screen)
        screen.press("r")
        screen.wait_for(r"Reloaded in \S+ms")


def test_a_cron_is_chosen_from_a_menu(project: Path) -> None:
    with on_a_screen("dev", "--port", "0", cwd=project) as screen:
        started(screen)
        screen.press("t")
        screen.wait_for("1  .*5 .*")
        screen.wait_for("Which one")
        screen.press("2")
        screen.wait_for(r"cron 0 9 \* \* MON fired")
        screen.wait_for(r"cron 0 9 \* \* MON ok")
        assert "ran 0 9 * * MON" in screen.raw


def test_the_menu_of_crons_can_be_left(project: Path) -> None:
    with on_a_screen("dev", "--port", "0", cwd=project) as screen:
        started(screen)
        screen.press("t")
        screen.wait_for("Which one")
        screen.press("\x1b")
        screen.press("?")
        screen.wait_for(HINT)
        assert "fired" not in screen.raw.partition("Which one")[2]


def test_help_and_clear(project: Path) -> None:
    with on_a_screen("dev", "--port", "0", cwd=project) as screen:
        started(screen)
        screen.press("?")
        screen.wait_for(f"b browser .* c clear .* t fire a cron .*{HINT}")
        screen.press("c")
        screen.press("?")
        screen.wait_for(HINT)
        assert "\x1b[2J" in screen.raw


def test_arrows_and_unknown_keys_do_nothing(project: Path) -> None:
    with on_a_screen("dev", "--port", "0", cwd=project) as screen:
        started(screen)
        screen.press("\x1b[A\x1b[1;5C\x1bOP")
        screen.press("zü7")
        screen.press("?")
        screen.wait_for(HINT)


def test_the_browser_is_opened(project: Path, tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(
        f'#!/bin/sh\necho opened "$1" > {tmp_path}/opened.tmp && mv {tmp_path}/opened.tmp {tmp_path}/opened\n'
    )
    browser.chmod(0o755)
    with on_a_screen("dev", "--port", "0", cwd=project, BROWSER=f"{browser} %s") as screen:
        url = started(screen)
        screen.press("b")
        end = time.monotonic() + LIMIT_S
        while not (tmp_path / "opened").exists():
            assert time.monotonic() < end
            time.sleep(0.02)
        assert (tmp_path / "opened").read_text() == f"opened {url}\n"


def test_the_status_has_a_colour_and_no_color_has_none(project: Path) -> None:
    for variables, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        with on_a_screen("dev", "--port", "0", cwd=project, **variables) as screen:
            url = started(screen)
            with httpx.Client(trust_env=False, timeout=30.0) as client:
                client.get(url)
            screen.wait_for("GET / 200 OK")
            assert ("\x1b[32m200 OK" in screen.raw) is coloured
            screen.press("q")
            assert screen.ended() == 0
