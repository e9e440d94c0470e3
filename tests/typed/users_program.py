"""A user's program, which `make lint` checks with the strictest types; it is never run.

An ignored error that is none is an error itself, so the last line shows that a wrong use is found.
"""

from __future__ import annotations

from pathlib import Path

import regraft


def program() -> None:
    """Fit, predict, save, compare."""
    images = regraft.load_images("photos/")
    model = regraft.fit(images, regraft.FitSettings(network="lenet5"), out=Path("run"))
    assert isinstance(model, regraft.Model)  # a data set with boxes gives a detector
    for row in model.predict(["a.png", b"bytes of a file"]):
        line: str = f"{row.path} {row.label} {row.probability:.0%}"
        print(line)
    folder: Path = model.save("flowers/")
    best: Path = regraft.compare_runs(["run", "other"]).recommended.folder
    print(folder, best)
    label: int = model.predict(["a.png"]).rows[0].label  # type: ignore[assignment]
    print(label)
    regraft.fit(images, network="lenet5", epochs=3, data=regraft.DataSettings(workers=2))
    regraft.fit(images, netwrok="lenet5")  # type: ignore[call-arg]
    regraft.load_images("photos/", max_megapixels="64")  # type: ignore[arg-type]
