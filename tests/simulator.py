"""Teacher-student training in plain NumPy: the experiment that the flows of `peakedtheory.dynamics` predict.

Logits y = W x with x on the sphere |x|² = m, labels softmax(W* x) (or its argmax for hard labels, or a draw from
it for sampled ones), loss KL(label || student), of sampled labels that of their probabilities. Several teachers are trained side by side, stacked along the first axis.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Records:
    steps: np.ndarray  # (times,)
    tau: np.ndarray  # (times,)
    alignment: np.ndarray  # (times, teachers)
    residual: np.ndarray  # without the common shift of all rows, which no softmax sees
    beta: np.ndarray
    loss: np.ndarray
    weights: np.ndarray  # (times, teachers, n, m)


def teachers(n, m, beta_star, seeds, *, equal_rows=False, gaussian=False):
    """Weights W* (teachers, n, m), entries uniform or Gaussian; for hard labels of unit scale."""
    scale = 1.0 if np.isinf(beta_star) else beta_star
    if gaussian:
        w = np.stack([np.random.default_rng([s, 1]).standard_normal((n, m)) for s in seeds]) / np.sqrt(m)
    else:
        w = np.stack([np.random.default_rng([s, 1]).uniform(-1, 1, (n, m)) for s in seeds]) * np.sqrt(3.0 / m)
    if equal_rows:
        w /= np.linalg.norm(w, axis=2, keepdims=True)
    return scale * w


def inputs(rng, teachers_count, batch, m):
    x = rng.standard_normal((teachers_count, batch, m), dtype=np.float32)
    return x * np.sqrt(m / np.einsum("tbi,tbi->tb", x, x))[..., None]


def log_softmax(y):
    y = y - y.max(axis=-1, keepdims=True)
    return y - np.log(np.exp(y).sum(axis=-1, keepdims=True))


def labels(y, hard):
    if hard:
        q = np.zeros_like(y)
        np.put_along_axis(q, y.argmax(axis=-1)[..., None], 1.0, axis=-1)
        return q
    return np.exp(log_softmax(y))


def drawn_labels(y, rng):
    """One class of each softmax, as one-hot vectors."""
    return labels(y + rng.gumbel(size=y.shape), hard=True)


def held_out_loss(w, w_star, hard, rng, samples=8192, chunk=1024):
    """Mean KL divergence on fresh inputs, (teachers,)."""
    total = 0.0
    for _ in range(samples // chunk):
        x = inputs(rng, w.shape[0], chunk, w.shape[2])
        y_star = x @ np.swapaxes(w_star, 1, 2)
        log_p = log_softmax(x @ np.swapaxes(w, 1, 2))
        if hard:
            total = total - np.take_along_axis(log_p, y_star.argmax(-1)[..., None], -1)[..., 0].sum(axis=1)
        else:
            log_q = log_softmax(y_star)
            total = total + (np.exp(log_q) * (log_q - log_p)).sum(axis=(1, 2))
    return total / samples


def train(
    w_star,
    rates,
    batch,
    *,
    hard=False,
    sampled=False,
    start=None,
    optimizer="sgd",
    beta2=0.999,
    weight_decay=0.0,
    record=(),
    seed=0,
    samples=8192,
):
    """Train stacked students with learning rates `rates` (one per step) and record at the given steps.

    `weight_decay` is decoupled: W loses the fraction rate * weight_decay per step.
    """
    w_star = w_star.astype(np.float32)
    count, n, m = w_star.shape
    w = np.zeros_like(w_star) if start is None else start.astype(np.float32)
    rng = np.random.default_rng([seed, 2])
    first, second = np.zeros_like(w), np.zeros_like(w)
    record = sorted(set(record))
    out = {k: [] for k in ("alignment", "residual", "beta", "loss", "weights")}

    def observe():
        norm = np.sqrt(np.einsum("tij,tij->t", w_star, w_star, dtype=float) / n)
        alignment = np.einsum("tij,tij->t", w, w_star, dtype=float) / n / norm
        beta = np.sqrt(np.einsum("tij,tij->t", w, w, dtype=float) / n)
        out["alignment"].append(alignment)
        out["beta"].append(beta)
        centred, teacher = (
            v - v.mean(axis=1, keepdims=True) for v in (w.astype(float), w_star.astype(float))
        )
        along = (centred * teacher).sum(axis=(1, 2)) / (teacher**2).sum(axis=(1, 2))
        rest = centred - along[:, None, None] * teacher
        out["residual"].append(np.sqrt((rest**2).sum(axis=(1, 2)) / n))
        out["loss"].append(held_out_loss(w, w_star, hard, np.random.default_rng([seed, 3]), samples))
        out["weights"].append(w.copy())

    if 0 in record:
        observe()
    for t, rate in enumerate(np.asarray(rates), start=1):
        x = inputs(rng, count, batch, m)
        y_star = x @ np.swapaxes(w_star, 1, 2)
        target = drawn_labels(y_star, rng) if sampled else labels(y_star, hard)
        error = (np.exp(log_softmax(x @ np.swapaxes(w, 1, 2))) - target).astype(np.float32)
        gradient = np.swapaxes(error, 1, 2) @ x / np.float32(batch)
        if optimizer == "adam":
            first += 0.1 * (gradient - first)
            second += (1 - beta2) * (gradient**2 - second)
            gradient = first / (1 - 0.9**t) / (np.sqrt(second / (1 - beta2**t)) + 1e-8)
        elif optimizer == "signgd":
            gradient = np.sign(gradient)
        w = w * np.float32(1 - rate * weight_decay) - np.float32(rate) * gradient
        if t in record:
            observe()
    tau = np.concatenate([[0.0], np.cumsum(rates)])
    steps = np.array(record)
    return Records(steps, tau[steps], *(np.array(out[k]) for k in out))
