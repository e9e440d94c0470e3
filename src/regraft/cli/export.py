"""The command `regraft export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from regraft.cli.console import make_reporter


def export(
    run: Path,
    /,
    *,
    to: Literal["onnx", "openvino", "safetensors"] = "onnx",
    int8: Annotated[bool, Parameter(negative="")] = False,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
) -> int:
    """The model as a file for others: from decoded pixels to probabilities, compared before it is written.

    Resizing, normalisation, network, head (a soft vote or an RBF SVM included) and labels are in one graph.
    Beside it: a model card and an example that needs numpy and ONNX Runtime alone.

    ```
    regraft export runs/photos-mobilenetv1_100-auto
    regraft export runs/photos-mobilenetv1_100-auto --int8 --out small/
    regraft export runs/photos-mobilenetv1_100-auto --to openvino
    ```

    Args:
        run: a folder that fit left behind.
        to: onnx (one file), openvino (.xml and .bin) or safetensors (weights and head by name).
        int8: 8-bit weights and activations, calibrated on training images; the accuracy lost is measured.
        out: the folder to write into; without it, export/ in the run folder.
    """
    from regraft.serving.export import export_model

    done = export_model(run, out, to=to, int8=int8, reporter=make_reporter(json_lines=False))
    size = sum(path.stat().st_size for path in done.folder.glob(f"{done.file.stem}.*"))
    print(f"wrote {done.file} ({size / 1e6:.1f} MB), README.md" + (", example.py" if to == "onnx" else ""))
    if done.parity.images:
        print(
            f"compared with the model on {done.parity.images} images: the same labels, probabilities within "
            f"{done.parity.largest_difference:.1g}"
        )
    if done.quantised is not None:
        lost = done.quantised
        print(
            f"int8: {100 * lost.accuracy_int8:.1f} % of {lost.images} judged images right, fp32 "
            f"{100 * lost.accuracy_fp32:.1f} %; the same label on {100 * lost.agreement:.1f} %"
        )
    return 0
