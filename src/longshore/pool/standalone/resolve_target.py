"""Where a database of ``pool.toml`` is, and who logs in (PURE)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from longshore.core.addresses import SocketAddress
from longshore.pool.servers.target import Target, TlsMode, UpstreamTls
from longshore.pool.servers.target_url import PORT, parse_target_url

if TYPE_CHECKING:
    from longshore.config.positions import KeyPath
    from longshore.pool.servers.target_url import TargetUrl
    from longshore.pool.standalone.resolve import Fetch
    from longshore.pool.standalone.shape import DatabaseShape, UpstreamTlsShape

__all__ = ["resolve_target", "target_of_url"]

_PLACE = ("host", "port", "more_hosts", "database", "target_session", "user")


def resolve_target(name: str, shape: DatabaseShape, fetch: Fetch, path: KeyPath) -> Target | None:
    """Return the target of a database; None when something is wrong with it."""
    if shape.url is not None:
        return _of_url(shape, shape.url, fetch, path)
    if shape.host is None:
        fetch.report.problem(path, "has neither url nor host", "write url = 'postgres://user:password@host/database'")
        return None
    if shape.password is not None or shape.password_secret is not None:
        _need_user(shape, fetch, path)
    return Target(
        host=shape.host,
        port=shape.port or PORT,
        more_hosts=tuple(_pair(each) for each in shape.more_hosts),
        user=shape.user or "",
        password=_password(shape, fetch, path, None),
        database=shape.database or ("" if name == "*" else name),
        is_primary_wanted=shape.target_session == "read-write",
        tls=_tls(shape.tls, fetch, (*path, "tls")),
        connect_timeout_s=shape.connect_timeout_s or 15.0,
        application_name=shape.application_name or "longshore",
    )


def target_of_url(url: TargetUrl, fetch: Fetch, path: KeyPath, *, password: str | None = None) -> Target:
    """Return the target of a URL."""
    return Target(
        host=url.host,
        port=url.port,
        more_hosts=url.more_hosts,
        user=url.user,
        password=password if password is not None else url.password or None,
        database=url.database,
        is_primary_wanted=url.is_primary_wanted,
        tls=_tls_of_url(url, fetch, path),
        connect_timeout_s=float(url.parameters.get("connect_timeout", "15")),
        application_name=url.parameters.get("application_name", "longshore"),
        options=url.parameters.get("options", ""),
    )


def _of_url(shape: DatabaseShape, text: str, fetch: Fetch, path: KeyPath) -> Target:
    for key in _PLACE:
        if getattr(shape, key):
            fetch.report.problem((*path, key), "stands beside 'url', which says the same", "keep one of them")
    url = parse_target_url(text)
    password = _password(shape, fetch, path, url.password or None)
    target = target_of_url(url, fetch, (*path, "url"), password=password)
    if shape.application_name is not None:
        target = replace(target, application_name=shape.application_name)
    if shape.tls is None:
        return target
    if any(each.startswith("ssl") for each in url.parameters):
        fetch.report.problem((*path, "tls"), "stands beside ssl… in 'url'", "keep one of them")
    return _replaced(target, _tls(shape.tls, fetch, (*path, "tls")), shape.connect_timeout_s)


def _replaced(target: Target, tls: UpstreamTls, connect_timeout_s: float | None) -> Target:
    return replace(target, tls=tls, connect_timeout_s=connect_timeout_s or target.connect_timeout_s)


def _need_user(shape: DatabaseShape, fetch: Fetch, path: KeyPath) -> None:
    if shape.user is None:
        fetch.report.problem(path, "has a password and no user", "add user, or drop the password")


def _password(shape: DatabaseShape, fetch: Fetch, path: KeyPath, of_url: str | None) -> str | None:
    name = shape.password_secret
    if sum(each is not None for each in (shape.password, name, of_url)) > 1:
        fetch.report.problem(path, "has more than one password", "keep one of url, password and password_secret")
    if name is not None:
        return fetch((*path, "password_secret"), lambda: fetch.material.secret(name))
    return shape.password or of_url


def _pair(text: str) -> tuple[str, int]:
    address = SocketAddress.parse(text)
    return address.hostname, address.port


def _tls(shape: UpstreamTlsShape | None, fetch: Fetch, path: KeyPath) -> UpstreamTls:
    if shape is None:
        return UpstreamTls()
    identity = fetch.identity(path, shape.certificate, shape.certificate_file, shape.key_file)
    mode = TlsMode(shape.mode) if shape.mode is not None else TlsMode.PREFER
    if shape.is_direct and mode in (TlsMode.DISABLE, TlsMode.PREFER):
        fetch.report.problem((*path, "is_direct"), f"needs mode = 'require' or more, not {mode.value!r}")
    return UpstreamTls(
        mode=mode,
        is_direct=shape.is_direct,
        ca=fetch.pem(path, shape.ca, shape.ca_file, "ca"),
        certificate=identity[0] if identity else None,
        key=identity[1] if identity else None,
    )


def _tls_of_url(url: TargetUrl, fetch: Fetch, path: KeyPath) -> UpstreamTls:
    parameters, material = url.parameters, fetch.material
    root, certificate = parameters.get("sslrootcert"), parameters.get("sslcert")
    key = parameters.get("sslkey", certificate)
    is_direct = parameters.get("sslnegotiation") == "direct"
    default = TlsMode.REQUIRE if is_direct else TlsMode.PREFER
    return UpstreamTls(
        mode=TlsMode(parameters.get("sslmode", default.value)),
        is_direct=is_direct,
        ca=None if root in (None, "system") else fetch(path, lambda: material.read(str(root))),
        certificate=None if certificate is None else fetch(path, lambda: material.read(certificate)),
        key=None if certificate is None or key is None else fetch(path, lambda: material.read(key)),
    )
