"""URLs: the spelling of what a program gives, and what a client asked for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longshore.workers._url import incoming_url, normalize_url
from tests.workers.asgi_client import http_scope


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ("https://test.com", "https://test.com/"),
        ("  https://test.com/a  ", "https://test.com/a"),
        ("HTTPS://Test.COM:443/A", "https://test.com/A"),
        ("http://test.com:80", "http://test.com/"),
        ("http://test.com:", "http://test.com/"),
        ("http://test.com:8080?x", "http://test.com:8080/?x"),
        ("http://test.com/?", "http://test.com/?"),
        ("http://test.com/#a?b", "http://test.com/#a?b"),
        ("http://test.com/a b/é?q=é d'#ü", "http://test.com/a%20b/%C3%A9?q=%C3%A9%20d%27#%C3%BC"),
        ("http://test.com/%2F%zz", "http://test.com/%2F%zz"),
        ('http://test.com/"<>`{}', "http://test.com/%22%3C%3E%60%7B%7D"),
        ("http://test.com/a/./b/../c", "http://test.com/a/c"),
        ("http://test.com/../../a", "http://test.com/a"),
        ("http://test.com/a/..", "http://test.com/"),
        ("http://test.com/a/b/.", "http://test.com/a/b/"),
        ("http://test.com/a/%2E%2e/b", "http://test.com/b"),
        ("http://test.com/.well-known/x", "http://test.com/.well-known/x"),
        ("http://test.com\\a\\b", "http://test.com/a/b"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("http://[2001:DB8::1]", "http://[2001:db8::1]/"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://a_b.example/", "http://a_b.example/"),
    ],
)
def test_normalized(given: str, written: str) -> None:
    assert normalize_url(given) == written
    assert normalize_url(written) == written


@pytest.mark.parametrize(
    "url",
    [
        "",
        "foo",
        "/path",
        "//host/path",
        "ftp://host/",
        "http:",
        "http://",
        "http:///path",
        "https://:443/",
        "http://host:99999/",
        "http://host:a/",
        "http://ho st/",
        "http://ho<st/",
        "http://[::1/",
        "http://[x]/",
        "http://host/a\r\nb",
        "http://host\t/",
        "http://host/\0",
        "http://user@host/",
        "http://user:hunter2@host/",
        f"http://{'ü' * 100}.example/",
    ],
)
def test_refused(url: str) -> None:
    with pytest.raises(TypeError, match="url") as caught:
        normalize_url(url)
    assert "hunter2" not in str(caught.value)


URL_PIECES = st.lists(
    st.sampled_from(["/", "\\", ".", "..", "%2e", "?", "#", ":", "@", "[", "]", "a", "é", " "]) | st.text()
)


@given(URL_PIECES)
def test_whatever_is_given_is_written_once_or_refused(pieces: list[str]) -> None:
    try:
        written = normalize_url("http://host" + "".join(pieces))
    except TypeError:
        return
    assert written.isascii()
    assert written.isprintable()
    assert " " not in written
    assert normalize_url(written) == written


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({}, "http://worker.example/"),
        ({"scheme": "https"}, "https://worker.example/"),
        ({"raw_path": b"/a%2Fb", "path": "/a/b"}, "http://worker.example/a%2Fb"),
        ({"raw_path": None, "path": "/é b"}, "http://worker.example/%C3%A9%20b"),
        ({"query_string": b"a=%20&b"}, "http://worker.example/?a=%20&b"),
        ({"raw_path": b"*", "path": "*"}, "http://worker.example/*"),
        ({"raw_path": b"//evil.example/a"}, "http://worker.example//evil.example/a"),
        ({"headers": [(b"host", b"localhost:8787")]}, "http://localhost:8787/"),
        ({"headers": []}, "http://127.0.0.1:8787/"),
        ({"headers": [(b"host", b"")]}, "http://127.0.0.1:8787/"),
        # What is no authority would say what the path is.
        ({"headers": [(b"host", b"evil.example/admin?")]}, "http://127.0.0.1:8787/"),
        ({"headers": [(b"host", b"evil.example#")]}, "http://127.0.0.1:8787/"),
        ({"headers": [(b"host", b"user@evil.example")]}, "http://127.0.0.1:8787/"),
        ({"headers": [(b"host", b"[::1]:8787")]}, "http://[::1]:8787/"),
        ({"headers": [], "server": ("::1", 80)}, "http://[::1]/"),
        ({"headers": [], "server": ("::1", 443), "scheme": "https"}, "https://[::1]/"),
        ({"headers": [], "server": ("/run/worker.sock", None)}, "http://localhost/"),
        ({"headers": [], "server": None}, "http://localhost/"),
    ],
)
def test_incoming(changes: dict[str, Any], url: str) -> None:
    assert incoming_url({**http_scope(), **changes}) == url
