"""What to say to a worker that imports a module which only Cloudflare's runtime has, or which nobody installed."""

from __future__ import annotations

import shlex
import sys

__all__ = ["import_hint", "install_hint"]

_PYODIDE = (
    "Longshore runs CPython and not Pyodide: arguments and results are Python objects already, so leave to_js(), "
    "to_py() and create_proxy() out; {module!r} does not exist here"
)
_HINTS = {
    "js": (
        "Longshore has no JavaScript, so {module!r} does not exist here: Response, Request, Headers and fetch come "
        "from workers, and Python's standard library has the rest"
    ),
    "pyodide": _PYODIDE,
    "pyodide_js": _PYODIDE,
    "_pyodide": _PYODIDE,
    "_pyodide_entrypoint_helper": _PYODIDE,
    "_cloudflare_compat_flags": "compatibility flags change nothing here, so {module!r} does not exist",
    "micropip": "install packages with pip into the environment that longshore runs in, and leave {module!r} out",
}


def import_hint(module: str | None) -> str | None:
    """Return what to do about a module that was not found; None for a module that anybody may have forgotten."""
    hint = _HINTS.get((module or "").partition(".")[0])
    return None if hint is None else hint.format(module=module)


# Packages with another name than the module that people import.
_PACKAGES = {
    "MySQLdb": "mysqlclient",
    "PIL": "pillow",
    "bs4": "beautifulsoup4",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "jwt": "PyJWT",
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "yaml": "PyYAML",
}


def install_hint(module: str | None, python: str) -> str | None:
    """Return how to install what was not found; None for what no package of that name would bring.

    Args:
        module: as it was imported.
        python: the interpreter that needs it.
    """
    name = (module or "").partition(".")[0]
    package = _PACKAGES.get(name, name)
    if not package or not name.isidentifier() or name in sys.stdlib_module_names:
        return None
    command = shlex.join([python, "-m", "pip", "install", package])
    return f"if {name!r} is a package, install it for the Python that runs Longshore: {command}"
