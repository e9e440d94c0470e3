"""A page in headless Chromium, with everything that it said, asked for or tried to open."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import pytest

_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass
class Visit:
    """One page, and what happened on it."""

    page: Any
    dialogs: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def open(self, url: str) -> None:
        self.page.on("dialog", self._dismiss)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", self._listen)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)

    @property
    def outside(self) -> list[str]:
        """Requests for anything but the page itself and what is embedded in it."""
        return [url for url in self.requests[1:] if not url.startswith("data:")]

    def faults(self) -> list[str]:
        """What axe-core finds (WCAG and its best practice), or is wider than the window, on three screens."""
        axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
        self.page.evaluate(resources.files(axe).joinpath("axe.min.js").read_text(encoding="utf-8"))
        found = []
        for width, height, scheme in ((1280, 900, "dark"), (768, 1024, "light"), (390, 844, "light")):
            self.page.set_viewport_size({"width": width, "height": height})
            self.page.emulate_media(color_scheme=scheme)
            page = "document.documentElement"
            if self.page.evaluate(f"{page}.scrollWidth > {page}.clientWidth"):
                found.append(f"{width} px: the page is wider than its window")
            for violation in self.page.evaluate("axe.run()")["violations"]:
                where = "; ".join(node["html"][:120] for node in violation["nodes"][:3])
                found.append(f"{width} px, {scheme}: {violation['help']}: {where}")
        return found

    def _dismiss(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _listen(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


@contextmanager
def visiting(**options: Any) -> Iterator[Visit]:
    """A fresh page; skips where there is no Chromium or no Playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_FLAGS))
        try:
            yield Visit(browser.new_page(**options))
        finally:
            browser.close()
