"""A fitted model, which predicts the labels of images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from types import NoneType
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from regraft.arguments import check_choice, check_kind, check_place, check_reporter
from regraft.data.image_like import ImageLike, ImageSource, read_image_likes
from regraft.data.pictures.loading import LoadLimits, Pixels, load_input
from regraft.errors import ImageError, SettingsError
from regraft.features.opening import open_runtime
from regraft.features.runtimes import Row, Runtime, RuntimeName
from regraft.heads.head import Head
from regraft.machine.processor import count_cores
from regraft.networks.weights.finding import Weights
from regraft.outputs.files import listed, visible
from regraft.parallel import in_order
from regraft.prediction.notebook import model_html
from regraft.prediction.predictions import Prediction, Predictions
from regraft.prediction.saving import BUNDLE_FILES, save_bundle
from regraft.prediction.voter import Voter
from regraft.progress import Reporter, Silent
from regraft.records import Column, Precision, SkippedFile
from regraft.tasks.score_sheet import AnyScores, ScoreSheet
from regraft.tasks.task import Task

_AHEAD = 8
_Choice = tuple[str, RuntimeName, Precision, str, int | None]  # weights, runtime, precision, device, threads
_CHUNK = 128  # decoded images that are kept until the next network has processed them


@dataclass(frozen=True)
class Model:
    """A network with a head, or several of them whose outputs are averaged (a soft vote).

    `regraft.fit` and `regraft.load_model` make models; they are immutable. The network is loaded at the first
    prediction.
    """

    task: Task
    """What the outputs mean."""
    weights: Weights
    head: Head
    layout: tuple[Column, ...]
    fitted_precision: Precision
    lineage: tuple[str, ...]
    scores: ScoreSheet | None = None
    """The model's scores; None for a model that was loaded from a bundle outside of its run."""
    run_folder: Path | None = None
    others: tuple[Voter, ...] = ()
    """Further voters; most models have none."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the outputs: for classification, the classes."""
        return self.task.outputs

    @property
    def voters(self) -> tuple[Voter, ...]:
        """All voters; the model's own network and head come first."""
        return (Voter(self.weights, self.head, self.layout), *self.others)

    def _repr_html_(self) -> str:
        return model_html(
            task=self.task,
            network=self.weights.network,
            heads=" + ".join(voter.head.record.kind for voter in self.voters),
            scores=self.scores,
            run_folder=self.run_folder,
        )

    @property
    def test_scores(self) -> AnyScores | None:
        """Scores on the test images; None if there were none."""
        return self.scores.test if self.scores else None

    def predict(
        self,
        images: Iterable[ImageLike] | ImageLike,
        *,
        precision: Precision = "fp32",
        runtime: RuntimeName = "auto",
        limits: LoadLimits | None = None,
        reporter: Reporter | None = None,
    ) -> Predictions:
        """Predict the labels of images, with probabilities where the task has any.

        A large JPEG file is decoded at a reduced size, which an image in memory no longer can be, so the
        probabilities of the two may differ in the third decimal.

        Args:
            images: one or several images: paths, folders (all images in them), whole files as bytes, arrays
                `(H, W)` or `(H, W, 1, 3 or 4)`, PIL images, tensors `(C, H, W)` or open binary files.
            precision: arithmetic of the network; fp32 gives the same probabilities on every machine, to 1e-5.
            runtime: the library that runs the network.
            limits: limits of the loader.
            reporter: receives the progress.

        Returns:
            Predictions in the order of the images; files that can't be used are only in `skipped`.

        Raises:
            DataError: something is not an image; the message names its kind and position.
            SettingsError: another argument has a value that is not accepted.
        """
        several = read_image_likes(images)
        check_prediction(precision=precision, runtime=runtime, limits=limits, reporter=reporter)
        if not several:
            return Predictions(self.labels, (), ())
        skipped: list[SkippedFile] = []
        rows = dict(
            self.stream(
                several, skipped, precision=precision, runtime=runtime, limits=limits, reporter=reporter
            )
        )
        return Predictions(self.labels, tuple(rows[place] for place in sorted(rows)), tuple(skipped))

    def stream(
        self,
        images: Sequence[ImageSource],
        skipped: list[SkippedFile],
        *,
        precision: Precision = "fp32",
        runtime: RuntimeName = "auto",
        limits: LoadLimits | None = None,
        device: str = "auto",
        threads: int | None = None,
        reporter: Reporter | None = None,
    ) -> Iterator[tuple[int, Prediction]]:
        """Like `predict`, but yields `(place, prediction)` pairs in any order and appends to `skipped`."""
        reporter = reporter or Silent()
        engines = self.engines(
            precision=precision, runtime=runtime, device=device, threads=threads, reporter=reporter
        )
        decoded = self._decode(images, skipped, limits, threads or count_cores())
        with reporter.phase("predicting", len(images)) as meter:
            for place, rows in _together(engines, decoded):
                meter.advance()
                yield place, self._judge(images[place].name, rows)

    def engines(
        self,
        *,
        precision: Precision = "fp32",
        runtime: RuntimeName = "auto",
        device: str = "auto",
        threads: int | None = None,
        reporter: Reporter | None = None,
    ) -> dict[str, Runtime]:
        """What runs each of the voters' networks, by the hash of its weights; see `open_runtime`."""
        networks = {voter.weights.sha256: voter.weights for voter in self.voters}
        return {
            sha256: self._engine((sha256, runtime, precision, device, threads), weights, reporter or Silent())
            for sha256, weights in networks.items()
        }

    def _judge(self, name: str, rows: Mapping[str, Row]) -> Prediction:
        return Prediction.of(name, self._outputs(rows), self.task)

    def _outputs(self, rows: Mapping[str, Row]) -> npt.NDArray[np.float64]:
        """The voters' mean outputs `(K,)`; `rows` are an image's features by the network's hash."""
        votes = []
        for voter in self.voters:
            row = rows[voter.weights.sha256]
            chosen = np.concatenate([row[c.start : c.stop] for c in voter.head.record.columns])[None]
            votes.append(voter.head.probabilities(chosen)[0])
        mean: npt.NDArray[np.float64] = np.mean(votes, axis=0) if len(votes) > 1 else votes[0]
        return mean

    def looked_at(
        self, pixels: Pixels, *, precision: Precision = "fp32"
    ) -> tuple[npt.NDArray[np.float64], Row]:
        """The outputs for one decoded image, and its feature row of the model's own network.

        Args:
            pixels: pixels `(H, W, C) uint8` at the network's input size, from `load_input`.
            precision: arithmetic of the network.
        """
        rows: dict[str, Row] = {}
        for voter in self.voters:
            sha256 = voter.weights.sha256
            if sha256 not in rows:
                engine = self._engine((sha256, "auto", precision, "auto", None), voter.weights, Silent())
                ((_, rows[sha256]),) = engine.run([(0, pixels)])
        return self._outputs(rows), rows[self.weights.sha256]

    def _decode(
        self,
        images: Sequence[ImageSource],
        skipped: list[SkippedFile],
        limits: LoadLimits | None,
        threads: int,
    ) -> Iterator[tuple[int, Pixels]]:
        def load(place: int) -> tuple[int, Pixels | None, str]:
            try:
                return place, load_input(images[place].file(), self.weights.input_spec, limits), ""
            except ImageError as error:
                return place, None, str(error)

        for place, pixels, reason in in_order(
            load, range(len(images)), workers=threads, ahead=_AHEAD * threads
        ):
            if pixels is None:
                skipped.append(skipped_source(images[place], reason))
            else:
                yield place, pixels

    def _engine(self, choice: _Choice, weights: Weights, reporter: Reporter) -> Runtime:
        if choice not in self._engines:
            _, name, precision, device, threads = choice
            self._engines[choice] = open_runtime(
                weights, name=name, precision=precision, device=device, threads=threads, reporter=reporter
            )
        return self._engines[choice]

    @cached_property
    def _engines(self) -> dict[_Choice, Runtime]:
        return {}

    def save(self, folder: str | Path) -> Path:
        """Write the model as a bundle; returns the folder. See `regraft.load_model`.

        Raises:
            SettingsError: the folder holds other files.
        """
        check_place("folder", folder, "the name of a folder")
        others = [name for name in visible(Path(folder)) if name not in BUNDLE_FILES]
        if others and "bundle.json" not in visible(Path(folder)):
            raise SettingsError(
                f"{folder} holds files that are not a model ({listed(others)}); name a new folder, because "
                "old files of a model's names are replaced and removed"
            )
        return save_bundle(
            self.voters,
            Path(folder),
            task=self.task,
            fitted_precision=self.fitted_precision,
            lineage=self.lineage,
        )


