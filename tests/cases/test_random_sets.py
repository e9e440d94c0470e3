"""Random folders and tables, built from what people have: nothing is lost, and no side becomes a class."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import struct
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regraft import load_images
from regraft.cli.app import run
from regraft.data.findings.image_set import Images
from regraft.data.sources.candidates import SIDES
from regraft.errors import DataError
from tests.cases.pictures import folder, labelled, picture, table

pytestmark = pytest.mark.usefixtures("own_cache", "without_readers")
OFTEN = settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

SIDE_NAMES = ["train", "Training", "val", "valid", "test", "Test", "dev"]
CLASS_NAMES = ["cat", "dog", "pâté", "7", "red fox"]
SYSTEM = ["__MACOSX/train/cat/._0.jpg", ".ipynb_checkpoints/0.jpg", "@eaDir/0.jpg", ".git/objects/0.jpg"]
OURS = ["runs/photos/run.json", "runs/photos/bundle/bundle.json", "runs/photos/log.jsonl"]
BESIDE = ["notes.txt", "labels.csv", "preview/big.jpg", "Thumbs.db"]
IN_CLASS = {
    "photo.jpg:Zone.Identifier": b"[ZoneTransfer]\nZoneId=3\n",
    "._photo.jpg": b"\0\5\26\7" + bytes(80),
    "desktop.ini": b"[.ShellClassInfo]\n",
    "IMG_1.HEIC": b"\0\0\0\x24ftypheic\0\0\0\0mif1MiHEmiafheic" + bytes(200),
    "scan.dcm": bytes(128) + b"DICM" + bytes(64),
    "clip.mov": struct.pack(">I", 20) + b"ftypqt  " + bytes(64),
    "broken.jpg": b"\xff\xd8\xff\xe0" + bytes(30),
    "empty.png": b"",
}


@contextmanager
def empty_folder() -> Iterator[Path]:
    """One example's own folder; a fixture would be shared by all examples."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name).resolve()


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def contents(root: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def unmentioned(root: Path, images: Images) -> list[str]:
    """Files of a data set that are neither used nor skipped nor part of any finding."""
    below = Path(images.root).resolve().relative_to(root)
    used = {str(below / item.path) for item in images.items} | {file.path for file in images.skipped}
    used |= {str(below / file.path) for file in images.skipped}
    said = [path for finding in images.findings for path in finding.paths]
    said += [str(below / path) for path in said]
    covered = tuple(f"{path.rstrip('/')}/" for path in said)
    known = used | set(said)
    names = [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]
    hidden = [name for name in names if any(part.startswith(".") for part in Path(name).parts)]
    return [n for n in names if n not in known and not n.startswith(covered) and n not in hidden]


@st.composite
def layouts(draw: st.DrawFn) -> dict[str, object]:
    """A split or plain folder of classes, wrapped or not, with what else lies around."""
    return {
        "sides": draw(st.sampled_from([[], [], *([a, b] for a in SIDE_NAMES[:2] for b in SIDE_NAMES[2:])])),
        "flat": draw(st.booleans()),
        "classes": draw(st.lists(st.sampled_from(CLASS_NAMES), min_size=2, max_size=4, unique=True)),
        "wrapped": draw(st.sampled_from(["", "photos", "archive/photos"])),
        "beside": draw(st.lists(st.sampled_from(SYSTEM + OURS + BESIDE), max_size=3, unique=True)),
        "inside": draw(st.lists(st.sampled_from(sorted(IN_CLASS)), max_size=3, unique=True)),
        "decomposed": draw(st.booleans()),
    }


def build(root: Path, plan: dict[str, object]) -> None:
    top = root / str(plan["wrapped"])
    classes = [str(name) for name in plan["classes"]]  # type: ignore[attr-defined]
    sides = [str(name) for name in plan["sides"]]  # type: ignore[attr-defined]
    for number, side in enumerate(sides or ["."]):
        form = "NFD" if plan["decomposed"] and number else "NFC"
        names = [unicodedata.normalize(form, name) for name in classes]
        folder(top / side, names, count=8, start=20 * number)
    if plan["flat"] and sides and not any(SIDES.get(side.lower()) == "test" for side in sides):
        for number in range(3):
            put(top / "test" / f"{number}.jpg", (top / sides[0] / classes[0] / "000.jpg").read_bytes())
            picture(0, 90 + number).save(top / "test" / f"{number}.jpg")
    for name in plan["beside"]:  # type: ignore[attr-defined]
        put(top / name, b"{}")
    for name in plan["inside"]:  # type: ignore[attr-defined]
        put(top / (sides or ["."])[0] / classes[0] / name, IN_CLASS[name])


@OFTEN
@given(layouts())
def test_no_file_of_a_folder_is_lost_and_no_class_is_called_like_a_side(plan: dict[str, object]) -> None:
    with empty_folder() as root:
        build(root, plan)
        before = contents(root)
        images = load_images(root, max_bad_share=0.9)
        assert contents(root) == before
        wanted = {unicodedata.normalize("NFC", str(name)) for name in plan["classes"]}  # type: ignore[attr-defined]
        assert set(images.labels) == wanted
        assert unmentioned(root, images) == []
        assert images.layout
        sides = {SIDES[str(side).lower()] for side in plan["sides"]}  # type: ignore[attr-defined]
        assert {item.side for item in images.items} == (sides or {None})


SPELLINGS = {
    "cat": ["cat", "cat ", "  cat", "cat\u00a0"],
    "pâté": ["pâté", unicodedata.normalize("NFD", "pâté")],
}


@st.composite
def tables(draw: st.DrawFn) -> dict[str, object]:
    return {
        "separator": draw(st.sampled_from([",", ";", "\t", "|"])),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-8"])),
        "path_column": draw(st.sampled_from(["path", "filename", "image"])),
        "label_column": draw(st.sampled_from(["label", "class", "category"])),
        "how": draw(st.sampled_from(["relative", "backslashes", "absolute", "stem"])),
        "spellings": draw(st.lists(st.integers(0, 3), min_size=5, max_size=5)),
        "repeated": draw(st.integers(0, 20)),
        "missing": draw(st.integers(0, 2)),
        "unlabelled": draw(st.integers(0, 2)),
    }


def write(root: Path, plan: dict[str, object]) -> tuple[Path, int]:
    """The table, and how many different pictures of it can be used."""
    folder(root / "img", list(SPELLINGS), count=8)
    rows: list[tuple[str, str]] = []
    spellings: list[int] = plan["spellings"]  # type: ignore[assignment]
    for place, (path, label) in enumerate(labelled(root / "img")):
        name = {
            "relative": f"img/{path}",
            "backslashes": f"img/{path}".replace("/", "\\"),
            "absolute": str(root / "img" / path),
            "stem": f"img/{path}".removesuffix(".jpg"),
        }[str(plan["how"])]
        forms = SPELLINGS[unicodedata.normalize("NFC", label)]
        rows.append((name, forms[spellings[place % 5] % len(forms)]))
    unlabelled, repeated, missing = (int(str(plan[name])) for name in ("unlabelled", "repeated", "missing"))
    rows = [(path, "" if place < unlabelled else label) for place, (path, label) in enumerate(rows)]
    usable = len(rows) - unlabelled
    rows += rows[-repeated:] if repeated else []
    rows += [(f"img/gone{number}.jpg", "cat") for number in range(missing)]
    header = (str(plan["path_column"]), str(plan["label_column"]))
    place = root / "labels.csv"
    return table(
        place, rows, header=header, separator=str(plan["separator"]), encoding=str(plan["encoding"])
    ), usable


@OFTEN
@given(tables())
def test_every_row_of_a_table_is_used_or_has_a_reason(plan: dict[str, object]) -> None:
    with empty_folder() as root:
        source, usable = write(root, plan)
        before = contents(root)
        images = load_images(source, max_bad_share=0.5)
        assert contents(root) == before
        assert set(images.labels) == set(SPELLINGS)
        assert len(images) == usable
        faults = int(str(plan["missing"])) + int(str(plan["unlabelled"]))
        said = {path for finding in images.findings for path in finding.paths}
        assert len({file.path for file in images.skipped} | said) >= faults
        if plan["repeated"]:
            assert any("row" in f.message or "twice" in f.message for f in images.findings)


OUTPUTS = [
    ["check", "{data}", "--out", "{victim}"],
    ["check", "{table}", "--out", "{table}"],
    ["predict", "{model}", "-o", "{victim}", "{data}"],
    ["explain", "{model}", "{picture}", "-o", "{victim}"],
    ["fit", "{data}", "--network", "lenet5", "--strategy", "probe", "--no-report", "--out", "{data}"],
    ["fit", "{data}", "--network", "lenet5", "--strategy", "probe", "--no-report", "--out", "{class}"],
    ["export", "{model}", "--out", "{data}"],
]


@pytest.mark.slow
@settings(OFTEN, max_examples=20)
@given(st.sampled_from(OUTPUTS), st.sampled_from(["cat/000.jpg", "labels.csv", "notes.md", "dog/001.jpg"]))
def test_no_output_replaces_an_input(small_run: Path, words: list[str], victim: str) -> None:
    with empty_folder() as root:
        data = folder(root / "data", count=6)
        table(data / "labels.csv", labelled(data))
        put(data / "notes.md", b"what I photographed")
        before = contents(data)
        places = {
            "data": data, "table": data / "labels.csv", "victim": data / victim, "class": data / "cat",
            "model": shutil.copytree(small_run, root / "run"), "picture": data / "cat" / "000.jpg",
        }  # fmt: skip
        code = run([word.format(**places) for word in words])
        after = contents(data)
        assert {name: after.get(name) for name in before} == before
        assert code != 0


@pytest.fixture(scope="module")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of a few pictures, as a run folder."""
    import regraft

    root = tmp_path_factory.mktemp("small")
    regraft.fit(folder(root / "photos"), network="lenet5", strategy="probe", out=root / "run")
    return root / "run"


@OFTEN
@given(st.sampled_from(SIDE_NAMES), st.sampled_from(SIDE_NAMES))
def test_folders_called_like_sides_never_become_classes(one: str, other: str) -> None:
    with empty_folder() as root:
        folder(root / one, ("cat", "dog"), count=4)
        folder(root / other, ("elm", "oak"), count=4, start=30)
        with contextlib.suppress(DataError):
            assert not {label.lower() for label in load_images(root).labels} & set(SIDES)
