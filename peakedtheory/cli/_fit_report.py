"""What `fit` and `forecast` print of fits, comparisons, collapses and regimes."""

from __future__ import annotations

import math
from typing import Any

import typer

from peakedtheory.cli._common import print_table
from peakedtheory.curves.collapse import CollapseComparison
from peakedtheory.curves.comparison import LawComparison
from peakedtheory.curves.results import LossCurveFit
from peakedtheory.curves.standing import CurveRegime


def print_fit(fit: LossCurveFit) -> None:
    """Print the parameters with all parts of their uncertainty."""
    rows = []
    for name, value in fit.parameters.items():
        if name in fit.uncertainty:
            u = fit.uncertainty[name]
            low, high = fit.interval(name)
            parts = [f"{part:.2g}" for part in (u.total, u.statistical, u.window, u.origin)]
            rows.append([name, f"{value:.5g}", *parts, f"{low:.4g} to {high:.4g}"])
        else:
            rows.append([name, f"{value:.5g}", "held", "", "", "", ""])
    names = ", ".join(curve.name for curve in fit.curves[:3]) + (" …" if len(fit.curves) > 3 else "")
    title = (
        f"{fit.law.title} ({fit.law.name}) fitted to {names}, {fit.residuals.size} records from step "
        f"{fit.window[0]:g} to {fit.window[1]:g}"
    )
    columns = ["parameter", "value", "± total", "statistical", "window", "origin", "95 % interval"]
    print_table(title, columns, rows)
    for note in fit.notes:
        typer.echo(f"note: {note}")


def print_single(fit: LossCurveFit, single: list[LossCurveFit | None]) -> None:
    """Print the parameters of each file beside those of all together."""
    names = list(fit.uncertainty)
    rows = []
    for label, one in [(c.name, f) for c, f in zip(fit.curves, single, strict=True)] + [("together", fit)]:
        values = ["–"] * len(names)
        if one is not None:
            values = [f"{one.parameters[n]:.4g} ± {one.uncertainty[n].total:.1g}" for n in names]
        rows.append([label, *values, "–" if one is None else f"{100.0 * one.scatter:.2g} %"])
    print_table("Each file alone, and all together", ["file", *names, "typical residual"], rows)


def print_comparison(comparison: LawComparison) -> None:
    """Print what each law predicted."""
    rows = []
    for s in comparison.scores:
        if s.fit is None:
            rows.append([s.name, "–", "–", "–", "–"])
        else:
            excess = f"{s.excess:.5f} ± {s.excess_error:.5f}" if s.excess else "best"
            rows.append([s.name, f"{s.error:.5f}", excess, f"{s.bias:+.5f}", f"{s.in_sample:.5f}"])
    columns = ["law", "error held out (nats)", "minus the best's", "bias", "error in sample"]
    print_table(f"Laws on {comparison.held_out} ({comparison.records} records)", columns, rows)
    for line in left_out([(s.name, s.note) for s in comparison.scores if s.fit is None]):
        typer.echo(f"not fitted: {line}")


def left_out(reasons: list[tuple[str, str]]) -> list[str]:
    """Return one line for each reason, with the laws that share it."""
    together: dict[str, list[str]] = {}
    for name, reason in reasons:
        together.setdefault(reason.replace(f"of {name}", "of the law"), []).append(name)
    return [f"{', '.join(names)} ({reason})" for reason, names in together.items()]


def sentences(
    fit: LossCurveFit,
    comparison: LawComparison | None,
    apart: CollapseComparison | None,
    stands: list[CurveRegime],
    entropy: float | None = None,
) -> list[str]:
    """Return the answers in words."""
    lines = []
    if comparison is not None:
        lines.append(comparison.verdict)
    if "alpha" in fit.uncertainty:
        low, high = fit.interval("alpha")
        held = [name for name, value in (("1/3", 1 / 3), ("1/2", 1 / 2)) if low <= value <= high]
        answer = {
            0: "neither 1/3 nor 1/2",
            1: f"{held[0] if held else ''} and not {'1/2' if held == ['1/3'] else '1/3'}",
            2: "both 1/3 and 1/2: this window cannot tell them apart",
        }[len(held)]
        lines.append(f"The 95 % interval of α, {low:.3f} to {high:.3f}, holds {answer}.")
    if apart is not None:
        lines.append(
            f"{apart.verdict[0].upper() if apart.better == 'step' else apart.verdict[0]}{apart.verdict[1:]}."
        )
    for curve, stand in zip(fit.curves, stands, strict=False):
        text = f"{curve.name}: {stand.name}. {stand.explanation}"
        if "alpha" in fit.uncertainty:
            low, high = fit.interval("alpha")
            inside = low <= stand.exponents[1] and high >= stand.exponents[0]
            text += f", {'in' if inside else 'out of'} line with the α of the fit"
        lines.append(f"{text}.")
        if math.isfinite(stand.beta_star):
            source = "L∞ of the fit" if entropy is None else "the entropy given"
            lines.append(f"  β from the {stand.sources['beta']}; β* from {source}.")
    return lines


def as_dictionary(
    fit: LossCurveFit,
    single: list[LossCurveFit | None],
    comparison: LawComparison | None,
    apart: CollapseComparison | None,
    stands: list[CurveRegime],
) -> dict[str, Any]:
    """Return everything that is printed, for programs."""
    answer: dict[str, Any] = {"curves": [curve.name for curve in fit.curves], "fit": fit_dictionary(fit)}
    if single:
        answer["each"] = [None if one is None else fit_dictionary(one) for one in single]
    if comparison is not None:
        answer["comparison"] = {
            "held_out": comparison.held_out,
            "best": comparison.best,
            "indistinguishable": comparison.indistinguishable,
            "verdict": comparison.verdict,
            "laws": [
                {
                    "law": s.name,
                    "error": s.error,
                    "bias": s.bias,
                    "excess": s.excess,
                    "excess_error": s.excess_error,
                    "in_sample": s.in_sample,
                    "note": s.note,
                }
                for s in comparison.scores
            ],
        }
    if apart is not None:
        both = {"tau": apart.tau, "step": apart.step}
        answer["collapse"] = {
            name: {"spread": c.spread, "standard_error": c.standard_error, "noise": c.noise}
            for name, c in both.items()
        } | {"better": apart.better, "verdict": apart.verdict}
    if stands:
        answer["regimes"] = [
            {
                "regime": s.name,
                "beta": s.beta,
                "onset": s.onset,
                "beta_star": s.beta_star,
                "exponents": s.exponents,
                "asymptotic_exponents": s.asymptotic,
                "sources": s.sources,
                "explanation": s.explanation,
            }
            for s in stands
        ]
    return answer


def fit_dictionary(fit: LossCurveFit) -> dict[str, Any]:
    """Return what a program wants to know of a fit."""
    return {
        "law": fit.law.name,
        "window": fit.window,
        "origin": fit.origin,
        "records": fit.residuals.size,
        "scatter": fit.scatter,
        "parameters": {
            name: {"value": value}
            if name not in fit.uncertainty
            else {
                "value": value,
                "standard_error": fit.uncertainty[name].total,
                "statistical": fit.uncertainty[name].statistical,
                "window": fit.uncertainty[name].window,
                "origin": fit.uncertainty[name].origin,
                "interval_95": fit.interval(name),
            }
            for name, value in fit.parameters.items()
        },
        "notes": fit.notes,
    }
