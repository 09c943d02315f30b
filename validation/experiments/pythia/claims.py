"""Claims about Pythia's published points: the authors' fits, a universal 1/3, collapse, the logit scale."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.experiments.comparison import mean_and_error
from peakedtheory.validation.experiments.pythia.analysis import COLLAPSES, GROWTH_WINDOW, LAWS

if TYPE_CHECKING:
    import xarray

#: Exponents and errors as published (Fig. 6b), and as the authors' own fits give them to three digits.
PUBLISHED = {"70M": (0.341, 0.03), "410M": (0.367, 0.01), "2.8B": (0.337, 0.01), "12B": (0.307, 0.02)}
_READ, _THIRD = 0.03, 0.05


def _exponents(prediction: xarray.Dataset) -> list[Claim]:
    """Judge whether the authors' fits are reproduced, and one third with everything in its error."""
    out = []
    for run in prediction["run"].values:
        one = prediction.sel(run=run)
        published, error = PUBLISHED[str(run)]
        out.append(
            near(
                f"Fig. 6b, {run}: the authors' fit of L - L∞ ~ τ^-α is reproduced from the points read off",
                float(one["alpha"]),
                float(one["reading"]),
                published,
                _READ,
                f"published ± {_READ}: about three times what reading the plots leaves open",
                published=published,
                published_error=error,
            )
        )
    for run in prediction["run"].values:
        one = prediction.sel(run=run)
        out.append(
            near(
                f"Fig. 6b, {run}: α = 1/3, window, origin of τ and L∞ in its error (scatter and reading "
                f"± {float(one['noise']):.3f}, window ± {float(one['window']):.3f}, origin "
                f"± {float(one['origin']):.2f})",
                float(one["alpha"]),
                float(one["total"]),
                1.0 / 3.0,
                _THIRD,
                f"1/3 ± {_THIRD}",
                published=1.0 / 3.0,
            )
        )
    return out


def _universal(prediction: xarray.Dataset) -> list[Claim]:
    """Judge "universal 1/3 in τ": the mean exponent with τ from step zero, and with its origin open."""
    alpha = prediction["alpha"].values
    mean = float(alpha.mean())
    # windows and origins move all models alike, so that their errors do not average out
    shared = float(prediction["window"].mean())
    known = math.hypot(float((prediction["noise"] ** 2).sum()) ** 0.5 / alpha.size, shared)
    open_origin = math.hypot(known, float(prediction["origin"].mean()))
    return [
        near(
            f"Fig. 6b: a universal 1/3 in τ ({which}; mean of {alpha.size} models, {alpha.min():.3f} to "
            f"{alpha.max():.3f})",
            mean,
            error,
            1.0 / 3.0,
            _THIRD,
            f"1/3 ± {_THIRD}",
            published=1.0 / 3.0,
        )
        for which, error in (("τ counted from step zero", known), ("its origin open", open_origin))
    ]


def _laws(prediction: xarray.Dataset) -> Claim:
    """Judge whether 1/3 in τ predicts the late checkpoints better than a free power of the steps."""
    held = prediction["held_out_error"]
    third, steps = (held.sel(law=name).values for name in (LAWS[1], LAWS[2]))
    worse = third - steps
    mean, error = mean_and_error(worse)
    return Claim(
        f"Fig. 6b: τ^(-1/3) predicts the checkpoints after step 71,500 better than a free power of steps "
        f"(error less error in nats, mean of {worse.size} models)",
        mean,
        error,
        -math.inf,
        0.0,
        "below 0",
    )


def _collapse(prediction: xarray.Dataset, kind: str) -> Claim:
    one = prediction.sel(collapse=kind)
    return Claim(
        f"Figs. 25-27: the {kind} collapses better in τ than in steps ({int(one['models'])} models; spread "
        f"of ln x at equal value: {float(one['spread_tau']):.2f} in τ, "
        f"{float(one['spread_step']):.2f} in steps)",
        float(one["difference"]),
        float(one["difference_error"]),
        -math.inf,
        0.0,
        "spread in τ less spread in steps, below 0",
    )


def _growth(prediction: xarray.Dataset) -> list[Claim]:
    first, last = GROWTH_WINDOW
    return [
        near(
            f"Fig. 6c, {run}: the logits' standard deviation grows as τ^(1/3) at first (steps {first:.0f} to "
            f"{last:.0f}, within the warmup)",
            float(prediction.sel(run=run)["growth"]),
            float(prediction.sel(run=run)["growth_error"]),
            1.0 / 3.0,
            _THIRD,
            f"1/3 ± {_THIRD}; the paper names no window",
            published=1.0 / 3.0,
        )
        for run in prediction["run"].values
    ]


def claims(data: xarray.Dataset, prediction: xarray.Dataset) -> list[Claim]:
    """Judge Figs. 6b, 6c and 25-27 on the published points."""
    out = [*_exponents(prediction), *_universal(prediction), _laws(prediction)]
    return [*out, *(_collapse(prediction, kind) for kind in COLLAPSES), *_growth(prediction)]
