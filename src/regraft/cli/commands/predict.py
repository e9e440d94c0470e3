"""The command `regraft predict`."""

from __future__ import annotations

import glob
import json as json_module
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from regraft.cli.terminal.console import make_reporter
from regraft.cli.terminal.parameters import Overwrite
from regraft.records import Precision

_CLASSES = "Classes"
_BOXES = "Boxes (runs of detectors)"

if TYPE_CHECKING:
    from regraft.errors import RegraftError
    from regraft.outputs.answers import AnswerFile, AnswerKind
    from regraft.prediction.predictions import Predictions
    from regraft.progress import Reporter
    from regraft.records import SkippedFile
    from regraft.tasks.task import Answer, Task


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
    OUT.skipped.csv. Labels are predicted in blocks of 1,024 images, so memory is bounded, and the same
    command resumes with the first block that is missing after an interruption.

    ```
    regraft predict runs/flowers new/*.jpg -o predictions.csv
    regraft predict runs/flowers new/ --top 3
    regraft predict runs/flowers crawl.tar -o answers.parquet
    find new -name '*.jpg' | regraft predict runs/flowers - --json
    regraft predict runs/cells new/ -o boxes.json --draw drawn/
    regraft predict runs/cells new/ --count counts.csv --threshold 0.6
    regraft predict runs/cells new/ --threshold WBC=0.4 --threshold 0.6 --classes RBC,WBC
    ```

    Args:
        model: A run folder, a bundle, or an exported .onnx file (fp32, run by ONNX Runtime).
        images: Files, folders (with their subfolders), archives, globs, or - for a list of paths on standard
            input.
        out: File for the predictions: CSV, JSON lines if it ends in .jsonl, or Parquet if it ends in
            .parquet; by default CSV on standard output.
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
    from regraft.outputs.answers import AnswerFile
    from regraft.prediction.bundle import model_identity
    from regraft.prediction.onnx_model import OnnxModel
    from regraft.progress import Silent
    from regraft.storage.files import key_of
    from regraft.tasks.wishes import rejecting
    from regraft.version import VERSION

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
    kind = _kind_of(out, as_json=json)
    _check_outputs(out, kind, [model, *images, *paths], overwrite=overwrite)
    if not 1 <= top <= len(loaded.labels):
        raise SettingsError(f"--top {top} is outside of 1 to {len(loaded.labels)}, the number of labels")
    task = rejecting(loaded.task, reject_below)
    if not paths:
        raise _no_images(images)
    reporter = make_reporter(json_lines=json)
    limits = LoadLimits(max_megapixels, max_file_mb)

    def answered(block: Sequence[str]) -> Predictions:
        if isinstance(loaded, OnnxModel):
            return loaded.predict(block, limits=limits)
        silent = Silent() if len(paths) > len(block) else reporter
        return loaded.predict(block, precision=precision, runtime=runtime, limits=limits, reporter=silent)

    facts = [model_identity(model), top, reject_below, precision, runtime, max_megapixels, max_file_mb, kind]
    key = key_of([*facts, VERSION, *_states([*images, *paths])])
    answers = AnswerFile(Path(out), kind, key) if out else None
    return _write_all(paths, answered, task, answers, kind, top, reporter)


def _write_all(
    paths: Sequence[str],
    answered: Callable[[Sequence[str]], Predictions],
    task: Task,
    answers: AnswerFile | None,
    kind: AnswerKind,
    top: int,
    reporter: Reporter,
) -> int:
    """Answer block by block, so that memory is bounded; returns the exit code."""
    from regraft.outputs.answers import BLOCK_IMAGES

    blocks = [paths[start : start + BLOCK_IMAGES] for start in range(0, len(paths), BLOCK_IMAGES)]
    done = answers.blocks_done if answers else 0
    if done:
        reporter.note(
            f"{done * BLOCK_IMAGES:,} of {len(paths):,} images were answered before the interruption"
        )
    skipped: list[SkippedFile] = []
    count = 0
    left = sum(map(len, blocks[done:]))
    with reporter.phase("predicting", left) if len(blocks) > 1 else nullcontext() as meter:
        for number, block in enumerate(blocks[done:], start=done):
            found = answered(block)
            lines = [(row.path, task.answer(row.probabilities, top=top)) for row in found.rows]
            _keep(answers, number, lines, found.skipped, kind, is_first=not count)
            skipped += found.skipped[: max(0, 21 - len(skipped))]
            count += len(lines)
            if meter is not None:
                meter.advance(len(block))
    if answers is None and not count and kind == "csv":
        sys.stdout.buffer.write(_csv([]))
    if answers is not None:
        answers.finish()
        total = f"{count:,} predictions" if not done else f"predictions for {len(paths):,} images"
        reporter.note(f"wrote {total} to {answers.path}")
    _tell_skipped(skipped, answers, reporter)
    return 0 if count or done else 1


