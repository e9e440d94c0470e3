"""The page of an experiment: question, answer, figures with their numbers, papers, next steps, settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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
        subject=subject,
        results=results,
        figures=figures,
        findings=findings,
        extras=extras,
        steps=experiment.next_steps(results, choices, subject.most_seeds),
        command=f"regraft {choices.command(experiment.name, seeds=len(results.seeds))}",
        seconds=sum(row.seconds for row in results.rows),
    )
