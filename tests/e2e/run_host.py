"""Runs a host as its own process: ``python run_host.py OPTIONS_JSON CONFIG_JSON``; events go to stdout as JSON lines.

What the command line does as well, without its configuration files and its rendering.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from longshore.config.model import WorkerConfig
from longshore.runtime.host.options import HostOptions
from longshore.runtime.host.supervisor import Supervisor

CRON_COMMAND = "fire "


def tell(event: Any) -> None:
    """Write an event as one line."""
    fields = msgspec.to_builtins({name: getattr(event, name) for name in event.__slots__}, enc_hook=str)
    sys.stdout.write(json.dumps({"event": type(event).__name__, **fields}) + "\n")
    sys.stdout.flush()


async def serve(options: dict[str, Any], config: bytes) -> int:
    """Run the host until it ends; lines on stdin command it."""
    load = None
    if (file := options.pop("config_json", None)) is not None:
        load = lambda: msgspec.json.decode(Path(file).read_bytes(), type=WorkerConfig)  # noqa: E731
    supervisor = Supervisor(msgspec.json.decode(config, type=WorkerConfig), HostOptions(**options, load=load), tell)
    loop = asyncio.get_running_loop()

    def command() -> None:
        line = sys.stdin.readline()
        if line.startswith(CRON_COMMAND):
            supervisor.fire_scheduled(line.removeprefix(CRON_COMMAND).strip())
        elif line.strip() == "reload":
            supervisor.reload()
        elif not line:
            loop.remove_reader(sys.stdin)

    loop.add_reader(sys.stdin, command)
    try:
        return await supervisor.run()
    finally:
        loop.remove_reader(sys.stdin)


if __name__ == "__main__":
    sys.exit(asyncio.run(serve(json.loads(sys.argv[1]), sys.argv[2].encode())))
