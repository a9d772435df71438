"""The names of Cloudflare's SDK, importable after ``install()``; each case in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCES = Path(__file__).parents[2] / "src"


def run(code: str, folder: Path, files: Mapping[str, str] | None = None) -> None:
    """Run ``code`` after ``install()``, with ``folder`` and the files in it in front of everything on the path."""
    for name, text in (files or {}).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    program = f"from longshore.compat.install import install; install(); install()\n{code}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(SOURCES)]), "PYTHONWARNINGS": "error"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


IMPORTS = [
    """from workers import Response, WorkerEntrypoint, env, fetch
import workers, longshore.workers
assert workers is longshore.workers
assert Response is longshore.workers.Response
""",
    """from workers import asgi, wsgi
import longshore.workers.asgi
assert asgi is longshore.workers.asgi
import workers.asgi, workers.wsgi
assert workers.asgi is asgi and workers.wsgi is wsgi
""",
    """import asgi, workers.asgi
assert asgi is workers.asgi
""",
    """from workers.workflows import NonRetryableError
import longshore.workers.workflows
assert NonRetryableError is longshore.workers.workflows.NonRetryableError
""",
    """from cloudflare.sockets import connect, Socket
import longshore
assert connect is longshore.connect and Socket is longshore.Socket
""",
    """import cloudflare.workers
from workers import env, WorkerEntrypoint
assert cloudflare.workers.env is env and cloudflare.workers.WorkerEntrypoint is WorkerEntrypoint
""",
    """import workers._env, longshore.workers._env
assert workers._env is longshore.workers._env
""",
    """import importlib.util, workers, sys
assert workers.__name__ == "longshore.workers" and workers.__spec__.name == "longshore.workers"
assert importlib.util.find_spec("workers") is not None
assert importlib.util.find_spec("workers.nothing") is None
""",
    """try:
    import workers.nothing
except ModuleNotFoundError as exc:
    assert exc.name == "workers.nothing"
else:
    raise AssertionError
""",
    """import importlib
for name in ("js", "pyodide", "pyodide.ffi", "_pyodide"):
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        continue
    raise AssertionError(name)
""",
    """import sys
assert sum(type(finder).__name__ == "AliasFinder" for finder in sys.meta_path) == 1
""",
]


@pytest.mark.parametrize("code", IMPORTS)
def test_imports(code: str, tmp_path: Path) -> None:
    run(code, tmp_path)


SDK = {
    "workers/__init__.py": "raise ImportError('needs js')",
    "workers/entrypoints.py": "",
    "workers/asgi.py": "raise ImportError('needs js')",
    "asgi.py": "from workers.asgi import *",
}


def test_an_installed_sdk_loses(tmp_path: Path) -> None:
    run("import asgi, workers; from workers import asgi as same; assert asgi is same", tmp_path, SDK)


def test_a_module_asgi_of_the_project_wins(tmp_path: Path) -> None:
    """Django's projects have one, and ``main = "asgi.py"`` is a fine name for a worker."""
    code = "import asgi; assert asgi.mine; import workers.asgi; assert workers.asgi is not asgi"
    run(code, tmp_path, {"asgi.py": "mine = True"})


def test_an_installed_cloudflare_stays(tmp_path: Path) -> None:
    code = """
import cloudflare, cloudflare.sockets, cloudflare.workers, cloudflare.own
assert cloudflare.client and cloudflare.own.there
import longshore
assert cloudflare.sockets.connect is longshore.connect
"""
    run(code, tmp_path, {"cloudflare/__init__.py": "client = True", "cloudflare/own.py": "there = True"})


def test_a_folder_of_the_name_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "cloudflare").mkdir()
    run("from cloudflare.sockets import connect", tmp_path)


def test_without_install_nothing_is_changed() -> None:
    code = "import longshore.workers, longshore.compat, sys; assert 'workers' not in sys.modules; import workers"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "No module named 'workers'" in done.stderr
