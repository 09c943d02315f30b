"""The residual layers of a stack of students as two Triton kernels, each tile of examples on the chip.

Arrays are those of `residual_network`, contiguous and in float32: x (streams, rows, m), a (ℓ, S, m, 4m),
b (ℓ, S, 1, 4m), out (ℓ, S, 4m, m). Every program takes one tile of examples through all layers of one
student; its share of the weights' gradients is stored by itself and summed in order, so that results are
the same to the bit every time.

On the way forth examples are the rows of all products, unit·a and hidden·out; on the way back hidden entries
are, aᵀ·unitᵀ and so on. So a product's result is the first factor of the next one in the very registers where
it lies, if the terms of that next sum are taken in the order of the registers (`_turned`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import triton
import triton.language as tl

#: Examples of a tile, and entries of the hidden layer at a time.
_OPTIONS = {"TILE": 64, "BLOCK": 64, "num_warps": 4, "num_stages": 1}
_SMALLEST_WIDTH, _LARGEST_WIDTH = 16, 64  # the matrix units' tiles, and the registers


def serves(x: torch.Tensor) -> bool:
    """Whether these kernels take inputs of this kind and width: powers of two, tiles in the registers."""
    width = x.shape[-1]
    fits = _SMALLEST_WIDTH <= width <= _LARGEST_WIDTH and width & (width - 1) == 0
    return x.is_cuda and x.dtype == torch.float32 and fits


@triton.jit
def _halves(v):
    """Return two numbers of the matrix units' short floats (11 bits) that add up to v."""
    bits = v.to(tl.int32, bitcast=True)
    high = ((bits + 0x1000) & -0x2000).to(tl.float32, bitcast=True)
    return high, v - high


@triton.jit
def _product(a_high, a_low, b_high, b_low):
    """Product of matrices in halves, to single precision: the product of the low halves is beyond it."""
    found = tl.dot(a_low, b_high, input_precision="tf32")
    found = tl.dot(a_high, b_low, found, input_precision="tf32")
    return tl.dot(a_high, b_high, found, input_precision="tf32")


