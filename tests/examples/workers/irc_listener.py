"""Somebody in an IRC channel who notes what others say."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Self

from tests.server_process import HOST

if TYPE_CHECKING:
    from types import TracebackType

    from tests.server_process import Server

__all__ = ["IrcListener"]

LIMIT_S = 20.0


class IrcListener:
    """Joins the channel when the block begins.

    Args:
        server: the IRC server.
        channel: with its ``#``.
    """

    def __init__(self, server: Server, channel: str) -> None:
        self._channel = channel
        self._socket = socket.create_connection((HOST, server.port), timeout=LIMIT_S)
        self._lines = self._socket.makefile("r", encoding="utf-8", newline="\r\n")

    def __enter__(self) -> Self:
        self._send("NICK listener", "USER listener 0 * :a test", f"JOIN {self._channel}")
        self._wait_for("366")  # the end of the list of names: we are in
        return self

    def hear(self, count: int) -> list[str]:
        """Return the next texts that others say."""
        return [self._wait_for("PRIVMSG")[-1].removeprefix(":") for _ in range(count)]

    def _send(self, *lines: str) -> None:
        self._socket.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def _wait_for(self, command: str) -> list[str]:
        for line in self._lines:
            words = line.rstrip("\r\n").split(" ", 3)
            if words[0] == "PING":
                self._send(f"PONG {words[1]}")
            if words[1] == command:
                return words
        raise AssertionError(f"the server ended the connection before {command}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()
        self._socket.close()
