"""``AbortController`` and ``AbortSignal``: cancelling from outside the task (WHATWG DOM §3)."""

from __future__ import annotations

import asyncio
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["AbortController", "AbortSignal"]


class AbortSignal:
    """Tells, once, that somebody wants the work stopped."""

    __slots__ = ("__weakref__", "_aborted", "_callbacks", "_reason")

    def __init__(self) -> None:
        self._aborted = False
        self._reason: object = None
        self._callbacks: dict[object, Callable[[object], None]] = {}

    @property
    def aborted(self) -> bool:
        """True once it was aborted."""
        return self._aborted

    @property
    def reason(self) -> object:
        """What was given to ``abort()``."""
        return self._reason

    @classmethod
    def timeout(cls, timeout_s: float) -> AbortSignal:
        """Return a signal that aborts after ``timeout_s`` seconds, with a ``TimeoutError`` as its reason.

        Raises:
            RuntimeError: no event loop is running.
        """
        signal = cls()
        error = TimeoutError(f"aborted by a signal's timeout of {timeout_s} s")
        asyncio.get_running_loop().call_later(timeout_s, signal._abort, error)
        return signal

    @classmethod
    def any(cls, *signals: AbortSignal) -> AbortSignal:
        """Return a signal that aborts with the first of ``signals``."""
        combined = cls()
        reference = weakref.ref(combined)

        def relay(reason: object) -> None:
            target = reference()
            if target is not None:
                target._abort(reason)

        for signal in signals:
            key = object()
            signal.add_callback(key, relay)
            # A signal that lives as long as the program must not collect what was once combined with it.
            weakref.finalize(combined, signal.remove_callback, key)
        return combined

    def add_callback(self, key: object, callback: Callable[[object], None]) -> None:
        """Call ``callback(reason)`` on abort; at once when that has happened. ``key`` removes it again."""
        if self._aborted:
            callback(self._reason)
        else:
            self._callbacks[key] = callback

    def remove_callback(self, key: object) -> None:
        """Forget the callback that was added under ``key``, if there is one."""
        self._callbacks.pop(key, None)

    def _abort(self, reason: object) -> None:
        if self._aborted:
            return
        self._aborted, self._reason = True, reason
        while self._callbacks:  # one of them may remove another
            callback = self._callbacks.pop(next(iter(self._callbacks)))
            callback(reason)


class AbortController:
    """Owns an ``AbortSignal`` and may fire it."""

    __slots__ = ("_signal",)

    def __init__(self) -> None:
        self._signal = AbortSignal()

    @property
    def signal(self) -> AbortSignal:
        """The signal to hand to ``connect(..., signal=...)``."""
        return self._signal

    def abort(self, reason: object = None) -> None:
        """Fire the signal; only the first call counts."""
        self._signal._abort(reason)
