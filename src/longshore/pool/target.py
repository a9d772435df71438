"""Where the connections of a pool go (values)."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One database, and the account that logs in."""

    host: str
    """Name, IP literal, or an absolute path: the folder of a Unix socket."""
    port: int
    user: str
    password: str | None = field(default=None, repr=False)
    database: str

    @property
    def unix_path(self) -> str | None:
        """The path of the Unix socket; None for TCP."""
        return f"{self.host}/.s.PGSQL.{self.port}" if self.host.startswith("/") else None
