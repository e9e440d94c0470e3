"""One list of annotated pictures, written in every format that is read, by code of the tests' own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from regraft.detection.annotations.boxes import Box, BoxSet
from regraft.detection.annotations.reading import read_boxes
from regraft.records import Side


@dataclass(frozen=True)
class Drawn:
    """A picture to be written, with its boxes."""

    name: str
    width: int
    height: int
    boxes: tuple[Box, ...]


LABELS = ("Platelets", "RBC", "WBC", "white cell")


def drawn(count: int = 12, seed: int = 0) -> list[Drawn]:
    """Pictures of changing sizes with boxes like those of blood cells; the last is a background."""
    generator = np.random.default_rng(seed)
    pictures = []
    for number in range(count):
        width, height = (int(side) for side in generator.integers(40, 700, 2))
        boxes = []
        for _ in range(int(generator.integers(1, 15))):
            left, right = sorted(float(x) for x in generator.choice(width + 1, 2, replace=False))
            top, bottom = sorted(float(y) for y in generator.choice(height + 1, 2, replace=False))
            boxes.append(Box(str(generator.choice(LABELS)), left, top, right, bottom))
        is_last = number == count - 1
        unique = tuple(dict.fromkeys(boxes))
        pictures.append(Drawn(f"cell_{number:03d}.png", width, height, () if is_last else unique))
    return pictures


def save_pictures(root: Path, pictures: list[Drawn], folder: str = "images") -> None:
    (root / folder).mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        image = Image.new("RGB", (picture.width, picture.height), (number, 50, 90))
        image.save(root / folder / picture.name)


def _voc(root: Path, pictures: list[Drawn]) -> None:
    for picture in pictures:
        objects = "".join(
            f"<object><name>{box.label}</name><bndbox><xmin>{box.x_min}</xmin><ymin>{box.y_min}</ymin>"
            f"<xmax>{box.x_max}</xmax><ymax>{box.y_max}</ymax></bndbox></object>"
            for box in picture.boxes
        )
        size = f"<size><width>{picture.width}</width><height>{picture.height}</height></size>"
        text = f"<annotation><filename>lies.jpg</filename>{size}{objects}</annotation>"
        place = root / "Annotations" / f"{Path(picture.name).stem}.xml"
        place.parent.mkdir(exist_ok=True)
        place.write_text(text)


def _coco(root: Path, pictures: list[Drawn]) -> None:
    images = [
        {"id": 1000 + 7 * n, "file_name": p.name, "width": p.width, "height": p.height}
        for n, p in enumerate(pictures)
    ]
    annotations = [
        {
            "image_id": 1000 + 7 * n,
            "category_id": 3 + 2 * LABELS.index(box.label),
            "bbox": [box.x_min, box.y_min, box.x_max - box.x_min, box.y_max - box.y_min],
        }
        for n, picture in enumerate(pictures)
        for box in picture.boxes
    ]
    categories = [{"id": 3 + 2 * n, "name": label} for n, label in enumerate(LABELS)]
    whole = {"images": images, "annotations": annotations, "categories": categories}
    (root / "boxes.json").write_text(json.dumps(whole))


def _yolo(root: Path, pictures: list[Drawn]) -> None:
    (root / "labels").mkdir()
    names = ", ".join(f"'{label}'" for label in LABELS)
    (root / "data.yaml").write_text(f"train: images\nnc: {len(LABELS)}\nnames: [{names}]\n")
    for picture in pictures:
        lines = [
            f"{LABELS.index(box.label)} {(box.x_min + box.x_max) / 2 / picture.width:.6f} "
            f"{(box.y_min + box.y_max) / 2 / picture.height:.6f} "
            f"{(box.x_max - box.x_min) / picture.width:.6f} {(box.y_max - box.y_min) / picture.height:.6f}\n"
            for box in picture.boxes
        ]
        (root / "labels" / f"{Path(picture.name).stem}.txt").write_text("".join(lines))


def _csv(root: Path, pictures: list[Drawn], *, shares: bool = False) -> None:
    rows = ["path,label,x_min,y_min,x_max,y_max"]
    for picture in pictures:
        across, down = (picture.width, picture.height) if shares else (1, 1)
        rows += [
            f"images/{picture.name},{box.label},{box.x_min / across},{box.y_min / down},"
            f"{box.x_max / across},{box.y_max / down}"
            for box in picture.boxes
        ] or [f"images/{picture.name},,,,,"]
    (root / "boxes.csv").write_text("\n".join(rows) + "\n")


def _shares_csv(root: Path, pictures: list[Drawn]) -> None:
    _csv(root, pictures, shares=True)


def _labelme(root: Path, pictures: list[Drawn]) -> None:
    for picture in pictures:
        shapes = [
            {
                "label": box.label,
                "shape_type": "rectangle",  # drawn from the lower right corner
                "points": [[box.x_max, box.y_max], [box.x_min, box.y_min]],
            }
            for box in picture.boxes
        ]
        whole = {
            "version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": f"..\\images\\{picture.name}",
            "imageHeight": picture.height, "imageWidth": picture.width,
        }  # fmt: skip
        (root / "images" / f"{Path(picture.name).stem}.json").write_text(json.dumps(whole))


def _label_studio(root: Path, pictures: list[Drawn]) -> None:
    tasks = []
    for number, picture in enumerate(pictures):
        result = [
            {
                "type": "rectanglelabels",
                "original_width": picture.width,
                "original_height": picture.height,
                "value": {
                    "x": 100 * box.x_min / picture.width,
                    "y": 100 * box.y_min / picture.height,
                    "width": 100 * (box.x_max - box.x_min) / picture.width,
                    "height": 100 * (box.y_max - box.y_min) / picture.height,
                    "rotation": 0,
                    "rectanglelabels": [box.label],
                },
            }
            for box in picture.boxes
        ]
        image = f"/data/upload/1/{number:08x}-{picture.name}"
        tasks.append({"id": number, "data": {"image": image}, "annotations": [{"result": result}]})
    (root / "project.json").write_text(json.dumps(tasks))


def _cvat(root: Path, pictures: list[Drawn]) -> None:
    images = "".join(
        f'<image id="{n}" name="{p.name}" width="{p.width}" height="{p.height}">'
        + "".join(
            f'<box label="{b.label}" xtl="{b.x_min}" ytl="{b.y_min}" xbr="{b.x_max}" ybr="{b.y_max}"/>'
            for b in p.boxes
        )
        + "</image>"
        for n, p in enumerate(pictures)
    )
    text = (
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{images}</annotations>'
    )
    (root / "annotations.xml").write_text(text)


def _create_ml(root: Path, pictures: list[Drawn]) -> None:
    entries = [
        {
            "image": picture.name,
            "annotations": [
                {
                    "label": box.label,
                    "coordinates": {
                        "x": (box.x_min + box.x_max) / 2,
                        "y": (box.y_min + box.y_max) / 2,
                        "width": box.x_max - box.x_min,
                        "height": box.y_max - box.y_min,
                    },
                }
                for box in picture.boxes
            ],
        }
        for picture in pictures
    ]
    (root / "annotations.json").write_text(json.dumps(entries))


def _regions(root: Path, pictures: list[Drawn]) -> None:
    whole: dict[str, dict[str, list[list[float]]]] = {label: {} for label in LABELS}
    for picture in pictures:
        for box in picture.boxes:
            share = [
                box.x_min / picture.width, box.y_min / picture.height,
                (box.x_max - box.x_min) / picture.width, (box.y_max - box.y_min) / picture.height,
            ]  # fmt: skip
            whole[box.label].setdefault(Path(picture.name).stem, []).append(share)
    (root / "regions.json").write_text(json.dumps(whole))


WRITERS: dict[str, Callable[[Path, list[Drawn]], None]] = {
    "voc": _voc,
    "coco": _coco,
    "yolo": _yolo,
    "csv": _csv,
    "csv of shares": _shares_csv,
    "labelme": _labelme,
    "label-studio": _label_studio,
    "cvat": _cvat,
    "create-ml": _create_ml,
    "regions": _regions,
}


def written(root: Path, kind: str, pictures: list[Drawn]) -> Path:
    """A folder with the pictures and their boxes in one format."""
    save_pictures(root, pictures)
    WRITERS[kind](root, pictures)
    return root


def one_picture(root: Path, files: dict[str, str | bytes], size: tuple[int, int] = (100, 80)) -> Path:
    """A folder with one picture, `a.png`, and some files."""
    root.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "teal").save(root / "a.png")
    for name, text in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text.encode() if isinstance(text, str) else text)
    return root


def voc(*boxes: tuple[object, ...], size: tuple[object, object] = (100, 80), more: str = "") -> str:
    """The text of a VOC file with boxes `(label, x_min, y_min, x_max, y_max)`."""
    objects = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax>"
        f"</bndbox></object>"
        for label, a, b, c, d in boxes
    )
    head = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>"
    return f"<annotation><filename>a.png</filename>{head}{objects}{more}</annotation>"


def found(root: Path) -> dict[str, list[str]]:
    """The messages of all findings by kind, after reading."""
    return by_kind(read_boxes(root))


def by_kind(boxes: BoxSet) -> dict[str, list[str]]:
    """The messages of all findings by kind, and the reasons of skipped files."""
    kinds: dict[str, list[str]] = {}
    for finding in boxes.findings:
        kinds.setdefault(finding.kind, []).append(finding.message)
    for file in boxes.skipped:
        kinds.setdefault("skipped", []).append(file.reason)
    return kinds


def sides(boxes: BoxSet) -> dict[str, Side | None]:
    """The side of each picture."""
    return {picture.path: picture.side for picture in boxes.pictures}
