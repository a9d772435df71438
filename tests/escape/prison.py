"""A real ``longshore serve`` whose worker does what a test tells it: everything tried here is tried by a worker's code.

The worker, in its real jail, with the real egress process, calls functions of ``attempts`` and ``bombs`` by name.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx
import psutil

from tests.cli.launched import LIMIT_S, launched

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.cli.launched import Launched

__all__ = ["Canary", "Prison", "prison"]

ROOT: Final = Path(__file__).parents[2]
# A bomb takes its time on a machine that has other things to do.
ATTEMPT_S: Final = 100.0

ENTRY: Final = f"""\
import asyncio, inspect, json, sys

sys.path.insert(0, {str(ROOT)!r})
from tests.escape import attempts, bombs
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        asked = await request.json()
        function = getattr(attempts, asked["attempt"], None) or getattr(bombs, asked["attempt"])
        if inspect.iscoroutinefunction(function):
            found = await function(**asked["given"])
        else:
            found = await asyncio.to_thread(function, **asked["given"])
        return Response(json.dumps(found, default=repr))
"""


class Canary:
    """A server that nobody may reach, or one that may be: it knows who came.

    Args:
        host: where it listens.
        port: at which port; 0: any.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._sock = socket.create_server((host, port), family=family, backlog=512)
        self.port: int = self._sock.getsockname()[1]
        self.callers: list[tuple[str, int]] = []
        """Addresses of those who were connected."""
        self.answer = b"inside the wall"
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                sock, address = self._sock.accept()
            except OSError:
                return
            self.callers.append(address[:2])
            self._open.append(sock)
            with contextlib.suppress(OSError):
                sock.sendall(self.answer)

    @property
    def is_untouched(self) -> bool:
        """True when nobody came; whoever was connected before this was asked has been seen."""
        mark = len(self.callers)
        with socket.create_connection(self._sock.getsockname()[:2]) as probe:
            own = probe.getsockname()[:2]
            # The queue is served in order: when we are through, so is everybody before us.
            while own not in self.callers:
                time.sleep(0.001)
        self.callers.remove(own)
        return len(self.callers) == mark == 0

    def close(self) -> None:
        """Stop."""
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        self._thread.join()
        for each in self._open:
            each.close()


class Prison:
    """A host that serves.

    Args:
        running: the command.
        url: where it serves.
        log: its audit log.
    """

    def __init__(self, running: Launched, url: str, log: Path) -> None:
        self.running = running
        self.url = url
        self.folder = log.parent
        self._log = log
        self._seen = 0
        self.client = self._new_client()

    def connect_anew(self) -> None:
        """Talk to a worker over another connection, which may be another worker."""
        self.client.close()
        self.client = self._new_client()

    def _new_client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=ATTEMPT_S)

    @property
    def pid(self) -> int:
        """Of the host."""
        return self.running.process.pid

    @property
    def port(self) -> int:
        """At which it serves."""
        return int(self.url.rpartition(":")[2])

    def attempt(self, attempt: str, /, **given: Any) -> Any:
        """Have a function of ``attempts`` or ``bombs`` called in the worker; return what it returned there."""
        answer = self.client.post("/", json={"attempt": attempt, "given": given})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def attempt_in_time(self, attempt: str, /, **given: Any) -> Any:
        """Do the same while workers come and go."""
        begun = time.monotonic()
        while True:
            try:
                return self.attempt(attempt, **given)
            except httpx.TransportError:
                if time.monotonic() - begun > LIMIT_S:
                    raise

    def records(self) -> list[dict[str, Any]]:
        """Return what is in the audit log since ``mark()``, or the beginning."""
        text = self._log.read_bytes()[self._seen :] if self._log.exists() else b""
        return [json.loads(line) for line in text[: text.rfind(b"\n") + 1].splitlines()]

    def mark(self) -> None:
        """Let what was written so far be forgotten."""
        self._seen = self._log.stat().st_size if self._log.exists() else 0

    def audited(self, **wanted: Any) -> dict[str, Any]:
        """Wait for a record with these fields; a string is looked for in the field's text."""
        for _ in range(int(LIMIT_S / 0.01)):
            for record in self.records():
                if all(_fits(record.get(key), value) for key, value in wanted.items()):
                    return record
            time.sleep(0.01)
        raise AssertionError(f"no record with {wanted} in {self.records()}")

    def family(self) -> list[psutil.Process]:
        """Return every process below the host."""
        return psutil.Process(self.pid).children(recursive=True)


def _fits(found: object, wanted: object) -> bool:
    return wanted in found if isinstance(wanted, str) and isinstance(found, str) else found == wanted


@contextmanager
def prison(
    folder: Path,
    allow: Sequence[str] = (),
    *,
    workers: int = 1,
    read: Sequence[str] = (),
    sandbox: str = "",
    network: str = "",
    before: Sequence[str] = (),
    **variables: str,
) -> Iterator[Prison]:
    """Run a host with a worker of ours in a new project below ``folder``.

    Args:
        folder: for the project and the audit log.
        allow: rules of the worker.
        workers: how many processes.
        read: what they may read besides the code of the tests.
        sandbox: more lines of ``[sandbox]``.
        network: more lines of ``[network]``, and sections of it.
        before: a command that runs the host's.
        variables: more of the host's environment.
    """
    project, log = folder / "project", folder / "audit.jsonl"
    project.mkdir()
    (project / "entry.py").write_text(ENTRY)
    lines = ['name = "convict"', 'main = "entry.py"', 'isolation = "required"']
    lines += ["[sandbox]", f"read = {json.dumps([str(ROOT), *read])}", sandbox, "[serve]", f'audit_log = "{log}"']
    lines += ["[network]", f"allow = {json.dumps(list(allow))}", network]
    (project / "longshore.toml").write_text("\n".join(lines))
    arguments = ("serve", "--port", "0", "--workers", str(workers), "--log", "json")
    with launched(*arguments, cwd=project, before=before, **variables) as running:
        url = json.loads(running.wait_for(r'"event":"serving"').string)["urls"][0]
        for _ in range(workers - 1):
            running.wait_for(r'"event":"worker_ready"')
        host = Prison(running, url, log)
        try:
            yield host
        finally:
            host.client.close()
