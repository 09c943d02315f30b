"""Products of the loss's Hessian with vectors, in closed form and double precision.

For logits y = W x the Hessian of the mean loss is <(diag p - p pᵀ) ⊗ x xᵀ> (it does not contain the labels),
so that H V = <(p∘u - p (p·u)) xᵀ> with u = V x; for the squared distance of logits it is <I/n ⊗ x xᵀ>.
Samples lie in lanes and classes in rows as in `training`.
"""

import numpy as np

from peakedtheory.kernels.cache import cached_njit
from peakedtheory.kernels.lanes import LANES, aligned, inner, use_wide_vectors
from peakedtheory.kernels.products import product
from peakedtheory.kernels.training import MSE, softmax


@cached_njit(error_model="numpy", nogil=True)
def fill_probabilities(lanes, columns, weights, n, p):
    """Fill p (blocks, rows LANES) with the softmax of W x, weights (rows columns,)."""
    blocks, m, _ = lanes.shape
    rows = weights.size // columns
    largest, sums = aligned(LANES, weights), aligned(LANES, weights)
    for b in range(blocks):
        xt = lanes[b].reshape(m * LANES)
        product(weights, 0, columns, 1, xt, 0, LANES, p[b], 0, LANES, rows, LANES, m, False)
        softmax(p[b], n, largest, sums)


@inner
def _curve(u, p, n, loss, sums):
    """Replace u by p∘u - p (p·u), or by u / n."""
    use_wide_vectors()
    sums[:] = 0.0
    if loss == MSE:
        for i in range(n * LANES):
            u[i] /= n
        return
    for i in range(n):
        row, weight = u[i * LANES : (i + 1) * LANES], p[i * LANES : (i + 1) * LANES]
        for j in range(LANES):
            sums[j] += weight[j] * row[j]
    for i in range(n):
        row, weight = u[i * LANES : (i + 1) * LANES], p[i * LANES : (i + 1) * LANES]
        for j in range(LANES):
            row[j] = weight[j] * (row[j] - sums[j])


@cached_njit(error_model="numpy", nogil=True)
def hessian_products(lanes, x_rows, p, vectors, n, loss, out):
    """Fill out (vectors, rows columns) with sums over all samples of the Hessian's products with `vectors`.

    The number of samples must be a multiple of LANES.
    """
    blocks, m, _ = lanes.shape
    columns = x_rows.shape[1]
    rows = vectors.shape[1] // columns
    x = x_rows.reshape(x_rows.size)
    u, sums = aligned(rows * LANES, np.empty(1)), aligned(LANES, np.empty(1))
    for b in range(blocks):
        xt = lanes[b].reshape(m * LANES)
        for v in range(vectors.shape[0]):
            product(vectors[v], 0, columns, 1, xt, 0, LANES, u, 0, LANES, rows, LANES, m, False)
            _curve(u, p[b], n, loss, sums)
            start = b * LANES * columns
            product(u, 0, LANES, 1, x, start, columns, out[v], 0, columns, rows, columns, LANES, b > 0)
