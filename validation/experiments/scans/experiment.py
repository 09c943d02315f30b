"""Scans of β* and learning rate by Adam and by SGD (Liu et al. 2026, Figs. 1, 4, 7, 8, 10, 11 and 13-18).

Students start at zero, on inputs of fixed norm. The largest β* is repeated over several teachers, which the
exponents' errors come from; everything else is one teacher, as in the paper.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from peakedtheory.validation.experiments.base import Experiment, FigureSpec, RunContext, Settings
from peakedtheory.validation.experiments.flows import (
    beta_star_of,
    logspace,
    optimizer_of,
    predict_cases,
    train_cases,
)
from peakedtheory.validation.experiments.scans import figures as draw
from peakedtheory.validation.experiments.scans.claims import claims
from peakedtheory.validation.training.cases import Case

if TYPE_CHECKING:
    import xarray


def simulate(settings: Settings, context: RunContext) -> xarray.Dataset:
    """Train every combination of β* and learning rate, and the largest β* with more teachers."""
    stars = sorted(beta_star_of(t) for t in settings["temperatures"])
    cases = [
        Case(
            beta_star=star,
            optimizer=optimizer_of(settings["optimizer"], rate, settings["batch"]),
            teacher=teacher,
            seed=teacher,
        )
        for star in stars
        for teacher in range(settings["teachers"] if star == stars[-1] else 1)
        for rate in settings["rates"]
    ]
    return train_cases(context, settings, cases)


_STEEP = (
    "Points: training; lines: theory, nothing fitted. Published: loss exponent 1/3 at low temperature "
    "(dashed guide)."
)


def _figures(name: str) -> tuple[FigureSpec, ...]:
    """Return the figures of a scan by this optimizer."""
    collapse_text = " Published: curves collapse in τ" + (
        " for all rates." if name == "sgd" else " for small rates; larger rates do not follow the gradient."
    )
    growth = _STEEP.replace("loss exponent 1/3", "β grows with exponent 1/3")
    flat = (
        "Points: training; lines: theory, nothing fitted. Published: exponential approach at a rate c_eff/n"
    )
    if name == "sgd":
        return (
            FigureSpec(
                "13", "SGD: loss against step", _STEEP, functools.partial(draw.panels, x="step", y="loss")
            ),
            FigureSpec(
                "14",
                "SGD: loss against τ",
                _STEEP + collapse_text,
                functools.partial(draw.panels, x="tau", y="loss"),
            ),
            FigureSpec(
                "15", "SGD: β against step", growth, functools.partial(draw.panels, x="step", y="beta")
            ),
            FigureSpec("16", "SGD: β against τ", growth, functools.partial(draw.panels, x="tau", y="beta")),
            FigureSpec(
                "17",
                "SGD: exponential approach to small β*",
                f"{flat}, c_eff = 1 (dashed).",
                draw.relaxations,
            ),
            FigureSpec(
                "18", "SGD: loss against β* - β", "Published: L = (β* - β)²/2 (dashed).", draw.parabola
            ),
        )
    return (
        FigureSpec("1", "Adam: loss against step for every β*", _STEEP, draw.temperatures),
        FigureSpec(
            "4",
            "Adam at the largest β*: learning rates",
            "Points: training; lines: theory, nothing fitted. Published: loss exponent 1/3 and β ~ t^0.38 at "
            "the best rate.",
            draw.rates,
        ),
        FigureSpec(
            "7",
            "Adam: loss against τ",
            _STEEP + collapse_text,
            functools.partial(draw.panels, x="tau", y="loss"),
        ),
        FigureSpec(
            "8",
            "Adam: β against τ",
            growth + collapse_text,
            functools.partial(draw.panels, x="tau", y="beta"),
        ),
        FigureSpec(
            "10", "Adam: exponential approach to small β*", f"{flat} that depends on β*.", draw.relaxations
        ),
        FigureSpec("11", "Adam: loss against β* - β", "Published: L = (β* - β)²/2 (dashed).", draw.parabola),
    )


def _settings(name: str) -> dict[str, dict[str, Any]]:
    low, high = (-2, 1) if name == "sgd" else (-3, 0)
    temperatures, rates = logspace(-3, 0, 8), logspace(low, high, 12)
    base = {"optimizer": name, "temperatures": temperatures, "rates": rates}
    return {
        "paper": {**base, "steps": 2000, "batch": 1024, "teachers": 4, "records": 60, "test_samples": 8192},
        "quick": {
            **base, "temperatures": [temperatures[i] for i in (0, 2, 4, 6, 7)], "rates": rates[1::2],
            "steps": 1000, "batch": 256, "teachers": 3, "records": 40, "test_samples": 4096,
        },
        "tiny": {
            **base, "temperatures": temperatures[::7], "rates": rates[3::4], "steps": 40, "batch": 32,
            "teachers": 2, "records": 12, "test_samples": 256,
        },
    }  # fmt: skip


def _experiment(name: str, title: str, source: str) -> Experiment:
    return Experiment(
        name=f"{name}-scan",
        title=title,
        source=source,
        settings=_settings(name),
        simulate=simulate,
        predict=predict_cases,
        claims=functools.partial(claims, name=name),
        figures=_figures(name),
        differences=(
            "The largest β* has four teachers, all others one; the authors draw one teacher for each task.",
            "Cases of one teacher see the same inputs; the authors draw inputs anew for every case.",
            "The loss is over 8,192 held-out inputs, the same at all times; the authors' over a fresh batch.",
            "60 records even in ln t; the authors' every 5 steps, so that their fits weigh late times more.",
        ),
    )


EXPERIMENTS = (
    _experiment("adam", "Adam over temperatures and learning rates", "Liu et al. 2026, Appendix D.1"),
    _experiment("sgd", "SGD over temperatures and learning rates", "Liu et al. 2026, Appendix D.2"),
)
