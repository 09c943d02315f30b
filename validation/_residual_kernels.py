"""The residual layers of a stack of students as two Triton kernels: a tile of examples keeps to its registers.

Arrays are those of `residual_network`, contiguous and in float32: x (streams, rows, m), a (ℓ, S, m, 4m),
b (ℓ, S, 1, 4m), out (ℓ, S, 4m, m). Every program takes one tile of examples through all layers of one student;
its share of the weights' gradients is stored by itself and summed in order, so that results are the same to the
bit every time.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

#: Three products of the matrix units' short floats: single precision to a few units in the last place.
PRECISION = "tf32x3"
_TILE = 64
_BLOCK = 32  # of the hidden layer at a time
_WARPS, _STAGES = 8, 2
_SMALLEST_WIDTH = 16  # of the matrix units' tiles


def serves(x: torch.Tensor) -> bool:
    """Whether these kernels take inputs of this kind and width: powers of two, tiles in the registers."""
    width = x.shape[-1]
    fits = _SMALLEST_WIDTH <= width <= 2 * _TILE and width & (width - 1) == 0
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


def _launch(x: torch.Tensor, layers: torch.Tensor) -> tuple[tuple[int, int], dict[str, int | str]]:
    students, width, hidden = layers.shape[1:]
    sizes = {"WIDTH": width, "HIDDEN": hidden, "TILE": _TILE, "BLOCK": min(_BLOCK, hidden)}
    options = {**sizes, "PRECISION": PRECISION, "num_warps": _WARPS, "num_stages": _STAGES}
    return (triton.cdiv(x.shape[-2], _TILE), students), options


def _run(
    x: torch.Tensor, stream_of: torch.Tensor, layers: tuple[torch.Tensor, ...], keep: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the features (S, rows, m), and the inputs of all layers (ℓ + 1, S, rows, m) if they are kept."""
    a, b, out = layers
    depth, students, width, _ = a.shape
    rows = x.shape[-2]
    features = x.new_empty((students, rows, width))
    inputs = x.new_empty((depth + 1, students, rows, width) if keep else (1,))
    grid, options = _launch(x, a)
    _forward[grid](x, stream_of, a, b, out, inputs, features, depth, students, rows, KEEP=keep, **options)
    return features, inputs


class _Features(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, stream_of, a, b, out):  # type: ignore[no-untyped-def]
        features, inputs = _run(x, stream_of, (a, b, out), True)
        ctx.save_for_backward(inputs, a, b, out)
        return features

    @staticmethod
    def backward(ctx, gradient):  # type: ignore[no-untyped-def]
        inputs, a, b, out = ctx.saved_tensors
        grid, options = _launch(gradient, a)
        shares = [v.new_empty((grid[0], *v.shape)) for v in (a, b, out)]
        _backward[grid](
            gradient.contiguous(), inputs, a, b, out, *shares, *a.shape[:2], gradient.shape[-2], **options
        )
        return None, None, *(share.sum(0) for share in shares)


def features(x: torch.Tensor, stream_of: torch.Tensor, layers: list[torch.Tensor]) -> torch.Tensor:
    """Return norm(h_ℓ) of every student (S, rows, m), differentiable with respect to the layers.

    Parameters
    ----------
    x : Tensor, shape (streams, rows, m)
    stream_of : Tensor of int64, shape (S,)
        Which inputs each student sees.
    layers : list of Tensor
        a, b and out.
    """
    if torch.is_grad_enabled() and any(v.requires_grad for v in layers):
        return _Features.apply(x, stream_of, *layers)
    return _run(x, stream_of, tuple(layers), False)[0]
