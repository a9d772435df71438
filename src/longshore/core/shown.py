"""How a value that somebody else supplied is quoted in an error message (PURE)."""

from __future__ import annotations

__all__ = ["SHOWN_CHARS", "shown"]

SHOWN_CHARS = 80
"""No message quotes more of a foreign value than this."""


def shown(value: object, limit: int = SHOWN_CHARS) -> str:
    """Return ``repr(value)``, cut to ``limit`` characters; never raises, whatever the value is.

    What stands before an ``@`` may be a password and is left out.
    """
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - any class may have a broken __repr__, and int's refuses 4,301 digits
        return f"<{type(value).__name__}>"
    text = _without_user_information(text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _without_user_information(text: str) -> str:
    """Return ``text`` with everything from its first quotation mark to its last ``@`` replaced by ``…``."""
    at = text.rfind("@")
    if at < 0:
        return text
    quote = min((index for index in (text.find("'"), text.find('"')) if 0 <= index < at), default=-1)
    return f"{text[: quote + 1]}…{text[at:]}"
