"""What a network sees of an image, or the canvas of a detector, as an ONNX graph: the loader's to the bit.

Pillow resamples 8-bit images in two passes, with weights of 22 binary digits and rounding after each pass.
Two matrix products in double precision, where the same arithmetic is exact, give the same pixels. The
horizontal pass comes first, unless the height shrinks by more than twice as many pixels as the width
(Pillow 13, found by trying sizes; python-pillow/Pillow#9549). It keeps the box in single precision.

The operations are written down one by one: tracing them in torch takes twenty seconds.
"""

from __future__ import annotations

import math

import numpy as np
import onnx
import onnx_ir as ir
from onnx_ir.tape import Tape

from regraft.data.pictures.framing import border_colour, seen_share
from regraft.records import InputSpec

_SUPPORT = {"nearest": 0.5, "bilinear": 1.0, "bicubic": 2.0, "lanczos": 3.0}
_DIGITS = float(1 << 22)
_GREY = (19595, 38470, 7471)  # of 65536: ITU-R 601-2 luma, as in Pillow's convert("L")
_Input = ir.Value | float | list[int]
_SINGLE, _DOUBLE = int(ir.DataType.FLOAT), int(ir.DataType.DOUBLE)
_INT64, _UINT8 = int(ir.DataType.INT64), int(ir.DataType.UINT8)


def framed(spec: InputSpec, *, opset: int, ir_version: int) -> onnx.ModelProto:
    """From decoded pixels `images (N, H, W, C) uint8` of any size to `pixels (N, size_px, size_px, C) uint8`.

    They are in the framing of the input. A grey network takes RGB images.

    Args:
        spec: the network's input.
        opset: version of ONNX's operators.
        ir_version: version of ONNX's format.
    """
    bands = 3 if spec.channels == 1 else spec.channels
    shape = ir.Shape(["batch", "height", "width", bands])
    images = ir.Value(name="images", shape=shape, type=ir.TensorType(ir.DataType.UINT8))
    crop = _Resampling(spec)
    pixels = crop.framed(images)
    pixels.name, pixels.type = "pixels", ir.TensorType(ir.DataType.UINT8)
    pixels.shape = ir.Shape(["batch", spec.size_px, spec.size_px, spec.channels])
    graph = ir.Graph(
        [images],
        [pixels],
        nodes=crop.tape.nodes,
        initializers=crop.tape.initializers,
        opset_imports={"": opset},
        name="crop",
    )
    return ir.serde.serialize_model(ir.Model(graph, ir_version=ir_version))


def letterbox(spec: InputSpec, *, opset: int, ir_version: int) -> onnx.ModelProto:
    """From decoded `pixels (H, W, C) uint8` of any size to the canvas of a detector.

    Its outputs are `canvas (1, height, width, channels) uint8`, as `on_canvas` makes it from these pixels,
    and `picture (2,) float32`, their width and height. A grey network takes RGB images.

    Args:
        spec: the network's input, whose height and width are those of the canvas.
        opset: version of ONNX's operators.
        ir_version: version of ONNX's format.
    """
    bands = 3 if spec.channels == 1 else spec.channels
    shape = ir.Shape(["height", "width", bands])
    pixels = ir.Value(name="pixels", shape=shape, type=ir.TensorType(ir.DataType.UINT8))
    box = _Resampling(spec)
    canvas, picture = box.on_canvas(pixels)
    canvas.name, canvas.type = "canvas", ir.TensorType(ir.DataType.UINT8)
    canvas.shape = ir.Shape([1, *spec.shape])
    picture.name, picture.type = "picture", ir.TensorType(ir.DataType.FLOAT)
    picture.shape = ir.Shape([2])
    graph = ir.Graph(
        [pixels],
        [canvas, picture],
        nodes=box.tape.nodes,
        initializers=box.tape.initializers,
        opset_imports={"": opset},
        name="letterbox",
    )
    return ir.serde.serialize_model(ir.Model(graph, ir_version=ir_version))


