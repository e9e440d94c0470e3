"""Run an experiment: every arm on every draw, kept as it comes; then the page, the figures and the table."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regraft.errors import SettingsError
from regraft.lab.page import write_experiment_page
from regraft.lab.results.experiment import Choices, Experiment, Extra, Subject
from regraft.lab.results.figures import Figure
from regraft.lab.results.results import Results
from regraft.lab.results.rows import Row, RowFiles
from regraft.outputs.files import listed, visible
from regraft.progress import Reporter, Silent, duration
from regraft.storage.files import write_atomically
from regraft.version import VERSION

MOST_SEEDS = 100
ROWS, PAGE, TABLE = "rows", "index.html", "numbers.csv"
MORE = ("features.html",)
"""Names of further pages that an experiment may have."""


@dataclass(frozen=True)
class ExperimentRun:
    """What an experiment found, and where it is."""

    results: Results
    figures: tuple[Figure, ...]
    findings: tuple[str, ...]
    folder: Path
    wall_s: float

    @property
    def table(self) -> Any:
        """The tidy rows as a `pyarrow.Table`: experiment, arm, seed, measure, value, low, high, unit."""
        return self.results.table()

    @property
    def page(self) -> Path:
        """The page."""
        return self.folder / PAGE


def run_experiment(
    experiment: Experiment,
    choices: Choices,
    *,
    out: Path,
    seeds: int | None = None,
    budget_s: float | None = None,
    reporter: Reporter | None = None,
) -> ExperimentRun:
    """Measure what is missing, and write `lab/NAME/` below a folder; Ctrl-C leaves a page of what is there.

    Args:
        experiment: the experiment.
        choices: data, network and size.
        out: the folder; `lab/NAME/` in it is new, or an earlier run's.
        seeds: number of draws; None means as many as the experiment has by default, or by `--quick`.
        budget_s: no draw is begun that would probably end later than this many seconds from now; the first
            one always is. None for no limit.
        reporter: receives progress.

    Raises:
        SettingsError: the number of draws is out of range, or the folder holds something else.
    """
    started, log = time.perf_counter(), reporter or Silent()
    wanted = seeds
    if wanted is None:
        wanted = experiment.quick_seeds if choices.is_quick else experiment.seeds
    check_seeds(wanted)
    folder = out / "lab" / experiment.name
    _check_folder(folder)
    subject = experiment.prepare(choices, log)
    log.note(f"data: {subject.about}")
    draws = _draws(wanted, subject, log, is_asked=seeds is not None)
    facts = {"version": experiment.version, "regraft": VERSION, **subject.facts}
    files = RowFiles(folder / ROWS, experiment.name, facts)
    job = _Job(experiment, subject, files, log, started, budget_s)
    rows: list[Row] = []
    try:
        job.measure(draws, rows)
    except KeyboardInterrupt:
        if Results(experiment.name, tuple(rows)).seeds and len({row.arm for row in rows}) == len(
            experiment.arms
        ):
            done = _finished(experiment, choices, subject, rows, folder, started, ())
            log.warn(f"stopped; {done.page} shows the draws that are complete")
        raise
    extras = tuple(experiment.more(choices, folder, log)) if experiment.more else ()
    done = _finished(experiment, choices, subject, rows, folder, started, extras)
    log.note(f"page: {done.page}")
    return done


def check_seeds(wanted: int) -> None:
    """Refuse a number of draws that is out of range.

    Raises:
        SettingsError: the number is not accepted.
    """
    if not 1 <= wanted <= MOST_SEEDS:
        raise SettingsError(f"--seeds {wanted} is out of range; accepted are 1 to {MOST_SEEDS}")


@dataclass(frozen=True)
class _Job:
    """The measurements of one run."""

    experiment: Experiment
    subject: Subject
    files: RowFiles
    log: Reporter
    started: float
    budget_s: float | None

    def measure(self, draws: Sequence[int], rows: list[Row]) -> None:
        """Add the rows of all arms, draw by draw; those that are kept are not measured again."""
        arms = [arm.name for arm in self.experiment.arms]
        for place, seed in enumerate(draws):
            known = {arm: self.files.find(arm, seed) for arm in arms}
            left_s = self._seconds(rows, [arm for arm in arms if known[arm] is None])
            passed = time.perf_counter() - self.started
            if self.budget_s is not None and place and passed + left_s > self.budget_s:
                self.log.note(
                    f"stopped after {place} of {len(draws)} draws: another one takes about "
                    f"{duration(left_s)}, more than is left of --budget"
                )
                return
            for arm in arms:
                row = known[arm] or self._measured(arm, seed)
                rows.append(row)
                how = f"in {duration(row.seconds)}" if known[arm] is None else "kept from an earlier run"
                left = self._left(arms, draws, rows)
                self.log.note(f"draw {place + 1} of {len(draws)}, {arm}: {how}{left}")

    def _measured(self, arm: str, seed: int) -> Row:
        started = time.perf_counter()
        values = self.subject.measure(arm, seed, self.log)
        seconds = round(time.perf_counter() - started, 3)
        row = Row(experiment=self.experiment.name, arm=arm, seed=seed, values=values, seconds=seconds)
        self.files.keep(row)
        return row

    def _left(self, arms: Sequence[str], draws: Sequence[int], rows: Sequence[Row]) -> str:
        """The time that is left as words; nothing until every arm was measured once."""
        done = {(row.arm, row.seed) for row in rows}
        missing = [
            arm
            for seed in draws
            for arm in arms
            if (arm, seed) not in done and self.files.find(arm, seed) is None
        ]
        if not missing or len({row.arm for row in rows}) < len(arms):
            return ""
        return f"; about {duration(self._seconds(rows, missing))} left"

    @staticmethod
    def _seconds(rows: Sequence[Row], arms: Sequence[str]) -> float:
        """What measuring these arms will probably take: the median of earlier measurements."""
        by_arm = {arm: [row.seconds for row in rows if row.arm == arm] for arm in arms}
        return sum(statistics.median(by_arm[arm]) for arm in arms if by_arm[arm])


def _draws(wanted: int, subject: Subject, log: Reporter, *, is_asked: bool) -> range:
    most = subject.most_seeds
    if most is None or wanted <= most:
        return range(wanted)
    if is_asked:
        raise SettingsError(
            f"--seeds {wanted} needs more pictures than the data has: it is enough for {most} independent "
            f"{'draw' if most == 1 else 'draws'}. Use --seeds {most}, or add pictures"
        )
    log.note(f"the data is enough for {most} independent {'draw' if most == 1 else 'draws'}, not {wanted}")
    return range(most)


def _finished(
    experiment: Experiment,
    choices: Choices,
    subject: Subject,
    rows: Sequence[Row],
    folder: Path,
    started: float,
    extras: Sequence[Extra],
) -> ExperimentRun:
    results = Results(experiment.name, tuple(rows))
    figures = tuple(experiment.figures(results))
    findings = tuple(experiment.findings(results))
    for figure in figures:
        write_atomically(folder / f"{figure.name}.svg", figure.standalone)
    write_atomically(folder / TABLE, results.csv())
    write_experiment_page(folder / PAGE, experiment, choices, subject, results, figures, findings, extras)
    return ExperimentRun(results, figures, findings, folder, time.perf_counter() - started)


def _check_folder(folder: Path) -> None:
    """Refuse a folder that holds something else than an earlier run."""
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder} is a file; name another folder with --out")
    names = visible(folder)
    others = [name for name in names if name not in (ROWS, PAGE, TABLE, *MORE) and not name.endswith(".svg")]
    if names and ROWS not in names:
        others = names
    if others:
        raise SettingsError(
            f"{folder} holds files of others ({listed(others)}); name a new folder with --out"
        )
