"""Laws of loss curves on public runs: errors across schedules, coverage of forecasts, time of fits.

Run as `python benchmarks/bench_losscurves.py CURVES`, CURVES a folder that holds the public curves of arXiv 2503.12811 as
loss_curve_repo/csv_25, csv_100 and csv_400 (github.com/thu-yao-01-luo/MultiPowerLaw), or a folder above it. A folder
named records of github.com/KellerJordan/modded-nanogpt beside it adds one constant-rate run.
"""

import argparse
import json
import re
import time
from pathlib import Path

import numpy as np

from peakedtheory import schedules
from peakedtheory.curves.comparison import compare_laws
from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.fits import fit_loss_curve
from peakedtheory.curves.forecasts import forecast
from peakedtheory.curves.law_registry import LAWS, parse_law

SIZES = (25, 100, 400)
TRAIN = ("cosine_24000", "constant_24000", "wsdcon_9")
TEST = ("constant_72000", "cosine_72000", "wsd_20000_24000", "wsdcon_18", "wsdcon_3", "wsdld_20000_24000")
#: Parameters the authors publish with their code, and the mean absolute errors they state for them.
PUBLISHED = {
    25: ((3.040, 0.525, 363.788, 0.508, 2.066, 0.583, 0.641), 0.00376),
    100: ((2.651, 0.601, 437.946, 0.453, 2.132, 0.598, 0.655), 0.00435),
    400: ((2.375, 0.654, 523.425, 0.429, 2.025, 0.594, 0.635), 0.00484),
}
_PEAK, _FINAL, _WARMUP = 3e-4, 3e-5, 2160


def rates(name):
    kind, *numbers = name.split("_")
    if kind == "constant":
        return schedules.constant(_PEAK, int(numbers[0]), _WARMUP).rates
    if kind == "cosine":
        return schedules.warmup_cosine(_PEAK, int(numbers[0]), _WARMUP, _FINAL).rates
    if kind == "wsdld":
        return schedules.wsd(_PEAK, 24000, _WARMUP, 4000, _FINAL).rates
    steps = 24000 if kind == "wsd" else 16000
    t = np.arange(1, steps + 1)
    rise = np.minimum(t / _WARMUP, 1.0) * _PEAK
    if kind == "wsd":
        return rise * (_FINAL / _PEAK) ** np.clip((t - 20000) / 4000, 0.0, 1.0)
    return np.where(t > 8000, int(numbers[0]) * 1e-5, rise)


def load(root, size, name):
    data = np.genfromtxt(root / f"csv_{size}" / f"{name}.csv", delimiter=",", names=True)
    return LossCurve(data["step"], data["loss"], rates(name), name=f"{size}M {name}")


def constant_runs(root, folder):
    runs = [load(root, size, f"constant_{steps}") for steps in (24000, 72000) for size in SIZES]
    for path in sorted(folder.rglob("2024-06-06_AdamW/*.log")):
        found = re.findall(r"s:(\d+) tel:([\d.]+)", path.read_text())
        step, loss = np.array([(int(a), float(b)) for a, b in found if int(a) > 0]).T
        plan = schedules.wsd(1.8e-3, 9536, 250, 2000).rates
        runs.append(LossCurve(step, loss, plan, name="124M AdamW").window(0, 7536))
    return runs


def across_schedules(root):
    """Mean absolute error of each law on schedules it has not seen, mean over the test curves."""
    table = {}
    for size in SIZES:
        train = [load(root, size, name) for name in TRAIN]
        test = [load(root, size, name) for name in TEST]
        row = {}
        for name in LAWS:
            fit = fit_loss_curve(train, name, window=None if not LAWS[name].needs_annealing else "auto")
            errors = [np.abs(fit.at(c.window(c.warmup)) - c.loss).mean() for c in test]
            row[name] = float(np.mean(errors))
        law = parse_law("multi-power")
        values = dict(zip(law.names, PUBLISHED[size][0], strict=True))
        errors = [np.abs(law.predict(c, values) - c.loss).mean() for c in test]
        row["published parameters"], row["published error"] = float(np.mean(errors)), PUBLISHED[size][1]
        table[f"{size}M"] = row
    return table