def _together(
    engines: Mapping[str, Runtime], images: Iterator[tuple[int, Pixels]]
) -> Iterator[tuple[int, dict[str, Row]]]:
    """Yield each image's rows of all networks; several networks process a chunk of images in turn."""
    if len(engines) == 1:
        ((sha256, engine),) = engines.items()
        for place, row in engine.run(images):
            yield place, {sha256: row}
        return
    while chunk := list(islice(images, _CHUNK)):
        rows: dict[int, dict[str, Row]] = {place: {} for place, _ in chunk}
        for sha256, engine in engines.items():
            for place, row in engine.run(iter(chunk)):
                rows[place][sha256] = row
        yield from rows.items()


def skipped_source(source: ImageSource, reason: str) -> SkippedFile:
    """Why an image was not used; a folder is only here because it holds no images."""
    is_folder = isinstance(source.content, str) and os.path.isdir(source.content)
    return SkippedFile(source.name, "a folder that holds no images" if is_folder else reason)


def check_prediction(
    *,
    precision: Any = "fp32",
    runtime: Any = "auto",
    limits: Any = None,
    reporter: Any = None,
) -> None:
    """Refuse arguments of a prediction that are not accepted.

    Raises:
        SettingsError: with the argument's name, its value and what is accepted.
    """
    check_choice("precision", precision, get_args(Precision))
    check_choice("runtime", runtime, get_args(RuntimeName))
    check_kind("limits", limits, (LoadLimits, NoneType), "LoadLimits and None")
    check_reporter(reporter)
