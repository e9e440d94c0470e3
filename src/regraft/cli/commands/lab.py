"""The command `regraft lab`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from regraft.cli.terminal.console import make_reporter, show_json, show_table

if TYPE_CHECKING:
    from regraft.lab.course import CourseRun
    from regraft.lab.running import ExperimentRun


def lab(
    name: str | None = None,
    /,
    *,
    data: str | None = None,
    network: str = "tf_efficientnet_lite0",
    weights: str | None = None,
    seeds: int | None = None,
    budget: str | None = None,
    quick: Annotated[bool, Parameter(negative="")] = False,
    runtime: Literal["auto", "openvino", "torch"] = "auto",
    out: Annotated[str, Parameter(name=["--out", "-o"])] = "runs",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> int:
    """Run a teaching experiment on this machine, and write a page about what it found.

    Without a name, the experiments are listed. Each answers a question of a lecture by measuring: its
    page shows figures with intervals, what the papers found, and what to try next. It is written to
    `lab/NAME/index.html` in the folder of `--out`, with the figures as SVG files and all numbers as a table.
    `all` runs the whole course and writes `lab/index.html`, which leads through it.

    Every measurement is kept. After Ctrl-C the same command resumes, and more `--seeds` add to what is there.

    ```
    regraft lab
    regraft lab depth
    regraft lab depth --data photos/ --seeds 5 --budget 30m
    regraft lab rcnn --data cells/ --seeds 3
    regraft lab all --quick
    ```

    Args:
        name: Name of the experiment, or all.
        data: Path of the data set. By default the experiment makes its pictures.
        network: Name of the pretrained network.
        weights: File or folder of the network's weights.
        seeds: Number of draws of pictures and initial weights; the default depends on the experiment.
        budget: Time such as 10m; no draw is begun that would probably end later.
        quick: Use fewer pictures, shorter trainings and few draws.
        runtime: Library that computes the network.
        out: Folder in which lab/NAME/ is written.
        json: Print JSON instead of tables.
    """
    if name is None:
        return _list(out, json)
    import regraft.lab
    from regraft.lab.experiments.catalogue import ALL

    reporter = make_reporter(json_lines=json)
    if name == ALL:
        course = regraft.lab.run_all(
            data=data, network=network, weights=weights, seeds=seeds, budget=budget, quick=quick,
            runtime=runtime, out=out, reporter=reporter,
        )  # fmt: skip
        _show_course(course, json)
        return 0
    found = regraft.lab.run(
        name,
        data=data,
        network=network,
        weights=weights,
        seeds=seeds,
        budget=budget,
        quick=quick,
        runtime=runtime,
        out=out,
        reporter=reporter,
    )
    _show(found, json)
    return 0


def _list(out: str, json: bool) -> int:
    from pathlib import Path

    from regraft.lab.course import measured_seconds
    from regraft.lab.experiments.catalogue import EXPERIMENTS

    here = measured_seconds(Path(out))
    if json:
        fields = ("name", "question", "topic", "minutes", "seeds")
        show_json(
            [
                {**{field: getattr(one, field) for field in fields}, "measured_s": here.get(one.name)}
                for one in EXPERIMENTS.values()
            ]
        )
        return 0
    rows = [
        [
            one.name,
            one.question,
            f"{one.minutes:g}",
            f"{here[one.name] / 60:.1f}" if one.name in here else "–",
            one.topic,
        ]
        for one in EXPERIMENTS.values()
    ]
    show_table("Experiments", ["name", "question", "minutes", "here", "topic"], rows, right=[2, 3])
    print(
        "To run one: regraft lab NAME, or all for the whole course (minutes: those on two cores with the "
        "default "
        f"settings; here: those of what is kept in {out}/lab)"
    )
    return 0


def _show_course(course: CourseRun, json: bool) -> None:
    if json:
        facts = {"page": str(course.page), "not_run": dict(course.troubles)}
        found = {run.results.experiment: run.findings for run in course.runs}
        show_json({**facts, "findings": found, "wall_s": round(course.wall_s, 1)})
        return
    for run in course.runs:
        print(f"{run.results.experiment}:")
        for sentence in run.findings:
            print(f"- {sentence}")
    print(f"The course: {course.page}; open it in a browser, which works offline")


def _show(found: ExperimentRun, json: bool) -> None:
    if json:
        facts = {"page": str(found.page), "draws": len(found.results.seeds), "findings": found.findings}
        show_json({**facts, "rows": found.table.to_pylist()})
        return
    for figure in found.figures:
        header, rows = list(figure.header), [list(row) for row in figure.rows]
        show_table(figure.title, header, rows, right=range(1, len(header)))
    for sentence in found.findings:
        print(f"- {sentence}")
