"""Slow, obvious twins of the compiled kernels: plain Python integers and float64 NumPy."""

import numpy as np

LANES = 64
SMALL = 4096
MASK = 2**32 - 1


def philox4x32(key, stream, sample, block, rounds=10):
    """Four words of the counter (sample low, sample high, block, stream), after Salmon et al. 2011."""
    counter = [sample & MASK, sample >> 32, block & MASK, stream & MASK]
    k = [key & MASK, key >> 32]
    for _ in range(rounds):
        first = 0xD2511F53 * counter[0]
        second = 0xCD9E8D57 * counter[2]
        counter = [
            (second >> 32) ^ counter[1] ^ k[0],
            second & MASK,
            (first >> 32) ^ counter[3] ^ k[1],
            first & MASK,
        ]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return counter


def open_uniform(high, low):
    return (((high << 20) | (low >> 12)) + 0.5) / 2.0**52


def normals(key, stream, sample, n, double, first_block=0):
    """The first n normals of a sample, in float64 whatever the precision of their uniforms."""
    values = []
    block = first_block
    while len(values) < n:
        a, b, c, d = philox4x32(key, stream, sample, block)
        if double:
            pairs = [(open_uniform(a, b), ((c << 32) | d) / 2.0**64)]
        else:
            pairs = [((a + 0.5) / 2.0**32, b / 2.0**32), ((c + 0.5) / 2.0**32, d / 2.0**32)]
        for u, turn in pairs:
            radius = np.sqrt(-2.0 * np.log(u))
            values += [radius * np.cos(2 * np.pi * turn), radius * np.sin(2 * np.pi * turn)]
        block += 1
    return np.array(values[:n])


def uniforms(key, stream, sample, n):
    values = []
    for block in range((n + 1) // 2):
        a, b, c, d = philox4x32(key, stream, sample, block)
        values += [open_uniform(a, b), open_uniform(c, d)]
    return np.array(values[:n])


def moments(x, betas):
    """ln Z, <x>, Var x, Σ p² of one sample for each β: shape (K, 4)."""
    x = np.asarray(x, dtype=np.longdouble)
    rows = []
    for beta in betas:
        y = beta * x
        w = np.exp(y - y.max())
        z = w.sum()
        p = w / z
        mean = (p * x).sum()
        rows.append([y.max() + np.log(z), mean, (p * (x - mean) ** 2).sum(), (p * p).sum()])
    return np.array(rows, dtype=float)


def misaligned(z, w, alignment, residual, beta_star):
    """Σ (p-q)², Σ p², Σ p q, Σ q², KL(q||p), Σ q y - Σ p y."""
    y = np.asarray(alignment * z + residual * w, dtype=np.longdouble)
    t = np.asarray(beta_star * z, dtype=np.longdouble)
    log_p = y - y.max() - np.log(np.exp(y - y.max()).sum())
    log_q = t - t.max() - np.log(np.exp(t - t.max()).sum())
    p, q = np.exp(log_p), np.exp(log_q)
    outputs = [
        ((p - q) ** 2).sum(),
        (p * p).sum(),
        (p * q).sum(),
        (q * q).sum(),
        (q * (log_q - log_p)).sum(),
        (q * y).sum() - (p * y).sum(),
    ]
    return np.array(outputs, dtype=float)
