"""The residual layers of a stack of students as two Triton kernels: a tile of examples keeps to its registers.

Arrays are those of `residual_network`, contiguous and in float32: x (streams, rows, m), a (ℓ, S, m, 4m),
b (ℓ, S, 1, 4m), out (ℓ, S, 4m, m). Every program takes one tile of examples through all layers of one student;
its share of the weights' gradients is stored by itself and summed in order, so that results are the same to the
bit every time. Products are sums of three products of the matrix units' 16-bit floats: with x = high + low,
x y = high high + high low + low high but for 2^-16 of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import triton
import triton.language as tl

#: Examples of a tile; on the way back the hidden layer is taken in blocks.
_FORWARD = {"TILE": 64, "num_warps": 4, "num_stages": 2}
_BACKWARD = {"TILE": 64, "BLOCK": 64, "num_warps": 4, "num_stages": 2}
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
def _split(v):
    high = v.to(tl.bfloat16)
    return high, (v - high.to(tl.float32)).to(tl.bfloat16)


@triton.jit
def _product(a_high, a_low, b_high, b_low):
    total = tl.dot(a_low, b_high)
    total = tl.dot(a_high, b_low, total)
    return tl.dot(a_high, b_high, total)


@triton.jit
def _forward(
    x, stream_of, a_high, a_low, b, out_high, out_low, inputs, features, layers, students, rows,
    WIDTH: tl.constexpr, HIDDEN: tl.constexpr, TILE: tl.constexpr, KEEP: tl.constexpr,
):  # fmt: skip
    student, first = tl.program_id(1).to(tl.int64), tl.program_id(0) * TILE
    example = tl.arange(0, TILE)
    narrow, wide = tl.arange(0, WIDTH), tl.arange(0, HIDDEN)
    inside = (example < rows - first)[:, None]
    place = example[:, None] * WIDTH + narrow[None, :]
    into, onto = narrow[:, None] * HIDDEN + wide[None, :], wide[:, None] * WIDTH + narrow[None, :]
    stream = tl.load(stream_of + student)
    v = tl.load(x + (stream * rows + first) * WIDTH + place, mask=inside, other=0.0)
    v = v / _root(v)
    for layer in tl.range(layers):
        here = layer * students + student
        matrix = here * WIDTH * HIDDEN
        if KEEP:
            tl.store(inputs + (here * rows + first) * WIDTH + place, v, mask=inside)
        high, low = _split(v / _root(v))
        hidden = _product(high, low, tl.load(a_high + matrix + into), tl.load(a_low + matrix + into))
        hidden = tl.maximum(hidden + tl.load(b + here * HIDDEN + wide)[None, :], 0.0)
        high, low = _split(hidden * hidden)
        v += _product(high, low, tl.load(out_high + matrix + onto), tl.load(out_low + matrix + onto))
    if KEEP:
        tl.store(inputs + ((layers * students + student) * rows + first) * WIDTH + place, v, mask=inside)
    tl.store(features + (student * rows + first) * WIDTH + place, v / _root(v), mask=inside)


@triton.jit
def _through_norm(gradient, unit, root):
    """Gradient with respect to v of v / root(v), given that with respect to the unit vector."""
    return (gradient - unit * (tl.sum(gradient * unit, 1) / unit.shape[1])[:, None]) / root


@triton.jit
def _backward(
    gradient, inputs, a_high, a_low, b, out_high, out_low, a_shares, b_shares, out_shares, layers, students, rows,
    WIDTH: tl.constexpr, HIDDEN: tl.constexpr, TILE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    tile, student = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    first, example = tl.program_id(0) * TILE, tl.arange(0, TILE)
    narrow, wide = tl.arange(0, WIDTH), tl.arange(0, BLOCK)
    inside = (example < rows - first)[:, None]
    place = example[:, None] * WIDTH + narrow[None, :]
    into, onto = narrow[:, None] * HIDDEN + wide[None, :], wide[:, None] * WIDTH + narrow[None, :]
    v = tl.load(inputs + ((layers * students + student) * rows + first) * WIDTH + place, mask=inside, other=0.0)
    root = _root(v)
    dv = tl.load(gradient + (student * rows + first) * WIDTH + place, mask=inside, other=0.0)
    dv = _through_norm(dv, v / root, root)
    for step in tl.range(layers):
        here = (layers - 1 - step) * students + student
        share = tile * layers * students + here
        v = tl.load(inputs + (here * rows + first) * WIDTH + place, mask=inside, other=0.0)
        root = _root(v)
        unit = v / root
        unit_high, unit_low = _split(unit)
        dv_high, dv_low = _split(dv)
        du = tl.zeros_like(v)
        for start in tl.range(0, HIDDEN, BLOCK):
            matrix = here * WIDTH * HIDDEN + start
            weight_high, weight_low = tl.load(a_high + matrix + into), tl.load(a_low + matrix + into)
            positive = _product(unit_high, unit_low, weight_high, weight_low)
            positive = tl.maximum(positive + tl.load(b + here * HIDDEN + start + wide)[None, :], 0.0)
            high, low = _split(positive * positive)
            change = _product(tl.trans(high), tl.trans(low), dv_high, dv_low)
            matrix = (here * HIDDEN + start) * WIDTH
            part = (share * HIDDEN + start) * WIDTH
            tl.store(out_shares + part + onto, change)
            high, low = tl.load(out_high + matrix + onto), tl.load(out_low + matrix + onto)
            hidden = 2.0 * positive * _product(dv_high, dv_low, tl.trans(high), tl.trans(low))
            tl.store(b_shares + share * HIDDEN + start + wide, tl.sum(hidden, 0))
            high, low = _split(hidden)
            # the transpose is stored, whose rows fill the matrix units
            change = _product(tl.trans(high), tl.trans(low), unit_high, unit_low)
            tl.store(a_shares + part + onto, change)
            du += _product(high, low, tl.trans(weight_high), tl.trans(weight_low))
        dv += _through_norm(du, unit, root)


def _halves(v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    high = v.bfloat16()
    return high, (v - high.float()).bfloat16()


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
    weights = (*_halves(a), b, *_halves(out))
    found = x.new_empty((students, rows, width))
    inputs = x.new_empty((depth + 1, students, rows, width) if keep else (1,))
    numbers, sizes = (depth, students, rows), {"WIDTH": width, "HIDDEN": hidden}
    grid = (triton.cdiv(rows, _FORWARD["TILE"]), students)
    _forward[grid](x, stream_of, *weights, inputs, found, *numbers, KEEP=keep, **sizes, **_FORWARD)
    if not keep:
        return found, None

    def back(gradient: torch.Tensor) -> list[torch.Tensor]:
        tiles = triton.cdiv(rows, _BACKWARD["TILE"])
        shares = [x.new_empty((tiles, *shape)) for shape in (a.mT.shape, b.shape, out.shape)]
        options = {**sizes, **_BACKWARD, "BLOCK": min(_BACKWARD["BLOCK"], hidden)}
        _backward[tiles, students](gradient, inputs, *weights, *shares, *numbers, **options)
        da, db, dout = (share.sum(0) for share in shares)
        return [da.mT.contiguous(), db, dout]

    return found, back
