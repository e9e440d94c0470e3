from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regraft.detection.detectors.run_tables import BoxRow, DetectionRow, PictureRow
from regraft.errors import SettingsError
from regraft.progress import Silent
from regraft.records import Estimate
from regraft.reports import detection_report as module
from regraft.reports.detection_report import detection_report
from regraft.reports.run_charts import ladder_chart
from regraft.runs.records import LadderRecord, RungRow
from regraft.storage.files import sha256_of_file
from tests.browser import ENDS, Visiting
from tests.networks.sample import in_turn
from tests.reports.detector_runs import (
    LABELS,
    DetectorRunFolder,
    counted_by_hand,
    drawn_set,
    noisy,
    suspects_of,
)

SECTIONS = (
    "ladder", "curves", "thresholds", "confusion", "lost", "sizes", "counts", "pictures", "suspects",
    "classes", "data", "made",
)  # fmt: skip
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}",
    "\u202egnp.exe",
    "=cmd()",
)


def made(root: Path, count: int = 12) -> DetectorRunFolder:
    pictures, boxes = drawn_set(root / "data", count)
    found = noisy(pictures, boxes, LABELS)
    run = DetectorRunFolder(root / "data", pictures, boxes, found, suspects=suspects_of(boxes, found))
    run.findings = [("duplicate", "two pictures are the same", f"{pictures[0].path} | {pictures[1].path}")]
    return run


def reported(run: DetectorRunFolder, folder: Path) -> str:
    return detection_report(run.write(folder), reporter=Silent()).read_text(encoding="utf-8")


def words(html: str) -> str:
    """The text of a page without its tags."""
    body = html[html.index("<main") : html.index("</main>")]
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]*>", " ", body)))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("detector")
    return detection_report(made(root).write(root / "run"), reporter=Silent())


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("by_hand")
    return words(reported(counted_by_hand(root), root / "run"))


def test_the_answer_is_the_one_by_hand(by_hand: str) -> None:
    """Cells: precision 1 at 34 of 101 recalls, then 2/5 at 33, below the threshold; crystals: 1 at 51."""
    both = 100 * (34 + 33 * 2 / 5 + 51) / 101 / 2
    assert f"mean average precision (mAP50) of {both:.1f} %" in by_hand
    assert "on 2 test pictures with 5 objects" in by_hand
    assert "40 of 100 objects are found" in by_hand
    assert "33 of 100 boxes shown are right" in by_hand


@pytest.mark.parametrize(
    "row",
    [
        "wrong class 1 the box is right",
        "duplicate 1 one more box",
        "missed 1 an object without a box",
        "all wrong boxes 4",
        "all objects not found 3",
    ],
)
def test_losses_are_counted_as_by_hand(by_hand: str, row: str) -> None:
    kind, count, *rest = re.fullmatch(r"(\D+) (\d+) ?(.*)", row).groups()  # type: ignore[union-attr]
    assert re.search(rf"{kind} [\d.]+ {count} {rest[0]}", by_hand)


def test_counts_and_confusion_are_those_by_hand(by_hand: str) -> None:
    assert "wrong by 0.5" in by_hand
    assert "6 boxes are shown for 5 objects" in by_hand
    assert "cell 1 1 2 crystal 0 1 1 missed 2 0" in by_hand


def test_every_part_is_there(page: Path) -> None:
    text = page.read_text()
    assert [name for name in SECTIONS if f'id="{name}"' not in text] == []
    links = re.findall(r'<a href="#([\w-]+)"', text)
    assert [name for name in links if f'id="{name}"' not in text] == []
    assert "validation mAP50, %" in text
    assert len(text) < 5e6


def test_true_boxes_are_solid_and_found_ones_dashed() -> None:
    style = (Path(module.__file__).parent / "templates" / "style.css").read_text()
    rules = dict(re.findall(r"\.boxes \.(\w+) \{([^}]*)\}", style))
    assert {name for name, rule in rules.items() if "stroke-dasharray" in rule} == {"right", "wrong"}
    assert {"there", "lost"} < set(rules)


def test_pictures_are_drawn_with_their_boxes(page: Path) -> None:
    text = page.read_text()
    pictures = re.findall(r'<svg class="boxes" viewBox="0 0 \d+ \d+" role="img" aria-label="([^"]+)"', text)
    assert len(pictures) == 8  # all test pictures
    assert all(re.search(r"cell_\d+\.png: \d+ right, \d+ wrong, \d+ not found", one) for one in pictures)
    assert text.count("<image href=") == 8 + 12  # and the crops


