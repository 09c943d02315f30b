"""Public runs with their schedules, for what is learnt of forecasts and for what is measured of them."""

import json
import re
from pathlib import Path

import numpy as np

from peakedtheory.curves.curve import LossCurve
from peakedtheory.schedules.clock import Clock

#: Peak, final rate and warmup of the runs of arXiv 2503.12811.
_PEAK, _FINAL, _WARMUP = 3e-4, 3e-5, 2160


def read_runs(folder):
    """Return (source, curve) of all runs below a folder, in the order of their names.

    Read are checkouts of LossCast-Bench (data/SPLIT/RUN/config.json and losses.json), files runs.jsonl with
    one such run a line, and csv_SIZE/SCHEDULE.csv of github.com/thu-yao-01-luo/MultiPowerLaw.
    """
    found = []
    for path in sorted(Path(folder).rglob("config.json")):
        losses = path.with_name("losses.json")
        if losses.exists():
            found.append(_of_config(json.loads(path.read_text()), json.loads(losses.read_text())))
    for path in sorted(Path(folder).rglob("runs.jsonl")):
        found += [_of_line(json.loads(line)) for line in path.read_text().splitlines()]
    for path in sorted(Path(folder).rglob("csv_*/*.csv")):
        found.append(_of_table(path))
    return sorted((run for run in found if run is not None), key=lambda run: run[1].name)


def _of_config(config, losses):
    step = np.array([float(key) for key in losses])
    plan, peak = config["schedule"], config["optimizer"]["lr"]
    return _run(config["run_id"], plan, peak, step, np.array(list(losses.values()), dtype=float))


def _of_line(row):
    return _run(
        row["name"], row["schedule"], row["peak"], np.array(row["step"], float), np.array(row["loss"])
    )


def _run(name, plan, peak, step, loss):
    clock = _clock(plan, peak)
    if clock is None or not np.isfinite(loss).all():
        return None
    step = np.minimum(step, clock.steps)
    kept = (step > 0) & np.append(np.diff(step) > 0, True) & (loss > 0)
    source = next((s for s in ("marin", "steplaw", "nanochat") if s in name.lower()), "other")
    return source, LossCurve(step[kept], loss[kept], clock, name=name)


def _clock(plan, peak):
    steps, warmup = int(plan["total_steps"]), int(plan.get("warmup_steps") or 0)
    final, t = plan.get("final_lr_ratio") or 0.0, np.arange(1.0, plan["total_steps"] + 1)
    along = np.clip((t - warmup) / max(steps - warmup, 1), 0.0, 1.0)
    kind = plan["lr_schedule"]
    if kind == "cosine":
        rates = final + (1.0 - final) * 0.5 * (1.0 + np.cos(np.pi * along))
    elif kind == "linear":
        rates = final + (1.0 - final) * (1.0 - along)
    elif kind in ("warmup_stable_warmdown", "wsd"):
        down = plan.get("warmdown_ratio", 0.0) * steps or plan.get("cooldown_steps") or 1
        rates = np.minimum(1.0, final + (1.0 - final) * (steps - t) / down)
    elif kind == "constant":
        rates = np.ones(steps)
    else:
        return None
    return Clock(peak * np.where(t < warmup, t / max(warmup, 1), np.maximum(rates, 0.0)), kind)


def _of_table(path):
    data = np.genfromtxt(path, delimiter=",", names=True)
    rates = _multi_power_rates(path.stem)
    step, kept = data["step"], data["step"] <= rates.size
    return "multi-power", LossCurve(
        step[kept], data["loss"][kept], rates, name=f"{path.parent.name}/{path.stem}"
    )


def _multi_power_rates(name):
    kind, *numbers = name.split("_")
    steps = {"constant": 0, "cosine": 0, "wsdcon": 16000}.get(kind, 24000) or int(numbers[0])
    t = np.arange(1.0, steps + 1)
    rise = np.minimum(t / _WARMUP, 1.0) * _PEAK
    if kind == "constant":
        return rise
    if kind == "cosine":
        along = np.clip((t - _WARMUP) / (steps - _WARMUP), 0.0, 1.0)
        return np.where(t < _WARMUP, rise, _FINAL + 0.5 * (_PEAK - _FINAL) * (1.0 + np.cos(np.pi * along)))
    if kind == "wsdcon":
        return np.where(t > 8000, int(re.sub(r"\D", "", numbers[0])) * 1e-5, rise)
    down = np.clip((t - 20000) / 4000, 0.0, 1.0)
    if kind == "wsdld":
        return np.where(t < 20000, rise, _PEAK + (_FINAL - _PEAK) * down)
    return rise * (_FINAL / _PEAK) ** down


def split(curve, fraction):
    """Return the records up to a fraction of the plan and those behind it; None where either has too few."""
    cut = fraction * curve.clock.steps
    usable = curve.step >= curve.warmup
    early, late = curve.step <= cut, curve.step > cut
    if (early & usable).sum() < 5 or not late.any():
        return None
    return curve.window(0.0, cut), curve.window(np.nextafter(cut, np.inf))
