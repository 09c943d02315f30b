"""A stack of cases trained in torch: closed-form gradient (p - q)xᵀ and fused updates, on any device.

One step is two batched matrix products, a softmax and an update for all cases at once. On CUDA a step is
captured in a graph, which the processor only replays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor

import numpy as np
import torch

from peakedtheory.kernels.training import ADAM_EPSILON, MUON_COEFFICIENTS, MUON_EPSILON, MUON_ITERATIONS
from peakedtheory.validation.training.graphs import captured, drawn, on_device
from peakedtheory.validation.training.inputs import TEST, TRAINING
from peakedtheory.validation.training.stacks import Stack

_TEST_NUMBERS = 1 << 24  # logits of the test inputs at a time


def newton_schulz(gradient: torch.Tensor) -> torch.Tensor:
    """Return the orthogonal part of each matrix (…, n, m), approximately (Muon, Jordan et al. 2024)."""
    a, b, c = MUON_COEFFICIENTS
    x = gradient / gradient.norm(dim=(-2, -1), keepdim=True).clamp(min=MUON_EPSILON)
    for _ in range(MUON_ITERATIONS):
        square = x.mT @ x
        x = a * x + x @ (b * square + c * (square @ square))
    return x


def _less_one(p: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Return p (…, n), which is changed, less one at these places (…)."""
    return p.scatter_add_(-1, places[..., None], torch.full_like(p[..., :1], -1.0))


