"""The residual layers of a stack of students as two Triton kernels, each tile of examples in registers.

Arrays are those of `residual_network`, contiguous and in float32: x (streams, rows, m), a (ℓ, S, m, 4m),
b (ℓ, S, 1, 4m), out (ℓ, S, 4m, m). Every program takes one tile of examples through all layers of one
student; its share of the weights' gradients is stored by itself and summed in order, so that results are
the same to the bit every time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import triton
import triton.language as tl

#: Three products of the matrix units' short floats: single precision to a few units in the last place. (Of
#: 16-bit floats, "bf16x3", Triton 3.6 makes kernels that fail at some of these sizes.)
PRECISION = "tf32x3"
#: Examples of a tile, and entries of the hidden layer at a time.
_OPTIONS = {"TILE": 64, "BLOCK": 64, "num_warps": 4, "num_stages": 1}
_SMALLEST_WIDTH, _LARGEST_WIDTH = 16, 64  # the matrix units' tiles, and the registers


def serves(x: torch.Tensor) -> bool:
    """Whether these kernels take inputs of this kind and width: powers of two, tiles in the registers."""
    width = x.shape[-1]
    fits = _SMALLEST_WIDTH <= width <= _LARGEST_WIDTH and width & (width - 1) == 0
    return x.is_cuda and x.dtype == torch.float32 and fits


@triton.jit
def _root(v):
    mean = tl.sum(v * v, 1) / v.shape[1]
    return tl.maximum(tl.sqrt(mean), 1e-12)[:, None]


@triton.jit
def _forward(
    x, stream_of, a, b, out, inputs, features, layers, students, rows,
    WIDTH: tl.constexpr, HIDDEN: tl.constexpr, TILE: tl.constexpr, BLOCK: tl.constexpr, KEEP: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    student = tl.program_id(1).to(tl.int64)
    row = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    narrow = tl.arange(0, WIDTH)
    inside = (row < rows)[:, None]
    place = row[:, None] * WIDTH + narrow[None, :]
    stream = tl.load(stream_of + student)
    v = tl.load(x + stream * rows * WIDTH + place, mask=inside, other=0.0)
    v = v / _root(v)
    for layer in tl.range(layers):
        here = layer * students + student
        if KEEP:
            tl.store(inputs + here * rows * WIDTH + place, v, mask=inside)
        unit = v / _root(v)
        for first in tl.range(0, HIDDEN, BLOCK):
            wide = first + tl.arange(0, BLOCK)
            weights = tl.load(a + here * WIDTH * HIDDEN + narrow[:, None] * HIDDEN + wide[None, :])
            hidden = tl.dot(unit, weights, input_precision=PRECISION)
            hidden = tl.maximum(hidden + tl.load(b + here * HIDDEN + wide)[None, :], 0.0)
            weights = tl.load(out + here * WIDTH * HIDDEN + wide[:, None] * WIDTH + narrow[None, :])
            v += tl.dot(hidden * hidden, weights, input_precision=PRECISION)
    if KEEP:
        tl.store(inputs + (layers * students + student) * rows * WIDTH + place, v, mask=inside)
    tl.store(features + student * rows * WIDTH + place, v / _root(v), mask=inside)


@triton.jit
def _through_norm(gradient, unit, root):
    """Gradient with respect to v of v / root(v), given that with respect to the unit vector."""
    return (gradient - unit * (tl.sum(gradient * unit, 1) / unit.shape[1])[:, None]) / root


@triton.jit
def _backward(
    gradient, inputs, a, b, out, a_shares, b_shares, out_shares, layers, students, rows,
    WIDTH: tl.constexpr, HIDDEN: tl.constexpr, TILE: tl.constexpr, BLOCK: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    tile, student = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    row = tile * TILE + tl.arange(0, TILE)
    narrow = tl.arange(0, WIDTH)
    inside = (row < rows)[:, None]
    place = row[:, None] * WIDTH + narrow[None, :]
    v = tl.load(inputs + (layers * students + student) * rows * WIDTH + place, mask=inside, other=0.0)
    root = _root(v)
    dv = tl.load(gradient + student * rows * WIDTH + place, mask=inside, other=0.0)
    dv = _through_norm(dv, v / root, root)
    for step in tl.range(layers):
        here = (layers - 1 - step) * students + student
        share = tile * layers * students + here
        v = tl.load(inputs + here * rows * WIDTH + place, mask=inside, other=0.0)
        root = _root(v)
        unit = v / root
        du = tl.zeros_like(v)
        for first in tl.range(0, HIDDEN, BLOCK):
            wide = first + tl.arange(0, BLOCK)
            place_in = narrow[:, None] * HIDDEN + wide[None, :]
            place_out = wide[:, None] * WIDTH + narrow[None, :]
            weights = tl.load(a + here * WIDTH * HIDDEN + place_in)
            positive = tl.dot(unit, weights, input_precision=PRECISION)
            positive = tl.maximum(positive + tl.load(b + here * HIDDEN + wide)[None, :], 0.0)
            change = tl.dot(tl.trans(positive * positive), dv, input_precision=PRECISION)
            tl.store(out_shares + share * WIDTH * HIDDEN + place_out, change)
            onward = tl.load(out + here * WIDTH * HIDDEN + place_out)
            hidden = 2.0 * positive * tl.dot(dv, tl.trans(onward), input_precision=PRECISION)
            change = tl.dot(tl.trans(unit), hidden, input_precision=PRECISION)
            tl.store(a_shares + share * WIDTH * HIDDEN + place_in, change)
            tl.store(b_shares + share * HIDDEN + wide, tl.sum(hidden, 0))
            du += tl.dot(hidden, tl.trans(weights), input_precision=PRECISION)
        dv += _through_norm(du, unit, root)


def features(
    x: torch.Tensor, stream_of: torch.Tensor, layers: Sequence[torch.Tensor], *, keep: bool = False
) -> tuple[torch.Tensor, Callable[[torch.Tensor], list[torch.Tensor]] | None]:
    """Return norm(h_ℓ) of every student (S, rows, m), and how its gradient goes back to the layers.

    Parameters
    ----------
    x : Tensor, shape (streams, rows, m)
    stream_of : Tensor of int64, shape (S,)
        Which inputs each student sees.
    layers : sequence of Tensor
        a, b and out.
    keep : bool
        Whether gradients are wanted. If so the second result takes the gradient with respect to the features
        and returns those with respect to a, b and out.
    """
    a, b, out = layers
    depth, students, width, hidden = a.shape
    rows = x.shape[-2]
    found = x.new_empty((students, rows, width))
    inputs = x.new_empty((depth + 1, students, rows, width) if keep else (1,))
    numbers = (depth, students, rows)
    options = {**_OPTIONS, "BLOCK": min(_OPTIONS["BLOCK"], hidden)}
    options |= {"WIDTH": width, "HIDDEN": hidden, "PRECISION": PRECISION}
    tiles = triton.cdiv(rows, _OPTIONS["TILE"])
    _forward[tiles, students](x, stream_of, a, b, out, inputs, found, *numbers, KEEP=keep, **options)
    if not keep:
        return found, None

    def back(gradient: torch.Tensor) -> list[torch.Tensor]:
        shares = [x.new_empty((tiles, *v.shape)) for v in layers]
        _backward[tiles, students](gradient, inputs, a, b, out, *shares, *numbers, **options)
        return [share.sum(0) for share in shares]

    return found, back