def test_suspects_have_their_coordinates(page: Path) -> None:
    run = made(page.parent.parent / "again")
    text = words(page.read_text())
    for one in run.suspects:
        edges = ", ".join(f"{edge:.0f}" for edge in one.corners)
        assert f"{one.path} {one.side} · {edges}" in text


@pytest.mark.browser
def test_filters_show_only_what_is_chosen(page: Path, visiting: Visiting) -> None:
    with visiting() as visit:
        visit.open(page.as_uri())
        assert visit.page.locator(".cases > li:visible").count() == 8
        visit.page.locator("#kind-filter").focus()
        visit.page.keyboard.type("missed")  # by keyboard alone
        shown = visit.page.locator(".cases > li:visible")
        assert visit.page.inner_text("#how-many") == f"{shown.count()} of 8 pictures"
        assert 0 < shown.count() < 8
        assert (
            visit.page.locator(".cases svg g[data-kind]:visible").count()
            == shown.locator('g[data-kind="5"]').count()
        )
        visit.page.select_option("#kind-filter", "")
        assert visit.page.locator(".cases > li:visible").count() == 8


@pytest.mark.browser
def test_a_class_hides_the_boxes_of_others(page: Path, visiting: Visiting) -> None:
    with visiting() as visit:
        visit.open(page.as_uri())
        visit.page.select_option("#class-filter", label="crystal")
        classes = visit.page.eval_on_selector_all(
            ".cases g[data-classes]:not([hidden])", "all => all.map(one => one.dataset.classes)"
        )
        assert classes
        assert all("1" in one.split() for one in classes)


@pytest.mark.browser
def test_it_is_readable_without_a_script(page: Path, visiting: Visiting) -> None:
    with visiting(java_script_enabled=False) as visit:
        visit.open(page.as_uri())
        assert visit.page.locator(".cases > li:visible").count() == 8
        assert not visit.page.locator(".filters").is_visible()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_without_a_request_or_a_complaint(page: Path, scheme: str, visiting: Visiting) -> None:
    with visiting(color_scheme=scheme) as visit:
        visit.open(page.as_uri())
        assert (visit.dialogs, visit.outside, visit.complaints) == ([], [], [])


@pytest.mark.browser
def test_everyone_can_read_it_on_any_screen(page: Path, visiting: Visiting) -> None:
    with visiting() as visit:
        visit.open(page.as_uri())
        assert visit.faults() == []


def hostile_run(root: Path) -> DetectorRunFolder:
    """Classes, files, settings and findings whose names try to run something."""
    run = made(root)
    names = dict(zip(LABELS, HOSTILE, strict=False))
    files = {}
    for number, row in enumerate(run.pictures):
        files[row.path] = f"{HOSTILE[number % len(HOSTILE)]}{number}.png".replace("/", "")
    for old, new in files.items():
        (root / "data" / old).rename(root / "data" / new)
    run.pictures = [replace(row, path=files[row.path]) for row in run.pictures]
    run.boxes = [replace(row, path=files[row.path], label=names[row.label]) for row in run.boxes]
    run.found = [replace(row, path=files[row.path], label=names[row.label]) for row in run.found]
    run.suspects = suspects_of(run.boxes, run.found)
    run.findings = [(HOSTILE[0], HOSTILE[1], files[next(iter(files))])]
    run.labels = tuple(names.values())
    return run


@pytest.mark.browser
def test_hostile_names_stay_text(tmp_path: Path, visiting: Visiting) -> None:
    folder = hostile_run(tmp_path).write(tmp_path / "run")
    page = detection_report(folder, reporter=Silent())
    with visiting() as visit:
        visit.open(page.as_uri())
        visit.page.select_option("#class-filter", "1")
        text = visit.page.inner_text("body")
        assert (visit.dialogs, visit.outside, visit.complaints) == ([], [], [])
        assert visit.faults(audited=ENDS) == []
    assert "<script>alert(1)</script>" in text
    assert "{{7*7}}" in text
    assert page.read_text().count("<script>") == 1
    assert "\u202e" not in page.read_text()


EMPTY: dict[str, Callable[[DetectorRunFolder], None]] = {
    "nothing is found": lambda run: setattr(run, "found", []),
    "a class is never found": lambda run: setattr(
        run, "found", [row for row in run.found if row.label != "crystal"]
    ),
    "no object in the pictures": lambda run: setattr(
        run, "boxes", [row for row in run.boxes if row.side != "test"]
    ),
    "no boxes at all": lambda run: run.__dict__.update(boxes=[], found=[]),
    "no test side": lambda run: _move(run, "validation"),
    "no pictures but those that train": lambda run: _move(run, "train"),
    "nothing is suspicious": lambda run: setattr(run, "suspects", []),
    "only crowds": lambda run: setattr(run, "boxes", [replace(row, is_crowd=True) for row in run.boxes]),
    "only difficult objects": lambda run: setattr(
        run, "boxes", [replace(row, is_difficult=True) for row in run.boxes]
    ),
    "one class": lambda run: _only(run, "cell"),
    "one picture": lambda run: _alone(run),
}


