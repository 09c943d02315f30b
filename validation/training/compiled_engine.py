"""A stack of cases trained by compiled loops on the processor, cases spread over threads.

A task is a few cases that share teacher and inputs, over a chunk of steps: the labels of a block are computed
once for all of them. The result has the same bits for any number of threads and any cut into tasks or stacks.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor

import numpy as np

from peakedtheory.kernels import training as kernel
from peakedtheory.kernels.evaluation import evaluate
from peakedtheory.validation.training.inputs import TEST, TRAINING
from peakedtheory.validation.training.padding import padded
from peakedtheory.validation.training.stacks import Stack

_MOST_IN_A_TASK = 16  # cases whose weights and moments stay in a second-level cache


class CompiledEngine:
    """Trains one stack; see `runs` for what engines promise."""

    def __init__(self, stack: Stack, pool: Executor, threads: int) -> None:

        self.stack = stack
        self.pool = pool
        self.threads = threads
        start = padded(stack.start, np.float32)
        self.padded = start.shape[1:]
        self.weights = start.reshape(stack.size, -1)
        self.moments = [np.zeros_like(self.weights) for _ in range(stack.moments)]
        self.averages = self.weights.copy() if stack.averaged else np.zeros((stack.size, 0), np.float32)
        self.teachers = padded(stack.teachers, np.float32)
        self.exact_teachers = padded(stack.teachers, float)
        self.kind = {"soft": kernel.SOFT, "hard": kernel.HARD, "sampled": kernel.SAMPLED}[stack.labels]
        self.betas = np.stack([stack.beta1, stack.beta2], axis=1).astype(np.float32)
        self.optimizer = {
            "sgd": kernel.SGD, "adam": kernel.ADAM, "adamw": kernel.ADAM, "signgd": kernel.SIGNGD,
            "muon": kernel.MUON,
        }[stack.optimizer]  # fmt: skip
        self.loss = kernel.MSE if stack.loss == "mse" else kernel.KL
        self.running = np.ones(stack.size, bool)
        self._tests: tuple[np.ndarray, np.ndarray] | None = None

    def _tasks(self, stream_of: np.ndarray) -> Iterator[np.ndarray]:
        """Yield cases that share teacher and inputs, in pieces small enough to occupy all threads."""
        running = np.flatnonzero(self.running)
        pairs = np.stack([self.stack.teacher_of, stream_of], axis=1)[running]
        _, group = np.unique(pairs, axis=0, return_inverse=True)
        group = group.reshape(-1)
        size = min(_MOST_IN_A_TASK, max(1, -(-running.size // self.threads)))
        for g in range(int(group.max(initial=-1)) + 1):
            members = running[group == g]
            yield from np.array_split(members, -(-members.size // size))

    def advance(self, first: int, stop: int) -> None:
        """Train steps first .. stop - 1."""
        stack = self.stack
        lanes, rows = stack.inputs.draw(TRAINING, first, stop - first, stack.batch, self.pool, self.padded[1])
        drawn = stack.inputs.uniforms(
            TRAINING, first, stop - first, stack.batch if self.kind == kernel.SAMPLED else 0
        )
        coefficients = stack.coefficients(first, stop)
        none = np.zeros((stack.size, 0), np.float32)

        def run(members: np.ndarray) -> None:
            arrays = [*[self.weights, *self.moments, none, none][:3], self.averages]
            mine = [a[members] for a in arrays]
            stream, teacher = stack.stream_of[members[0]], stack.teacher_of[members[0]]
            kernel.advance(
                lanes[stream], rows[stream], drawn[stream], self.teachers[teacher],
                self.exact_teachers[teacher], *mine, np.ascontiguousarray(coefficients[:, members]),
                self.betas[members], stack.shape[0], stack.batch, self.loss, self.kind, self.optimizer,
            )  # fmt: skip
            for array, value in zip(arrays, mine, strict=True):
                array[members] = value

        list(self.pool.map(run, self._tasks(stack.stream_of)))

    def state(self) -> dict[str, np.ndarray]:
        """Return what resuming needs."""
        n, m = self.stack.shape
        arrays = {"weights": self.weights, **{f"moment{i}": a for i, a in enumerate(self.moments)}}
        if self.stack.averaged:
            arrays["average"] = self.averages
        return {name: a.reshape(-1, *self.padded)[:, :n, :m].copy() for name, a in arrays.items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Go on from a state; moments that this optimizer does not have are passed over."""
        self.weights[:] = padded(state["weights"], np.float32).reshape(self.weights.shape)
        for i, moment in enumerate(self.moments):
            moment[:] = padded(state[f"moment{i}"], np.float32).reshape(moment.shape)
        if self.stack.averaged:
            self.averages[:] = padded(state["average"], np.float32).reshape(self.averages.shape)

    def stop(self, cases: np.ndarray) -> None:
        """Train these cases no further."""
        self.running[cases] = False

    def observe(self) -> dict[str, np.ndarray]:
        """Return sums over the test inputs, in float64; see `Recorder.add`."""
        stack = self.stack
        n, m = stack.shape
        if self._tests is None:
            drawn = stack.tests.draw(TEST, 0, 1, stack.test_samples, self.pool, self.padded[1])
            self._tests = drawn[0][:, 0].astype(float), drawn[1][:, 0].astype(float)
        lanes, rows = self._tests
        weights = (self.averages if stack.averaged else self.weights).astype(float)
        teachers = self.exact_teachers
        ratios = np.sqrt((weights**2).sum(1) / (teachers**2).sum(axis=(1, 2))[stack.teacher_of])
        totals = np.full((stack.size, 4), np.nan)
        gradients = np.full_like(weights, np.nan)

        def run(members: np.ndarray) -> None:
            test, teacher = stack.test_of[members[0]], stack.teacher_of[members[0]]
            sums, gradient = np.empty((members.size, 4)), np.empty((members.size, weights.shape[1]))
            evaluate(
                lanes[test], rows[test], teachers[teacher], weights[members], ratios[members], n,
                stack.test_samples, self.loss, self.kind == kernel.HARD, sums, gradient,
            )  # fmt: skip
            totals[members], gradients[members] = sums, gradient

        list(self.pool.map(run, self._tasks(stack.test_of)))
        names = ("loss", "loss_squares", "radial_loss", "variance")
        out = {name: totals[:, i] for i, name in enumerate(names)}
        out["gradient"] = gradients.reshape(-1, *self.padded)[:, :n, :m]
        return out