@contextlib.contextmanager
def _memory_errors() -> Iterator[None]:
    """Turn torch's errors of exhausted memory, on any device, into MemoryError."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(str(error).splitlines()[0]) from None
    except RuntimeError as error:
        if "not enough memory" in str(error):  # of the processor
            raise MemoryError(str(error).splitlines()[0]) from None
        raise


class TorchEngine:
    """Trains one stack; see `runs` for what engines promise."""

    def __init__(self, stack: Stack, device: str, dtype: str, pool: Executor | None = None) -> None:
        self.stack = stack
        self.device = torch.device(device)
        self.dtype = getattr(torch, dtype)
        self.pool = pool
        self.weights = self._tensor(stack.start).clone()
        self.moments = [torch.zeros_like(self.weights) for _ in range(stack.moments)]
        self.average = self.weights.clone() if stack.averaged else None
        # cases with one teacher and one stream of inputs share their labels
        pairs, label_of = np.unique(
            np.stack([stack.teacher_of, stack.stream_of], axis=1), axis=0, return_inverse=True
        )
        self.exact_teachers = self._tensor(stack.teachers[pairs[:, 0]], torch.float64)
        self.teachers = self.exact_teachers.to(self.dtype)
        self.label_stream, self.label_of, self.stream_of = (
            torch.as_tensor(np.ascontiguousarray(i), device=self.device)
            for i in (pairs[:, 1], label_of.reshape(-1), stack.stream_of)
        )
        self.beta1, self.beta2 = (self._tensor(b)[:, None, None] for b in (stack.beta1, stack.beta2))
        self._tests: torch.Tensor | None = None
        self._graph: torch.cuda.CUDAGraph | None = None
        self._capture = self.device.type == "cuda"
        self._x = torch.zeros(
            (len(stack.inputs.keys), stack.batch, stack.shape[1]), dtype=self.dtype, device=self.device
        )
        self._uniforms = torch.zeros(self._x.shape[:2], dtype=torch.float64, device=self.device)
        self._coefficients = torch.zeros((stack.size, 4), dtype=self.dtype, device=self.device)

    def _tensor(self, array: np.ndarray, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Return an array on the device, in the precision of training or another one."""
        return on_device(array, self.device).to(dtype or self.dtype)

    @property
    def _trained(self) -> tuple[torch.Tensor, ...]:
        """All that a step changes."""
        return self.weights, *self.moments, *(() if self.average is None else (self.average,))

    def advance(self, first: int, stop: int) -> None:
        """Train steps first .. stop - 1; if memory is short, raise MemoryError and change nothing."""
        with torch.no_grad(), _memory_errors():
            before = [tensor.clone() for tensor in self._trained]
            try:
                self._advance(first, stop)
            except RuntimeError:
                for tensor, old in zip(self._trained, before, strict=True):
                    tensor.copy_(old)
                self._graph = None
                raise

    def _advance(self, first: int, stop: int) -> None:
        stack = self.stack
        steps = stop - first
        rows = drawn(stack.inputs, TRAINING, first, steps, stack.batch, self.pool, self.device)
        if stack.labels == "sampled":
            uniforms = stack.inputs.uniforms(TRAINING, first, steps, stack.batch)[:, :, : stack.batch]
            numbers = self._tensor(uniforms, torch.float64)
        coefficients = self._tensor(stack.coefficients(first, stop))
        for s in range(steps):
            self._x.copy_(rows[:, s])
            if stack.labels == "sampled":
                self._uniforms.copy_(numbers[:, s])
            self._coefficients.copy_(coefficients[s])
            if self._capture and self._graph is None:
                self._graph = captured(self._step, self._trained, self.device)
                self._capture = self._graph is not None
            if self._graph is None:
                self._step()
            else:
                self._graph.replay()

    def _errors(self) -> torch.Tensor:
        """Gradient of the loss with respect to the logits of a batch, (C, batch, n)."""
        stack = self.stack
        logits = torch.bmm(self._x.index_select(0, self.stream_of), self.weights.mT)
        if stack.labels == "sampled":
            return _less_one(torch.softmax(logits, dim=-1), self._drawn().index_select(0, self.label_of))
        targets = torch.bmm(self._x.index_select(0, self.label_stream), self.teachers.mT)
        if stack.loss == "mse":
            return logits.sub_(targets.index_select(0, self.label_of)).div_(stack.shape[0])
        p = torch.softmax(logits, dim=-1)
        if stack.labels == "hard":
            return _less_one(p, targets.argmax(dim=-1).index_select(0, self.label_of))
        return p.sub_(torch.softmax(targets, dim=-1).index_select(0, self.label_of))

    def _drawn(self) -> torch.Tensor:
        """Classes drawn from the teachers' probabilities, the same ones as the compiled engine's."""
        x = self._x.index_select(0, self.label_stream).double()
        reached = torch.softmax(torch.bmm(x, self.exact_teachers.mT), dim=-1).cumsum(dim=-1)
        numbers = self._uniforms.index_select(0, self.label_stream)[..., None]
        return (reached <= numbers * reached[..., -1:]).sum(dim=-1)

    def _step(self) -> None:
        """One step of all cases on the inputs and coefficients held."""
        stack = self.stack
        keep, rate, root, share = self._coefficients.T[..., None, None]
        x = self._x.index_select(0, self.stream_of)
        gradient = torch.bmm(self._errors().mT, x).div_(stack.batch)
        if stack.optimizer in ("adam", "adamw"):
            first, second = self.moments
            first.add_((1 - self.beta1) * (gradient - first))
            second.mul_(self.beta2).add_((1 - self.beta2) * gradient.square())
            gradient = first / (second.sqrt() * root + ADAM_EPSILON)
        elif stack.optimizer == "signgd":
            gradient = gradient.sign()
        elif stack.optimizer == "muon":
            momentum = self.moments[0]
            momentum.add_((1 - self.beta1) * (gradient - momentum))
            gradient = newton_schulz(gradient + self.beta1 * (momentum - gradient))
        self.weights.mul_(keep).sub_(rate * gradient)
        if self.average is not None:
            self.average.add_(share * (self.weights - self.average))

    def state(self) -> dict[str, np.ndarray]:
        """Return what resuming needs."""
        arrays = {"weights": self.weights, **{f"moment{i}": m for i, m in enumerate(self.moments)}}
        if self.average is not None:
            arrays["average"] = self.average
        return {name: a.detach().cpu().numpy().copy() for name, a in arrays.items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state; moments that this optimizer does not have are passed over."""
        self.weights.copy_(torch.as_tensor(state["weights"]))
        for i, moment in enumerate(self.moments):
            moment.copy_(torch.as_tensor(state[f"moment{i}"]))
        if self.average is not None:
            self.average.copy_(torch.as_tensor(state["average"]))

    def stop(self, cases: np.ndarray) -> None:
        """Diverged cases stay in the stack: batched operations keep them apart from the others."""

    def observe(self) -> dict[str, np.ndarray]:
        """Return sums over the test inputs, in float64; see `Recorder.add`."""
        with torch.no_grad(), _memory_errors():
            return self._observe()

    def _observe(self) -> dict[str, np.ndarray]:
        stack, double = self.stack, torch.float64
        if self._tests is None:
            tests = drawn(stack.tests, TEST, 0, 1, stack.test_samples, self.pool, self.device)
            self._tests = tests[:, 0].to(double)
        test_of = torch.as_tensor(stack.test_of, device=self.device)
        weights = (self.weights if self.average is None else self.average).to(double)
        teachers = self._tensor(stack.teachers[stack.teacher_of], double)
        ratio = (weights.norm(dim=(1, 2)) / teachers.norm(dim=(1, 2)))[:, None, None]
        names = ("loss", "loss_squares", "radial_loss", "variance")
        sums = {name: torch.zeros(stack.size, dtype=double, device=self.device) for name in names}
        gradient = torch.zeros_like(weights)
        block = max(1, _TEST_NUMBERS // (stack.size * stack.shape[0]))
        for start in range(0, stack.test_samples, block):
            x = self._tests[:, start : start + block].index_select(0, test_of)
            y, y_star = torch.bmm(x, weights.mT), torch.bmm(x, teachers.mT)
            loss, error = self._losses(y, y_star)
            gradient += torch.bmm(error.mT, x)
            sums["loss"] += loss.sum(1)
            sums["loss_squares"] += loss.square().sum(1)
            sums["radial_loss"] += self._losses(ratio * y_star, y_star)[0].sum(1)
            sums["variance"] += y.var(dim=-1).sum(1)
        out = {name: value.cpu().numpy() for name, value in sums.items()}
        out["gradient"] = gradient.cpu().numpy()
        return out

    def _losses(self, y: torch.Tensor, y_star: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss of each test input (C, samples), and its gradient with respect to the logits."""
        n = self.stack.shape[0]
        if self.stack.loss == "mse":
            difference = y - y_star
            return difference.square().sum(-1) / (2 * n), difference / n
        log_p = torch.log_softmax(y, dim=-1)
        p = log_p.exp()
        if self.stack.labels == "hard":
            top = y_star.argmax(dim=-1)
            return -log_p.gather(-1, top[..., None])[..., 0], _less_one(p, top)
        log_q = torch.log_softmax(y_star, dim=-1)
        q = log_q.exp()
        return (q * (log_q - log_p)).sum(-1), p - q
