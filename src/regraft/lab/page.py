"""The page of an experiment: question, answer, figures with their numbers, papers, next steps, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from regraft.lab.results.experiment import Choices, Experiment, Extra, Subject
from regraft.lab.results.figures import Figure
from regraft.lab.results.results import Results
from regraft.reports.pages import write_page


def write_experiment_page(
    path: Path,
    experiment: Experiment,
    choices: Choices,
    subject: Subject,
    results: Results,
    figures: Sequence[Figure],
    findings: Sequence[str],
    extras: Sequence[Extra] = (),
) -> Path:
    """Write the page of an experiment; returns its path.

    Args:
        path: the HTML file.
        experiment: the experiment.
        choices: what the user chose.
        subject: the data and the network.
        results: what was measured.
        figures: the figures, whose SVG is shown as it is.
        findings: sentences about the result.
        extras: further pages in the same folder.
    """
    return write_page(
        path,
        "experiment.html",
        script="experiment.js" if any(figure.frames for figure in figures) else "",
        experiment=experiment,
        facts={name.replace("_", " "): in_words(value) for name, value in subject.facts.items()},
        subject=subject,
        results=results,
        figures=figures,
        findings=findings,
        extras=extras,
        steps=experiment.next_steps(results, choices, subject.most_seeds),
        command=f"regraft {choices.command(experiment.name, seeds=len(results.seeds))}",
        seconds=sum(row.seconds for row in results.rows),
    )


def in_words(value: Any) -> str:
    """A setting as it is read: lists and tables without their brackets.

    >>> in_words({"basic": 8, "bottleneck": 36}), in_words([3, 40]), in_words(0.003)
    ('basic 8, bottleneck 36', '3, 40', '0.003')
    """
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {in_words(one)}" for name, one in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(in_words, value))
    return str(value)
