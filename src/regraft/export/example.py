"""Label images with the file model.onnx that lies next to this program.

    pip install numpy pillow onnxruntime
    python example.py photo.jpg scan.tif

An image must be decoded as in training: `decoded` is all that another program has to repeat.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from PIL import ExifTags, Image, TiffImagePlugin

TURNS = {  # what undoes each EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
LARGE_PIXELS = 8_000_000


def main(paths: list[str]) -> None:
    """Print what the model says about each image."""
    file = Path(__file__).with_name("model.onnx")
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    facts = json.loads(session.get_modelmeta().custom_metadata_map["regraft"])
    spec, output = facts["input_spec"], session.get_outputs()[0].name
    share = spec["crop_share"] if spec.get("framing", "crop") == "crop" else 1.0
    needed_px = math.ceil(spec["size_px"] / share - 1e-6)
    for path in paths:
        try:
            batch = decoded(path, spec["channels"], needed_px, spec.get("intensity"))[None]
        except Exception as error:  # a file that Pillow can't read does not stop the others
            print(f"{path}: can't be decoded: {error}", file=sys.stderr)
            continue
        (outputs,) = session.run([output], {"images": batch})  # from (1, height, width, channels), 0 to 255
        for line in answer(outputs[0], facts["labels"], facts.get("task", {})):
            print(f"{path}: {line}")


def answer(outputs: np.ndarray[Any, Any], labels: list[str], task: dict[str, Any]) -> list[str]:
    """A number with its interval, all labels that reach their thresholds, or the class and the next two."""
    if task.get("name") == "regression":
        value, width = float(outputs[0]), task["half_width"]
        interval = "" if width is None else f" ({value - width:.6g} to {value + width:.6g} in 90 % of images)"
        return [f"{value:.6g}{interval}"]
    order = np.argsort(-outputs, kind="stable").tolist()
    if task.get("threshold") is not None:  # of two classes: the positive one from its threshold on
        positive = labels.index(task["positive"])
        order = (
            [positive, 1 - positive] if outputs[positive] >= task["threshold"] else [1 - positive, positive]
        )
    lines = [f"{labels[place]} {outputs[place]:.3%}" for place in order]
    if task.get("name") == "multilabel":
        needed = task["thresholds"] or [0.5] * len(labels)
        is_present = [outputs[place] >= needed[place] for place in order]
        present = [line for number, line in enumerate(lines) if is_present[number]]
        return present or [f"no label, at most {lines[0]}"]
    if outputs.max() < (task.get("reject_below") or 0):
        return [f"no label, at most {lines[0]}"]
    return lines[:3]


def decoded(
    path: str, channels: int, needed_px: int, intensity: dict[str, Any] | None = None
) -> np.ndarray[Any, Any]:
    """The first frame, upright: `(height, width, 3) uint8`, or the bands of a network of other channels.

    Args:
        path: an image file.
        channels: number of channels of the network; networks of one channel make grey from RGB themselves.
        needed_px: length of the shorter side that is enough; larger images may be reduced.
        intensity: the range of images of more than 8 bits, as the model's facts have it.

    Raises:
        ValueError: Pillow would read another picture than Regraft does.
    """
    with Image.open(path) as image:
        check_pixels(image)
        if channels in (1, 3):
            scale = needed_px / min(image.size)  # a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size
            image.draft(None, (max(1, int(image.width * scale)), max(1, int(image.height * scale))))
            image.load()
            bands = [rgb(image, intensity)]
        else:
            image.load()
            bands = separate(image, channels, intensity)
        is_large = image.width * image.height > LARGE_PIXELS
        factor = max(1, min(image.size) // (2 * needed_px)) if is_large else 1
        turn = TURNS.get(orientation(image))
    reduced = [band.reduce(factor) if factor > 1 else band for band in bands]
    upright = [band.transpose(turn) if turn is not None else band for band in reduced]
    return np.dstack([np.asarray(band) for band in upright])


def rgb(image: Image.Image, intensity: dict[str, Any] | None) -> Image.Image:
    """Any image in RGB: more than 8 bits are scaled, and what is transparent gets a ground."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return scaled(image, intensity).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return on_ground((image.convert("LA") if image.mode == "La" else image).convert("RGBA"))
    return image.convert("RGB")


def check_pixels(image: Image.Image) -> None:
    """Refuse colours of more than 8 bits, of which Pillow reads 8, and files in which 0 is white."""
    tiles = getattr(image, "tile", [])
    how = str(tiles[0][3]) if tiles else ""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16") and "16" in how:
        raise ValueError("colours of more than 8 bits, which Pillow cuts off; save it with 8 bits")
    is_inverted = isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(262) == 0
    if is_inverted and (image.mode in ("I", "F") or image.mode.startswith("I;16")):
        raise ValueError("more than 8 bits of which 0 is white; save it with 0 as black")


def scaled(image: Image.Image, intensity: dict[str, Any] | None) -> Image.Image:
    """Grey levels of 8 bits, in the range of the model's images, or else in the usual range."""
    values = np.asarray(image).astype(np.float64)
    finite = values[np.isfinite(values)]
    low, high = float(finite.min()), float(finite.max())
    known = (intensity or {}).get("real" if image.mode == "F" else "whole")
    usual = [1, 255] if image.mode == "F" else [255, 1023, 4095, 16383, 65535]
    usual = [65535] if image.format == "PPM" and image.mode == "I" else usual  # Pillow rescales these files
    white = next((level for level in usual if high <= level), None)
    if (intensity or {}).get("is_each"):
        drawn = finite[:: -(-values.size // (1 << 20))]
        own = [float(point) for point in np.percentile(drawn, (0.1, 99.9))]
        low, high = own if own[0] < own[1] else (low, high)
    elif known is not None:
        low, high = known
    elif low >= 0 and white is not None:
        low, high = 0.0, float(white)
    values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    grey = (values - low) * (255.0 / max(high - low, 1e-30))
    return Image.fromarray(np.clip(np.rint(grey), 0, 255).astype(np.uint8))


def on_ground(image: Image.Image) -> Image.Image:
    """RGB from RGBA on white, or on black if less than 5 % of what is visible is darker than grey 225."""
    alpha = np.asarray(image.getchannel("A"), dtype=np.int64)
    grey = np.asarray(image.convert("RGB").convert("L"))
    ground = 0 if alpha[grey < 225].sum() < 0.05 * alpha.sum() else 255
    below = Image.new("RGBA", image.size, (ground, ground, ground, 255))
    return Image.alpha_composite(below, image).convert("RGB")


def separate(image: Image.Image, channels: int, intensity: dict[str, Any] | None) -> list[Image.Image]:
    """The bands of an image, or its pages if each is grey."""
    if len(image.getbands()) == channels:
        return [image.getchannel(number) for number in range(channels)]
    if getattr(image, "n_frames", 1) != channels:
        raise ValueError(f"{len(image.getbands())} bands; the model takes {channels} bands or grey pages")
    pages = []
    for number in range(channels):
        image.seek(number)
        image.load()
        pages.append(rgb(image, intensity).getchannel(0))
    return pages


def orientation(image: Image.Image) -> int:
    """The orientation from the EXIF data of a decoded image; Pillow has turned TIFF files already."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return 1
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # broken EXIF data; the pixels are fine
        return 1


if __name__ == "__main__":
    main(sys.argv[1:])