def ahead(run, fraction, end):
    """Forecast of the record at `end` from the first `fraction` of its steps: error, half width, hit."""
    early = run.window(0, fraction * end)
    early = LossCurve(early.step, early.loss, run.rates[: int(early.step[-1])], name=run.name)
    last = run.step[run.step <= end][-1]
    result = forecast(early, steps=[last])
    truth = run.loss[run.step == last][0]
    miss = float(result.loss[0] - truth)
    half = float(result.upper[0] - result.loss[0])
    return {"run": run.name, "law": result.law, "error": miss, "half": half, "hit": abs(miss) < half}


def forecasts(runs):
    whole = [ahead(run, 0.25, run.step[-1]) for run in runs]
    ends, shares = (16000, 24000, 36000, 54000), (0.25, 0.4)
    nested = [
        ahead(run, share, end)
        for run in runs
        for end in ends
        for share in shares
        if end <= run.step[-1] + 200
    ]
    return {
        "first quarter to the end": whole,
        "hits": f"{sum(r['hit'] for r in whole)} of {len(whole)}",
        "nested parts of the same runs, hits": f"{sum(r['hit'] for r in nested)} of {len(nested)}",
        "nested, root mean square error over half width": float(
            np.sqrt(np.mean([(r["error"] / r["half"]) ** 2 for r in nested]))
        ),
    }


def to_schedules(root):
    """Forecasts of whole runs under schedules that were not seen, from three that were."""
    rows = []
    for size in SIZES:
        train = [load(root, size, name) for name in TRAIN]
        for name in TEST:
            run = load(root, size, name).window(_WARMUP)
            result = forecast(train, steps=run.step, schedule=run.rates)
            inside = (run.loss > result.lower) & (run.loss < result.upper)
            miss = float(result.loss[-1] - run.loss[-1])
            rows.append(
                {
                    "run": run.name,
                    "law": result.law,
                    "records inside": float(inside.mean()),
                    "end inside": bool(inside[-1]),
                    "error at the end": miss,
                    "half width at the end": float(result.upper[-1] - result.loss[-1]),
                }
            )
    ends = sum(row["end inside"] for row in rows)
    share = float(np.mean([row["records inside"] for row in rows]))
    return {"rows": rows, "ends inside": f"{ends} of {len(rows)}", "records inside": share}


def seconds(function):
    """Wall and processor time; only the second means something on a busy machine."""
    wall, busy = time.perf_counter(), time.process_time()
    function()
    return {"wall": time.perf_counter() - wall, "processor": time.process_time() - busy}


def times(root):
    constant, cosine = load(root, 100, "constant_72000"), load(root, 100, "cosine_72000")
    train = [load(root, 100, name) for name in TRAIN]
    table = {"power, constant_72000": seconds(lambda: fit_loss_curve(constant, bootstrap=1000))}
    for name in ("s1-s2", "multi-power-held", "multi-power"):
        table[f"{name}, cosine_72000"] = seconds(
            lambda name=name: fit_loss_curve(cosine, name, bootstrap=1000)
        )
    everything = {
        "all laws with windows and profiles, constant_72000": lambda: [
            repr(s.fit) for s in compare_laws(constant).scores
        ],
        "all laws with windows and profiles, cosine_72000": lambda: [
            repr(s.fit) for s in compare_laws(cosine).scores
        ],
        "all laws with windows and profiles, three training curves": lambda: [
            repr(fit_loss_curve(train, law)) for law in LAWS
        ],
    }
    return {"1000 resamples": table} | {name: seconds(job) for name, job in everything.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("curves", type=Path)
    parser.add_argument("--only", choices=("schedules", "forecasts", "to-schedules", "times"))
    arguments = parser.parse_args()
    root = next(arguments.curves.rglob("csv_25")).parent
    jobs = {
        "schedules": lambda: across_schedules(root),
        "forecasts": lambda: forecasts(constant_runs(root, arguments.curves)),
        "to-schedules": lambda: to_schedules(root),
        "times": lambda: times(root),
    }
    chosen = [arguments.only] if arguments.only else list(jobs)
    print(json.dumps({name: jobs[name]() for name in chosen}, indent=1))


if __name__ == "__main__":
    main()
