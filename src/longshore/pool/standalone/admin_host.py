"""What the admin database may ask of the process (shell)."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

from longshore.config.errors import ConfigError
from longshore.pool.admin.commands import ShutdownMode
from longshore.pool.admin.host import ReloadFailed
from longshore.pool.admin.show_process import ConfigItem
from longshore.pool.standalone.model import PoolSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.pool.standalone.process import PoolProcess

__all__ = ["ProcessAdminHost", "config_items"]

_FIXED = frozenset({"listen", "metrics", "log", "cache_store", "control"})
"""What only a new process takes."""


class ProcessAdminHost:
    """An ``AdminHost``.

    Args:
        process: of the admin database.
    """

    def __init__(self, process: PoolProcess) -> None:
        self._process = process

    @property
    def version(self) -> str:
        """Return the version of Longshore."""
        return version("longshore")

    def reload(self) -> None:
        """Read the configuration again.

        Raises:
            ReloadFailed: it cannot be used, or there is none.
        """
        settings = self._process.settings
        if settings.file is None and settings.users_file is None:
            raise ReloadFailed("this pool was started with a URL and has neither a configuration file nor a users file")
        try:
            self._process.reload()
        except ConfigError as exc:
            raise ReloadFailed("; ".join(map(str, exc.problems))) from exc

    def shutdown(self, mode: ShutdownMode) -> None:
        """Begin to end the process."""
        match mode:
            case ShutdownMode.WAIT_FOR_CLIENTS:
                self._process.stop_when_empty()
            case ShutdownMode.WAIT_FOR_SERVERS:
                self._process.stop()
            case ShutdownMode.NOW:
                self._process.stop_at_once()

    def config(self) -> Sequence[ConfigItem]:
        """Return the configuration in force, without secrets."""
        return config_items(self._process.settings)

    def users(self) -> Sequence[str]:
        """Return the names of those who may log in, as far as they are listed."""
        return sorted(self._process.settings.users or ())


def config_items(settings: PoolSettings) -> list[ConfigItem]:
    """Return what ``SHOW CONFIG`` shows."""
    now, defaults = _texts(settings), _texts(PoolSettings(databases=()))
    return [ConfigItem(key, value, defaults[key], key not in _FIXED) for key, value in now.items()]


def _texts(settings: PoolSettings) -> dict[str, str]:
    return {
        "config_file": str(settings.file or ""),
        "listen": ", ".join(map(str, settings.listen)),
        "users_file": str(settings.users_file or ""),
        "auth": settings.auth or "",
        "auth_database": settings.auth_query.database if settings.auth_query is not None else "",
        "auth_query": settings.auth_query.query if settings.auth_query is not None else "",
        "admin_users": ", ".join(sorted(settings.admin_users)),
        "stats_users": ", ".join(sorted(settings.stats_users)),
        "max_clients": str(settings.max_clients),
        "max_clients_per_database": str(settings.max_clients_per_database or ""),
        "max_clients_per_user": str(settings.max_clients_per_user or ""),
        "login_timeout_s": f"{settings.login_timeout_s:g}",
        "tls": settings.tls.mode if settings.tls is not None else "disable",
        "metrics": str(settings.metrics or ""),
        "log": "json" if settings.is_json else "text",
        "cache_store": str(settings.cache_store or ""),
        "control": str(settings.control or ""),
    }
