"""The command `regraft predict`."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from regraft.cli.terminal.console import make_reporter
from regraft.cli.terminal.parameters import Overwrite, Switch
from regraft.records import Precision

_CLASSES = "Classes"
_BOXES = "Boxes (runs of detectors)"


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
    executor: str = "local",
    mixed_machines: Switch = False,
    overwrite: Overwrite = False,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Predict labels and probabilities for images, in the given order; or find objects in them.

    Files that can't be used are skipped: they are listed on standard error and, with --out, in
    OUT.skipped.csv. Images are answered in blocks of 1,024, so memory is bounded, and with a file or folder
    to write to the same command resumes with the first block that is missing after an interruption.

    ```
    regraft predict runs/flowers new/*.jpg -o predictions.csv
    regraft predict runs/flowers new/ --top 3
    regraft predict runs/flowers crawl.tar -o answers.parquet
    regraft predict runs/flowers crawl.tar -o answers.parquet --executor ray:10.0.0.1:6379
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
        executor: Who predicts. local: this process. ray: workers on this machine, which Ray starts.
            ray:ADDRESS: workers of a Ray cluster, which must see the images and the run folder under the same
            paths. Detectors and .onnx files are run by this process alone.
        mixed_machines: Accept workers on machines with other processors or libraries, whose probabilities
            differ in the last digits.
        overwrite: Replace a file that regraft did not write; never one that this command reads.
        json: Print JSON lines instead of CSV.
    """
    from regraft.cli.terminal.answering import answer
    from regraft.cli.terminal.finding import Wishes, find_in
    from regraft.cli.terminal.prediction_request import PredictionRequest, image_paths
    from regraft.data.pictures.loading import LoadLimits
    from regraft.detection.detectors.detector import Detector
    from regraft.detection.detectors.onnx_detector import OnnxDetector
    from regraft.detection.detectors.opening import load_model
    from regraft.errors import SettingsError
    from regraft.prediction.model import Model
    from regraft.prediction.onnx_model import OnnxModel

    wishes = Wishes(out, to, draw, count, threshold, tiles, classes)
    request = PredictionRequest(
        model,
        images,
        tuple(image_paths(images)),
        out,
        precision,
        runtime,
        LoadLimits(max_megapixels, max_file_mb),
        overwrite,
        make_reporter(json_lines=json),
        executor,
        mixed_machines,
    )
    if mixed_machines and executor == "local":
        raise SettingsError("--mixed-machines is about workers on other machines; it needs --executor ray")
    loaded = load_model(model)
    is_file = isinstance(loaded, (OnnxModel, OnnxDetector))
    if is_file and (precision != "fp32" or runtime != "auto"):
        raise SettingsError(
            "--precision and --runtime have no effect on .onnx files; remove them, or give a run folder"
        )
    if executor != "local" and not isinstance(loaded, Model):
        raise SettingsError(_not_by_workers(model, executor, is_exported=isinstance(loaded, OnnxModel)))
    if isinstance(loaded, (Detector, OnnxDetector)):
        _refuse_for_boxes(model, top, reject_below)
        return find_in(loaded, request, wishes)
    if wishes.named:
        raise SettingsError(
            f"{', '.join(wishes.named)}: for boxes, but {model} predicts labels of whole images"
        )
    return answer(loaded, request, top=top, reject_below=reject_below, as_json=json)


def _not_by_workers(model: str, executor: str, *, is_exported: bool) -> str:
    """Why a model is not handed to an executor, and what to do instead."""
    why = "is an exported file" if is_exported else "finds boxes"
    instead = "give the run folder that it was exported from, or remove" if is_exported else "remove"
    return (
        f"--executor {executor} is for run folders and bundles that predict labels of whole images, and "
        f"{model} {why}; {instead} --executor. Several machines can share the work without it: give each a "
        "part of the files, and an --out of its own"
    )


def _refuse_for_boxes(model: str, top: int, reject_below: float | None) -> None:
    """Refuse what is for labels alone."""
    from regraft.errors import SettingsError

    if top != 1:
        raise SettingsError(f"--top {top} is for classes of whole images; {model} finds boxes")
    if reject_below is not None:
        raise SettingsError(
            f"--reject-below {reject_below:g} is for classes of whole images; {model} finds boxes, of "
            "which --threshold leaves out those with lower probabilities"
        )
