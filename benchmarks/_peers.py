"""What a user would otherwise write: NumPy + SciPy, naive Numba, eager and compiled torch.

Each peer computes, for `count` samples of n standard normal energies, the mean ln Z, U, energy variance and
Σ p² on a grid of β. Run as a script it serves the torch peers in a process of its own, over standard input
and output: one line "peer n count first last number" in, one line with the seconds taken out.
"""

import sys
import time

import numpy as np


def numpy_scipy(n, count, betas):
    """One thread; batches of about two million logits."""
    from scipy.special import logsumexp

    rng = np.random.default_rng(0)
    total = np.zeros((len(betas), 4))
    batch = max(1, min(count, 2_000_000 // n))
    for start in range(0, count, batch):
        x = rng.standard_normal((min(batch, count - start), n))
        for k, beta in enumerate(betas):
            y = beta * x
            log_z = logsumexp(y, axis=1)
            p = np.exp(y - log_z[:, None])
            mean = (p * x).sum(axis=1)
            variance = (p * x * x).sum(axis=1) - mean**2
            total[k] += log_z.sum(), mean.sum(), variance.sum(), (p * p).sum()
    return total / count


def naive_numba():
    """Compile prange over samples with NumPy's generator and np.exp inside."""
    from numba import njit, prange

    @njit(parallel=True)
    def run(n, count, betas):
        out = np.empty((count, betas.size, 4))
        for s in prange(count):
            x = np.random.randn(n)  # noqa: NPY002
            top = x.max()
            for k in range(betas.size):
                z = a = b = c = 0.0
                for i in range(n):
                    w = np.exp(betas[k] * (x[i] - top))
                    z += w
                    a += w * x[i]
                    b += w * x[i] * x[i]
                    c += w * w
                out[s, k, 0] = betas[k] * top + np.log(z)
                out[s, k, 1] = a / z
                out[s, k, 2] = b / z - (a / z) ** 2
                out[s, k, 3] = c / z**2
        return out

    return run


def torch_moments(x, beta):
    """Softmax and log_softmax of one β (a tensor, so that torch.compile serves every β with one graph)."""
    import torch

    y = beta * x
    p = torch.softmax(y, dim=-1)
    log_p = torch.log_softmax(y, dim=-1)
    mean = (p * x).sum(-1)
    variance = (p * x * x).sum(-1) - mean**2
    log_z = y[..., 0] - log_p[..., 0]
    return torch.stack((log_z.sum(), mean.sum(), variance.sum(), (p * p).sum()))


def torch_run(function, n, count, betas):
    """Run in batches of about a quarter of a million logits, which lie in the second-level cache."""
    import torch

    batch = max(1, min(count, 262_144 // n))
    total = 0.0
    for start in range(0, count, batch):
        x = torch.randn(min(batch, count - start), n)
        total = total + torch.stack([function(x, beta) for beta in betas])
    return total


def serve():
    """Answer requests of the benchmark."""
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(int(sys.argv[1]))
    functions = {"eager": torch_moments, "compile": torch.compile(torch_moments, dynamic=False)}
    print("ready", torch.__version__, flush=True)
    for line in sys.stdin:
        name, n, count, first, last, number = line.split()
        betas = torch.linspace(float(first), float(last), int(number))
        start = time.perf_counter()
        torch_run(functions[name], int(n), int(count), betas)
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    serve()
