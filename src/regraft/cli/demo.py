"""The command `regraft demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from regraft.cli.console import make_reporter, show_json, show_table


def demo(
    *,
    out: Annotated[str, Parameter(name=["--out", "-o"])] = "runs/demo",
    draws: int = 10,
    per_class: int = 10,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """The main job in small: a LeNet-5 that learned the digits 0-4 is transferred to the digits 5-9.

    The images are written out as PNG files, a folder per class. With few labelled images a class, the
    transferred network is compared with the same network trained from scratch, over several draws.

    Args:
        out: where the images, the tables of the draws and the first run go.
        draws: how many times the labelled images are drawn anew.
        per_class: labelled images of each class.
        json: print one JSON object instead of a table.
    """
    from dataclasses import asdict

    from regraft.errors import SettingsError
    from regraft.lab.digits import compare

    if draws < 1 or not 2 <= per_class <= 150:
        raise SettingsError(f"--draws {draws} must be at least 1, and --per-class {per_class} from 2 to 150")
    folder = Path(out)
    result = compare(folder, draws=draws, per_class=per_class, reporter=make_reporter(json_lines=json))
    if json:
        show_json([{**asdict(c), "accuracy": c.accuracy.model_dump()} for c in result.contenders])
        return 0
    rows = []
    for one in result.contenders:
        low, high = one.accuracy.low, one.accuracy.high
        bounds = "" if low is None or high is None else f" [{low:.1%}, {high:.1%}]"
        taken = f"{one.seconds:.2f} s" if one.seconds else ""
        wins = "" if not one.name.startswith("transfer") else f"{one.wins} of {result.draws}"
        rows.append([one.name, f"{one.accuracy.value:.1%}{bounds}", wins, taken])
    title = (
        f"LeNet-5, digits 0-4 to digits 5-9: {result.train_images} labelled images, "
        f"{result.test_images} tested, {result.draws} draws"
    )
    header = ["strategy", "test accuracy [95 %]", "not below scratch", "time a draw"]
    show_table(title, header, rows, right=[1, 2, 3])
    print(f"try: regraft predict {result.run_folder} {folder / 'images' / '7'} | head")
    return 0
