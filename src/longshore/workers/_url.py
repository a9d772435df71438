"""URLs as strings: what a program gave, written as browsers write it; what a client asked for, put together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["incoming_url", "normalize_url", "redirect_location"]

DEFAULT_PORTS = {"http": 80, "https": 443}

# WHATWG URL §1.3; `%` stays, so what is encoded stays as it is.
_PATH_UNSAFE = re.compile(r"[^!$%&'()*+,\-./0-9:;=@A-Z\[\\\]^_a-z|~]")
_QUERY_UNSAFE = re.compile(r"[^!$%&()*+,\-./0-9:;=?@A-Z\[\\\]^_`a-z{|}~]")
# RFC 3986 §2: what no URL may hold; everything else is left as the worker wrote it.
_LOCATION_UNSAFE = re.compile(r"[^!#$%&'()*+,\-./0-9:;=?@A-Z\[\]_a-z~]")
_BEFORE_QUERY = re.compile(r"[^?#]*")
_find_control = re.compile("[\x00-\x1f\x7f]").search
# RFC 3986 §3.2.2 and §3.2.3: what a `Host` may hold. With a slash or a `?` in it, it would say what the path is.
_is_authority = re.compile(rb"[!$%&'()*+,\-.0-9:;=A-Z\[\]_a-z~]+").fullmatch
_is_host = re.compile(r"\[[0-9A-Fa-f:.]+\]|[^\x00-\x20#%/:<>?@\[\\\]^|\x7f]+").fullmatch


def normalize_url(url: str) -> str:
    """Return an absolute http(s) URL the way WHATWG URL writes it.

    Raises:
        TypeError: it is not absolute, not http(s), has a user or a bad port, or holds control characters.
    """
    if control := _find_control(url):
        raise TypeError(f"url {url!r} holds the control character {control[0]!r}")
    try:
        # WHATWG URL §4.4: up to the query a backslash is a slash.
        parts = urlsplit(_BEFORE_QUERY.sub(lambda found: found[0].replace("\\", "/"), url.strip(), count=1))
        port = parts.port
    except ValueError as exc:
        raise TypeError(f"url {url!r} is not valid: {exc}") from exc
    if parts.scheme not in DEFAULT_PORTS or not parts.netloc:
        raise TypeError(f"url {url!r} must begin with 'http://' or 'https://' and a host")
    if parts.username is not None or parts.password is not None:
        raise TypeError(f"url of host {parts.hostname!r} holds a user or a password: send an Authorization header")
    host = _host(url, parts.netloc)
    if port is not None and port != DEFAULT_PORTS[parts.scheme]:
        host += f":{port}"
    path = _percent_encode(_without_dots(parts.path), _PATH_UNSAFE) or "/"
    query = f"?{_percent_encode(parts.query, _QUERY_UNSAFE)}" if "?" in url.partition("#")[0] else ""
    fragment = f"#{_percent_encode(parts.fragment, _QUERY_UNSAFE)}" if "#" in url else ""
    return f"{parts.scheme}://{host}{path}{query}{fragment}"


def _host(url: str, netloc: str) -> str:
    host = re.sub(r":\d*$", "", netloc).lower()
    if not host.isascii():
        try:
            host = host.encode("idna").decode()
        except UnicodeError as exc:
            raise TypeError(f"url {url!r} has a host that is no domain name: {exc}") from exc
    if not _is_host(host):
        raise TypeError(f"url {url!r} has the host {host!r}, which is neither a domain name nor an IP address")
    return host


def _without_dots(path: str) -> str:
    """WHATWG URL §4.4, path state: ``.`` and ``..`` are resolved, percent-encoded ones too."""
    if "/." not in path and "%2" not in path:
        return path
    done: list[str] = []
    segments = path.split("/")[1:]
    for position, segment in enumerate(segments):
        plain = segment.lower().replace("%2e", ".")
        is_last = position == len(segments) - 1
        if plain == "..":
            del done[-1:]
        elif plain != ".":
            done.append(segment)
            continue
        if is_last:
            done.append("")
    return "/" + "/".join(done)


def _percent_encode(text: str, unsafe: re.Pattern[str]) -> str:
    return unsafe.sub(lambda found: quote(found[0], safe="", errors="replace"), text)


def redirect_location(url: object) -> str:
    """Return what a ``Location`` header says for ``url``, which may be relative.

    Raises:
        TypeError: it is empty, no str, or holds control characters.
    """
    if not isinstance(url, str) or not url.strip():
        raise TypeError(f"url={url!r} of a redirect must be a str that is not empty")
    if url.lower().startswith(("http:", "https:")):
        return normalize_url(url)
    if _find_control(url):
        raise TypeError(f"url={url!r} of a redirect holds control characters")
    return _percent_encode(url.strip(), _LOCATION_UNSAFE)


def incoming_url(scope: Mapping[str, Any]) -> str:
    """Return the URL that a client asked for."""
    raw_path: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    slash = "" if raw_path.startswith(b"/") else "/"
    url = f"{scope.get('scheme', 'http')}://{_authority(scope)}{slash}{raw_path.decode('latin-1')}"
    query: bytes = scope.get("query_string", b"")
    return f"{url}?{query.decode('latin-1')}" if query else url


def _authority(scope: Mapping[str, Any]) -> str:
    for name, value in scope["headers"]:
        if name == b"host" and _is_authority(value):
            host: bytes = value
            return host.decode("latin-1")
    server = scope.get("server")
    if not server or server[1] is None:
        return "localhost"
    host_text = f"[{server[0]}]" if ":" in server[0] else server[0]
    return host_text if server[1] == DEFAULT_PORTS.get(scope.get("scheme", "http")) else f"{host_text}:{server[1]}"
