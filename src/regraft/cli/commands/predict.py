"""The command `regraft predict`."""

from __future__ import annotations

import glob
import json as json_module
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from regraft.cli.terminal.console import make_reporter
from regraft.cli.terminal.parameters import Overwrite
from regraft.records import Precision

_CLASSES = "Classes"
_BOXES = "Boxes (runs of detectors)"

if TYPE_CHECKING:
    from regraft.errors import RegraftError
    from regraft.tasks.task import Answer


def predict(
    model: str,
    /,
    *images: Annotated[str, Parameter(allow_leading_hyphen=False)],
    out: Annotated[str | None, Parameter(name=["--out", "-o"])] = None,
    top: int = 1,
    precision: Precision = "fp32",
    runtime: Literal["auto", "openvino", "torch"] = "auto",
    reject_below: Annotated[float | None, Parameter(group=_CLASSES)] = None,
    threshold: Annotated[list[str] | None, Parameter(group=_BOXES, negative_iterable=())] = None,
    classes: Annotated[str | None, Parameter(group=_BOXES)] = None,
    to: Annotated[Literal["coco", "yolo", "voc", "csv"] | None, Parameter(group=_BOXES)] = None,
    draw: Annotated[str | None, Parameter(group=_BOXES)] = None,
    count: Annotated[str | None, Parameter(group=_BOXES)] = None,
    tiles: Annotated[str | None, Parameter(group=_BOXES)] = None,
    max_megapixels: float = 64.0,
    max_file_mb: float = 128.0,
    overwrite: Overwrite = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Predict labels and probabilities for images, in the given order; or find objects in them.

    Files that can't be used are skipped: they are listed on standard error and, with --out, in
    OUT.skipped.csv.

    ```
    regraft predict runs/flowers new/*.jpg -o predictions.csv
    regraft predict runs/flowers new/ --top 3
    find new -name '*.jpg' | regraft predict runs/flowers - --json
    regraft predict runs/cells new/ -o boxes.json --draw drawn/
    regraft predict runs/cells new/ --count counts.csv --threshold 0.6
    regraft predict runs/cells new/ --threshold WBC=0.4 --threshold 0.6 --classes RBC,WBC
    ```

    Args:
        model: A run folder, a bundle, or an exported .onnx file (fp32, run by ONNX Runtime).
        images: Files, folders (with their subfolders), globs, or - for a list of paths on standard input.
        out: File for the predictions, CSV, or JSON lines if it ends in .jsonl; by default CSV on standard
            output.
        top: Number of labels for each image, the most probable first.
        precision: Arithmetic of the network; fp32 gives the same probabilities on every machine, to 1e-5.
        runtime: Library that runs the network: openvino, torch (PyTorch), or auto, which takes torch on a GPU
            and otherwise openvino if it is installed.
        reject_below: Leave the label of images empty whose largest probability is lower than this; the column
            `rejected` then names the class. By default as the model was fitted (--reject-below of fit).
        threshold: The probability from which on boxes are shown, instead of the detector's own: 0.6 for all
            classes, WBC=0.4 for one. The option can be repeated; a number alone is then for all others.
        classes: Names of classes, separated by commas; only their boxes are shown and counted.
        to: Format of the boxes: coco (JSON), csv, yolo or voc (a folder each). By default COCO for an --out
            that ends in .json, otherwise CSV.
        draw: Folder for the pictures with their boxes.
        count: CSV file for the number of boxes of each class in each picture.
        tiles: Columns and rows of overlapping tiles (3x2) to cut pictures into, for objects that are small in
            large pictures.
        max_megapixels: Skip images with more megapixels than this.
        max_file_mb: Skip files larger than this many megabytes.
        overwrite: Replace a file that regraft did not write; never one that this command reads.
        json: Print JSON lines instead of CSV.
    """
    from regraft.cli.terminal.finding import Wishes, find_in
    from regraft.data.pictures.loading import LoadLimits
    from regraft.detection.detectors.detector import Detector
    from regraft.detection.detectors.onnx_detector import OnnxDetector
    from regraft.detection.detectors.opening import load_model
    from regraft.errors import SettingsError
    from regraft.prediction.onnx_model import OnnxModel
    from regraft.storage.files import write_atomically
    from regraft.storage.tables import csv_bytes, printable
    from regraft.tasks.wishes import rejecting

    wishes = Wishes(out, to, draw, count, threshold, tiles, classes)
    paths = list(_expand(images))
    loaded = load_model(model)
    is_file = isinstance(loaded, (OnnxModel, OnnxDetector))
    if is_file and (precision != "fp32" or runtime != "auto"):
        raise SettingsError(
            "--precision and --runtime have no effect on .onnx files; remove them, or give a run folder"
        )
    if isinstance(loaded, (Detector, OnnxDetector)):
        if not paths:
            raise _no_images(images)
        if top != 1:
            raise SettingsError(f"--top {top} is for classes of whole images; {model} finds boxes")
        if reject_below is not None:
            raise SettingsError(
                f"--reject-below {reject_below:g} is for classes of whole images; {model} finds boxes, of "
                "which --threshold leaves out those with lower probabilities"
            )
        return find_in(
            loaded,
            model,
            paths,
            wishes,
            precision=precision,
            runtime=runtime,
            limits=LoadLimits(max_megapixels, max_file_mb),
            overwrite=overwrite,
            reporter=make_reporter(json_lines=json),
        )
    if wishes.named:
        raise SettingsError(
            f"{', '.join(wishes.named)}: for boxes, but {model} predicts labels of whole images"
        )
    as_json = json or (out or "").endswith((".jsonl", ".json"))
    _check_outputs(out, [model, *images, *paths], as_json=as_json, overwrite=overwrite)
    if not 1 <= top <= len(loaded.labels):
        raise SettingsError(f"--top {top} is outside of 1 to {len(loaded.labels)}, the number of labels")
    task = rejecting(loaded.task, reject_below)
    if not paths:
        raise _no_images(images)
    reporter = make_reporter(json_lines=json)
    limits = LoadLimits(max_megapixels, max_file_mb)
    if isinstance(loaded, OnnxModel):
        found = loaded.predict(paths, limits=limits)
    else:
        found = loaded.predict(paths, precision=precision, runtime=runtime, limits=limits, reporter=reporter)
    lines = [(row.path, task.answer(row.probabilities, top=top)) for row in found.rows]
    data = _json_lines(lines) if as_json else _csv(lines)
    if out is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
    else:
        write_atomically(Path(out), data)
        reporter.note(f"wrote {len(lines):,} predictions to {out}")
    for file in found.skipped[:20]:
        reporter.warn(f"skipped {printable(file.path)}: {file.reason}")
    if len(found.skipped) > 20:
        reporter.warn(f"skipped {len(found.skipped) - 20:,} more files")
    if found.skipped and out is not None:
        rows = [(file.path, file.reason) for file in found.skipped]
        write_atomically(Path(f"{out}.skipped.csv"), csv_bytes(("path", "reason"), rows))
    return 0 if found.rows else 1


def _no_images(images: Sequence[str]) -> RegraftError:
    from regraft.errors import NoImagesError

    return NoImagesError(
        f"no images were found in {' '.join(images) or 'an empty list'}; give files, folders, globs or -"
    )


def _check_outputs(out: str | None, inputs: Sequence[str], *, as_json: bool, overwrite: bool) -> None:
    """Refuse files that can't be written, before anything is computed."""
    from regraft.outputs.files import PREDICTION_LINES, PREDICTIONS, SKIPPED, output_file

    if out is not None:
        kind = PREDICTION_LINES if as_json else PREDICTIONS
        output_file(out, kind, inputs=inputs, overwrite=overwrite)
        output_file(f"{out}.skipped.csv", SKIPPED, inputs=inputs, overwrite=overwrite)


def _expand(images: Sequence[str]) -> Iterator[str]:
    from regraft.data.archives.places import archive_kind
    from regraft.data.packed.trees import files_in

    for image in images:
        if image == "/dev/stdin":
            data = sys.stdin.buffer.read()
            separator = b"\0" if b"\0" in data else b"\n"
            yield from (os.fsdecode(line.rstrip(b"\r")) for line in data.split(separator) if line.strip())
        elif os.path.isdir(image) or archive_kind(image):
            yield from (str(path) for path in files_in(Path(image)))
        elif not os.path.exists(image) and glob.has_magic(image):
            yield from sorted(glob.glob(image, recursive=True))
        else:
            yield image


def _csv(lines: Sequence[tuple[str, Answer]]) -> bytes:
    from regraft.storage.tables import csv_bytes

    names = list(lines[0][1].cells) if lines else []
    return csv_bytes(["path", *names], [[path, *answer.cells.values()] for path, answer in lines])


def _json_lines(lines: Sequence[tuple[str, Answer]]) -> bytes:
    from regraft.storage.tables import printable

    records = ({"path": printable(path), **answer.facts} for path, answer in lines)
    return "".join(json_module.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()
