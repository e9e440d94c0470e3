"""The command `regraft demo`."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from regraft.cli.terminal.console import make_reporter, show_json, show_table
from regraft.records import Estimate

if TYPE_CHECKING:
    from regraft.lab.demonstration import Comparison

_BAR = 40  # characters that stand for 100 %
_WIDTH = 100


def demo(
    *,
    out: Annotated[str, Parameter(name=["--out", "-o"])] = "runs/demo",
    draws: int = 5,
    per_class: int = 10,
    runtime: Literal["auto", "openvino", "torch"] = "auto",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Compare transfer with training from scratch on two small data sets that are installed already.

    An EfficientNet-Lite0 that learned ImageNet is transferred to handwritten digits, and to crops of photos
    with and without a face. With few labelled images of each class, heads on its stages are compared with
    LeNet-5, a small network made for digits, trained from scratch, and with classifiers on the grey values,
    over several draws of the labelled images. Nothing is downloaded. After an interruption, the same command
    reuses what was computed.

    Args:
        out: Folder for the images and for the run of the first draw.
        draws: Number of times that the labelled images are drawn.
        per_class: Number of labelled images of each class.
        runtime: Library that computes the network.
        json: Print one JSON object instead of tables.
    """
    from dataclasses import asdict

    from regraft.errors import SettingsError
    from regraft.lab.demonstration import MOST_PER_CLASS, demonstrate

    problems = []
    if not 1 <= draws <= 100:
        problems.append(f"--draws {draws} is out of range; accepted are 1 to 100")
    if not 2 <= per_class <= MOST_PER_CLASS:
        problems.append(f"--per-class {per_class} is out of range; accepted are 2 to {MOST_PER_CLASS}")
    if problems:
        raise SettingsError("; ".join(problems))
    _check_folder(Path(out))
    found = demonstrate(
        Path(out), draws=draws, per_class=per_class, runtime=runtime, reporter=make_reporter(json_lines=json)
    )
    if json:
        show_json(_plain(asdict(found)))
        return 0
    for comparison in found.comparisons:
        _show(comparison, found.network)
    print(
        f"Took {found.wall_s:.0f} s. The model of the first draw of digits: regraft report {found.run_folder}"
    )
    print("Next, with a folder of your own images, a folder per class:")
    for command in ("check photos/", "fit photos/ --out runs/photos", "report runs/photos"):
        print(f"  regraft {command}")
    return 0


_FOLDERS = {"images": {str(digit) for digit in range(10)}, "faces": {"face", "other"}}
"""The folders that the demonstration writes, and the folders in them."""


def _check_folder(out: Path) -> None:
    """Refuse a folder that holds something else than an earlier demonstration."""
    from regraft.errors import SettingsError
    from regraft.outputs.files import listed, visible

    others = [name for name in visible(out) if name not in (*_FOLDERS, "digits.csv", "run")]
    for name, classes in _FOLDERS.items():
        others += [f"{name}/{label}" for label in visible(out / name) if label not in classes]
    if others or (out.exists() and not out.is_dir()):
        what = f"holds files of others ({listed(others)})" if others else "is a file"
        raise SettingsError(f"{out} {what}; name a new folder for the demonstration with --out")


def _plain(value: object) -> object:
    """Records and paths as JSON values."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Estimate):
        return value.model_dump()
    return str(value) if isinstance(value, Path) else value


def _show(found: Comparison, network: str) -> None:
    from regraft.lab.demonstration import LAST, SCRATCH

    print()
    print(f"{found.name.upper()}: {found.about}.")
    draws = "1 draw" if found.draws == 1 else f"{found.draws} draws"
    labelled = f"{found.labelled_images} labelled images of {found.classes} classes"
    print(f"{labelled}, {found.test_images} test images, {draws}")
    print(f"Test accuracy of a logistic regression after each stage of {network}, from one pass:")
    for depth in found.depths:
        bar = "█" * round(_BAR * depth.accuracy.value)
        chosen = f"  chosen in {depth.chosen}" if depth.chosen else ""
        print(f"  {depth.stage:<10} {_share(depth.accuracy):>20}  {bar}{chosen}")
    rows = []
    for one in found.contenders:
        is_reference = one.name == SCRATCH
        scratch = "" if is_reference else _points(one.over_scratch)
        last = "" if one.name == LAST else _points(one.over_last)
        rows.append([one.name, _share(one.accuracy), scratch, last])
    header = ["method", "accuracy % [95 %]", "over scratch", "over last stage"]
    title = "Mean test accuracy over the draws, and the mean difference of the same draws, in points"
    show_table(title, header, rows, right=[1, 2, 3])
    for sentence in _conclusions(found):
        print(textwrap.fill(sentence, _WIDTH))


def _conclusions(found: Comparison) -> list[str]:
    """What the intervals allow to say."""
    from regraft.lab.demonstration import BEST, SEVERAL

    sentences = []
    for name, what in ((BEST, "a head on the best stage"), (SEVERAL, "a head on several stages")):
        one = found.contender(name)
        sentences.append(
            f"On {found.name}, {what} {_verdict(one.over_last)} the last stage and "
            f"{_verdict(one.over_scratch)} training from scratch."
        )
    return sentences


def _verdict(difference: Estimate) -> str:
    """In words, and only what the interval allows: a difference whose interval holds zero is none."""
    low, high = difference.low, difference.high
    if low is None or high is None:
        return f"is in this single draw {100 * difference.value:+.1f} points against"
    if low > 0:
        return f"beats (by {100 * difference.value:.1f} points)"
    if high < 0:
        return f"loses (by {-100 * difference.value:.1f} points) to"
    return "can't be told apart from"


def _share(one: Estimate) -> str:
    """A share in per cent; bounds of Student's t may lie outside of what a share can be."""
    if one.low is not None and one.high is not None:
        one = Estimate(value=one.value, low=max(0.0, one.low), high=min(1.0, one.high))
    return f"{100 * one.value:.1f}{_bounds(one, '.1f')}"


def _points(one: Estimate) -> str:
    return f"{100 * one.value:+.1f}{_bounds(one, '+.1f')}"


def _bounds(one: Estimate, form: str) -> str:
    if one.low is None or one.high is None:
        return ""
    return f" [{format(100 * one.low, form)}, {format(100 * one.high, form)}]"
