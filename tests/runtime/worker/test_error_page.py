"""The page of an error."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from tests.runtime.worker.driver import Call, call, make_app

if TYPE_CHECKING:
    from pathlib import Path

HTML = {"accept": "text/html"}
VOID = {"meta", "br"}


class Page(HTMLParser):
    """Checks that tags are closed in order, and collects what a browser would show and load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)


async def page(tmp_path: Path, source: str, path: str = "/", **headers: str) -> tuple[Page, Call]:
    app, _ = make_app(tmp_path, f"from longshore.workers import *\n{source}", is_dev=True)
    answer = await call(app, path, headers={**HTML, **headers})
    assert answer.status == 500
    return Page(answer.text), answer


async def test_page_shows_error_notes_causes_and_source(tmp_path: Path) -> None:
    source = """
def on_fetch(request):
    try:
        {}["key"]
    except KeyError as exc:
        error = ValueError("bad <value>")
        error.add_note("look & see")
        raise error from exc
"""
    shown, _ = await page(tmp_path, source, "/a/b?c=d")
    for words in ("GET /a/b?c=d", "ValueError", "bad <value>", "look & see", "which happened because of", "KeyError"):
        assert words in shown.text
    assert "        raise error from exc\n" in shown.text
    assert f"{tmp_path}/entry.py:9 in on_fetch" in shown.text
    marked = [attrs for tag, attrs in shown.tags if attrs.get("class") == "marked"]
    assert len(marked) == 2


async def test_frames_of_the_project_are_open_and_those_of_libraries_folded(tmp_path: Path) -> None:
    shown, _ = await page(tmp_path, "import json\ndef on_fetch(request):\n    json.loads('{')\n")
    frames = [attrs for tag, attrs in shown.tags if tag == "details" and attrs.get("class") == "frame"]
    assert ["open" in attrs for attrs in frames] == [False] * (len(frames) - 1) + [True]
    assert "frames in libraries" in shown.text


async def test_everything_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    source = f'''
class E(Exception): pass
E.__name__ = E.__qualname__ = "{evil}"
def on_fetch(request):
    "{evil}"
    error = E('"{evil}"')
    error.add_note("{evil}")
    raise error
'''
    shown, answer = await page(tmp_path, source, f"/{evil}?{evil}", **{"x-evil": evil})
    assert "<script" not in answer.text
    assert not any(tag == "script" for tag, _ in shown.tags)
    assert shown.text.count(evil) >= 6


async def test_nothing_is_loaded(tmp_path: Path) -> None:
    shown, answer = await page(tmp_path, "def on_fetch(request): raise ValueError('x')")
    assert not any({"src", "href", "onclick"} & set(attrs) for _, attrs in shown.tags)
    assert not any(tag in ("script", "link", "img", "iframe") for tag, _ in shown.tags)
    assert "url(" not in answer.text
    assert "@import" not in answer.text
    assert answer.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"
    assert "prefers-color-scheme: dark" in answer.text


async def test_credentials_of_the_request_are_hidden(tmp_path: Path) -> None:
    secrets = {"authorization": "Bearer hunter2", "cookie": "session=hunter2", "x-other": "shown"}
    shown, _ = await page(tmp_path, "def on_fetch(request): raise ValueError('x')", **secrets)
    assert "hunter2" not in shown.text
    assert "(hidden)" in shown.text
    assert "shown" in shown.text


async def test_error_without_frames(tmp_path: Path) -> None:
    shown, _ = await page(tmp_path, "def on_fetch(request): return None")
    assert "the fetch handler must return a Response" in shown.text


async def test_exception_that_cannot_be_shown(tmp_path: Path) -> None:
    source = "class E(Exception):\n  def __str__(self): raise RuntimeError\ndef on_fetch(request): raise E"
    shown, _ = await page(tmp_path, source)
    assert "its __str__ raised an exception" in shown.text


async def test_text_that_is_no_unicode(tmp_path: Path) -> None:
    shown, _ = await page(tmp_path, "def on_fetch(request): raise ValueError('\\ud800')")
    assert "ValueError" in shown.text


@pytest.mark.parametrize(("line", "shown"), [("x = <= 1", "x = <u>&lt;=</u> 1"), ("x =", "x =<u> </u>")])
async def test_a_syntax_error_is_underlined(line: str, shown: str, tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text(f"{line}\n", encoding="utf-8")
    _, answer = await page(tmp_path, f"def on_fetch(request):\n    compile({line!r}, {str(path)!r}, 'exec')\n")
    assert shown in answer.text
