"""Residual students of a deep residual teacher (Liu et al. 2026, Figs. 23, 24), from the authors' starts.

The paper's text leaves the starts out; its published code multiplies the teacher's projections B by
1/√(number of layers) and sets those of the students, and their heads, to zero. An experiment of its own
starts all layers by the uniform law instead, which is another teacher: it shows what the starts decide.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from peakedtheory._common.progress import reporter
from peakedtheory.validation.experiments.base import Experiment, FigureSpec, RunContext, Settings
from peakedtheory.validation.experiments.flows import aligned_flow, beta_star_of, logspace, record_steps
from peakedtheory.validation.experiments.residual import figures as draw
from peakedtheory.validation.experiments.residual.analysis import final_window
from peakedtheory.validation.experiments.residual.claims import claims

if TYPE_CHECKING:
    import xarray

#: Steps of the paper's 40,000 that scale "part" takes.
_REACHED = 15265


def simulate(settings: Settings, context: RunContext) -> xarray.Dataset:
    """Train a stack of students, one per teacher and temperature, for every depth."""
    import xarray

    # these load torch and numba
    from peakedtheory.validation.training.residual_network import ResidualPlan, train_residual
    from peakedtheory.validation.training.train import resolve_machine

    _, device = resolve_machine("torch", context.device, "float32")
    stars = tuple(sorted(beta_star_of(t) for t in settings["temperatures"]))
    record = record_steps(settings["planned_steps"], settings["records"])
    record = record[record <= settings["steps"]]
    depths, teachers = settings["depths"], tuple(range(settings["teachers"]))
    pieces: dict[str, list[np.ndarray]] = {"loss": [], "loss_standard_error": [], "beta": []}
    before = 0
    with reporter(context.progress, "training residual students") as report:
        for depth in depths:

            def tell(step: int, before: int = before, depth: int = depth) -> None:
                report(before + step * depth, settings["steps"] * sum(depths))

            plan = ResidualPlan(
                beta_star=stars,
                depth=depth,
                teacher_depth=settings["teacher_depth"],
                learning_rate=settings["rate"],
                batch=settings["batch"],
                steps=settings["steps"],
                teachers=teachers,
                test_samples=settings["test_samples"],
                starts=settings["starts"],
            )
            found = train_residual(
                plan,
                record,
                device=device,
                checkpoint=context.checkpoint(str(depth)),
                resume=context.resume,
                report=tell,
            )
            for key, values in pieces.items():
                values.append(found[key])
            before += settings["steps"] * depth
    stacks = [(depth, teacher) for depth in depths for teacher in teachers]
    return xarray.Dataset(
        {key: (("case", "time"), np.concatenate(values)) for key, values in pieces.items()}
        | {
            "step": (("time",), record),
            "tau": (("case", "time"), np.tile(record * settings["rate"], (len(stars) * len(stacks), 1))),
        },
        coords={
            "beta_star": ("case", np.tile(stars, len(stacks))),
            "depth": ("case", np.repeat([d for d, _ in stacks], len(stars))),
            "teacher": ("case", np.repeat([t for _, t in stacks], len(stars))),
        },
        attrs={"device": device, "engine": "torch", "dtype": "float32", "seed": 0},
    )


def predict(data: xarray.Dataset) -> xarray.Dataset:
    """Return the aligned flow L(c_eff τ), with one c_eff fitted per case to the final part of its loss.

    The flow knows neither depth nor body: only the constant that relates τ to the head's progress is fitted.
    """
    import xarray

    out = np.full(data["loss"].shape, np.nan)
    constants = np.full(data.sizes["case"], np.nan)
    low, _ = final_window(data)
    late = data["step"].values >= low
    for i, star in enumerate(data["beta_star"].values):
        flow = aligned_flow(float(star))
        loss = data["loss"].values[i].astype(float)
        usable = late & (loss > 1.01 * flow.loss.min()) & (loss < 0.99 * flow.loss.max())
        if usable.sum() < 3:
            continue
        tau = data["tau"].values[i]
        # τ at which the flow has each measured loss; its mean ratio to the actual τ is c_eff
        ratios = flow.time_of(loss[usable]) / tau[usable]
        constants[i] = float(np.exp(np.mean(np.log(ratios))))
        out[i] = flow.loss_at(constants[i] * tau)
    return xarray.Dataset({"loss": (("case", "time"), out), "c_eff": (("case",), constants)})


def _settings(starts: str) -> dict[str, dict[str, Any]]:
    temperatures = logspace(-2, 0, 16)
    base = {"starts": starts, "rate": 6e-4, "teacher_depth": 128, "temperatures": temperatures}
    found = {
        "paper": {
            **base, "depths": [6, 12, 16, 24, 32, 48], "teachers": 3, "steps": 40000, "planned_steps": 40000,
            "batch": 1024, "records": 60, "test_samples": 8192,
        },
        "part": {
            **base, "temperatures": temperatures[:10:3], "depths": [6], "teachers": 1, "steps": _REACHED,
            "planned_steps": 40000, "batch": 1024, "records": 100, "test_samples": 8192,
        },
        "quick": {
            **base, "temperatures": temperatures[::5], "depths": [6], "teachers": 2, "steps": 1500,
            "planned_steps": 1500, "batch": 64, "records": 25, "test_samples": 1024,
        },
        "tiny": {
            **base, "temperatures": temperatures[::7], "depths": [2], "teacher_depth": 4, "teachers": 2,
            "steps": 20, "planned_steps": 20, "batch": 16, "records": 8, "test_samples": 64,
        },
    }  # fmt: skip
    return found if starts == "published" else {k: v for k, v in found.items() if k != "part"}


def _figures(keys: tuple[str, str], published: str) -> tuple[FigureSpec, ...]:
    return (
        FigureSpec(
            keys[0],
            "Residual students: loss against step",
            "Points: training; lines over the final part: aligned flow with one c_eff fitted per curve. "
            f"{published} loss exponent 1/3 (dashed) at low temperature, late.",
            draw.losses,
        ),
        FigureSpec(
            keys[1],
            "Residual students: final exponents against β*",
            f"Points: fits over the last factor of five in t. {published} approach to 1/3 (dashed).",
            draw.exponents,
        ),
    )


_SAME = (
    "Held-out inputs are the same at all times, not fresh batches.",
    "Records are even in ln t, and so weigh every factor of t alike in a fit.",
)

EXPERIMENTS = (
    Experiment(
        name="residual-network",
        title="Residual students of a deep residual teacher",
        source="Liu et al. 2026, Appendix D.6",
        settings=_settings("published"),
        simulate=simulate,
        packages=lambda settings: ("torch",),
        predict=predict,
        claims=functools.partial(claims, published=True),
        figures=_figures(("23", "24"), "Published:"),
        notes=(
            "Starts as in the published code, which the text leaves out: the teacher's projections over the "
            "root of its layers, the students' projections and heads at zero. Part: one teacher, depth 6, "
            f"four of the sixteen temperatures, and the first {_REACHED:,} of 40,000 steps."
        ),
        differences=_SAME,
        former={"starts": "uniform"},
    ),
    Experiment(
        name="residual-uniform",
        title="Residual students and teachers from uniform starts",
        source="a variant of Liu et al. 2026, Appendix D.6",
        settings=_settings("uniform"),
        simulate=simulate,
        packages=lambda settings: ("torch",),
        predict=predict,
        claims=functools.partial(claims, published=False),
        figures=_figures(("uniform-losses", "uniform-exponents"), "Published of other starts:"),
        notes=(
            "Not the authors' starts: all layers by the uniform law ±1/√(fan in), heads at zero. An affine "
            "map explains less than half of this teacher's features, and 98 % of the authors'."
        ),
        differences=(
            "Teachers keep their projections B as drawn; the published code multiplies them by 1/√128.",
            "Students start with their projections B as drawn; the published code sets them to zero.",
            *_SAME,
        ),
    ),
)  # fmt: skip
