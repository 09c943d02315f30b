"""Learn the prior of forecasts, and how far they miss, from public runs; prints peakedtheory/curves/learned_forecasts.json.

Run as `python benchmarks/learn_forecasts.py FOLDER > learned_forecasts.json`, FOLDER as in
bench_forecasts.py; `--runs FILE` takes the runs that a former table names. Half of each source's runs choose
the prior: medians and widths are changed one at a time while the forecasts of the rest of these runs, 20 to
90 % seen, get better (mean absolute error and log score, sources equal). The other half says how far
forecasts miss: the factors of the parts of the error are most likely under Student's t, and the quantiles are
those of the scaled misses, half with these factors and half with those that other sources gave.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from _public_runs import read_runs
from scipy.optimize import minimize

from peakedtheory.curves import learned
from peakedtheory.curves.annealed import PARAMETERS, Courses, Records, warm_step
from peakedtheory.curves.posterior import most_likely

SEEN = {0.2: 0.5, 0.35: 0.7, 0.5: 1.0, 0.7: 1.5, 0.9: 2.5}
LATER = (0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
#: Weight of a source; the curves of arXiv 2503.12811 are few, and of one team and schedule length.
WEIGHTS = {"multi-power": 0.4}
LEVELS = (0.5, 0.683, 0.8, 0.9, 0.95, 0.98, 0.99)
TERMS = ("parameters", "least", "distance", "fall", "scatter", "past_ratio", "past_miss")
START = {
    "prior": {
        "medians": {"reducible": 0.05, "alpha": 0.5, "annealed": 0.2, "speed": 100.0, "rate_exponent": 0.25},
        "deviations": {"reducible": 1.2, "alpha": 0.4, "annealed": 0.5, "speed": 2.0, "rate_exponent": 0.2},
        "correlations": [-0.2, -0.6],
    },
    "noise": 0.0005,
    "forgetting": 3.5,
    "factors": dict(zip(TERMS, np.exp([0.0, -13.0, -9.0, -9.0, 0.0, -1.0, -2.0]).tolist(), strict=True)),
    "quantiles": [[0.5, 0.7], [0.95, 2.0]],
}
_MOST_RECORDS = 60
_TAIL = 4.0


class Cases:
    """Runs cut at some fractions of their plans, as one batch of equal shape."""

    def __init__(self, runs, fractions):
        kept = [
            (source, curve, fraction, self._usable(curve))
            for source, curve in runs
            for fraction in fractions
            if self._enough(curve, fraction)
        ]
        self.source = np.array([case[0] for case in kept])
        self.seen_part = np.array([case[2] for case in kept])
        width = max(case[3].sum() for case in kept)
        steps = [np.pad(c.step[u], (0, width - u.sum()), mode="edge") for _, c, _, u in kept]
        self.step = np.array(steps)
        self.target = np.array(
            [np.pad(np.log(c.loss[u]), (0, width - u.sum()), mode="edge") for _, c, _, u in kept]
        )
        self.real = np.arange(width) < np.array([[u.sum()] for *_, u in kept])
        end = np.array([fraction * c.clock.steps for _, c, fraction, _ in kept])
        self.seen = self.real & (self.step <= end[:, None])
        self.last = np.where(self.seen, self.step, 0.0).max(axis=1)
        rows = [
            Courses.of([c.clock], c.clock.peak, float(c.clock.time_at(c.clock.steps))) for _, c, _, _ in kept
        ]
        self.courses = Courses(*(np.concatenate([vars(r)[key] for r in rows]) for key in vars(rows[0])))
        self.records = Records.at(self.courses, self.step)

    @staticmethod
    def _usable(curve):
        usable = curve.step >= max(warm_step(curve.clock), 1e-9)
        if usable.sum() > _MOST_RECORDS:  # every so many, and the last
            places = np.flatnonzero(usable)
            usable[:] = False
            usable[places[np.unique(np.linspace(0, places.size - 1, _MOST_RECORDS).round().astype(int))]] = (
                True
            )
        return usable

    def _enough(self, curve, fraction):
        usable = self._usable(curve)
        seen = curve.step <= fraction * curve.clock.steps
        return (usable & seen).sum() >= 5 and (usable & ~seen).any()

    def fit(self, table, seen=None, last=None):
        """Return the posterior, ln L and its variance at all records."""
        seen, last = self.seen if seen is None else seen, self.last if last is None else last
        numbers = learned.read(table)
        weight = np.where(seen, numbers.weights(self.step, last[:, None]), 0.0)
        found = most_likely(self.records.log_loss, self.target, weight, numbers.prior, numbers.noise)
        value, slopes = self.records.log_loss(found.theta)
        return found, value, found.spread(slopes)

    def mean(self, values, where):
        return np.where(where, values, 0.0).sum(axis=1) / where.sum(axis=1)


def changed(table, place, by):
    """Return the table with one of its numbers changed: medians and widths by a factor, correlations by a sum."""
    new = json.loads(json.dumps(table))
    kind, key = place
    if kind == "correlations":
        new["prior"][kind][key] = float(np.tanh(np.arctanh(new["prior"][kind][key]) + by))
    elif kind in ("medians", "deviations"):
        new["prior"][kind][key] *= float(np.exp(by))
    else:
        new[kind] *= float(np.exp(by))
    return new


def misfit(table, cases):
    """Return what the prior is chosen by."""
    found, value, spread = cases.fit(table)
    ahead = cases.real & ~cases.seen
    error = cases.mean(np.abs(np.exp(value) - np.exp(cases.target)), ahead)
    size = np.sqrt(spread + found.variance[:, None])
    scaled = (cases.target - value) / size
    score = np.log(size) + 0.5 * (_TAIL + 1.0) * np.log1p(scaled**2 / _TAIL)
    weight = np.zeros(error.size)
    for source in np.unique(cases.source):
        for part, much in SEEN.items():
            which = (cases.source == source) & (cases.seen_part == part)
            weight[which] = WEIGHTS.get(source, 1.0) * much / max(which.sum(), 1)
    total = float((weight * (np.minimum(error, 0.3) + 0.01 * cases.mean(score, ahead))).sum() / weight.sum())
    widths = [
        np.log(table["prior"]["deviations"][k] / START["prior"]["deviations"][k]) for k in PARAMETERS[1:]
    ]
    return total + 0.002 * float(np.sum(np.square(widths)))


def choose(cases, sweeps):
    table, steps = START, {}
    for key in PARAMETERS[1:]:
        steps["medians", key], steps["deviations", key] = 0.3, 0.25
    steps |= {
        ("correlations", 0): 0.3,
        ("correlations", 1): 0.3,
        ("noise", None): 0.4,
        ("forgetting", None): 0.15,
    }
    best = misfit(table, cases)
    for sweep in range(sweeps):
        for place, step in steps.items():
            for by in (step, -step):
                trial = changed(table, place, by)
                value = misfit(trial, cases)
                if value < best:
                    best, table = value, trial
                    break
            else:
                steps[place] = 0.5 * step
        print(f"sweep {sweep}: {best:.6f}", file=sys.stderr, flush=True)
    return table


def misses(table, cases):
    """Return the misses of all records ahead, what their errors depend on, and their weights and sources."""
    found, value, spread = cases.fit(table)
    count = cases.seen.sum(axis=1)
    cut = 0.65 * cases.last
    early = cases.seen & (cases.step <= cut[:, None])
    fewest = np.argsort(np.argsort(np.where(cases.seen, cases.step, np.inf), axis=1), axis=1) < 4
    early |= fewest & cases.seen & (count[:, None] > 4)
    until = np.where(early, cases.step, 0.0).max(axis=1)
    past, before, doubt = cases.fit(table, early, until)
    tested = cases.seen & ~early
    miss = np.where(tested, cases.target - before, 0.0)
    ratio = np.minimum(miss**2 / (doubt + past.variance[:, None] + 1e-6), 400.0)
    mean = lambda a: a.sum(axis=1) / np.maximum(tested.sum(axis=1), 1)  # noqa: E731
    nodes = np.arange(cases.courses.rate.shape[1])
    rate = np.array(
        [np.interp(p, nodes, r) for p, r in zip(cases.records.place, cases.courses.rate, strict=True)]
    )
    at_last = np.where(cases.step == cases.last[:, None], cases.records.log_time, -np.inf).max(axis=1)
    rate_last = np.where(cases.step == cases.last[:, None], rate, -np.inf).max(axis=1)
    ahead = cases.real & ~cases.seen
    wide = np.ones(cases.step.shape)
    known = learned.Ahead(
        spread=spread[ahead],
        distance=np.maximum(cases.records.log_time - at_last[:, None], 0.0)[ahead],
        fall=(rate_last[:, None] - rate)[ahead],
        variance=(found.variance[:, None] * wide)[ahead],
        past_ratio=(np.sqrt(mean(ratio))[:, None] * wide)[ahead],
        past_miss=(np.sqrt(mean(miss**2))[:, None] * wide)[ahead],
    )
    weight = (wide / ahead.sum(axis=1)[:, None])[ahead]
    source = np.repeat(cases.source[:, None], wide.shape[1], axis=1)[ahead]
    for name in np.unique(source):
        weight[source == name] *= WEIGHTS.get(name, 1.0) / weight[source == name].sum()
    return np.abs(cases.target - value)[ahead], known, weight, source


def size(table, factors, known):
    numbers = learned.read({**table, "factors": dict(zip(TERMS, np.exp(factors).tolist(), strict=True))})
    return np.sqrt(sum(numbers.parts(known).values()))


def part(known, which):
    return learned.Ahead(**{key: value[which] for key, value in vars(known).items()})


def factors_of(table, miss, known, weight):
    def score(factors):
        error = size(table, factors, known)
        likely = np.log(error) + 3.0 * np.log1p((miss / error) ** 2 / 5.0)
        return (weight * likely).sum() / weight.sum() + 1e-3 * np.sum((factors / 10.0) ** 2)

    start = np.log([START["factors"][term] for term in TERMS])
    return minimize(
        score, start, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 0.01, "fatol": 1e-7}
    ).x


def quantiles(scaled, weight):
    order = np.argsort(scaled)
    return np.interp(LEVELS, np.cumsum(weight[order]) / weight.sum(), scaled[order])


def calibrated(table, cases):
    miss, known, weight, source = misses(table, cases)
    factors = factors_of(table, miss, known, weight)
    table = {**table, "factors": dict(zip(TERMS, np.exp(factors).tolist(), strict=True))}
    own = quantiles(miss / size(table, factors, known), weight)
    foreign = []
    for name in sorted({*source} - {"marin", "multi-power"}):  # the sources that others cover least
        rest = source != name
        other = factors_of(table, miss[rest], part(known, rest), weight[rest])
        foreign.append(quantiles(miss[~rest] / size(table, other, part(known, ~rest)), weight[~rest]))
    values = 0.5 * own + 0.5 * np.mean(foreign, axis=0)
    table["quantiles"] = [
        [level, round(float(value), 3)] for level, value in zip(LEVELS, values, strict=True)
    ]
    return table


def rounded(value):
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=Path, help="a former table whose runs are taken")
    parser.add_argument("--most", type=int, default=20, help="runs of a source that choose the prior")
    parser.add_argument("--sweeps", type=int, default=3)
    options = parser.parse_args()
    runs = read_runs(options.folder)
    if options.runs:
        named = json.loads(options.runs.read_text())["runs"]
        halves = [[run for run in runs if run[1].name in set(named[half])] for half in ("prior", "errors")]
    else:
        halves = [[], []]
        for source in sorted({run[0] for run in runs}):
            own = [run for run in runs if run[0] == source]
            mixed = [own[i] for i in np.random.default_rng(7).permutation(len(own))]
            halves[0] += mixed[: len(mixed) // 2][: options.most]
            halves[1] += mixed[len(mixed) // 2 :][: 2 * options.most]
    table = choose(Cases(halves[0], tuple(SEEN)), options.sweeps)
    table = calibrated(table, Cases(halves[1], LATER))
    made = {
        "made_by": "python benchmarks/learn_forecasts.py FOLDER",
        "sources": "LossCast-Bench (github.com/dangxingyu/losscast-bench, MIT) and the curves of arXiv 2503.12811 "
        "(github.com/thu-yao-01-luo/MultiPowerLaw, MIT)",
        **rounded(table),
        "runs": {
            half: [curve.name for _, curve in chosen]
            for half, chosen in zip(("prior", "errors"), halves, strict=True)
        },
    }
    print(json.dumps(made, indent=1))


if __name__ == "__main__":
    main()