def _move(run: DetectorRunFolder, side: str) -> None:
    for name in ("pictures", "boxes", "found"):
        rows = getattr(run, name)
        setattr(run, name, [replace(row, side=side if row.side == "test" else "train") for row in rows])


def _only(run: DetectorRunFolder, label: str) -> None:
    run.labels = (label,)
    for name in ("boxes", "found", "suspects"):
        setattr(run, name, [row for row in getattr(run, name) if row.label == label])


def _alone(run: DetectorRunFolder) -> None:
    path = run.pictures[0].path
    for name in ("pictures", "boxes", "found", "suspects"):
        setattr(run, name, [row for row in getattr(run, name) if row.path == path])


@pytest.mark.parametrize("case", EMPTY)
def test_every_empty_case_gives_a_whole_page(case: str, tmp_path: Path) -> None:
    run = made(tmp_path)
    EMPTY[case](run)
    text = reported(run, tmp_path / "run")
    assert [name for name in SECTIONS if f'id="{name}"' not in text] == []
    assert "nan" not in re.sub(r"base64,[\w+/=]*", "", text).lower()
    assert "None" not in words(text)


@pytest.mark.browser
@pytest.mark.parametrize("case", in_turn(["nothing is found", "no boxes at all"], 1))
def test_empty_pages_are_readable_too(case: str, tmp_path: Path, visiting: Visiting) -> None:
    run = made(tmp_path, 4)
    EMPTY[case](run)
    with visiting() as visit:
        visit.open(detection_report(run.write(tmp_path / "run"), reporter=Silent()).as_uri())
        assert visit.faults(audited=ENDS) == []


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("nothing is found", "0 boxes are shown at the thresholds"),
        ("nothing is found", "It finds nothing of cell and crystal"),
        ("a class is never found", "never found"),
        ("no object in the pictures", "so nothing can be said about what is found"),
        ("no test side", "There were no test pictures"),
        ("one picture", "one picture gives no intervals"),
        ("nothing is suspicious", "There are none."),
    ],
)
def test_what_is_missing_is_said(case: str, said: str, tmp_path: Path) -> None:
    run = made(tmp_path)
    EMPTY[case](run)
    assert said in words(reported(run, tmp_path / "run"))


def many(root: Path, pictures: int, classes: int) -> DetectorRunFolder:
    """A run whose pictures are not there."""
    generator = np.random.default_rng(0)
    labels = tuple(f"class {number:03d}" for number in range(classes))
    rows = [PictureRow(f"p{n:05d}.jpg", "test", 640, 480, f"{n:064x}") for n in range(pictures)]
    boxes = []
    for number, row in enumerate(rows):
        low = generator.uniform(0, 400, (4, 2))
        high = low + generator.uniform(10, 80, (4, 2))
        kinds = [labels[(number + 7 * n) % classes] for n in range(4)]
        boxes += [
            BoxRow(row.path, "test", kind, *map(float, (*low[n], *high[n]))) for n, kind in enumerate(kinds)
        ]
    return DetectorRunFolder(root, rows, boxes, noisy(rows, boxes, labels, false=1), labels, draws=20)


def test_many_classes_are_listed_weakest_first(tmp_path: Path) -> None:
    text = reported(many(tmp_path, 110, 110), tmp_path / "run")
    assert len(text) < 3e6
    assert "110 classes are too many for a matrix" in words(text)
    assert "These are the 60 classes with the lowest average precision" in words(text)


