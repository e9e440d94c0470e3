"""Draw docs/report.png, the README's picture of a report: its parts side by side, as Chromium shows them.

Run: python scripts/draw_report_picture.py runs/NAME/report.html     (needs Chromium and playwright)
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image

TARGET = Path(__file__).parents[1] / "docs" / "report.png"
WIDTH_PX = 760
# Each column: the heading at which a part begins, and the height of the part, pixels.
COLUMNS = (
    (("top", 540), ("ladder", 392), ("depth", 395)),
    (("confusion", 560), ("mistakes", 432), ("looks", 335)),
)
COLOURS = 128


def drawn(report: Path) -> Image.Image:
    """The parts of the report, pasted together."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH_PX, "height": 900}, color_scheme="light")
        page.goto(report.resolve().as_uri())
        whole = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
        script = "name => document.getElementById(name).getBoundingClientRect().top + window.scrollY"
        names = {name for column in COLUMNS for name, _ in column} - {"top"}
        tops = {"top": 0.0} | {name: float(page.evaluate(script, name)) - 14 for name in names}
        browser.close()
    columns = [stacked([cropped(whole, tops[name], height) for name, height in column]) for column in COLUMNS]
    picture = Image.new("RGB", (WIDTH_PX * len(columns), min(column.height for column in columns)), "white")
    for number, column in enumerate(columns):
        picture.paste(column, (number * WIDTH_PX, 0))
    return picture


def cropped(whole: Image.Image, top: float, height: int) -> Image.Image:
    """A part of a page."""
    return whole.crop((0, round(top), WIDTH_PX, round(top) + height))


def stacked(parts: list[Image.Image]) -> Image.Image:
    """Pictures one below the other."""
    column = Image.new("RGB", (WIDTH_PX, sum(part.height for part in parts)), "white")
    top = 0
    for part in parts:
        column.paste(part, (0, top))
        top += part.height
    return column


def main(report: Path) -> None:
    picture = drawn(report).quantize(COLOURS, dither=Image.Dither.NONE)
    picture.save(TARGET, optimize=True)
    print(f"wrote {TARGET}, {TARGET.stat().st_size / 1e3:,.0f} kB, {picture.width} x {picture.height} px")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
