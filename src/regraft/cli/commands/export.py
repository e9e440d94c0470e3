"""The command `regraft export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from regraft.cli.terminal.console import make_reporter
from regraft.storage.tables import printable

if TYPE_CHECKING:
    from regraft.export.detector_export import DetectorExport
    from regraft.export.parity import Quantised

_MARKS = {
    "README.md": b"\n- regraft ", "model.onnx": b"regraft_version", "model.safetensors": b"regraft_version",
}  # fmt: skip
"""Files of an export, and what each of them contains."""


def export(
    run: Path,
    /,
    *,
    to: Literal["onnx", "openvino", "safetensors"] = "onnx",
    int8: Annotated[bool, Parameter(negative="")] = False,
    images: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    data: Path | None = None,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
) -> int:
    """Export the model as one file, and check its predictions before it is written.

    One graph contains resizing, normalisation, network and head (also a soft vote or an RBF SVM), and the
    labels; that of a detector goes from a picture of any size to its boxes. A model card and an example that
    needs only numpy, Pillow and ONNX Runtime are written next to it. The file is compared with the model on
    the run's images, and the example is run on images of every kind.

    ```
    regraft export runs/photos-mobilenetv1_100-auto
    regraft export runs/photos-mobilenetv1_100-auto --int8 --out small/
    regraft export runs/photos-mobilenetv1_100-auto --to openvino
    regraft export models/photos --images new/
    regraft export runs/cells
    ```

    Args:
        run: Folder that fit has written, or a saved model.
        to: Format: onnx (one file), openvino (.xml and .bin) or safetensors (weights and head by name).
        int8: Use 8-bit weights and activations, calibrated on training images, and measure the lost accuracy.
        images: Files or folders of images to compare on; by default the run's images, or made-up ones if none
            of these can be read.
        data: Folder in which the run's images are now, if they were moved.
        out: Folder to write to, which is new, empty or holds an earlier export; by default export/ in the run
            folder.
    """
    from regraft.export.export import export_model
    from regraft.outputs.files import output_folder

    if out is not None:
        around = _images_around(run, out, data)
        output_folder(out, "an export", marks=_MARKS, inputs=[around, *images])
    done = export_model(
        run, out, to=to, int8=int8, images=images, data=data, reporter=make_reporter(json_lines=False)
    )
    size = sum(path.stat().st_size for path in done.folder.glob(f"{done.file.stem}.*"))
    others = {"onnx": ", example.py", "openvino": ", labels.json" if done.detector else ""}.get(to, "")
    print(f"wrote {done.file} ({size / 1e6:.1f} MB), README.md{others}")
    if done.detector is not None:
        _show_boxes(done.detector)
        return 0
    answers = done.parity.answers
    if done.parity.sample is not None:
        print(
            f"compared with the model on {printable(done.parity.sample.text)}: "
            f"{'' if answers == done.parity.outputs else f'the {answers} are the same, '}"
            f"{done.parity.outputs} differ by at most {done.parity.largest_difference:.1g}"
        )
    if done.trial is not None:
        kinds = "each kind that it decodes" if done.trial.unread else "each kind"
        print(f"example.py gives the same {answers} for {done.trial.images} images, at least one of {kinds}")
    if done.quantised is not None:
        _show_loss(done.quantised)
    return 0


def _show_boxes(done: DetectorExport) -> None:
    if done.parity is not None:
        pictures = f"{done.parity.pictures} {printable(done.parity.sample)}"
        print(f"compared with the detector on {pictures}: {done.parity.text}")
    if done.tried:
        print(f"example.py was run on {done.tried} pictures and shows the same boxes")


def _show_loss(lost: Quantised) -> None:
    if lost.int8 is None or lost.fp32 is None:
        print(f"int8 and fp32 give {lost.same} of {lost.images} images; no evaluated image can be read")
        return
    print(
        f"{lost.int8.title} on {lost.images} evaluated images: int8 {lost.int8.text}, fp32 {lost.fp32.text}; "
        f"both give {lost.same}"
    )


def _images_around(run: Path, out: Path, moved: Path | None) -> Path | None:
    """The folder of images in which an export would lie; None if it would lie in none.

    Directly below the data it does no harm, because a scan recognises what Regraft has written.
    """
    from regraft.data.sources.own_outputs import own_output
    from regraft.errors import RegraftError
    from regraft.runs.reading import RunFiles

    try:
        data = (moved or Path(str(RunFiles(run).run.settings.get("data", "")))).resolve()
    except RegraftError:
        return None  # the export itself says what is wrong with the run
    place = out.resolve()
    if not data.is_dir() or not place.is_relative_to(data):
        return None
    top = data / Path(*place.relative_to(data).parts[:1])
    names = {entry.name for entry in top.iterdir()} if top.is_dir() else set()
    return top if names and own_output(top, names) is None else None
