"""Times of what the exact engine found hardest: other densities, losses next to the teacher, first regimes.

Run as `python benchmarks/bench_slow_corners.py`; quotes medians of processor time on one thread, 100 β together.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import numpy as np

from peakedtheory import as_energies, loss, regime, thermodynamics
from peakedtheory.exact.expansions import (
    high_temperature_expansion,
    longest_expansion,
    low_temperature_expansion,
)
from peakedtheory.figures.exact import draw_expansion
from peakedtheory.testing import verify

LAWS = (
    "laplace", "gamma:a=0.25", "t:df=3", "logistic", "expon", "uniform", "gamma:a=2", "weibull_min:c=1.5",
    "lognorm:s=0.5", "beta:a=2,b=3", "gumbel_r",
)  # fmt: skip
ENDS = ("laplace", "t:df=3", "beta:a=0.3,b=1", "gamma:a=0.25", "beta:a=1,b=0.1")


def seconds(function):
    """Return the processor time of a call, which others on the machine change least."""
    start = time.process_time()
    function()
    return time.process_time() - start


def figure_of_a_sample():
    """The figure of `peakedtheory expand --plot` for a thousand observed energies."""
    law = as_energies(np.random.default_rng(0).gamma(2.0, size=1000))
    draw_expansion(
        longest_expansion(low_temperature_expansion, 128, law, 6),
        longest_expansion(high_temperature_expansion, 128, law, 6),
    )


def cases():
    """Return what is timed, and what its time is divided by."""
    beta, out = np.linspace(0.1, 20.0, 100), {}
    for law in LAWS:
        energies = as_energies(law)
        out[f"one of 100 beta, {law}"] = (lambda e=energies: thermodynamics(beta, 50304, e), 100)
    for law in LAWS[:3]:
        energies = as_energies(law)
        out[f"loss at the teacher, {law}"] = (lambda e=energies: loss(10.0, 10.01, 50304, e), 1)
    for law in ENDS:
        out[f"first regime, {law}"] = (lambda law=law: regime(200.0, 128, as_energies(law)), 1)
    for law in ENDS[2:]:
        out[f"first regime, hard labels, {law}"] = (
            lambda law=law: regime(float("inf"), 128, as_energies(law)),
            1,
        )
    out["figure of a sample of 1000"] = (figure_of_a_sample, 1)
    out["verify"] = (verify, 1)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    timed = {}
    for name, (function, share) in cases().items():
        function()
        timed[name] = statistics.median(seconds(function) / share for _ in range(options.rounds))
        print(f"{name:<44}{1e3 * timed[name]:>10.2f} ms", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(timed, indent=2))


if __name__ == "__main__":
    main()
