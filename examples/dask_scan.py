"""A Monte Carlo scan over vocabularies on a dask cluster: the same bits as on one thread.

Run as `python examples/dask_scan.py [SCHEDULER]`; without an address it starts two local workers. Needs
`pip install 'peakedtheory[distributed]'`. Writes dask_scan.png. About half a minute.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np
from dask.distributed import Client

import peakedtheory as pt


def main() -> None:
    """Estimate the entropy of softmax outputs on the cluster and here, and draw it over the exact curve."""
    sizes, beta = (10**3, 10**6, 10**9, 10**12), np.linspace(0.5, 12, 24)
    figure, axes = plt.subplots(figsize=(6, 4.2), layout="constrained")
    options = (
        {} if len(sys.argv) > 1 else {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    )
    with Client(*sys.argv[1:2], **options) as client:
        for i, n in enumerate(sizes):
            there = pt.estimate(beta, n, samples=20000, rng=7, executor=client.get_executor())
            here = pt.estimate(beta, n, samples=20000, rng=7)
            same = np.array_equal(there.entropy.mean, here.entropy.mean)
            print(f"n = {n:.0e}: the same bits on the cluster and here: {same}")
            axes.plot(beta, pt.thermodynamics(beta, n).entropy, color=f"C{i}")
            error = 2 * there.entropy.standard_error
            axes.errorbar(beta, there.entropy.mean, error, fmt="o", ms=3, color=f"C{i}", label=f"n = {n:.0e}")
    axes.set(
        xlabel="β", ylabel="entropy (nats)", title="Points: 20000 samples, ±2 standard errors; lines: exact"
    )
    axes.legend()
    figure.savefig("dask_scan.png", dpi=150)


if __name__ == "__main__":
    main()
