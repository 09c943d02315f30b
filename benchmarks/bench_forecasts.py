"""Forecasts of public runs under their own schedules: coverage, error and sharpness by source and by how much was seen.

Run as `python benchmarks/bench_forecasts.py FOLDER [--laws power,multi-power-held] [--most 200]`, FOLDER a
checkout of github.com/dangxingyu/losscast-bench, with the public curves of arXiv 2503.12811 in it or not.
Runs that the prior was learnt from are left out. Beside "auto" stand two naive guesses, that the loss stays
and that it follows a straight line in log-log through the last quarter of the records, and the laws that are
asked for, fitted to the run alone.
"""

import argparse
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from _public_runs import read_runs, split

from peakedtheory.curves.forecasts import forecast

FRACTIONS = (0.3, 0.5, 0.7)
LEARNT = Path(__file__).parents[1] / "peakedtheory" / "curves" / "learned_forecasts.json"


def guesses(seen, steps):
    quarter = max(2, int(np.ceil(len(seen) / 4)))
    x, y = np.log(seen.step[-quarter:]), np.log(seen.loss[-quarter:])
    yield "loss stays", np.full(steps.size, seen.loss[-1])
    yield "log-log line", np.exp(np.polyval(np.polyfit(x, y, 1), np.log(steps)))


def judge(curve, fraction, laws):
    """Return rows (law, mean absolute error, coverage, mean half width, seconds) of one case."""
    parts = split(curve, fraction)
    if parts is None:
        return []
    seen, ahead = parts
    rows = [
        (name, np.abs(g - ahead.loss).mean(), np.nan, np.nan, 0.0) for name, g in guesses(seen, ahead.step)
    ]
    for law in ("auto", *laws):
        start = time.perf_counter()
        try:
            told = forecast(seen, ahead.step, law=law)
        except ValueError:
            rows.append((law, np.nan, np.nan, np.nan, np.nan))
            continue
        inside = (told.lower <= ahead.loss) & (ahead.loss <= told.upper)
        half = 0.5 * (told.upper - told.lower).mean()
        rows.append(
            (law, np.abs(told.loss - ahead.loss).mean(), inside.mean(), half, time.perf_counter() - start)
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--laws", default="", help="laws fitted to each run alone, separated by commas")
    parser.add_argument("--most", type=int, default=200, help="runs of a source")
    parser.add_argument("--all", action="store_true", help="also the runs that the prior was learnt from")
    options = parser.parse_args()
    learnt = set() if options.all else set(json.loads(LEARNT.read_text())["runs"]["prior"])
    cases, taken = defaultdict(list), defaultdict(int)
    runs = [run for run in read_runs(options.folder) if run[1].name not in learnt]
    for i in np.random.default_rng(0).permutation(len(runs)):
        source, curve = runs[i]
        if taken[source] >= options.most:
            continue
        taken[source] += 1
        for fraction in FRACTIONS:
            for row in judge(curve, fraction, filter(None, options.laws.split(","))):
                cases[source, fraction, row[0]].append(row[1:])
    print("| source | seen | forecast | cases | answered | error (nats) | inside | half width | s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for (source, fraction, law), rows in sorted(cases.items()):
        table = np.array(rows)
        known = ~np.isnan(table[:, 0])
        error, inside, half, seconds = table[known].mean(axis=0) if known.any() else 4 * (np.nan,)
        told = ("–", "–") if np.isnan(inside) else (f"{inside:.3f}", f"{half:.3f}")
        print(f"| {source} | {fraction:.0%} | {law} | {known.size} | {known.sum()} | {error:.4f} | "
              f"{told[0]} | {told[1]} | {seconds:.2f} |")  # fmt: skip


if __name__ == "__main__":
    main()
