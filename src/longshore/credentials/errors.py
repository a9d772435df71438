"""What can be wrong with a credential (PURE)."""

from __future__ import annotations

__all__ = ["CredentialError"]


class CredentialError(Exception):
    """A credential, or the store, cannot be used. No message holds any part of a secret.

    Attributes:
        message: what is wrong, for the operator; a worker is told only that the credential cannot be used.
        hint: what to do about it; may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}: {self.hint}" if self.hint else self.message