def noise(root: Path, count: int) -> DetectorRunFolder:
    """Pictures of noise, the largest that JPEG makes of pictures."""
    generator = np.random.default_rng(0)
    root.mkdir()
    rows = []
    for number in range(count):
        pixels = generator.integers(0, 256, (420, 560, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"{number}.jpg", quality=90)
        sha256 = sha256_of_file(root / f"{number}.jpg")
        rows.append(PictureRow(f"{number}.jpg", "test", 560, 420, sha256))
    boxes = [
        BoxRow(row.path, "test", "cell", float(x), float(y), float(x) + 20, float(y) + 20)
        for row in rows
        for x in range(0, 500, 40)
        for y in range(0, 400, 40)
    ]
    return DetectorRunFolder(root, rows, boxes, noisy(rows, boxes, LABELS), draws=20)


def test_a_picture_that_changed_since_the_run_is_not_shown(tmp_path: Path) -> None:
    run = made(tmp_path)
    folder = run.write(tmp_path / "run")
    before = detection_report(folder, reporter=Silent()).read_text().count("<image href=")
    tested = [row for row in run.pictures if row.side == "test"]
    for row in tested:
        Image.new("RGB", (row.width, row.height), "black").save(run.root / row.path)
    text = detection_report(folder, reporter=Silent()).read_text()
    assert before > 0
    assert text.count("<image href=") == 0
    assert f"{len(tested)} of the " in words(text)
    assert "files that were changed since the run are not shown" in words(text)


@pytest.mark.slow
def test_a_page_stays_small_whatever_the_pictures_are(tmp_path: Path) -> None:
    text = reported(noise(tmp_path / "data", 32), tmp_path / "run")
    assert len(text.encode()) < 5e6
    assert text.count("<image href=") >= 12


@pytest.mark.parametrize("limit", [400_000, 250_000])
def test_pictures_become_smaller_and_fewer_until_the_page_fits(
    limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", limit)
    assert len(reported(noise(tmp_path / "data", 8), tmp_path / "run").encode()) <= limit


def test_a_run_whose_pictures_are_gone_is_still_reported(tmp_path: Path) -> None:
    run = made(tmp_path)
    run.root.rename(tmp_path / "elsewhere")
    folder = run.write(tmp_path / "run")
    text = detection_report(folder, reporter=Silent()).read_text()
    assert "data:image" not in text
    assert "can't be read below" in words(text)
    moved = detection_report(folder, reporter=Silent(), data=tmp_path / "elsewhere").read_text()
    assert "data:image" in moved


def test_only_the_side_of_the_scores_is_reported(tmp_path: Path) -> None:
    run = made(tmp_path)
    train = [row for row in run.boxes if row.side == "train"]
    run.found += [DetectionRow(row.path, row.side, row.label, 0.99, *row.corners) for row in train]
    text = words(reported(run, tmp_path / "run"))
    assert f"{sum(row.side == 'test' for row in run.boxes)} objects" in text


@pytest.mark.parametrize("name", ["boxes", "pictures", "detections", "thresholds", "scores"])
@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "damaged"])
def test_a_missing_or_damaged_file_is_named(name: str, content: bytes | None, tmp_path: Path) -> None:
    folder = made(tmp_path).write(tmp_path / "run")
    (file,) = folder.glob(f"{name}.csv") if name != "scores" else [folder / "scores.json"]
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=re.escape(file.name)):
        detection_report(folder, reporter=Silent())


def test_objects_of_a_class_that_was_not_trained_are_left_out(tmp_path: Path) -> None:
    run = made(tmp_path)
    folder = run.write(tmp_path / "run")
    known = sum(row.side == "test" for row in run.boxes)
    text = (folder / "boxes.csv").read_text()
    (folder / "boxes.csv").write_text(f"{text}{run.pictures[0].path},test,unicorn,0,0,9,9,False,False\n")
    page = words(detection_report(folder, reporter=Silent()).read_text())
    assert "classes that no training picture shows are left out: unicorn" in page
    assert f"{known} objects" in page


def test_tables_that_disagree_are_named(tmp_path: Path) -> None:
    run = made(tmp_path)
    folder = run.write(tmp_path / "run")
    text = (folder / "detections.csv").read_text()
    (folder / "detections.csv").write_text(text.replace(",cell,", ",unicorn,", 1))
    with pytest.raises(SettingsError, match=r"detections\.csv names 'unicorn', which is neither a picture"):
        detection_report(folder, reporter=Silent())


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"holds no finished run: run\.json is missing"):
        detection_report(tmp_path, reporter=Silent())


def test_the_baseline_is_below_the_ladder_even_if_it_is_no_rung() -> None:
    rows = ladder_of([(1, "grid", 0.6, 10.0), (2, "regions", 0.7, 40.0)])
    drawn = ladder_chart(rows, floor=Estimate(value=0.1))
    assert drawn is not None
    assert "trivial model 10.0 %" in drawn
    first = ladder_chart(ladder_of([(0, "average boxes", 0.1, 1.0)]), floor=Estimate(value=0.1))
    assert first is not None
    assert "trivial model" not in first


def ladder_of(rungs: list[tuple[int, str, float, float]]) -> LadderRecord:
    rows = [
        RungRow(
            rung=rung, name=name, measure="map50", images=9, predicted_s=None,
            accuracy=Estimate(value=value, low=0.0, high=1.0), took_s=None,
            elapsed_s=elapsed, is_kept=True, verdict="",
        )
        for rung, name, value, elapsed in rungs
    ]  # fmt: skip
    return LadderRecord(budget_s=60, rows=tuple(rows))
