"""What to say to a worker that imports a module which only Cloudflare's runtime has."""

from __future__ import annotations

__all__ = ["import_hint"]

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
