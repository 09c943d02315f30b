"""Leading eigenvalues and trace of the loss's Hessian, from closed-form products with vectors."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np
from threadpoolctl import ThreadpoolController

from peakedtheory.kernels.curvature import fill_probabilities, hessian_products
from peakedtheory.kernels.lanes import LANES
from peakedtheory.kernels.training import KL, MSE
from peakedtheory.validation.training.inputs import TEST
from peakedtheory.validation.training.padding import padded, padded_width
from peakedtheory.validation.training.stacks import Stack

SAMPLES = 2048  # test inputs the Hessian is averaged over, at most
EIGENVALUES = 3
_TOLERANCE = 1e-5  # residual over the largest eigenvalue
_MOST_BLOCKS = 80


def leading_eigenvalues(
    apply: Callable[[np.ndarray], np.ndarray], size: int, count: int = EIGENVALUES
) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest eigenvalues of a symmetric operator, descending, and bounds of their errors.

    Block Lanczos with full orthogonalisation from a fixed start: as many equal eigenvalues as the block is
    wide are all found. A residual norm bounds the distance to the nearest eigenvalue.

    Parameters
    ----------
    apply : callable
        Takes and returns arrays (vectors, size).
    size : int
        Dimension.
    count : int
        Number of eigenvalues, and width of the block.
    """
    count = min(count, size)
    block = np.linalg.qr(np.random.default_rng(0).standard_normal((size, count)))[0].T
    basis, images = block, apply(block)
    projected = basis @ images.T
    for _ in range(_MOST_BLOCKS):
        ritz, vectors = np.linalg.eigh(0.5 * (projected + projected.T))
        leading, values = vectors[:, ::-1][:, :count].T, ritz[::-1][:count]
        errors = np.linalg.norm(leading @ images - values[:, None] * (leading @ basis), axis=1)
        if errors.max() <= _TOLERANCE * max(values[0], 1e-300):
            break
        new = images[-len(block) :]
        for _ in range(2):
            new = new - (new @ basis.T) @ basis
        directions, triangle = np.linalg.qr(new.T)
        # directions that the basis spans already would be noise
        block = directions.T[np.abs(np.diag(triangle)) > 1e-12 * values[0]]
        if len(block) == 0 or len(basis) + len(block) > size:
            break
        more = apply(block)
        corner = basis @ more.T
        projected = np.block([[projected, corner], [corner.T, block @ more.T]])
        basis, images = np.concatenate([basis, block]), np.concatenate([images, more])
    return values, errors


class Curvature:
    """Hessian of each case of a stack over its first test inputs."""

    def __init__(self, stack: Stack, pool: Executor) -> None:
        self.stack = stack
        self.pool = pool
        samples = max(min(SAMPLES, stack.test_samples) // LANES, 1) * LANES
        drawn = stack.tests.draw(TEST, 0, 1, samples, pool, padded_width(stack.shape[1]))
        self.lanes, self.rows = (a[:, 0].astype(float) for a in drawn)
        self.samples = samples
        self.libraries = ThreadpoolController()

    def measure(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return eigenvalues and error bounds (C, 3), traces and their standard errors (C,)."""
        # cases share the processors already: threads of the linear algebra would fight over them
        with self.libraries.limit(limits=1, user_api="blas"):
            results = list(self.pool.map(self._case, range(self.stack.size), weights))
        names = ("hessian_eigenvalue", "hessian_error", "hessian_trace", "hessian_trace_standard_error")
        return dict(zip(names, (np.array(a) for a in zip(*results, strict=True)), strict=True))

    def _case(self, case: int, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:

        n, m = self.stack.shape
        lanes, rows = self.lanes[self.stack.test_of[case]], self.rows[self.stack.test_of[case]]
        columns = rows.shape[1]
        if not np.isfinite(weights).all():
            nothing = np.full(EIGENVALUES, np.nan)
            return nothing, nothing, np.nan, np.nan
        flat = padded(weights, float).reshape(-1)
        p = np.zeros((lanes.shape[0], flat.size // columns * LANES))
        fill_probabilities(lanes, columns, flat, n, p)
        loss = MSE if self.stack.loss == "mse" else KL

        def apply(vectors: np.ndarray) -> np.ndarray:
            wide = padded(vectors.reshape(-1, n, m), float).reshape(len(vectors), -1)
            out = np.zeros_like(wide)
            hessian_products(lanes, rows, p, wide, n, loss, out)
            return out.reshape(len(vectors), -1, columns)[:, :n, :m].reshape(len(vectors), -1) / self.samples

        values, errors = leading_eigenvalues(apply, n * m)
        squares = (lanes**2).sum(axis=1).reshape(-1)
        inner = p.reshape(lanes.shape[0], -1, LANES)[:, :n]
        shares = np.ones_like(squares) if loss == MSE else (1.0 - (inner**2).sum(axis=1)).reshape(-1)
        traces = shares * squares
        return values, errors, traces.mean(), traces.std(ddof=1) / np.sqrt(traces.size)