def _keep(
    answers: AnswerFile | None,
    number: int,
    lines: Sequence[tuple[str, Answer]],
    skipped: Sequence[SkippedFile],
    kind: AnswerKind,
    *,
    is_first: bool,
) -> None:
    """Write a block of answers to the file, or to standard output."""
    if answers is None:
        data = _json_lines(lines) if kind == "jsonl" else _csv(lines) if lines else b"\n"
        has_names = kind == "csv" and not is_first
        sys.stdout.flush()
        sys.stdout.buffer.write(data.split(b"\n", 1)[1] if has_names or not lines else data)
        return
    rows = [{"path": path, **answer.cells} for path, answer in lines]
    lines_of = _json_lines(lines) if kind == "jsonl" else b""
    answers.add(number, rows, lines_of, [(file.path, file.reason) for file in skipped])


def _tell_skipped(skipped: Sequence[SkippedFile], answers: AnswerFile | None, reporter: Reporter) -> None:
    from regraft.storage.tables import printable

    for file in skipped[:20]:
        reporter.warn(f"skipped {printable(file.path)}: {file.reason}")
    if len(skipped) > 20:
        where = f"; all are in {answers.path}.skipped.csv" if answers else ""
        reporter.warn(f"skipped more files{where}")


def _kind_of(out: str | None, *, as_json: bool) -> AnswerKind:
    if out is not None and out.endswith(".parquet"):
        return "parquet"
    return "jsonl" if as_json or (out or "").endswith((".jsonl", ".json")) else "csv"


def _states(paths: Sequence[str]) -> Iterator[list[Any]]:
    """Each path with its size and time, so that answers about changed files are not taken over."""
    for path in paths:
        try:
            status = os.stat(path)
            yield [os.path.abspath(path), status.st_size, status.st_mtime_ns]
        except (OSError, ValueError):
            yield [os.path.abspath(path)]


def _no_images(images: Sequence[str]) -> RegraftError:
    from regraft.errors import NoImagesError

    return NoImagesError(
        f"no images were found in {' '.join(images) or 'an empty list'}; give files, folders, globs or -"
    )


def _check_outputs(out: str | None, kind: AnswerKind, inputs: Sequence[str], *, overwrite: bool) -> None:
    """Refuse files that can't be written, before anything is computed."""
    from regraft.outputs.files import (
        PREDICTION_LINES,
        PREDICTION_TABLE,
        PREDICTIONS,
        SKIPPED,
        output_file,
    )

    if out is not None:
        written = {"csv": PREDICTIONS, "jsonl": PREDICTION_LINES, "parquet": PREDICTION_TABLE}[kind]
        output_file(out, written, inputs=inputs, overwrite=overwrite)
        output_file(f"{out}.skipped.csv", SKIPPED, inputs=inputs, overwrite=overwrite)


def _archives_of(image: str) -> list[Path]:
    """The archives that a pattern names, or the shards in a folder."""
    from regraft.data.archives.places import archive_kind
    from regraft.data.packed.archives import shards_of

    found = shards_of(Path(image))
    return found if all(archive_kind(one) for one in found) else []


def _expand(images: Sequence[str]) -> Iterator[str]:
    from regraft.data.archives.places import archive_kind
    from regraft.data.packed.trees import files_in

    for image in images:
        if image == "/dev/stdin":
            data = sys.stdin.buffer.read()
            separator = b"\0" if b"\0" in data else b"\n"
            yield from (os.fsdecode(line.rstrip(b"\r")) for line in data.split(separator) if line.strip())
        elif shards := _archives_of(image):
            yield from (str(path) for shard in shards for path in files_in(shard))
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
