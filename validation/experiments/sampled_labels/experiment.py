"""Sampled labels: training beside its flow under rates that stay, fall, or are cut (docs/practice.md).

Rates are given as ηm/B, what the noise depends on; Adam's are those whose steps are as long where the noise
of drawing labels is all that its second moment sees.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from peakedtheory.dynamics.force import student_force
from peakedtheory.dynamics.optimizers import SGD, Adam
from peakedtheory.dynamics.student import student_flow
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.families import step_list
from peakedtheory.schedules.reading import parse_schedule
from peakedtheory.validation.experiments.base import Experiment, FigureSpec, RunContext, Settings
from peakedtheory.validation.experiments.sampled_labels import figures as draw
from peakedtheory.validation.experiments.sampled_labels.claims import claims
from peakedtheory.validation.training.cases import Case

if TYPE_CHECKING:
    import xarray

#: What tells cases apart.
_SETTINGS = ("optimizer", "beta_star", "ratio", "family", "n", "width", "batch", "steps", "teacher")
_RECORDED = ("loss", "loss_standard_error", "beta", "alignment", "residual")
#: The first steps, of which nothing is claimed.
_FIRST = 25


def clock_of(family: str, peak: float, steps: int) -> Clock:
    """Return the rates of a family with this peak; `cut-4` divides a constant rate by 4 half way."""
    if family.startswith("cut-"):
        return step_list([(0, peak), (steps // 2, peak / float(family[4:]))], steps)
    return parse_schedule(f"{family}:peak={peak!r}", steps)


def optimizer_of(one: Mapping[str, Any]) -> SGD | Adam:
    """Return the optimizer of a setting, its rate that of the peak."""
    rate = float(one["ratio"]) * float(one["batch"]) / float(one["width"])
    sizes = float(one["batch"]), float(one["width"])
    if one["optimizer"] == "sgd":
        return SGD(rate, *sizes)
    noise = student_force(float(one["beta_star"]), float(one["n"]), float(one["width"])).label_noise
    return Adam(rate * math.sqrt(noise / (float(one["n"]) * float(one["batch"]))), *sizes)


def _of_part(part: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for optimizer in ("sgd", "adam"):
        for star in part["beta_stars"]:
            for ratio in part["ratios"]:
                for family in part["families"]:
                    for teacher in range(part["teachers"]):
                        yield {name: part[name] for name in ("n", "width", "batch", "steps")} | {
                            "optimizer": optimizer, "beta_star": star, "ratio": ratio, "family": family,
                            "teacher": teacher,
                        }  # fmt: skip


def recorded(part: Mapping[str, Any], count: int) -> np.ndarray:
    """Return the steps that are recorded: even in their logarithm, and again after a cut half way."""
    steps = part["steps"]
    if not part["families"][0].startswith("cut-"):
        return np.unique(np.round(np.geomspace(min(_FIRST, steps // 4), steps, count)).astype(int))
    half, before = steps // 2, max(count // 4, 2)
    early = np.geomspace(min(_FIRST, half // 4), half, before)
    late = half + np.geomspace(min(5, half // 8), steps - half, count - before)
    return np.unique(np.round(np.append(early, late)).astype(int))


def simulate(settings: Settings, context: RunContext) -> xarray.Dataset:
    """Train every part side by side."""
    import xarray

    pieces = []
    for i, part in enumerate(settings["parts"]):
        every = list(_of_part(part))
        cases = []
        for one in every:
            rule = optimizer_of(one)
            plan = clock_of(one["family"], rule.learning_rate, one["steps"])
            cases.append(
                Case(
                    one["beta_star"],
                    rule,
                    plan,
                    teacher=one["teacher"],
                    seed=one["teacher"],
                    labels="sampled",
                )
            )
        steps = recorded(part, settings["records"])
        data = context.train(
            cases,
            part["steps"],
            part=str(i),
            n=part["n"],
            record=steps,
            test_samples=settings["test_samples"],
        )
        columns = {name: ("case", np.array([one[name] for one in every])) for name in _SETTINGS}
        values = {name: (("case", "time"), data[name].values) for name in _RECORDED}
        values["step"] = (("case", "time"), np.tile(steps, (len(every), 1)))
        pieces.append(xarray.Dataset(values, columns, data.attrs if not i else {}))
    return xarray.concat(pieces, "case", combine_attrs="drop_conflicts")


def predict(data: xarray.Dataset) -> xarray.Dataset:
    """Return β, ρ and the excess loss of every case by the flow, nothing fitted; teachers share theirs."""
    import xarray

    names = [name for name in _SETTINGS if name != "teacher"]
    out = {name: np.full(data["loss"].shape, np.nan) for name in ("loss", "beta", "residual")}
    known: dict[tuple[Any, ...], Any] = {}
    for i in range(data.sizes["case"]):
        one = {name: data[name].values[i].item() for name in names}
        key = tuple(one.values())
        if key not in known:
            rule = optimizer_of(one)
            plan = clock_of(one["family"], rule.learning_rate, one["steps"])
            known[key] = student_flow(
                plan.tau[data["step"].values[i]], one["beta_star"], one["n"], optimizer=rule, schedule=plan,
                labels="sampled",
            )  # fmt: skip
        for name, values in out.items():
            values[i] = getattr(known[key], name)
    return xarray.Dataset({name: (("case", "time"), values) for name, values in out.items()})


def _part(**changes: Any) -> dict[str, Any]:
    return {
        "n": 128, "width": 32, "batch": 64, "teachers": 8, "beta_stars": [2.0, 5.0, 10.0, 30.0],
        "ratios": [0.05, 0.5, 2.0], "families": ["constant", "cosine", "wsd", "linear", "square"],
        "steps": 3000, **changes,
    }  # fmt: skip


_CUTS = {"beta_stars": [5.0], "ratios": [2.0], "families": ["cut-4", "cut-16"]}
_OTHER = {"n": 512, "width": 64, "batch": 128, "beta_stars": [5.0, 10.0], "ratios": [0.5]}

EXPERIMENTS = (
    Experiment(
        name="sampled-labels",
        title="Sampled labels: noise floors, cooldowns and how much of the data is used",
        source="beyond the papers",
        settings={
            "paper": {
                "parts": [_part(), _part(**_CUTS), _part(**_OTHER, teachers=2, steps=1500)],
                "records": 16, "test_samples": 4096,
            },
            "quick": {
                "parts": [
                    _part(teachers=3, beta_stars=[5.0, 10.0], ratios=[0.5, 2.0], steps=1000),
                    _part(**_CUTS, teachers=3, steps=1600),
                ],
                "records": 14, "test_samples": 2048,
            },
            "tiny": {
                "parts": [
                    _part(n=16, width=8, teachers=2, beta_stars=[3.0], ratios=[0.5], steps=120),
                    _part(**_CUTS, n=16, width=8, teachers=2, steps=160),
                ],
                "records": 8, "test_samples": 256,
            },
        },
        simulate=simulate,
        predict=predict,
        claims=claims,
        figures=(
            FigureSpec(
                "sampled-labels",
                "Excess loss on sampled labels at constant rates",
                "Points: training, mean over teachers; lines: the flow, nothing fitted; dotted: the floor "
                "(ηm/4B)Φ'(β*)/β*, first order in ηm/B.",
                draw.floors,
            ),
            FigureSpec(
                "cooldowns",
                "What decaying rates take away, and how fast after a cut",
                "Points: training, mean over teachers; lines: the flow, nothing fitted. Right: the share of "
                "the drop that is done, against steps after a cut of the rate by 4 and by 16.",
                draw.cooldowns,
            ),
            FigureSpec(
                "efficiency",
                "Share of the examples that a run has used, (n-1)m/(2NL)",
                "Bars: the flow; points: training, mean and standard error over teachers, at the end of each "
                "schedule. One is what no unbiased method can surpass.",
                draw.efficiencies,
            ),
        ),
        notes="Adam's rates are those whose steps are as long as SGD's where only draws of labels are noise.",
    ),
)  # fmt: skip
