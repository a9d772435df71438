"""What the store holds, and how it may be called (PURE)."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from longshore.core.shown import shown
from longshore.credentials.errors import CredentialError

__all__ = ["Kind", "check_name"]

# No first dot: those are the files that are being written. No slash: a name is one file.
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
# As in a configuration: it becomes `env.NAME`.
_SECRET_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


class Kind(Enum):
    """A kind of credential; its value is the name of the folder."""

    CA = "ca"
    CLIENT = "client"
    SECRET = "secret"  # noqa: S105 - a folder

    @property
    def noun(self) -> str:
        """For a message."""
        return {"ca": "CA bundle", "client": "client certificate", "secret": "secret"}[self.value]

    @property
    def how_to_add(self) -> str:
        """The command that adds one, up to its name."""
        return "longshore secret put" if self is Kind.SECRET else f"longshore cert add {self.value}"


def check_name(kind: Kind, name: str) -> None:
    """Refuse what is no name of a credential.

    Raises:
        CredentialError: it is none.
    """
    if kind is Kind.SECRET and not _SECRET_NAME.fullmatch(name):
        raise CredentialError(
            f"{shown(name)} is no name of a secret", "use letters, digits and '_', and no digit first"
        )
    if not _NAME.fullmatch(name):
        raise CredentialError(
            f"{shown(name)} is no name of a {kind.noun}", "use letters, digits, '_', '-' and '.', and no '.' first"
        )
