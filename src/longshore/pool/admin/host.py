"""What the process around the pools does for the admin database (contract)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from longshore.pool.admin.commands import AdminError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from longshore.pool.admin.commands import ShutdownMode
    from longshore.pool.admin.show_process import ConfigItem

__all__ = ["AdminHost", "BareHost", "ReloadFailed"]


class ReloadFailed(Exception):
    """The new configuration cannot be used; the message says why, and the old one stays in force."""


class AdminHost(Protocol):
    """The process around the pools."""

    @property
    def version(self) -> str:
        """Return the version of Longshore, like ``1.2.3``."""

    def reload(self) -> None:
        """Read the configuration again.

        Raises:
            ReloadFailed: it cannot be used.
        """

    def shutdown(self, mode: ShutdownMode) -> None:
        """Begin to end the process; returns at once."""

    def config(self) -> Sequence[ConfigItem]:
        """Return the configuration in force, without secrets."""

    def users(self) -> Sequence[str]:
        """Return the names of those who may log in, as far as they are listed."""


class BareHost:
    """A process that cannot be told anything: for an admin database beside pools that a host owns.

    Args:
        version: of Longshore.
    """

    def __init__(self, version: str) -> None:
        self.version = version

    def reload(self) -> None:
        """Refuse."""
        raise ReloadFailed("these pools have no configuration file of their own; reload the process that runs them")

    def shutdown(self, mode: ShutdownMode) -> None:
        """Refuse."""
        raise AdminError("0A000", "these pools belong to a process that is ended otherwise", "end it by a signal")

    def config(self) -> Sequence[ConfigItem]:
        """Return nothing."""
        return ()

    def users(self) -> Sequence[str]:
        """Return nothing."""
        return ()
