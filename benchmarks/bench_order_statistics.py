"""Order statistics: cost of a sample at any n, and time to a given error against NumPy with logsumexp.

Run as a script; it prints tables. All contenders of a table alternate within each round, and medians over the
rounds are given. The error of a peer that would take days follows from its variance.
"""

import time

import numba
import numpy as np
from scipy.special import logsumexp

from peakedtheory import thermodynamics
from peakedtheory._common.threads import share
from peakedtheory.kernels.lanes import LANES
from peakedtheory.kernels.order_statistics import order_statistics
from peakedtheory.sampling.qmc import scramblings, sobol_exponentials
from peakedtheory.sampling.tails import order_statistics_tables

ROUNDS = 11
REPEATS = 4
SAMPLES = 4096
TARGET = 1e-5


def kernel(tables, exponentials, arithmetic):
    """Call with buffers that are made once."""
    out = np.empty((tables.beta.size, 4, len(exponentials)))
    out_max = np.empty(len(exponentials))
    nothing = np.empty((0, 0, 0))

    def fill(start, stop):
        order_statistics(
            start,
            stop,
            exponentials,
            tables.rates,
            tables.quantile.coefficients,
            tables.quantile.range,
            tables.beta,
            arithmetic,
            float(tables.n - tables.k),
            tables.rest.polynomials,
            tables.rest.range,
            out,
            out_max,
            nothing,
            np.empty((0, 0)),
        )

    def call():
        share(len(exponentials), LANES, 1.0, fill)
        return out

    return call


def repeated(call):
    """Several chunks at a time: rounds of ten milliseconds or more."""
    return lambda: [call() for _ in range(REPEATS)]


def interleave(contenders):
    """Seconds by the clock and of the processors, each (rounds, contenders): all once in every round."""
    for call in contenders:
        call()
    seconds, busy = np.empty((2, ROUNDS, len(contenders)))
    for i in range(ROUNDS):
        for j, call in enumerate(contenders):
            start, start_busy = time.perf_counter(), time.process_time()
            call()
            seconds[i, j] = time.perf_counter() - start
            busy[i, j] = time.process_time() - start_busy
    return seconds, busy


@numba.njit
def calibration(rounds):
    """A chain of dependent multiply-adds: eight cycles or so each, whatever the caches do."""
    a = 0.3
    for _ in range(rounds):
        a = a * 0.999 + 0.1
    return a


def cost_of_a_sample():
    """Microseconds a sample, for grids of 20 and 100 β, at n = 10³ and 10¹²."""
    rng = np.random.default_rng(1)
    exponentials = rng.exponential(size=(SAMPLES, 16))
    print(
        f"microseconds a sample (k = 16; ln Z, <x>, Var x, Σp²), median of {ROUNDS} interleaved rounds (best)"
    )
    for threads in range(1, numba.config.NUMBA_NUM_THREADS + 1):
        numba.set_num_threads(threads)
        names, calls = ["calibration, ns a step"], [lambda: calibration(1000 * SAMPLES * REPEATS)]
        for arithmetic in (True, False):
            for number in (20, 100):
                for n in (10**3, 10**12):
                    tables = order_statistics_tables(np.linspace(0.5, 20.0, number), n)
                    names.append(f"{'arithmetic' if arithmetic else 'any'} grid, {number} β, n = {n:.0e}")
                    calls.append(repeated(kernel(tables, exponentials, arithmetic)))
        seconds, busy = interleave(calls)
        work = SAMPLES * REPEATS
        for i, name in enumerate(names):
            median, best = np.median(seconds[:, i]) / work * 1e6, seconds[:, i].min() / work * 1e6
            share = np.median(busy[:, i] / seconds[:, i])
            print(f"  {threads} thread(s)  {name:34s} {median:7.3f} ({best:.3f}), cpu/wall {share:.2f}")


def cost_of_coordinates():
    """Microseconds for the coordinates of a sample, and for the tables."""
    seed = np.random.SeedSequence(3)
    rng = np.random.default_rng(1)
    seconds, _ = interleave(
        [
            lambda: next(sobol_exponentials(SAMPLES, 16, seed)),
            lambda: rng.exponential(size=(SAMPLES, 16)),
            lambda: order_statistics_tables(np.linspace(0.5, 20.0, 20), 50304),
        ]
    )
    sobol, plain, tables = np.median(seconds, axis=0)
    print(
        f"coordinates of a sample: scrambled Sobol {sobol / SAMPLES * 1e6:.3f}, NumPy exponentials", end=" "
    )
    print(f"{plain / SAMPLES * 1e6:.3f} µs; tables for 20 β at n = 50304: {tables * 1e3:.1f} ms")


def time_to_target(n=50304, beta=7.0, count=16):
    """Seconds to a standard error of 1e-5 on <ln Z>: scrambled Sobol points against plain NumPy."""
    grid = np.array([beta])
    exact = float(thermodynamics(beta, n).log_partition)

    def quasi(points):
        tables = order_statistics_tables(grid, n)
        means = [
            np.mean([kernel(tables, e, False)().mean(axis=-1) for e in chunks], axis=0)
            for chunks in (
                sobol_exponentials(points, 16, s) for s in scramblings(np.random.SeedSequence(7), count)
            )
        ]
        values = np.array(means)[:, 0, 0]
        return values.mean(), values.std(ddof=1) / np.sqrt(count)

    points = 1024
    while (result := quasi(points))[1] > TARGET:
        points *= 2
    rng = np.random.default_rng(5)

    def numpy_samples():
        return logsumexp(-beta * rng.standard_normal((64, n)), axis=1)

    variance = np.concatenate([numpy_samples() for _ in range(8)]).var(ddof=1)
    (ours, peer), _ = (t.T for t in interleave([lambda: quasi(points), numpy_samples]))
    needed = variance / TARGET**2
    peer_seconds = np.median(peer) / 64 * needed
    found, reached = result
    print(f"n = {n}, β = {beta}: exact <ln Z> = {exact:.9f}, found {found:.9f} ± {reached:.1e}")
    print(f"  {count} scramblings of {points} points: {np.median(ours):.3f} s, tables included")
    print(f"  NumPy + logsumexp: variance {variance:.2f}, {needed:.1e} samples, so {peer_seconds:.2e} s")
    print(f"  ratio of times {np.median(peer / 64 * needed / ours):.1e}")


if __name__ == "__main__":
    cost_of_a_sample()
    cost_of_coordinates()
    time_to_target()
