"""Students that start at other scales, at constant rates and under warmup and cosine (Figs. 5ab, 19-22)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from peakedtheory.dynamics.optimizers import Adam
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.families import warmup_cosine
from peakedtheory.validation.experiments.base import Experiment, FigureSpec, RunContext, Settings
from peakedtheory.validation.experiments.flows import logspace, predict_cases, train_cases
from peakedtheory.validation.experiments.selection import WIDTH
from peakedtheory.validation.experiments.starts import figures as draw
from peakedtheory.validation.experiments.starts.claims import claims
from peakedtheory.validation.training.cases import Case

if TYPE_CHECKING:
    import xarray


def schedule_of(settings: Settings, rate: float) -> Clock | None:
    """Return the warmup and cosine of Liu et al. 2026, Appendix D.4, or nothing for constant rates."""
    if not settings["cosine"]:
        return None
    steps = settings["steps"]
    return warmup_cosine(rate, steps, warmup=max(steps // 100, 1), final=0.1 * rate)


def simulate(settings: Settings, context: RunContext) -> xarray.Dataset:
    """Train every combination of initial ratio and learning rate."""
    cases = [
        Case(
            beta_star=settings["beta_star"],
            optimizer=Adam(rate, settings["batch"], WIDTH),
            start_ratio=ratio,
            schedule=schedule_of(settings, rate),
            teacher=teacher,
            seed=1000 + teacher,
        )
        for ratio in settings["ratios"]
        for rate in settings["rates"]
        for teacher in range(settings["teachers"])
    ]
    data = train_cases(context, settings, cases, from_zero=True)
    return data.assign_attrs(cosine=int(settings["cosine"]), steps=settings["steps"])


def predict(data: xarray.Dataset) -> xarray.Dataset:
    """Return the flow of Adam from D = 0, ρ = rβ*."""
    if not data.attrs["cosine"]:
        return predict_cases(data)
    settings = {"cosine": True, "steps": int(data.attrs["steps"])}
    rates = data["learning_rate"].values
    return predict_cases(data, schedule_of=lambda i: schedule_of(settings, float(rates[i])))


def _figures(cosine: bool) -> tuple[FigureSpec, ...]:
    lines = "Points: training; lines: theory of Adam, nothing fitted. "
    law = lines + "Published: collapse late, loss exponent 1/3 and growth exponent 1/3 (dashed)."
    if cosine:
        return (
            FigureSpec(
                "21", "Warmup and cosine: loss against τ", law, functools.partial(draw.ratios, y="loss")
            ),
            FigureSpec("22", "Warmup and cosine: β against τ", law, functools.partial(draw.ratios, y="beta")),
        )
    return (
        FigureSpec("5ab", "Initial ratios at one rate", law, draw.both),
        FigureSpec("19", "Initial ratios: loss against τ", law, functools.partial(draw.panels, y="loss")),
        FigureSpec("20", "Initial ratios: β against τ", law, functools.partial(draw.panels, y="beta")),
    )


def _settings(cosine: bool) -> dict[str, dict[str, Any]]:
    rates = [0.15] if cosine else logspace(-3, 0, 12)
    ratios = [round(r, 6) for r in np.linspace(0, 1, 8).tolist()]
    base = {"beta_star": 96.2, "cosine": cosine}
    return {
        "paper": {
            **base, "ratios": ratios, "rates": rates, "steps": 100000, "batch": 1024, "teachers": 1,
            "records": 100, "test_samples": 8192,
        },
        "quick": {
            **base, "ratios": ratios, "rates": rates if cosine else [rates[5], rates[7]], "steps": 30000,
            "batch": 256, "teachers": 1, "records": 50, "test_samples": 4096,
        },
        "tiny": {
            **base, "ratios": [0.0, 0.571429], "rates": rates[-1:] if cosine else [rates[7]], "steps": 60,
            "batch": 32, "teachers": 2, "records": 14, "test_samples": 256,
        },
    }  # fmt: skip


def _starts(cosine: bool) -> Experiment:
    name = "cosine" if cosine else "initial-ratios"
    return Experiment(
        name=name,
        title="Initial scales under warmup and cosine" if cosine else "Initial scales at constant rates",
        source=f"Liu et al. 2026, Appendix D.{4 if cosine else 3}",
        settings=_settings(cosine),
        simulate=simulate,
        predict=predict,
        claims=functools.partial(claims, figure="Figs. 21, 22" if cosine else "Figs. 5ab, 19, 20"),
        figures=_figures(cosine),
        differences=(
            "All runs share one teacher and one start, scaled; the authors draw both anew for each.",
            "100 records even in ln t over 8,192 held-out inputs; theirs every 100 steps, fresh batches.",
            "The paper names no window; the last decade is fitted, and τ from an eighth to half of the end.",
        ),
        notes="quick: 30,000 steps in batches of 256 reach a third of the paper's τ with more noise.",
    )


EXPERIMENTS = (_starts(cosine=False), _starts(cosine=True))
