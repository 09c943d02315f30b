"""Speed of plain sampling against its peers and against the machine's own ceiling.

    python benchmarks/bench_sampling.py [--threads 1] [--rounds 9] [--torch PYTHON] [--json FILE]

Every round runs each contender once, one after the other; ratios are medians of the rounds' ratios. The torch
peers run in a process of their own, with the interpreter given by --torch (none: left out). The ceiling of a
case is the time of its parts run alone on data in the first-level cache: generator and normals for each logit;
on an arithmetic grid the two exponentials of each logit (more beyond 64 β) and, for each (logit, β), the sums
(one fused product, one addition, three fused sums); on a general grid the exponential and the sums. What is
left of the kernel's time is distances and maxima, the last steps of each sample, and memory. The kernel runs in
chunks as an estimate does, whose outputs stay in the second-level cache; "estimate" is the whole public call,
means and errors included. Times are ns per (logit, β).
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import _peers
import numba
import numpy as np
from _timing import timed
from numba import njit

from peakedtheory import estimate
from peakedtheory._common.threads import share
from peakedtheory.kernels import accumulate, lanes, sampling
from peakedtheory.sampling.samplers import CACHED

U = np.uint64
CASES = [  # n, β, arithmetic
    (128, 32, True),
    (128, 32, False),
    (4096, 32, True),
    (131072, 100, True),
    (131072, 20, False),
]
FILL, PRODUCTS, EXPONENTIALS = sampling.fill_normals, accumulate._add_products, accumulate._add_exponentials
STARTS = accumulate._exponentials


@njit
def calibration(count, x):
    for i in range(count):
        x = (x * x) ^ i
    return x


@njit
def normals_alone(repeats, words, x):
    for i in range(repeats):
        FILL(U(1), U(0), U(i), 0, 16, False, words, x)


@njit
def products_alone(repeats, weights, ratios, distances, sums, tiny):
    for _ in range(repeats):
        PRODUCTS(weights, ratios, distances, sums, 16, tiny)


@njit
def starts_alone(repeats, distances, weights, depth):
    for _ in range(repeats):
        STARTS(np.float32(1.0), distances, weights, distances.size, depth)


@njit
def exponentials_alone(repeats, slopes, distances, sums, depth):
    for _ in range(repeats):
        EXPONENTIALS(slopes, distances, distances, sums, 16, depth)


@njit
def scratch(size, like):
    return lanes.aligned(size, like)


def kernel(n, betas, arithmetic, out, top):
    """Fill arrays that are reused, as an estimate in bounded memory does."""
    table, given = np.empty((0, 6), np.float32), np.empty((0, 0), np.float32)

    def fill(start, stop):
        sampling.sample_moments(
            U(1), U(0), U(0), start, stop, n, betas, arithmetic, 0, table, 1.0, given, out, top
        )

    share(top.size, lanes.LANES if n <= sampling.SMALL else 1, 1.0, fill)


class Ceiling:
    """The parts of the kernel run alone, on data that stays in the first-level cache."""

    def __init__(self):
        one = np.ones(1, np.float32)
        size = 16 * lanes.LANES
        self.words = np.empty(size, np.uint32)
        self.x, self.ratios, self.sums = scratch(size, one), scratch(size, one), scratch(size, one)
        self.distances = scratch(size, one)
        self.distances[:], self.ratios[:] = 1.0, 0.9
        self.size = size

    def seconds(self, number, arithmetic, repeats=1500):
        """Seconds per (logit, β), and the normals' share of it per logit."""
        self.x[:] = 1.0
        self.sums[:] = 0.0
        each = repeats * self.size
        depth = np.float32(62.0)
        per_logit = normals = timed(normals_alone, repeats, self.words, self.x) / each
        self.x[:] = 1.0
        if arithmetic:
            tiny = np.float32(2.0**-62)
            sums = timed(products_alone, repeats, self.x, self.ratios, self.distances, self.sums, tiny)
            starts = 1 - (-number // accumulate.RESTART)
            per_logit += starts * timed(starts_alone, repeats, self.distances, self.x, depth) / each
        else:
            sums = timed(exponentials_alone, repeats, np.ones(4), self.distances, self.sums, depth)
        return per_logit / number + sums / (4 * each), normals


class Torch:
    def __init__(self, python, threads):
        command = [python, str(Path(_peers.__file__)), str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.version = self.process.stdout.readline().split()[-1]

    def seconds(self, name, n, count, betas):
        self.process.stdin.write(f"{name} {n} {count} {betas[0]} {betas[-1]} {betas.size}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def measure(n, number, arithmetic, options, torch, naive, ceiling):
    betas = (np.linspace if arithmetic else np.geomspace)(0.2, 20.0, number)
    target = 6_000_000  # (logit, β) of a peer's run
    peer = max(1, target // (n * number))
    torch_count = max(peer, 262_144 // n)
    block = CACHED // number if n <= sampling.SMALL else 8 * options.threads
    blocks = -(-8 * peer // block)
    out, top = np.empty((number, 4, block)), np.empty(block)

    def own():
        for _ in range(blocks):
            kernel(n, betas, arithmetic, out, top)

    samples = max(64, 8 * block * blocks)

    def whole():
        estimate(betas, n, samples=samples, rng=1, method="plain")

    contenders = {
        "kernel": lambda: timed(own) / (block * blocks),
        "estimate": lambda: timed(whole) / samples,
        "NumPy": lambda: timed(_peers.numpy_scipy, n, peer, betas) / peer,
        "Numba": lambda: timed(naive, n, peer, betas) / peer,
    }
    if torch:
        for name in ("eager", "compile"):
            contenders[f"torch {name}"] = lambda name=name: (
                torch.seconds(name, n, torch_count, betas) / torch_count
            )
    for run in contenders.values():
        run()
    rounds = []
    for _ in range(options.rounds):
        # the ceiling right before the kernel: the clock wanders
        alone, normals = ceiling.seconds(number, arithmetic)
        seconds = {name: run() / (n * number) for name, run in contenders.items()}
        rounds.append(seconds | {"ceiling": alone / options.threads, "normals": normals})
    medians = {name: statistics.median(r[name] for r in rounds) for name in rounds[0]}
    ratios = {name: statistics.median(r[name] / r["kernel"] for r in rounds) for name in rounds[0]}
    best = {name: min(r[name] for r in rounds) / min(r["kernel"] for r in rounds) for name in rounds[0]}
    return {
        "n": n,
        "betas": number,
        "grid": "arithmetic" if arithmetic else "general",
        "ns": {name: 1e9 * value for name, value in medians.items()},
        "ratio": ratios,
        "best_ratio": best,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--torch", metavar="PYTHON", help="interpreter that has torch")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    numba.set_num_threads(options.threads)
    one = np.linspace(0.0, 1.0, 4)
    first = timed(kernel, 128, one, True, np.empty((4, 4, 64)), np.empty(64))
    torch = Torch(options.torch, options.threads) if options.torch else None
    naive, ceiling = _peers.naive_numba(), Ceiling()
    calibration(10, 3)
    ghz = 4 * 2e7 / timed(calibration, 20_000_000, 3) / 1e9
    print(f"first call {first:.2f} s; calibration loop {ghz:.2f} GHz; {options.threads} thread(s)")
    results = []
    for n, number, arithmetic in CASES:
        wall, cpu = time.perf_counter(), time.process_time()
        result = measure(n, number, arithmetic, options, torch, naive, ceiling)
        result["cpu_per_wall"] = (time.process_time() - cpu) / (time.perf_counter() - wall)
        results.append(result)
        print(f"n = {n}, {number} β, {result['grid']} grid (cpu/wall {result['cpu_per_wall']:.2f})")
        for name, value in result["ns"].items():
            if name != "normals":
                print(
                    f"    {name:14s} {value:8.4f} ns   {result['ratio'][name]:7.2f} x the kernel's time "
                    f"(best/best {result['best_ratio'][name]:.2f})"
                )
        print(f"    normals alone  {result['ns']['normals']:8.4f} ns a logit")
    if options.json:
        options.json.write_text(
            json.dumps(
                {"threads": options.threads, "ghz": ghz, "first_call": first, "cases": results}, indent=1
            )
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
