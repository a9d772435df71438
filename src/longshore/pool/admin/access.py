"""Who may do what in the admin database (PURE)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from longshore.pool.admin.commands import AdminError, Constant, Harmless, Show, Transaction
from longshore.proto.postgres.errors import error_response

if TYPE_CHECKING:
    from longshore.pool.admin.commands import Command
    from longshore.proto.postgres.backend_messages import ErrorResponse

__all__ = ["ADMIN_DATABASES", "Access", "Rights", "admin_refused", "check"]

ADMIN_DATABASES: Final = frozenset({"longshore", "pgbouncer"})
"""The second name is what exporters and habits ask for."""

_LOOKING: Final = (Show, Constant, Harmless, Transaction)


class Rights(Enum):
    """What a user may do."""

    ALL = "all"
    SHOW = "show"


@dataclass(frozen=True, slots=True)
class Access:
    """Who is who."""

    admin_users: frozenset[str] = field(default_factory=frozenset)
    stats_users: frozenset[str] = field(default_factory=frozenset)

    def rights(self, user: str) -> Rights | None:
        """Return what a user may do; None: nothing."""
        if user in self.admin_users:
            return Rights.ALL
        return Rights.SHOW if user in self.stats_users else None


def check(rights: Rights, command: Command) -> None:
    """Let only an admin do what changes something: whatever is not known to be looking is not.

    Raises:
        AdminError: that is not allowed.
    """
    if rights is not Rights.ALL and not isinstance(command, _LOOKING):
        raise AdminError(
            "42501", "only an admin user may do that", "log in as one of admin_users; stats_users may only SHOW"
        )


def admin_refused(user: str) -> ErrorResponse:
    """Return what to say to a user who may not even look."""
    return error_response(
        "FATAL",
        "42501",
        f'user "{user}" may not use the admin database',
        hint="name the user in admin_users or stats_users of the pool's configuration",
    )
