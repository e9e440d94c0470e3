"""Images as Python holds them: paths, folders, whole files as bytes, arrays, tensors, pictures, open files.

What is accepted is decided here alone. Arrays and pictures become the bytes of a lossless file, so the
guarded loader decodes them by the rules that it has for files.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from regraft.arguments import described
from regraft.data.findings.image_set import Images
from regraft.data.formats.big_tiff import colours_as_tiff
from regraft.data.packed.trees import files_in
from regraft.errors import DataError, ImageError, words_of
from regraft.storage.files import sha256_of

Array = npt.NDArray[Any]
ImageLike = str | os.PathLike[str] | bytes | Array | Image.Image | Any
"""One image; `Any` stands for tensors and open files, whose libraries are not imported."""
ACCEPTED = (
    "paths, folders, whole files as bytes, binary files that are open, PIL images, arrays (H, W), (H, W, 1), "
    "(H, W, 3) and (H, W, 4), and tensors (C, H, W)"
)
_CHANNELS = (1, 3, 4)
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_TIFF_MODES = ("I", "F", "CMYK")
_one_picture = threading.Lock()  # Pillow reads pixels at the first use, which two threads must not do at once


@dataclass(frozen=True)
class ImageSource:
    """One image that the loader can take, with the name that predictions and messages give it."""

    name: str
    content: str | Path | bytes | Array | Image.Image

    def file(self) -> str | Path | bytes:
        """A path, or the bytes of a whole file.

        Raises:
            ImageError: a picture's pixels can't be read.
        """
        if isinstance(self.content, str | Path | bytes):
            return self.content
        try:
            picture = self.content
            if isinstance(picture, np.ndarray) and picture.ndim == 3 and picture.dtype == np.uint16:
                return colours_as_tiff(picture)
            if isinstance(picture, np.ndarray):
                return _encoded(Image.fromarray(np.ascontiguousarray(picture)))
            with _one_picture:
                picture = picture.copy()
            return _encoded(_in_a_common_mode(ImageOps.exif_transpose(picture)))
        except Exception as error:  # Pillow raises many kinds of errors for damaged pictures
            raise ImageError(f"can't be read: {words_of(error)}") from error


def read_image_likes(images: Any, name: str = "images", *, opens_folders: bool = True) -> list[ImageSource]:
    """The images in what a user gave: one image, or several in any iterable.

    A folder or archive stands for all images in it and its subfolders; one that holds none stays in the list,
    so that it is reported. numpy arrays of three axes are one image if the last axis has 1, 3 or 4 values,
    and otherwise grey images `(N, H, W)`.

    Args:
        images: what was given.
        name: the argument's name, for messages.
        opens_folders: whether folders stand for the images in them; otherwise they are no images.

    Raises:
        DataError: something is not an image; the message names its kind and position.

    >>> [source.name for source in read_image_likes(["a.jpg", np.zeros((8, 8), np.uint8)])]
    ['a.jpg', 'images[1]']
    """
    if isinstance(images, Images):
        return [ImageSource(path, path) for path in (str(Path(images.root, i.path)) for i in images.items)]
    if _is_foreign_array(images):
        images = _as_numpy(images, name)
    if _is_one(images):
        return list(_sources(images, name, opens_folders))
    several = _elements(images, name)
    return [
        source
        for place, one in enumerate(several)
        for source in _sources(one, f"{name}[{place}]", opens_folders)
    ]


def _is_one(images: Any) -> bool:
    if isinstance(images, str | os.PathLike | bytes | bytearray | memoryview | Image.Image):
        return True
    if _is_array(images):
        is_list = (
            isinstance(images, np.ndarray) and images.dtype.kind in "OUS"
        )  # an array of paths, for example
        axes = 0 if is_list else len(images.shape)
        return axes == 2 or (axes == 3 and _axis_of_channels(images) is not None)
    return callable(getattr(images, "read", None))


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) or _is_tensor(value)


def _is_foreign_array(value: Any) -> bool:
    """Whether a value is another library's array of two to four axes; a table is none."""
    has_axes = not _is_array(value) and getattr(value, "ndim", None) in (2, 3, 4)
    return has_axes and hasattr(value, "__array__") and not hasattr(value, "columns")


def _is_tensor(value: Any) -> bool:
    """Whether a value behaves like a torch tensor; torch itself is not imported for it."""
    return all(hasattr(value, name) for name in ("detach", "cpu", "numpy", "shape"))


def _axis_of_channels(array: Any) -> int | None:
    """The axis of the colours of an array with three axes: the last, or the first of a tensor."""
    if _is_tensor(array) and array.shape[0] in _CHANNELS:
        return 0
    return 2 if array.shape[2] in _CHANNELS else None


def _elements(images: Any, name: str) -> Iterable[Any]:
    wrong = DataError(
        f"{name} is {described(images)}; accepted are {ACCEPTED}, or several of these in a list"
    )
    if images is None or isinstance(images, Mapping | type) or hasattr(images, "columns"):
        raise wrong
    if _is_array(images) and len(images.shape) == 0:
        raise wrong
    try:
        return list(images)
    except TypeError:
        raise wrong from None


