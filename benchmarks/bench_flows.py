"""Time of one flow of 200 output times, and of what a user would otherwise write: SciPy's LSODA on exact Φ'.

Run as `python benchmarks/bench_flows.py`; medians over several n, each new to the process. The peer solves
dβ/dτ = (Φ'(β*) - Φ'(β))/n, the simplest of these flows, to the same tolerance, with Φ' from the exact engine.
"""

import argparse
import json
import statistics
from pathlib import Path

import numpy as np
from _timing import timed
from scipy.integrate import solve_ivp

from peakedtheory import SGD, Adam, GradientFlow, SignGD, student_flow, thermodynamics

TIMES = np.geomspace(1.0, 1e4, 200)
CASES = {
    "gradient flow, two variables": (GradientFlow(), 0.0),
    "gradient flow of finite width": (GradientFlow(width=32), 0.0),
    "SGD, aligned": (SGD(2.0, 64, 32), 0.0),
    "SGD from a misaligned start": (SGD(2.0, 64, 32), 50.0),
    "Adam": (Adam(0.03, 64, 32), 0.0),
    "sign descent": (SignGD(0.01, 256, 32), 0.0),
}


def peer(beta_star, n):
    """Integrate β alone, every Φ' by the exact engine."""
    star = thermodynamics(beta_star, n).internal_energy

    def rhs(x, y):
        tau = np.exp(x)
        slope = thermodynamics(float(y[0]), n).internal_energy if y[0] > 0 else 0.0
        return [tau * (slope - star) / n]

    x = np.log(TIMES + 1e-3 * n)
    solve_ivp(rhs, (np.log(1e-3 * n), x[-1]), [0.0], method="LSODA", t_eval=x, rtol=1e-8, atol=1e-14)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="number of n")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    results, n = {}, 100
    for name, (optimizer, residual) in CASES.items():
        student_flow(TIMES, 100.0, 64, optimizer=optimizer, residual0=residual)  # compile
        first, further, peers = [], [], []
        for _ in range(arguments.rounds):
            n += 1

            def run(n=n, optimizer=optimizer, residual=residual):
                student_flow(TIMES, 100.0, n, optimizer=optimizer, residual0=residual)

            first.append(timed(run))
            further += [timed(run) for _ in range(5)]
            if optimizer == GradientFlow():
                peers.append(timed(lambda n=n: peer(100.0, n)))
        results[name] = {
            "new_n_seconds": statistics.median(first),
            "further_milliseconds": 1e3 * statistics.median(further),
        }
        if peers:
            results[name]["peer_seconds"] = statistics.median(peers)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))
    for name, row in results.items():
        print(f"{name:32s}" + "".join(f"  {key} {value:.3g}" for key, value in row.items()))


if __name__ == "__main__":
    main()
