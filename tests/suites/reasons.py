"""Why a test differs through the pool, by a part of its name (data)."""

from __future__ import annotations

__all__ = ["REASONS"]

REASONS: dict[str, str] = {
    "test_backend_pid": (
        "the process id told at login is the pool's; `SELECT pg_backend_pid()` gives the server's own, because that is"
        " what stands in `pg_stat_activity` and `pg_locks`. Both cannot be true"
    ),
    "test_pool_min_size_restored_after_idle_connection_loss": (
        "it ends another session with `pg_terminate_backend` and the process id that was told at login, which is no"
        " process of the server"
    ),
    "test_max_parameters": (
        "the driver's own code took longer than the time limit of that run before it had sent anything; the test passes"
        " through the pool with more time"
    ),
    "test_executemany_server_failure_during_writes": (
        "a race that the test also loses directly: it wants an error of the server to arrive before 4 MB have been"
        " written to the socket"
    ),
}