def _sources(image: Any, name: str, opens_folders: bool) -> Iterator[ImageSource]:
    """One element of the list: an image, or the images in a folder."""
    if isinstance(image, ImageSource):
        yield image
    elif isinstance(image, str | os.PathLike):
        yield from _files(image, name, opens_folders)
    elif isinstance(image, bytes | bytearray | memoryview):
        data = bytes(image)
        yield ImageSource(f"bytes:{sha256_of(data)[:12]}", data)
    elif isinstance(image, Image.Image):
        yield ImageSource(name, image)
    elif callable(getattr(image, "read", None)):
        yield ImageSource(name, _read(image, name))
    elif _is_array(image) or (hasattr(image, "__array__") and not isinstance(image, type)):
        yield ImageSource(name, _pixels(image, name))
    else:
        raise DataError(f"{name} is {described(image)}; accepted are {ACCEPTED}")


def _files(image: str | os.PathLike[str], name: str, opens_folders: bool) -> Iterator[ImageSource]:
    path = os.fspath(image)
    if not isinstance(path, str):
        raise DataError(f"{name} is a path of bytes; give it as text: os.fsdecode(path)")
    if not path:
        raise DataError(f"{name} is empty; give the path of an image or of a folder (`.` is the current one)")
    try:
        found = [str(file) for file in files_in(Path(path))] if opens_folders else []
    except (ValueError, DataError):  # a zero byte, or a damaged archive: the loader has a reason
        found = []
    for file in found or [path]:
        yield ImageSource(file, file)


def _read(file: Any, name: str) -> bytes:
    try:
        if callable(getattr(file, "seekable", None)) and file.seekable():
            file.seek(0)
        data = file.read()
    except Exception as error:  # the file is the user's object, whose methods can raise anything
        raise DataError(f"{name} is {described(file)} that can't be read: {error}") from error
    if not isinstance(data, bytes | bytearray):
        raise DataError(f"{name} is a file that is open as text; open it in binary mode: open(path, 'rb')")
    return bytes(data)


def _pixels(image: Any, name: str) -> Array:
    """An array as grey values `(H, W)` or colours `(H, W, 3 or 4)`, of uint8 or uint16.

    Raises:
        DataError: the shape, the type or the range of the values is not that of an image.
    """
    values = _as_numpy(image, name)
    if values.ndim == 3 and _is_tensor(image) and _axis_of_channels(image) == 0:
        values = values.transpose(1, 2, 0)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim not in (2, 3) or 0 in values.shape or (values.ndim == 3 and values.shape[2] not in (3, 4)):
        is_turned = values.ndim == 3 and values.shape[0] in _CHANNELS
        hint = (
            ". If its first axis is that of the channels, give array.transpose(1, 2, 0)" if is_turned else ""
        )
        raise DataError(
            f"{name} is an array of shape {np.shape(image)} and type {values.dtype}, which is not an image; "
            f"accepted are (H, W), (H, W, 1), (H, W, 3) and (H, W, 4){hint}"
        )
    return _in_bytes(values, name)


def _as_numpy(image: Any, name: str) -> Array:
    try:
        return np.asarray(image.detach().cpu().numpy() if _is_tensor(image) else image)
    except Exception as error:  # other libraries convert their arrays, and raise anything
        raise DataError(
            f"{name} is {described(image)} that can't be turned into a numpy array: {error}. Convert it first"
        ) from error


def _in_bytes(values: Array, name: str) -> Array:
    kind = values.dtype.kind
    if values.dtype == np.uint8:
        return values
    if kind == "b":
        return values.astype(np.uint8) * np.uint8(255)
    if kind in "iuf":
        low, high = float(values.min()), float(values.max())
        if kind == "f" and low >= 0 and high <= 1:  # not for NaN
            return np.rint(values.astype(np.float64) * 255).astype(np.uint8)
        if values.dtype == np.uint16:
            return values
        if kind != "f" and low >= 0 and high <= 255:
            return values.astype(np.uint8)
        reach = f"values from {low:g} to {high:g}"
    else:
        reach = "values that are not real numbers"
    raise DataError(
        f"{name} is an array of shape {values.shape} and type {values.dtype} with {reach}; accepted are "
        "uint8 and other whole numbers from 0 to 255, uint16, bool, and floats from 0 to 1. Undo a "
        "normalisation, or scale the values"
    )


def _in_a_common_mode(picture: Image.Image) -> Image.Image:
    """The picture in a mode that a lossless file can hold."""
    if picture.mode.startswith("I;16") and picture.mode != "I;16":
        return Image.fromarray(np.asarray(picture).astype(np.uint16))
    if picture.mode in (*_PNG_MODES, *_TIFF_MODES):
        return picture
    if picture.mode == "La":
        return picture.convert("LA")
    return picture.convert("RGBA" if picture.mode in ("PA", "RGBa") else "RGB")


def _encoded(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    if picture.mode in _TIFF_MODES:
        picture.save(file, "TIFF")
    else:
        picture.save(file, "PNG", compress_level=1)
    return file.getvalue()
