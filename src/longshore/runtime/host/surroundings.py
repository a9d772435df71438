"""``look_around``: what the host knows of its system when it makes the plan of a worker's jail (shell)."""

from __future__ import annotations

import getpass
import os
import sys
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Final

from longshore.runtime.host.jail import Surroundings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from longshore.config.model import WorkerConfig

__all__ = ["interpreter_paths", "look_around", "secret_paths"]

_SECRET_FILES: Final = (
    ".dev.vars*",
    ".env*",
    # Of other programs, which keep passwords and tokens in them.
    ".git-credentials",
    ".netrc",
    ".npmrc",
    ".pgpass",
    ".pypirc",
)
_SECRET_FOLDERS: Final = frozenset({".aws", ".azure", ".docker", ".gnupg", ".kube", ".ssh"})
# Large, and nobody keeps secrets for a worker there.
_UNSEARCHED: Final = frozenset({".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", "site-packages"})
# Some 50 ms on a cold disk. The upper folders come first; a project with more files than this is no project but
# somebody's home, and no worker shall wait for that at each start.
_MOST_SEARCHED: Final = 20_000
# Harmless variables that say where something is without which the interpreter does not work as it does outside.
_PATH_VARIABLES: Final = ("LD_LIBRARY_PATH", "LD_PRELOAD", "PYTHONPATH", "SSL_CERT_DIR", "SSL_CERT_FILE", "TZDIR")
_OWN_ROOT: Final = Path(__file__).parents[3]


def look_around(
    config: WorkerConfig, *, cgroups: Mapping[str, str], variables: Mapping[str, str], hidden: Iterable[str] = ()
) -> Surroundings:
    """Return what is to be known now; it is looked up anew for each worker, for files come and go.

    Args:
        config: of the worker.
        cgroups: as ``JailPlan.cgroups``.
        variables: the environment of the host.
        hidden: files and folders with secrets, besides those that the project is known to have.
    """
    return Surroundings(
        interpreter=interpreter_paths(variables),
        user=_user(),
        uid=os.geteuid(),
        gid=os.getegid(),
        secrets=(*secret_paths(config), *hidden),
        cgroups=cgroups,
        variables=variables,
    )


def interpreter_paths(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Return every place from which the interpreter, and what it loads, may be read; existing ones, each once."""
    executables = (Path(sys.executable), Path(os.path.realpath(sys.executable)))
    # The first entry is the folder of the program that was started, or of whoever started it: not the worker's affair.
    found = [*sys.path[1:], sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix]
    found += [str(path) for each in executables for path in (each, each.parent)]
    found += [str(_OWN_ROOT), *_named(variables)]
    # Where they lead, too: a folder of links to elsewhere is worth nothing without elsewhere.
    places = dict.fromkeys(path for each in found for path in (each, os.path.realpath(each)) if os.path.isabs(each))
    return tuple(path for path in places if os.path.exists(path))


def secret_paths(config: WorkerConfig) -> tuple[str, ...]:
    """Return the files of a project that its worker has no business with."""
    found = sorted(_secret_files(config.project_dir))
    return (*found, *([config.serve.audit_log] if config.serve.audit_log is not None else ()))


def _secret_files(folder: str) -> Iterator[str]:
    searched = 0
    for place, folders, names in os.walk(folder):
        searched += len(names)
        if searched > _MOST_SEARCHED:
            return
        secret = [name for name in names if any(fnmatch(name, pattern) for pattern in _SECRET_FILES)]
        secret += [name for name in folders if name in _SECRET_FOLDERS]
        if os.path.isfile(os.path.join(place, ".git/config")):
            secret.append(".git/config")  # addresses of remotes, which may hold a token
        yield from (os.path.join(place, name) for name in secret)
        folders[:] = [name for name in folders if name not in _UNSEARCHED | _SECRET_FOLDERS]


def _named(variables: Mapping[str, str]) -> Iterator[str]:
    for name in _PATH_VARIABLES:
        yield from (each for each in variables.get(name, "").split(os.pathsep) if each)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name
        return "worker"
