"""The files of CIFAR, which are pickles, read without unpickling: nothing in them can name what is run.

A pickle is a program for a small machine, and Python's own machine may call anything. The one here knows some
thirty instructions, and builds nothing but dictionaries, lists, tuples, text, numbers and one array of bytes.
What numpy would be called for is recognised by its name, and done here.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pickletools import OpcodeInfo, genops
from typing import Any

import numpy as np
import numpy.typing as npt

from regraft.errors import DataError

_MOST_BYTES = 500_000_000
_MOST_STEPS = 5_000_000
_RECONSTRUCT = {("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")}
_CLASSES = {("numpy", "ndarray"), ("numpy", "dtype")}
_KINDS = {"u1": np.uint8, "b": np.uint8}


@dataclass(frozen=True)
class _Name:
    """A name in the file; it is never looked up."""

    module: str
    name: str


@dataclass
class _Array:
    """An array under construction: of bytes, until its state says what its shape is."""

    values: npt.NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class _Kind:
    """A type of numpy's."""

    code: str


class _Mark:
    """The place on the stack where a list or tuple begins."""


def read_cifar(data: bytes) -> dict[str, Any]:
    """The dictionary in a file of CIFAR-10 or CIFAR-100: arrays, lists, text and numbers.

    Raises:
        DataError: the file is damaged, or holds anything else; the message says what.
    """
    if len(data) > _MOST_BYTES:
        raise DataError(f"a file of {len(data) / 1e6:,.0f} MB is none of CIFAR")
    try:
        result = _Machine().run(genops(io.BytesIO(data)))
    except DataError:
        raise
    except Exception as error:  # the file is a program, which can be wrong in any way
        raise DataError(f"no file of CIFAR, or damaged: {error or type(error).__name__}") from error
    if not isinstance(result, dict) or not all(isinstance(key, str) for key in result):
        raise DataError("no file of CIFAR: it holds no dictionary")
    return {key: value.values if isinstance(value, _Array) else value for key, value in result.items()}


class _Machine:
    """Carries out the instructions that files of CIFAR are made of, and refuses all others."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.steps: dict[str, Callable[[Any], None]] = {
            "PROTO": self._nothing, "FRAME": self._nothing, "MARK": lambda _: self.stack.append(_Mark()),
            "NONE": lambda _: self.stack.append(None), "NEWTRUE": lambda _: self.stack.append(True),
            "NEWFALSE": lambda _: self.stack.append(False), "EMPTY_DICT": lambda _: self.stack.append({}),
            "EMPTY_LIST": lambda _: self.stack.append([]), "EMPTY_TUPLE": lambda _: self.stack.append(()),
            "APPEND": self._append, "APPENDS": self._appends, "SETITEM": self._set, "SETITEMS": self._sets,
            "TUPLE": lambda _: self.stack.append(tuple(self._since_mark())),
            "TUPLE1": lambda _: self._tuple(1), "TUPLE2": lambda _: self._tuple(2),
            "TUPLE3": lambda _: self._tuple(3), "LIST": lambda _: self.stack.append(self._since_mark()),
            "GLOBAL": self._name, "REDUCE": self._reduce, "BUILD": self._build, "MEMOIZE": self._memoize,
        }  # fmt: skip
        for name in ("INT", "BININT", "BININT1", "BININT2", "LONG1", "LONG", "FLOAT", "BINFLOAT", "STRING",
                     "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINBYTES",
                     "SHORT_BINBYTES"):  # fmt: skip
            self.steps[name] = self.stack.append
        for name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.steps[name] = self._put
        for name in ("GET", "BINGET", "LONG_BINGET"):
            self.steps[name] = lambda place: self.stack.append(self.memo[place])

    def run(self, program: Iterator[tuple[OpcodeInfo, Any, int | None]]) -> Any:
        """What the program builds."""
        for count, (step, argument, _) in enumerate(program):
            if step.name == "STOP":
                return self.stack.pop()
            if step.name not in self.steps or count > _MOST_STEPS:
                raise DataError(
                    f"no file of CIFAR: it has the instruction {step.name}, which is not carried out"
                )
            self.steps[step.name](argument)
        raise DataError("damaged: it ends before its end")

    def _nothing(self, _: Any) -> None:
        """For instructions that say nothing of what is built."""

    def _put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def _memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _since_mark(self) -> list[Any]:
        place = len(self.stack) - 1  # from the end, or many marks would take time without end
        while not isinstance(self.stack[place], _Mark):
            place -= 1
            if place < 0:
                raise DataError("damaged: it ends a list that does not begin")
        values = self.stack[place + 1 :]
        del self.stack[place:]
        return values

    def _tuple(self, size: int) -> None:
        values = tuple(self.stack[-size:])
        del self.stack[-size:]
        self.stack.append(values)

    def _append(self, _: Any) -> None:
        value = self.stack.pop()
        self._top(list).append(value)

    def _appends(self, _: Any) -> None:
        values = self._since_mark()
        self._top(list).extend(values)

    def _set(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._top(dict)[_text(key)] = value

    def _sets(self, _: Any) -> None:
        values = self._since_mark()
        self._top(dict).update(zip(map(_text, values[::2]), values[1::2], strict=True))

    def _top(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise DataError(
                f"no file of CIFAR: it fills a {type(self.stack[-1]).__name__} like a {kind.__name__}"
            )
        return self.stack[-1]

    def _name(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        if (module, name) not in _RECONSTRUCT | _CLASSES:
            raise DataError(f"no file of CIFAR: it names {module}.{name}, which is not run")
        self.stack.append(_Name(module, name))

    def _reduce(self, _: Any) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        if not isinstance(called, _Name) or not isinstance(arguments, tuple):
            raise DataError("no file of CIFAR: it calls something that is no name")
        if (called.module, called.name) in _RECONSTRUCT:
            self.stack.append(_Array())
        elif called.name == "dtype" and arguments and _text(arguments[0]) in _KINDS:
            self.stack.append(_Kind(_text(arguments[0])))
        else:
            raise DataError(f"no file of CIFAR: it makes a {called.name} of an unexpected kind")

    def _build(self, _: Any) -> None:
        state = self.stack.pop()
        made = self.stack[-1]
        if isinstance(made, _Kind):
            return
        if not isinstance(made, _Array) or not isinstance(state, tuple) or len(state) != 5:
            raise DataError("no file of CIFAR: it changes something that is no array")
        _, shape, kind, is_fortran, content = state
        content = content.encode("latin-1") if isinstance(content, str) else content
        if not isinstance(kind, _Kind) or is_fortran or not isinstance(content, bytes):
            raise DataError("no file of CIFAR: an array that is not one of bytes")
        made.values = np.frombuffer(content, np.uint8).reshape([int(size) for size in shape])


def _text(value: Any) -> str:
    """Text that Python 2 may have written as bytes."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, str):
        raise DataError(f"no file of CIFAR: a {type(value).__name__} where text belongs")
    return value
