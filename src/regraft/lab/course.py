"""The whole course: every experiment in the order of a lecture, and a page that leads through them."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from regraft.errors import RegraftError, SettingsError
from regraft.lab.experiments.catalogue import ALL, EXPERIMENTS
from regraft.lab.results.experiment import Choices, Experiment
from regraft.lab.results.figures import Figure
from regraft.lab.running import PAGE, ROWS, ExperimentRun, check_seeds, run_experiment
from regraft.progress import Reporter, Silent, duration
from regraft.reports.pages import write_page
from regraft.workflow.check import load_images

_TEMPLATE = "course.html"


@dataclass(frozen=True)
class Chapter:
    """An experiment of the course, as the page shows it."""

    experiment: Experiment
    figure: Figure | None = None
    """Its first figure; None if it was not run."""
    findings: tuple[str, ...] = ()
    seeds: int = 0
    trouble: str = ""
    """Why it was not run; empty if it was, or is still to be."""

    @property
    def part(self) -> str:
        """The part of the course: what comes before the colon of the topic."""
        return self.experiment.topic.partition(":")[0]


@dataclass(frozen=True)
class CourseRun:
    """What the course found, and where its page is."""

    runs: tuple[ExperimentRun, ...]
    page: Path
    troubles: tuple[tuple[str, str], ...]
    """The name of each experiment that could not be run, and why."""
    wall_s: float


def run_course(
    choices: Choices,
    *,
    out: Path,
    seeds: int | None = None,
    budget_s: float | None = None,
    reporter: Reporter | None = None,
) -> CourseRun:
    """Run all experiments; what was measured before is not measured again.

    The data of `choices` is for all experiments but `rcnn`, which needs boxes. After each experiment the page
    `lab/index.html` is written anew, so that after Ctrl-C it shows what is there.

    Args:
        choices: data, network and size.
        out: the folder in which `lab/` is written.
        seeds: number of draws of each experiment; None means its own.
        budget_s: seconds for everything; an experiment that is begun keeps to what is left. None: no limit.
        reporter: receives progress.

    Raises:
        SettingsError: the number of draws is out of range, or there is another page where the course's is
            to be written.
        DataError: the data can't be used at all.
    """
    started, log = time.perf_counter(), reporter or Silent()
    _check_page(out / "lab" / PAGE)
    if seeds is not None:
        check_seeds(seeds)
    if choices.data is not None:
        load_images(choices.data, reporter=log)
    chapters, command = [Chapter(one) for one in EXPERIMENTS.values()], choices.command(ALL, seeds=seeds)
    runs: list[ExperimentRun] = []
    for number, chapter in enumerate(chapters):
        own = chapter.experiment
        left_s = None if budget_s is None else budget_s - (time.perf_counter() - started)
        if left_s is not None and left_s <= 0:
            log.note(f"stopped before {own.name}: --budget is used up; the same command resumes")
            break
        log.note(f"experiment {number + 1} of {len(chapters)}, {own.name}: {own.question}")
        fitting = replace(choices, data=None) if own.name == "rcnn" else choices
        try:
            found = run_experiment(own, fitting, out=out, seeds=seeds, budget_s=left_s, reporter=log)
        except RegraftError as error:
            log.warn(f"{own.name} could not be run: {error}")
            chapters[number] = replace(chapter, trouble=str(error))
            continue
        runs.append(found)
        chapters[number] = replace(
            chapter, figure=found.figures[0], findings=found.findings, seeds=len(found.results.seeds)
        )
        _write(out / "lab" / PAGE, chapters, command, time.perf_counter() - started)
    page = _write(out / "lab" / PAGE, chapters, command, time.perf_counter() - started)
    wall_s = time.perf_counter() - started
    log.note(f"the course: {page}, {len(runs)} of {len(chapters)} experiments in {duration(wall_s)}")
    troubles = tuple((one.experiment.name, one.trouble) for one in chapters if one.trouble)
    return CourseRun(tuple(runs), page, troubles, wall_s)


def _check_page(path: Path) -> None:
    """Refuse to replace a page that is not the course's."""
    if (
        path.exists()
        and f"regraft {_TEMPLATE}" not in path.read_text(encoding="utf-8", errors="replace")[:4096]
    ):
        raise SettingsError(f"{path} is not a page of the course; name another folder with --out")


def _write(path: Path, chapters: Sequence[Chapter], command: str, seconds: float) -> Path:
    parts: dict[str, list[Chapter]] = {}
    for chapter in chapters:
        parts.setdefault(chapter.part, []).append(chapter)
    done = sum(chapter.figure is not None for chapter in chapters)
    return write_page(
        path,
        _TEMPLATE,
        parts=parts,
        done=done,
        count=len(chapters),
        command=f"regraft {command}",
        seconds=seconds,
    )


def measured_seconds(out: Path) -> dict[str, float]:
    """How long the kept measurements of each experiment below a folder took on the machine that made them."""
    found = {}
    for name in EXPERIMENTS:
        spent = [_seconds(path) for path in sorted((out / "lab" / name / ROWS).glob("*.json"))]
        if spent:
            found[name] = sum(spent)
    return found


def _seconds(path: Path) -> float:
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        return float(row["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0
