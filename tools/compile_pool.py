"""Compile the hot modules of the pool with mypyc: ``./dev compile``.

The binaries lie in ``longshore/pool/_native`` beside the sources, with the digest by which
``longshore.pool.compiled`` knows whether they are still theirs. Nothing needs them. ``--clean`` takes them away.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from longshore.pool.compiled import DIGEST_NAME, DIRECTORY, MODULES, RUNTIME, digest, source_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["compile_modules", "main"]

_CONFIGURATION = Path(__file__).parents[1] / "pyproject.toml"


def compile_modules() -> None:
    """Compile, and replace what was there.

    Raises:
        SystemExit: mypyc or the C compiler refused, or is not here.
    """
    try:
        # Only who compiles needs them.
        from mypyc.build import mypycify  # noqa: PLC0415
        from setuptools import setup  # type: ignore[import-untyped]  # noqa: PLC0415
    except ImportError as exc:
        raise SystemExit(f"{exc}; to compile: pip install mypy setuptools, and a C compiler") from exc

    expected = digest()
    # Elsewhere, or setuptools would read this project's pyproject.toml.
    with tempfile.TemporaryDirectory(prefix="longshore-mypyc-") as name, contextlib.chdir(name):
        options = [f"--config-file={_CONFIGURATION}", "--follow-imports=silent", f"--cache-dir={name}/mypy"]
        extensions = mypycify(
            [*options, *(str(source_of(module)) for module in MODULES)],
            opt_level="3",
            target_dir=f"{name}/c",
            group_name=RUNTIME.removesuffix("__mypyc"),
        )
        setup(
            name="longshore-pool",
            ext_modules=extensions,
            script_args=["--quiet", "build_ext", f"--build-lib={name}/lib", f"--build-temp={name}/temp"],
        )
        shutil.rmtree(DIRECTORY, ignore_errors=True)
        DIRECTORY.mkdir()
        library = Path(name, "lib")
        for binary in library.rglob("*.so"):
            package = ".".join(binary.relative_to(library).parent.parts)
            shutil.copy(binary, DIRECTORY / f"{package}.{binary.name}")
    (DIRECTORY / DIGEST_NAME).write_text(expected + "\n")


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="./dev compile", description="compile the hot modules of the pool")
    parser.add_argument("--clean", action="store_true", help="take the binaries away")
    if parser.parse_args(arguments).clean:
        shutil.rmtree(DIRECTORY, ignore_errors=True)
    else:
        compile_modules()
        print(f"{len(MODULES)} modules are compiled; LONGSHORE_PURE=1 does without")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
