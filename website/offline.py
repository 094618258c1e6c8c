"""The built site, made fit to be read without a network: nothing that a page loads may lie elsewhere."""

import os
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

_SHIM = "https://unpkg.com/iframe-worker/shim"
"""What Zensical has a page load so that it can be searched where it is opened from a folder."""
_OWN_SHIM = Path(__file__).with_name("iframe-worker.js")

_LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
"""Elements that a browser loads something for, and the attribute that says what."""
_LOADED_LINKS = ("stylesheet", "icon", "preload", "preconnect", "modulepreload", "manifest")


def take_own_shim(site: Path) -> None:
    """Put the script that Zensical takes from the network into the site, and have all pages load it from there."""
    script = site / "assets" / _OWN_SHIM.name
    script.parent.mkdir(exist_ok=True)
    shutil.copyfile(_OWN_SHIM, script)
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace(_SHIM, os.path.relpath(script, page.parent)), encoding="utf-8")


def loaded_from_elsewhere(site: Path) -> list[str]:
    """Return what the site's pages would load over the network, each with its page."""
    return [
        f"{page.relative_to(site)}: {address}"
        for page in sorted(site.rglob("*.html"))
        for address in _loaded(page.read_text(encoding="utf-8"))
        if address.startswith(("http:", "https:", "//"))
    ]


def _loaded(text: str) -> Iterator[str]:
    parser = _Loads()
    parser.feed(text)
    yield from parser.addresses


class _Loads(HTMLParser):
    """Collects the addresses of what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the address of an element that is loaded."""
        given = dict(attrs)
        is_loaded = tag != "link" or any(kind in (given.get("rel") or "") for kind in _LOADED_LINKS)
        address = given.get(_LOADED.get(tag, ""))
        if address and is_loaded:
            self.addresses.append(address)
