"""Where the control socket is when the configuration does not say (shell)."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.pool.standalone.model import PoolSettings

__all__ = ["default_control"]

_NAME_CHARS = 12


def default_control(settings: PoolSettings, variables: Mapping[str, str]) -> Path | None:
    """Return the path of the control socket: the same for the same configuration, in a folder that is ours alone.

    None when there is no such folder: a pool without online restart is better than none.

    Args:
        settings: of the process.
        variables: the environment.
    """
    what = str(settings.file) if settings.file is not None else ",".join(map(str, settings.listen))
    name = hashlib.sha256(what.encode()).hexdigest()[:_NAME_CHARS]
    runtime = variables.get("XDG_RUNTIME_DIR", "")
    folder = Path(runtime) / "longshore" if runtime.startswith("/") else Path(f"/tmp/longshore-{os.geteuid()}")  # noqa: S108
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077
    return folder / f"pool-{name}.sock" if is_ours else None