@triton.jit
def _turned(v):
    """Put column 2q + s of every eight at 4s + q; the registers of a result hold them so."""
    ROWS: tl.constexpr = v.shape[0]
    COLUMNS: tl.constexpr = v.shape[1]
    v = tl.permute(tl.reshape(v, (ROWS, COLUMNS // 8, 4, 2)), (0, 1, 3, 2))
    return tl.reshape(v, (ROWS, COLUMNS))


@triton.jit
def _turned_rows(v):
    """Put rows where `_turned` puts columns."""
    ROWS: tl.constexpr = v.shape[0]
    COLUMNS: tl.constexpr = v.shape[1]
    v = tl.permute(tl.reshape(v, (ROWS // 8, 4, 2, COLUMNS)), (0, 2, 1, 3))
    return tl.reshape(v, (ROWS, COLUMNS))


@triton.jit
def _inverse_root(v):
    mean = tl.sum(v * v, 1) / v.shape[1]
    return 1.0 / tl.maximum(tl.sqrt(mean), 1e-12)[:, None]


@triton.jit
def _forward(
    x, stream_of, a_turned, b, out_turned, inputs, features, layers, students, rows,
    WIDTH: tl.constexpr, HIDDEN: tl.constexpr, TILE: tl.constexpr, BLOCK: tl.constexpr, KEEP: tl.constexpr,
):  # fmt: skip
    student = tl.program_id(1).to(tl.int64)
    row = tl.program_id(0).to(tl.int64) * TILE + tl.arange(0, TILE)
    narrow = tl.arange(0, WIDTH)
    inside = (row < rows)[:, None]
    place = row[:, None] * WIDTH + narrow[None, :]
    stream = tl.load(stream_of + student)
    v = tl.load(x + stream * rows * WIDTH + place, mask=inside, other=0.0)
    v *= _inverse_root(v)
    for layer in tl.range(layers):
        here = layer * students + student
        if KEEP:
            tl.store(inputs + here * rows * WIDTH + place, v, mask=inside)
        u_high, u_low = _halves(v * _inverse_root(v))
        for block in tl.static_range(HIDDEN // BLOCK):
            wide = block * BLOCK + tl.arange(0, BLOCK)
            weights = tl.load(a_turned + here * WIDTH * HIDDEN + wide[:, None] * WIDTH + narrow[None, :])
            w_high, w_low = _halves(weights)
            hidden = _product(u_high, u_low, tl.trans(w_high), tl.trans(w_low))
            hidden = tl.maximum(hidden + tl.load(b + here * HIDDEN + wide)[None, :], 0.0)
            h_high, h_low = _halves(_turned(hidden * hidden))
            weights = tl.load(out_turned + here * WIDTH * HIDDEN + narrow[:, None] * HIDDEN + wide[None, :])
            w_high, w_low = _halves(weights)
            v += _product(h_high, h_low, tl.trans(w_high), tl.trans(w_low))
    if KEEP:
        tl.store(inputs + (layers * students + student) * rows * WIDTH + place, v, mask=inside)
    tl.store(features + student * rows * WIDTH + place, v * _inverse_root(v), mask=inside)


@triton.jit
def _through_norm(gradient, unit, inverse_root):
    """Gradient with respect to v of v / root(v), given that with respect to the unit vector."""
    return (gradient - unit * (tl.sum(gradient * unit, 1) / unit.shape[1])[:, None]) * inverse_root


@triton.jit
def _backward(
    gradient, inputs, a, b, out, a_shares, b_shares, out_shares, layers, students, rows,
    WIDTH: tl.constexpr, HIDDEN: tl.constexpr, TILE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    tile, student = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    row = tile * TILE + tl.arange(0, TILE)
    narrow = tl.arange(0, WIDTH)
    inside = (row < rows)[:, None]
    place = row[:, None] * WIDTH + narrow[None, :]
    v = tl.load(inputs + (layers * students + student) * rows * WIDTH + place, mask=inside, other=0.0)
    inverse = _inverse_root(v)
    dv = tl.load(gradient + student * rows * WIDTH + place, mask=inside, other=0.0)
    dv = _through_norm(dv, v * inverse, inverse)
    for step in tl.range(layers):
        here = (layers - 1 - step) * students + student
        share = tile * layers * students + here
        v = tl.load(inputs + here * rows * WIDTH + place, mask=inside, other=0.0)
        inverse = _inverse_root(v)
        unit = v * inverse
        u_high, u_low = _halves(unit)
        d_high, d_low = _halves(dv)
        du = tl.zeros_like(v)
        for first in tl.range(0, HIDDEN, BLOCK):
            wide = first + tl.arange(0, BLOCK)
            place_in = narrow[None, :] * HIDDEN + wide[:, None]
            place_out = wide[:, None] * WIDTH + narrow[None, :]
            w_high, w_low = _halves(tl.load(a + here * WIDTH * HIDDEN + place_in))
            positive = _product(w_high, w_low, tl.trans(u_high), tl.trans(u_low))
            positive = tl.maximum(positive + tl.load(b + here * HIDDEN + wide)[:, None], 0.0)
            h_high, h_low = _halves(_turned(positive * positive))
            change = _product(h_high, h_low, _turned_rows(d_high), _turned_rows(d_low))
            tl.store(out_shares + share * WIDTH * HIDDEN + place_out, change)
            o_high, o_low = _halves(tl.load(out + here * WIDTH * HIDDEN + place_out))
            hidden = 2.0 * positive * _product(o_high, o_low, tl.trans(d_high), tl.trans(d_low))
            tl.store(b_shares + share * HIDDEN + wide, tl.sum(hidden, 1))
            h_high, h_low = _halves(hidden)
            change = _product(_turned(h_high), _turned(h_low), _turned_rows(u_high), _turned_rows(u_low))
            tl.store(a_shares + share * WIDTH * HIDDEN + place_in, change)
            du += _product(tl.trans(h_high), tl.trans(h_low), w_high, w_low)
        dv += _through_norm(du, unit, inverse)


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
    sizes = {"layers": depth, "students": students, "rows": rows, "WIDTH": width, "HIDDEN": hidden}
    tiles = triton.cdiv(rows, _OPTIONS["TILE"])
    # three programs of the usual width on every multiprocessor
    registers = {"maxnreg": 168} if width <= 32 else {}
    turned = (a.mT.contiguous(), b, out.mT.unflatten(3, (hidden // 8, 4, 2)).transpose(4, 5).flatten(3))
    _forward[tiles, students](
        x, stream_of, *turned, inputs, found, KEEP=keep, **sizes, **_OPTIONS, **registers
    )
    if not keep:
        return found, None

    def back(gradient: torch.Tensor) -> list[torch.Tensor]:
        shares = [x.new_empty((tiles, *v.shape)) for v in layers]
        _backward[tiles, students](gradient, inputs, *layers, *shares, **sizes, **_OPTIONS)
        return [share.sum(0) for share in shares]

    return found, back
