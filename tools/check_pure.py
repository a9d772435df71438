"""Check rule D1: PURE modules import nothing that does I/O, tells the time or throws dice.

Imports under ``if TYPE_CHECKING:`` do not count. Of the project itself a PURE module may import PURE
modules only. Run: ``python -m tools.check_pure``; prints one line per violation, and
exits with 1 when there is any.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FORBIDDEN", "PURE", "check_package", "violations"]

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "longshore"

PURE = (
    "abc.py",
    "config/checks.py",
    "config/connection_string.py",
    "config/databases.py",
    "config/document.py",
    "config/dotenv.py",
    "config/errors.py",
    "config/jsonc.py",
    "config/main_file.py",
    "config/merge.py",
    "config/model.py",
    "config/outbound.py",
    "config/positions.py",
    "config/report.py",
    "config/resolve.py",
    "config/secrets.py",
    "config/shape.py",
    "config/toml_positions.py",
    "config/validate.py",
    "config/wrangler_keys.py",
    "core",
    "credentials/errors.py",
    "credentials/kinds.py",
    "egress/answers.py",
    "egress/ask.py",
    "egress/dns_messages.py",
    "egress/dns_policy.py",
    "egress/judge.py",
    "egress/limits.py",
    "egress/names.py",
    "egress/sock_diag.py",
    "egress/token_bucket.py",
    "egress/trap_decision.py",
    "egress/trap_refusals.py",
    "errors.py",
    "policy",
    "pool/admin/access.py",
    "pool/admin/averages.py",
    "pool/admin/commands.py",
    "pool/admin/parser.py",
    "pool/admin/rules.py",
    "pool/admin/session.py",
    "pool/admin/show_connections.py",
    "pool/admin/show_pools.py",
    "pool/admin/show_process.py",
    "pool/admin/show_stats.py",
    "pool/admin/shows.py",
    "pool/admin/small_talk.py",
    "pool/admin/table.py",
    "pool/admin/values.py",
    "pool/binding/databases.py",
    "pool/cache/asking.py",
    "pool/cache/batch.py",
    "pool/cache/desk.py",
    "pool/cache/lane_pass.py",
    "pool/cache/memory.py",
    "pool/cache/model.py",
    "pool/cache/pool_cache.py",
    "pool/cache/question.py",
    "pool/cache/read_cache.py",
    "pool/cache/recording.py",
    "pool/cache/remote.py",
    "pool/cache/repeats.py",
    "pool/cache/replies.py",
    "pool/cache/report.py",
    "pool/cache/shapes.py",
    "pool/cache/store_address.py",
    "pool/cache/text.py",
    "pool/cache/versions.py",
    "pool/cache/write_notes.py",
    "pool/cache/writes.py",
    "pool/catalogue/analysis.py",
    "pool/catalogue/answer.py",
    "pool/catalogue/bodies.py",
    "pool/catalogue/builtins.py",
    "pool/catalogue/catalogue.py",
    "pool/catalogue/names.py",
    "pool/catalogue/paths.py",
    "pool/catalogue/plan.py",
    "pool/catalogue/queries.py",
    "pool/catalogue/rows.py",
    "pool/catalogue/writes.py",
    "pool/clients/known_starts.py",
    "pool/clients/limits.py",
    "pool/clients/method.py",
    "pool/clients/model.py",
    "pool/declared.py",
    "pool/failures.py",
    "pool/gate.py",
    "pool/inspection/model.py",
    "pool/inspection/usage.py",
    "pool/model.py",
    "pool/refusals.py",
    "pool/servers/holder.py",
    "pool/servers/login_failed.py",
    "pool/servers/target.py",
    "pool/servers/target_url.py",
    "pool/servers/writability.py",
    "pool/session/belongings.py",
    "pool/session/channels.py",
    "pool/session/clean_up.py",
    "pool/session/client_messages.py",
    "pool/session/core.py",
    "pool/session/engine.py",
    "pool/session/extended.py",
    "pool/session/fast_lane.py",
    "pool/session/listening.py",
    "pool/session/long_message.py",
    "pool/session/packing.py",
    "pool/session/prepared.py",
    "pool/session/probe.py",
    "pool/session/rename.py",
    "pool/session/retry.py",
    "pool/session/sequences.py",
    "pool/session/server_memory.py",
    "pool/session/server_messages.py",
    "pool/session/settings.py",
    "pool/session/shape.py",
    "pool/session/shared.py",
    "pool/session/start_settings.py",
    "pool/session/tags.py",
    "pool/session/trust.py",
    "pool/session/unit.py",
    "pool/session/wire.py",
    "pool/slots/model.py",
    "pool/slots/state.py",
    "pool/standalone/events.py",
    "pool/standalone/figures.py",
    "pool/standalone/from_url.py",
    "pool/standalone/listen.py",
    "pool/standalone/model.py",
    "pool/standalone/packed_secret.py",
    "pool/standalone/resolve.py",
    "pool/standalone/resolve_target.py",
    "pool/standalone/shape.py",
    "pool/standalone/users_file.py",
    "pool/statistics.py",
    "proto",
    "runtime/host/crons.py",
    "runtime/host/environment.py",
    "runtime/host/jail.py",
    "runtime/host/lifecycle.py",
    "runtime/host/lifecycle_model.py",
    "sandbox/bpf.py",
    "sandbox/layers.py",
    "sandbox/structs.py",
    "sandbox/syscalls.py",
    "sockets/_lifecycle.py",
    "sql",
)
"""Files and folders below the package; each must exist, so that a renamed one is not forgotten."""

FORBIDDEN = frozenset(
    {
        "_socket",
        "_ssl",
        "_thread",
        "asyncio",
        "concurrent",
        "importlib",
        "multiprocessing",
        "queue",
        "random",
        "secrets",
        "select",
        "selectors",
        "signal",
        "socket",
        "ssl",
        "subprocess",
        "threading",
        "time",
        "urllib",
        "uvloop",
    }
)
"""Top-level modules; ``os`` may be imported for its types, but not asked for the environment."""

FORBIDDEN_NAMES = frozenset({"os.environ", "os.getenv", "os.urandom"})


def is_type_checking(node: ast.AST) -> bool:
    """Return whether a node is ``if TYPE_CHECKING:``."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


def runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Walk everything that exists when the program runs."""
    for child in ast.iter_child_nodes(node):
        if isinstance(node, ast.If) and is_type_checking(node) and child not in node.orelse:
            continue
        yield child
        yield from runtime_nodes(child)


def names_used(node: ast.AST) -> list[str]:
    """Return the dotted names a node brings in or asks for."""
    match node:
        case ast.Import():
            return [alias.name for alias in node.names]
        case ast.ImportFrom():
            return [f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names]
        case ast.Attribute():
            return [ast.unparse(node)] if isinstance(node.value, ast.Name) and node.value.id == "os" else []
        case ast.Name(id="__import__"):
            return ["importlib"]
        case _:
            return []


def is_pure_name(name: str) -> bool:
    """Return whether a dotted name below ``longshore`` is in a PURE module or is one."""
    path = "/".join(name.split(".")[1:]) + "/"
    return any(path.startswith(entry.removesuffix(".py") + "/") for entry in PURE)


def judge(name: str) -> str | None:
    """Return why a PURE module may not use a name, or None when it may."""
    top, _, _ = name.partition(".")
    if name.startswith("."):
        return "is a relative import; write the whole name"
    if top in FORBIDDEN or name in FORBIDDEN_NAMES:
        return "does I/O, tells the time or throws dice; take its result as an argument"
    if top == "longshore" and not is_pure_name(name):
        return "is not PURE"
    return None


def violations(source: str, shown: str) -> list[str]:
    """Return one line for each forbidden name in a module's source."""
    return [
        f"{shown}:{getattr(node, 'lineno', 0)}: {name} {why}"
        for node in runtime_nodes(ast.parse(source, shown))
        for name in names_used(node)
        if (why := judge(name)) is not None
    ]


def check_package(package: Path) -> list[str]:
    """Return one line per violation in the PURE part of the package."""
    found = []
    for entry in PURE:
        path = package / entry
        if not path.exists():
            found.append(f"{path}: listed as PURE, but there is no such file; correct tools/check_pure.py")
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path] * path.exists():
            found += violations(file.read_text(encoding="utf-8"), str(file.relative_to(package.parent)))
    return found


def main() -> int:
    """Check the package; return the exit code."""
    found = check_package(PACKAGE)
    print("\n".join(found) if found else "PURE modules are pure")
    return 1 if found else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SyntaxError as error:
        sys.exit(f"{error.filename}:{error.lineno}: {error.msg}")
