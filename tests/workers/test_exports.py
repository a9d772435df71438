"""The names of the SDK: those of Cloudflare's, no more and no less."""

from __future__ import annotations

import subprocess
import sys

import longshore.workers
from longshore.workers import asgi, wsgi

PUBLIC = """
    Blob BlobEnding BlobValue Body Context DurableObject FetchKwargs FetchResponse File FormData FormDataValue Headers
    JSBody Request RequestInitCfProperties Response WorkerEntrypoint WorkflowEntrypoint env fetch handler
    import_from_javascript patch_env python_from_rpc python_to_rpc waitUntil wait_until
"""


def test_names_of_the_sdk() -> None:
    assert sorted(longshore.workers.__all__) == sorted(PUBLIC.split())
    assert all(hasattr(longshore.workers, name) for name in PUBLIC.split())


def test_names_of_the_adapters() -> None:
    assert {"entrypoint", "fetch", "websocket", "Options"} <= set(asgi.__all__)
    assert {"entrypoint", "fetch", "Options"} <= set(wsgi.__all__)


def test_import_is_cheap() -> None:
    """What only some workers use is imported when it is used."""
    code = (
        "import sys, longshore.workers, longshore.workers.asgi, longshore.workers.wsgi\n"
        "print(*sorted({'httpx', 'uvicorn', 'a2wsgi', 'typer', 'rich', 'watchfiles', 'fastapi'} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""
