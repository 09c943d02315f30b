"""Speed of the exact engine against what one would otherwise write, at equal accuracy, interleaved in one run.

Run as `python benchmarks/bench_exact.py`; quotes medians. Peers: the same integral for Φ by mpmath.quad inside mpmath.quad,
and by scipy.integrate.quad inside scipy.integrate.quad.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

import mpmath as mp
import numpy as np
from scipy import integrate, special

from peakedtheory import as_energies, loss, regime, thermodynamics


def seconds(function):
    start = time.perf_counter()
    value = function()
    return time.perf_counter() - start, value


def mpmath_peer(beta, n):
    """Φ by nested mpmath quadrature at 15 digits, split where the integrand turns."""
    with mp.workdps(15):

        def phi_tail(s):
            return mp.quad(
                lambda v: mp.exp(v - mp.exp(v)) * mp.erfc((v - s) / (beta * mp.sqrt(2))) / 2,
                [-38, -10, -3, 0, 2, 4],
            )

        middle = -beta * mp.sqrt(2 * mp.log(n))
        low, high = middle - 9 * beta - 20, middle + 4 * beta + 4
        rise = mp.quad(
            lambda s: -mp.expm1(n * mp.log1p(-phi_tail(s))),
            [low, middle - 4 * beta, middle - beta, middle + beta, high],
        )
        return rise - high - mp.euler


def scipy_peer(beta, n):
    """Φ by nested scipy.integrate.quad at its best accuracy."""

    def phi_tail(s):
        return integrate.quad(
            lambda v: np.exp(v - np.exp(v)) * special.ndtr((s - v) / beta),
            -38,
            4,
            points=(-3, 1),
            epsabs=0,
            epsrel=1e-13,
            limit=200,
        )[0]

    middle = -beta * np.sqrt(2 * np.log(n))
    low, high = middle - 9 * beta - 20, middle + 4 * beta + 4
    rise = integrate.quad(
        lambda s: -np.expm1(n * np.log1p(-phi_tail(s))),
        low,
        high,
        points=(middle - beta, middle + beta),
        epsrel=1e-12,
        limit=200,
    )[0]
    return rise - high - np.euler_gamma


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    beta, n, many = np.linspace(0.1, 20.0, 100), 50304, np.geomspace(100, 1e6, 10).round()
    cases = {
        "100 beta, one n": lambda: thermodynamics(beta, n),
        "100 beta, ten n": lambda: thermodynamics(beta[:, None], many),
        "one beta": lambda: thermodynamics(5.0, n),
        "one beta = 1e4": lambda: thermodynamics(1e4, n),
    }
    for name in ("laplace", "gamma:a=0.25", "t:df=3"):
        energies = as_energies(name)
        cases[f"one beta, {name}"] = lambda e=energies: thermodynamics(5.0, n, e)
        cases[f"loss at the teacher, {name}"] = lambda e=energies: loss(10.0, 10.01, n, e)
        cases[f"first regime, {name}"] = lambda name=name: regime(200.0, 128, as_energies(name))
    for function in cases.values():
        function()
    times = {name: [] for name in cases}
    for _ in range(options.rounds):
        for name, function in cases.items():
            times[name].append(seconds(function)[0])
    result = {name: statistics.median(t) for name, t in times.items()}
    print(f"{'case':<34}{'median':>12}")
    for name, value in result.items():
        print(f"{name:<34}{1e3 * value:>9.2f} ms")
    exact = thermodynamics(5.0, n)
    ratios = {"scipy nested quad": [], "mpmath nested quad": []}
    for name, peer, rounds in (("scipy nested quad", scipy_peer, 3), ("mpmath nested quad", mpmath_peer, 1)):
        for _ in range(rounds):
            slow, value = seconds(lambda peer=peer: peer(5.0, n))
            fast = statistics.median(seconds(lambda: thermodynamics(5.0, n))[0] for _ in range(20))
            ratios[name].append(slow / fast)
        result[f"ratio to {name}"] = statistics.median(ratios[name])
        print(
            f"{name:<34}{result[f'ratio to {name}']:>9.0f} x slower, error {abs(float(value) - exact.log_partition):.1e}"
        )
    for name, arguments in (
        ("import peakedtheory", ["-c", "import peakedtheory"]),
        (
            "peakedtheory expand",
            ["-c", "from peakedtheory.cli import main; main()", "expand", "--vocab", "50304"],
        ),
    ):
        runs = [
            seconds(
                lambda a=arguments: subprocess.run([sys.executable, *a], capture_output=True, check=True)
            )[0]
            for _ in range(5)
        ]
        result[name] = statistics.median(runs)
        print(f"{name:<34}{1e3 * result[name]:>9.0f} ms as a process")
    if options.json:
        from pathlib import Path

        Path(options.json).write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
