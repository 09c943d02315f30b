"""The fused residual layers against torch's own operations; without a CUDA device in Triton's interpreter."""

import numpy as np
import pytest
import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
triton = pytest.importorskip("triton")

import triton.language as tl  # noqa: E402

from peakedtheory.validation.training import residual_kernels as kernels  # noqa: E402
from peakedtheory.validation.training.residual_network import draw_layers, rms_norm  # noqa: E402


def problem(depth, students, streams, rows, width):
    rng = np.random.default_rng(7)
    layers = [torch.from_numpy(v).to(DEVICE) for v in draw_layers(rng, depth, width, students)]
    for v in layers:
        v.mul_(1 + 0.1 * torch.randn_like(v))  # students differ
    x = torch.randn(streams, rows, width, device=DEVICE)
    return x, torch.arange(students, device=DEVICE) % streams, layers


def plainly(x, stream_of, layers):
    """The same layers in float64, one operation after the other."""
    a, b, out = layers
    h = rms_norm(x).index_select(0, stream_of)
    for layer in range(len(a)):
        h = h + torch.relu(rms_norm(h) @ a[layer] + b[layer]).square() @ out[layer]
    return rms_norm(h)


@pytest.fixture(autouse=True)
def loops_of_interpreted_kernels(monkeypatch):
    """Let the interpreter take a loop's bound from an array of one element, as NumPy 2.4 no longer does."""
    from triton.runtime import interpreter

    original = interpreter._patch_lang_tensor

    def patched(tensor, scope):
        original(tensor, scope)
        scope.set_attr(tensor, "__index__", lambda self: int(self.handle.data.item()))

    monkeypatch.setattr(interpreter, "_patch_lang_tensor", patched)


# rows: whole tiles, less than one, and a rest
@pytest.mark.parametrize(("depth", "rows", "width"), [(3, 128, 32), (2, 40, 16), (1, 70, 32), (2, 96, 64)])
def test_features_and_gradients_are_those_of_the_layers(depth, rows, width):
    torch.manual_seed(3)
    x, stream_of, layers = problem(depth, 3, 2, rows, width)
    upstream = torch.randn(3, rows, width, device=DEVICE)
    found, back = kernels.features(x, stream_of, layers, keep=True)
    exact = [v.double().requires_grad_() for v in layers]
    expected = plainly(x.double(), stream_of, exact)
    gradients = torch.autograd.grad(expected, exact, upstream.double())
    for mine, right in zip((found, *back(upstream)), (expected, *gradients), strict=True):
        assert mine.shape == right.shape
        assert (mine.double() - right).norm() < 2e-6 * right.norm()
    again, nothing = kernels.features(x, stream_of, layers)
    torch.testing.assert_close(again, found, rtol=1e-6, atol=1e-6)
    assert nothing is None


halves = kernels._halves


@triton.jit
def split(x, high, low, SIZE: tl.constexpr):
    place = tl.arange(0, SIZE)
    upper, lower = halves(tl.load(x + place))
    tl.store(high + place, upper)
    tl.store(low + place, lower)


def test_halves_fit_the_short_floats_and_add_up():
    torch.manual_seed(5)
    x = torch.randn(1024, device=DEVICE) * torch.logspace(-30, 30, 1024, device=DEVICE)
    high, low = torch.empty_like(x), torch.empty_like(x)
    split[(1,)](x, high, low, SIZE=1024)
    assert not (high.view(torch.int32) & 0x1FFF).any()  # eleven bits, one of them not written
    assert (low.double().abs() <= 2.0**-11 * x.double().abs()).all()
    assert torch.equal(high.double() + low.double(), x.double())


def test_what_the_kernels_do_not_take_is_left_to_torch():
    assert not kernels.serves(torch.zeros(1, 4, 32))  # on the processor
    if DEVICE == "cuda":
        assert kernels.serves(torch.zeros(1, 4, 32, device=DEVICE))
        for width in (8, 24, 128):
            assert not kernels.serves(torch.zeros(1, 4, width, device=DEVICE))
        assert not kernels.serves(torch.zeros(1, 4, 32, device=DEVICE, dtype=torch.float64))
