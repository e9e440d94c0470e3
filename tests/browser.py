"""A page in headless Chromium, with everything that it said, asked for or tried to open."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

import pytest

_FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip

_VIOLATIONS = """(contrast) => axe.run({
  resultTypes: ["violations"], rules: { "color-contrast": { enabled: contrast } },
}).then((found) => found.violations.map((one) =>
  one.help + ": " + one.nodes.slice(0, 3).map((node) => node.html.slice(0, 120)).join("; ")))"""
"""What each broken rule says; the nodes that obey are not described, which would take long."""


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

    def faults(self, *, audited: Sequence[int] = (1280, 768, 390)) -> list[str]:
        """What axe-core finds (WCAG and its best practice), or is wider than the window, on three screens.

        Contrasts take nine tenths of its time. They depend on the colours, so they are measured once for each
        colour scheme: on the screens at the ends.

        Args:
            audited: the screens, by their widths in pixels, on which axe-core looks at the page.
        """
        axe = pytest.importorskip("axe_playwright_python", reason="axe-playwright-python is not installed")
        self.page.evaluate(resources.files(axe).joinpath("axe.min.js").read_text(encoding="utf-8"))
        found = []
        for width, height, scheme in ((1280, 900, "dark"), (768, 1024, "light"), (390, 844, "light")):
            self.page.set_viewport_size({"width": width, "height": height})
            self.page.emulate_media(color_scheme=scheme)
            page = "document.documentElement"
            if self.page.evaluate(f"{page}.scrollWidth > {page}.clientWidth"):
                found.append(f"{width} px: the page is wider than its window")
            violations = self.page.evaluate(_VIOLATIONS, width in ENDS) if width in audited else []
            found += [f"{width} px, {scheme}: {violation}" for violation in violations]
        return found

    def _dismiss(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _listen(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)


ENDS = (1280, 390)
"""The screens that audit variants of a page that another test audits on all three."""

Visiting = Callable[..., AbstractContextManager[Visit]]
"""Opens a page with the options of a browser's context; nothing is shared with the pages before it."""


@contextmanager
def started() -> Iterator[Visiting]:
    """One Chromium for many pages; skips where there is no Chromium or no Playwright."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("Chromium is not installed")

    @contextmanager
    def visiting(**options: Any) -> Iterator[Visit]:
        page = browser.new_page(**options)
        try:
            yield Visit(page)
        finally:
            page.close()

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(_FLAGS))
        try:
            yield visiting
        finally:
            browser.close()
