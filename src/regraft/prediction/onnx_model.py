"""A model in an exported ONNX file: the same predictions, without torch and the network's library."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

from regraft.data.image_like import ImageLike, read_image_likes
from regraft.data.pictures.framing import needed_side_px
from regraft.data.pictures.loading import LoadLimits, decode_for, read_file
from regraft.errors import BundleError, ImageError
from regraft.machine.processor import count_cores
from regraft.parallel import in_order
from regraft.prediction.model import check_prediction, skipped_source
from regraft.prediction.predictions import Prediction, Predictions
from regraft.records import InputSpec, Link, SkippedFile
from regraft.tasks.choosing import SavedTask
from regraft.tasks.classification import Classification
from regraft.tasks.task import Task

FACT = "regraft"
"""Key of an exported file's metadata, which is JSON."""
OUTPUTS: Mapping[Link, str] = {"softmax": "probabilities", "sigmoid": "probabilities", "identity": "values"}
"""By link, the name of the graph's output `(N, K) float32`."""
_SAVED: TypeAdapter[SavedTask] = TypeAdapter(SavedTask)
_MAX_BYTES = 4 << 30


class OnnxModel:
    """An exported model, from whole decoded images to outputs; ONNX Runtime computes it.

    Args:
        path: the `.onnx` file that `regraft export` has written.
        session: the file's session, if it is open already.

    Raises:
        BundleError: the file is not one that `regraft export` has written, or ONNX Runtime is not installed.
    """

    def __init__(self, path: str | Path, *, session: Any = None) -> None:
        self.path = Path(path)
        self._session = open_session(self.path) if session is None else session
        self.facts = exported_facts(self.path, self._session)
        if self.facts.get("task") == "detection":
            raise BundleError(
                f"{self.path} finds boxes, but labels of whole images are expected here. Give an exported "
                "classifier, or open it with regraft.load_model"
            )
        try:
            self.task: Task = read_task(self.facts)
            self.input_spec = InputSpec.model_validate(self.facts["input_spec"])
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"the metadata of {self.path} can't be read: {error}. Export it again"
            ) from error

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the outputs: for classification, the classes."""
        return self.task.outputs

    def predict(
        self,
        images: Iterable[ImageLike] | ImageLike,
        *,
        limits: LoadLimits | None = None,
    ) -> Predictions:
        """Predict the labels of images; files that can't be used are in `skipped`.

        Args:
            images: one or several images, as in `Model.predict`.
            limits: limits of the loader.

        Raises:
            DataError: something is not an image; the message names its kind and position.
        """
        several = read_image_likes(images)
        check_prediction(limits=limits)
        rows: list[Prediction] = []
        skipped: list[SkippedFile] = []

        def load(place: int) -> tuple[int, npt.NDArray[np.uint8] | None, str]:
            try:
                return place, self.decoded(several[place].file(), limits), ""
            except ImageError as error:
                return place, None, str(error)

        for place, pixels, reason in in_order(load, range(len(several)), workers=count_cores(), ahead=8):
            if pixels is None:
                skipped.append(skipped_source(several[place], reason))
                continue
            rows.append(Prediction.of(several[place].name, self.outputs(pixels[None])[0], self.task))
        return Predictions(self.labels, tuple(rows), tuple(skipped))

    def decoded(self, source: str | Path | bytes, limits: LoadLimits | None = None) -> npt.NDArray[np.uint8]:
        """The whole upright image from the guarded loader, `(H, W, C) uint8`, as the graph takes it."""
        data = source if isinstance(source, bytes) else read_file(source, limits)
        picture = decode_for(data, self.input_spec, needed_side_px(self.input_spec), limits)
        bands: Sequence[Any] = picture.bands
        return np.stack([np.asarray(band) for band in bands], axis=-1) if bands else np.asarray(picture.image)

    def outputs(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """Outputs `(N, K)` for decoded images of one size, `(N, H, W, C) uint8`."""
        (found,) = self._session.run([OUTPUTS[self.task.link]], {"images": np.ascontiguousarray(images)})
        return np.asarray(found, dtype=np.float64)


def exported_facts(path: Path, session: Any) -> dict[str, Any]:
    """The facts in the metadata of an exported file.

    Raises:
        BundleError: there are none, or they can't be read.
    """
    known = session.get_modelmeta().custom_metadata_map.get(FACT)
    if known is None:
        raise BundleError(f"{path} contains no labels, so `regraft export` did not write it; export it again")
    try:
        facts = json.loads(known)
        if not isinstance(facts, dict):
            raise ValueError("it is not an object of JSON")
    except ValueError as error:
        raise BundleError(f"the metadata of {path} can't be read: {error}. Export it again") from error
    return facts


def saved_task(task: Task) -> dict[str, Any]:
    """The facts that say what a task is, for `read_task`; a plain classification needs only its labels."""
    facts: dict[str, Any] = {"labels": list(task.outputs)}
    if not (isinstance(task, Classification) and task.is_plain):
        facts["task"] = _SAVED.dump_python(task, mode="json")  # type: ignore[arg-type]
    return facts


def read_task(facts: Mapping[str, Any]) -> Task:
    """The task in an exported file's metadata, or in a server's package.

    Raises:
        KeyError: there are no labels.
        ValueError: the task is damaged.
    """
    labels = [str(label) for label in facts["labels"]]
    return _SAVED.validate_python(facts.get("task") or {"name": "classification", "outputs": labels})


def open_session(path: Path, *, threads: int | None = None) -> Any:
    """Open an ONNX Runtime session on the CPU.

    Raises:
        BundleError: the file can't be opened, or ONNX Runtime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise BundleError(f"{path} needs ONNX Runtime: pip install 'regraft[export]'") from error
    if not path.is_file() or path.stat().st_size > _MAX_BYTES:
        raise BundleError(f"{path} is not a file, or is larger than the limit of {_MAX_BYTES >> 30} GB")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
        # a thread that spins while it waits takes the core from the thread that decodes the next image
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's errors have no common base class
        raise BundleError(f"{path} is not a graph that ONNX Runtime can open: {error}") from error