class _Resampling:
    """Operations on pixels, recorded in the order in which they are called."""

    def __init__(self, spec: InputSpec) -> None:
        self.tape = Tape()
        self.spec, self.rule = spec, spec.interpolation
        self._numbers: dict[str, ir.Value] = {}

    def _number(self, value: float | list[int]) -> ir.Value:
        """A double, or a list of whole numbers; the same constant whenever the same number is used."""
        name = f"whole {value}" if isinstance(value, list) else f"number {float(value)!r}"
        if name not in self._numbers:
            kind = np.int64 if isinstance(value, list) else np.float64
            self._numbers[name] = self.tape.initializer(ir.tensor(np.array(value, dtype=kind), name=name))
        return self._numbers[name]

    def _row(self, values: list[float]) -> ir.Value:
        """Doubles in a row, as a constant."""
        return self.tape.initializer(ir.tensor(np.array(values, dtype=np.float64), name="row"))

    def op(self, name: str, *inputs: _Input, **attributes: int | list[int]) -> ir.Value:
        """The output of an operator of ONNX; a number becomes a double, a list becomes whole numbers."""
        values = [one if isinstance(one, ir.Value) else self._number(one) for one in inputs]
        return self.tape.op(name, values, attributes)

    def framed(self, images: ir.Value) -> ir.Value:
        """Images in the framing of the input."""
        op, size = self.op, self.spec.size_px
        height, width = (
            op("Cast", op("Squeeze", op("Shape", images, start=axis, end=axis + 1)), to=_DOUBLE)
            for axis in (1, 2)
        )
        rows = columns = self._number(float(size))
        if self.spec.framing == "pad":
            rows, columns = self._covered(height, width, (size, size))
        down, across = self._framed_weights(height, width, rows, columns)
        across = op("Transpose", across, perm=[1, 0])
        bands = self._grey(images) if self.spec.channels == 1 else images
        pixels = op("Cast", op("Transpose", bands, perm=[0, 3, 1, 2]), to=_DOUBLE)
        usual = self._rounded(op("MatMul", down, self._rounded(op("MatMul", pixels, across))))
        tall = self._rounded(op("MatMul", self._rounded(op("MatMul", down, pixels)), across))
        is_tall = self._is_tall(op("Sub", height, rows), op("Sub", width, columns))
        upright = op("Transpose", op("Where", is_tall, tall, usual), perm=[0, 2, 3, 1])
        if self.spec.framing == "pad":
            is_row, is_column = self._is_filled(rows), self._is_filled(columns)
            is_filled = op("And", op("Unsqueeze", is_row, [1, 2]), op("Unsqueeze", is_column, [1]))
            upright = op("Where", is_filled, upright, self._border())
        return op("Cast", upright, to=_UINT8)

    def _framed_weights(
        self, height: ir.Value, width: ir.Value, rows: ir.Value, columns: ir.Value
    ) -> tuple[ir.Value, ir.Value]:
        """The weights of both passes for the framing of the input."""
        spec = self.spec
        if spec.framing == "pad":
            return self._padded_weights(height, rows), self._padded_weights(width, columns)
        if spec.framing == "squeeze":
            size = spec.size_px
            return self._whole_weights(height, rows, size), self._whole_weights(width, columns, size)
        side = self.op("Mul", self.op("Min", height, width), seen_share(spec))
        return self._crop_weights(height, side), self._crop_weights(width, side)

    def _covered(
        self, height: ir.Value, width: ir.Value, canvas: tuple[int, int]
    ) -> tuple[ir.Value, ir.Value]:
        """Height and width of images that fill a canvas `(height, width)` as far as their shape allows."""
        op, (high, wide) = self.op, canvas
        scale = op("Min", op("Div", high, height), op("Div", wide, width))
        rows, columns = (
            op("Min", limit, op("Max", 1, op("Round", op("Mul", length, scale))))
            for limit, length in ((high, height), (wide, width))
        )
        return rows, columns

    def _border(self) -> ir.Value:
        return self._row([float(level) for level in border_colour(self.spec)])

    def _margin(self, covered: ir.Value) -> ir.Value:
        """The pixels of the input before an image that covers this number of them."""
        op = self.op
        return op("Floor", op("Div", op("Sub", self.spec.size_px, covered), 2))

    def _is_filled(self, covered: ir.Value) -> ir.Value:
        """Whether each row, or column, of the input shows the image, `(size_px,) bool`."""
        op, size = self.op, self.spec.size_px
        place, margin = op("Range", 0, size, 1), self._margin(covered)
        return op("And", op("GreaterOrEqual", place, margin), op("Less", place, op("Add", margin, covered)))

    def _padded_weights(self, length: ir.Value, covered: ir.Value) -> ir.Value:
        """The weights for an image in the middle of the input, with those of its edges around it."""
        op, size = self.op, self.spec.size_px
        own = self._whole_weights(length, covered, size)
        place = op("Sub", op("Range", 0, size, 1), self._margin(covered))
        place = op("Max", 0, op("Min", place, op("Sub", covered, 1)))
        return op("Gather", own, op("Cast", place, to=_INT64), axis=0)

    def on_canvas(self, pixels: ir.Value) -> tuple[ir.Value, ir.Value]:
        """Pixels in the top left corner of the canvas, with grey around, and their width and height."""
        op, (high, wide, channels) = self.op, self.spec.shape
        sizes = op("Cast", op("Shape", pixels, start=0, end=2), to=_DOUBLE)
        height, width = (op("Squeeze", op("Slice", sizes, [n], [n + 1], [0])) for n in (0, 1))
        rows, columns = self._covered(height, width, (high, wide))
        down, across = self._whole_weights(height, rows, high), self._whole_weights(width, columns, wide)
        across = op("Transpose", across, perm=[1, 0])
        batch = op("Unsqueeze", pixels, [0])
        bands = self._grey(batch) if channels == 1 else batch
        planes = op("Cast", op("Transpose", bands, perm=[0, 3, 1, 2]), to=_DOUBLE)
        # All planes go one of two ways, so that only one of them takes time.
        is_tall = self._is_tall(op("Sub", height, rows), op("Sub", width, columns))
        count = op("Where", is_tall, [0], [channels])
        first, second = op("Slice", planes, [0], count, [1]), op("Slice", planes, count, [channels], [1])
        usual = self._rounded(op("MatMul", down, self._rounded(op("MatMul", first, across))))
        tall = self._rounded(op("MatMul", self._rounded(op("MatMul", down, second)), across))
        upright = op("Transpose", op("Concat", usual, tall, axis=1), perm=[0, 2, 3, 1])
        is_below = op("Less", op("Unsqueeze", op("Range", 0, high, 1), [1, 2]), rows)
        is_beside = op("Less", op("Unsqueeze", op("Range", 0, wide, 1), [1]), columns)
        is_filled = op("And", is_below, is_beside)
        canvas = op("Cast", op("Where", is_filled, upright, self._border()), to=_UINT8)
        return canvas, op("Cast", op("Slice", sizes, [1], [-3], [0], [-1]), to=_SINGLE)

    def _is_tall(self, too_high: ir.Value, too_wide: ir.Value) -> ir.Value:
        """Whether the vertical pass comes first, by how many pixels the height and the width shrink."""
        is_steep = self.op("Greater", too_high, self.op("Mul", 2, too_wide))
        return self.op("And", self.op("Greater", too_high, 0), is_steep)

    def _grey(self, images: ir.Value) -> ir.Value:
        op, whole = self.op, self.op("Cast", images, to=_INT64)
        luma = op("ReduceSum", op("Mul", whole, list(_GREY)), [3], keepdims=1)
        return op("Div", op("Add", luma, [32768]), [65536])

    def _rounded(self, values: ir.Value) -> ir.Value:
        op = self.op
        return op("Clip", op("Floor", op("Add", values, 0.5)), 0, 255)

    def _single(self, value: ir.Value) -> ir.Value:
        """A double rounded to single precision."""
        return self.op("Cast", self.op("Cast", value, to=_SINGLE), to=_DOUBLE)

    def _crop_weights(self, length: ir.Value, side: ir.Value) -> ir.Value:
        """The weights for a central part of this length."""
        op, size = self.op, self.spec.size_px
        left = op("Div", op("Sub", length, side), 2)
        start, end = self._single(left), self._single(op("Add", left, side))
        scale = op("Div", self._single(op("Sub", end, start)), size)
        return self._weights(length, start, scale, op("Range", 0, size, 1), size)

    def _whole_weights(self, length: ir.Value, covered: ir.Value, count: int) -> ir.Value:
        """The weights for `covered` pixels; those of the last one are repeated until there are `count`."""
        op = self.op
        numbers = op("Min", op("Range", 0, count, 1), op("Sub", covered, 1))
        return self._weights(length, self._number(0.0), op("Div", length, covered), numbers, count)

    def _weights(
        self, length: ir.Value, start: ir.Value, scale: ir.Value, numbers: ir.Value, count: int
    ) -> ir.Value:
        """`(count, length) double`: the weight of each input pixel for each output pixel."""
        op, last = self.op, [1]
        place = op("Unsqueeze", op("Range", 0, length, 1), [0])
        if self.rule == "nearest":
            return op("Cast", op("Equal", place, self._nearest(start, scale, count)), to=_DOUBLE)
        steps = op("Add", numbers, 0.5)
        centre = op("Unsqueeze", op("Add", start, op("Mul", steps, scale)), last)
        stretch = op("Max", scale, 1)
        support = op("Mul", _SUPPORT[self.rule], stretch)
        first = op("Max", op("Floor", op("Add", op("Sub", centre, support), 0.5)), 0)
        beyond = op("Floor", op("Add", op("Add", centre, support), 0.5))
        distance = op("Abs", op("Div", op("Add", op("Sub", place, centre), 0.5), stretch))
        is_read = op("And", op("GreaterOrEqual", place, first), op("Less", place, beyond))
        raw = op("Where", is_read, self._kernel(distance), 0)
        share = op("Mul", op("Div", raw, op("ReduceSum", raw, last, keepdims=1)), _DIGITS)
        whole = op("Mul", op("Sign", share), op("Floor", op("Add", op("Abs", share), 0.5)))
        return op("Div", whole, _DIGITS)

    def _nearest(self, start: ir.Value, scale: ir.Value, count: int) -> ir.Value:
        """`(count, 1) double`: the input pixel for each output pixel. Pillow adds the scale step by step."""
        op, axis = self.op, [0]
        first = op("Unsqueeze", op("Add", start, op("Mul", scale, 0.5)), axis)
        steps = op("Expand", scale, [count - 1])
        places = op("CumSum", op("Concat", first, steps, axis=0), axis)
        return op("Unsqueeze", op("Floor", places), [1])

    def _kernel(self, distance: ir.Value) -> ir.Value:
        """The weight at a distance from the centre, before it is divided by the sum of all weights."""
        op, rule = self.op, self.rule
        if rule == "bilinear":
            return op("Max", op("Sub", 1, distance), 0)
        support = _SUPPORT[rule]
        if rule == "bicubic":  # Keys 1981 with a = -0.5
            near = self._polynomial(distance, (1.5, -2.5, 0, 1))
            far = self._polynomial(distance, (-0.5, 2.5, -4, 2))
            outer = op("Where", op("Less", distance, support), far, 0)
            return op("Where", op("Less", distance, 1), near, outer)
        is_centre = op("Equal", distance, 0)
        angle = op("Mul", math.pi, op("Where", is_centre, 1, distance))
        slow = op("Div", angle, support)
        wave = op("Div", op("Mul", op("Div", op("Sin", angle), angle), op("Sin", slow)), slow)
        return op("Where", is_centre, 1, op("Where", op("Less", distance, support), wave, 0))

    def _polynomial(self, x: ir.Value, factors: tuple[float, ...]) -> ir.Value:
        """Horner's rule, the factor of the highest power first."""
        op = self.op
        total = op("Mul", x, factors[0])
        for factor in factors[1:-1]:
            total = op("Mul", op("Add", total, factor), x)
        return op("Add", total, factors[-1])
