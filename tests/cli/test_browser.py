"""What a person sees in a browser when a worker of ``longshore dev`` raises."""

from __future__ import annotations

import signal
import subprocess
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from tests.cli.launched import LIMIT_S, launched
from tests.system import program

if TYPE_CHECKING:
    from pathlib import Path

ENTRY = """\
from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        raise LookupError("<script>document.title = 'taken over'</script>")
"""

# No network but ours, and no account of the system's: as root a browser cannot have its own sandbox.
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Seen(HTMLParser):
    """What the browser made of the page: its title, its text, and which sections are open."""

    def __init__(self, dom: str) -> None:
        super().__init__()
        self.title = ""
        self.text = ""
        self.details: list[bool] = []
        self._tag = ""
        self.feed(dom)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tag = tag
        if tag == "details":
            self.details.append("open" in dict(attrs))

    def handle_data(self, data: str) -> None:
        self.title += data if self._tag == "title" else ""
        self.text += data if self._tag != "style" else ""


def seen(url: str, profile: Path) -> Seen:
    """Load a page in Chromium and return what it became."""
    command = [program("chromium"), *OPTIONS, f"--user-data-dir={profile}", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=2 * LIMIT_S)
    return Seen(done.stdout)


@pytest.mark.needs("chromium")
def test_the_page_of_an_error_in_a_real_browser(tmp_path: Path) -> None:
    (tmp_path / "entry.py").write_text(ENTRY)
    with launched("dev", "--port", "0", "entry.py", cwd=tmp_path) as running:
        url = running.wait_for(r"Ready on (\S+)")[1]
        page = seen(f"{url}/shop?id=3", tmp_path / "profile")
        running.process.send_signal(signal.SIGTERM)
        assert running.ended() == 0
    assert "LookupError" in page.title
    assert "<script>document.title" in page.text, "the message is shown as text"
    assert "GET /shop?id=3" in page.text
    assert "raise LookupError" in page.text, "the source is shown"
    assert page.details[0], "the frame of the project is open"
