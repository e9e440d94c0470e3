"""Find objects with the file model.onnx that lies next to this program, and draw them.

    pip install numpy pillow onnxruntime
    python example.py photo.jpg

It prints the boxes and writes photo-boxes.png into the current folder.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageDraw, ImageOps


def main(paths: list[str]) -> None:
    """Print and draw what the detector finds in each picture."""
    file = Path(__file__).with_name("model.onnx")
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    facts = json.loads(session.get_modelmeta().custom_metadata_map["regraft"])
    for path in paths:
        picture = ImageOps.exif_transpose(Image.open(path))  # upright
        if facts["input_spec"]["channels"] in (1, 3):
            picture = picture.convert("RGB")
        boxes, labels, scores = session.run(None, {"pixels": np.asarray(picture)})
        drawn = picture.convert("RGB")
        pen, size = ImageDraw.Draw(drawn), max(10, max(drawn.size) // 50)
        for box, label, score in zip(boxes.tolist(), labels, scores, strict=True):
            if score >= facts["thresholds"][label]:
                said = f"{facts['labels'][label]} {score:.1%}"
                pen.rectangle(box, outline="red", width=max(1, size // 8))
                left = max(0, min(box[0], drawn.width - 0.6 * size * len(said)))
                pen.text((left, max(0, box[1] - size)), said, fill="red", font_size=size)
                print(f"{path}: {said} " + " ".join(f"{edge:.1f}" for edge in box))
        drawn.save(f"{Path(path).stem}-boxes.png")


if __name__ == "__main__":
    main(sys.argv[1:])
