"""The mail that SMTP clients send."""

from __future__ import annotations

__all__ = ["RECIPIENT", "SENDER", "TEXT"]

SENDER = "mate@ship.example"
RECIPIENT = "master@harbour.example"
TEXT = "Subject: ahoy\r\n\r\nAll hands on deck.\r\n"
