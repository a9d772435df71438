"""What a ``Request`` says about how to send it: for ``fetch()``, and for code that looks (WHATWG Fetch *Request*)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from longshore.workers._body import BodyOwner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from longshore.aio.abort import AbortSignal

__all__ = ["RequestOptions", "checked_options"]

OPTION_NAMES = frozenset(
    {
        "redirect",
        "cf",
        "fetcher",
        "signal",
        "cache",
        "credentials",
        "integrity",
        "keepalive",
        "mode",
        "referrer",
        "referrer_policy",
    }
)
REDIRECT_MODES = ("follow", "error", "manual")


class RequestOptions(BodyOwner):
    """The properties that stand for options; each has the default of the specification."""

    __slots__ = ("_options",)

    _options: Mapping[str, Any]

    def _text_option(self, name: str, default: str) -> str:
        value = self._options.get(name)
        return default if value is None else cast("str", value)

    @property
    def cf(self) -> Any:
        """What was given as ``cf``; None for a request that arrived, for there is no Cloudflare to say more."""
        return self._options.get("cf")

    @property
    def signal(self) -> AbortSignal | None:
        """What was given as ``signal``."""
        return cast("AbortSignal | None", self._options.get("signal"))

    @property
    def redirect(self) -> str:
        """``"follow"``, ``"error"`` or ``"manual"``, which is that of a request that arrived."""
        return self._text_option("redirect", "follow")

    @property
    def cache(self) -> str:
        """What was given, or ``"default"``."""
        return self._text_option("cache", "default")

    @property
    def credentials(self) -> str:
        """What was given, or ``"same-origin"``."""
        return self._text_option("credentials", "same-origin")

    @property
    def destination(self) -> str:
        """Always ``""``: only browsers load documents and images."""
        return ""

    @property
    def integrity(self) -> str:
        """What was given, or ``""``."""
        return self._text_option("integrity", "")

    @property
    def is_history_navigation(self) -> bool:
        """Always False: only browsers have a history."""
        return False

    @property
    def keepalive(self) -> bool:
        """What was given, or False."""
        return bool(self._options.get("keepalive"))

    @property
    def mode(self) -> str:
        """What was given, or ``"cors"``."""
        return self._text_option("mode", "cors")

    @property
    def referrer(self) -> str:
        """What was given, or ``"about:client"``."""
        return self._text_option("referrer", "about:client")

    @property
    def referrer_policy(self) -> str:
        """What was given, or ``""``."""
        return self._text_option("referrer_policy", "")

    isHistoryNavigation = is_history_navigation  # noqa: N815 -- JavaScript's name
    referrerPolicy = referrer_policy  # noqa: N815 -- JavaScript's name


def checked_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of ``given`` that are set.

    Raises:
        TypeError: a name is unknown, or a value is not allowed.
    """
    unknown = given.keys() - OPTION_NAMES
    if unknown:
        names = ", ".join(sorted(OPTION_NAMES | {"method", "headers", "body"}))
        raise TypeError(f"Request() has no option {min(unknown)!r}; there are {names}")
    redirect = given.get("redirect")
    if redirect is not None and redirect not in REDIRECT_MODES:
        raise TypeError(f"redirect={redirect!r} must be one of 'follow', 'error', 'manual'")
    return {name: value for name, value in given.items() if value is not None}
