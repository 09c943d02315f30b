"""Language models as an experiment for `reproduce`: Fig. 6b, c of Liu et al. 2026 and what small runs show.

At the scale "paper" the published checkpoints of Pythia are evaluated, which needs the hub; at the others the
runs that come with the package are analysed.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

from peakedtheory._common.checks import fail
from peakedtheory.validation.experiments.base import Experiment, FigureSpec, RunContext, Settings
from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.language.analysis import (
    collapse,
    from_evaluations,
    load_runs,
    loss_curves,
    summarise,
)
from peakedtheory.validation.language.figures import draw_losses, draw_scaling
from peakedtheory.validation.language.published import NAMES, REVISIONS, named_schedule
from peakedtheory.validation.language.texts import TextSource

if TYPE_CHECKING:
    import xarray

#: Exponents that Liu et al. 2026 (Fig. 6b) fitted, with their errors.
PUBLISHED = {
    "pythia-70m": (0.34, 0.03),
    "pythia-410m": (0.37, 0.01),
    "pythia-2.8b": (0.34, 0.01),
    "pythia-12b": (0.31, 0.02),
}
_ALLOWANCE = 0.05


def simulate(settings: Settings, context: RunContext) -> xarray.Dataset:
    """Return the committed runs named in the settings, or evaluate published checkpoints."""
    if not settings["models"]:
        return load_runs().sel(run=settings["runs"])
    from peakedtheory.validation.language.revisions import Evaluation, evaluate_revisions  # loads torch

    evaluated = {}
    for model in settings["models"]:
        name = model.rsplit("/", 1)[-1]
        schedule = named_schedule(name)
        if schedule is None:
            fail("models", "must have published schedules", repr(model), f"name some of {', '.join(NAMES)}")
        evaluation = Evaluation(
            model,
            TextSource(settings["text"]),
            settings["tokens"],
            dtype=settings["dtype"],
            device=context.device or "auto",
        )
        output = None if context.checkpoints is None else context.checkpoints / f"{name}-checkpoints.nc"
        if output is not None:
            context.written.append(output)  # the finished results replace it
        result = evaluate_revisions(
            evaluation,
            REVISIONS[settings["revisions"]],
            output=output,
            schedule=schedule,
            progress=bool(context.progress),
        )
        evaluated[name] = (result, schedule)
    return from_evaluations(evaluated, settings["first_fitted_step"])


def claims(
    data: xarray.Dataset, prediction: xarray.Dataset, figures: tuple[str, str] = ("Fig. 6b", "Fig. 6c")
) -> list[Claim]:
    """Judge peakedness, the exponents of loss and logit scale, and the collapse in τ."""
    found = []
    for run in prediction.run.values:
        one = prediction.sel(run=run)
        peaked = float(one.peakedness)
        found.append(
            Claim(
                f"Fig. 6a, {run}: predictions are peaked, β*/c0 > 1 at the end",
                peaked,
                float(one.peakedness_error),
                1.0,
                math.inf,
                "above 1",
            )
        )
        published, error = PUBLISHED.get(str(run), (None, None))
        target = 1.0 / 3.0
        found.append(
            near(
                f"{figures[0]}, {run}: L - L∞ falls as τ^(-1/3), L∞ free",
                float(one.alpha),
                float(one.alpha_error),
                target,
                _ALLOWANCE,
                f"1/3 ± {_ALLOWANCE}",
                predicted=float(one.expected),
                published=published,
                published_error=error,
            )
        )
        found.append(
            near(
                f"{figures[1]}, {run}: the logit scale grows as τ^(1/3)",
                float(one.growth),
                float(one.growth_error),
                target,
                _ALLOWANCE,
                f"1/3 ± {_ALLOWANCE}",
            )
        )
    return found + _collapse_claims(data)


def _collapse_claims(data: xarray.Dataset) -> list[Claim]:
    """Compare τ with steps over the runs of one optimizer and constant rates, or over published models."""
    curves = loss_curves(data)
    chosen = [c for name, c in curves.items() if not c.is_annealed and not name.startswith("sgd")]
    if len(chosen) < 2:
        chosen = list(curves.values())
    if len(chosen) < 2:
        return []
    found = []
    for quantity, title in (("loss", "the losses"), ("logit_std", "the logit scales")):
        result = collapse(chosen, quantity, data.attrs.get("first_fitted_step"))
        text = f"Fig. 6, 27: τ brings {title} of {len(chosen)} runs together better than steps do"
        rule = "spread of ln τ minus spread of ln(step), below 0"
        found.append(Claim(text, result.difference, result.standard_error, -math.inf, 0.0, rule))
    return found


_RUNS = [
    "adamw-15e-4",
    "adamw-45e-4",
    "adamw-5e-4",
    "adamw-45e-4-cosine",
    "adamw-45e-4-wsd",
    "sgd-3e-1",
]
_COMMITTED = {"models": [], "text": "", "tokens": 0}
_PYTHIA = {
    "models": ["EleutherAI/pythia-70m", "EleutherAI/pythia-410m"],
    "text": "HuggingFaceFW/fineweb:sample-10BT",
    "tokens": 2_000_000,
    "revisions": "pythia",
    "first_fitted_step": 512,
    "dtype": "auto",
    "runs": [],
}
_OLMO2 = {
    **_PYTHIA,
    "models": ["allenai/OLMo-2-1124-13B"],
    "tokens": 2_400_000,
    "revisions": "olmo-2-1124-13b",
    "first_fitted_step": 7000,
    "dtype": "bfloat16",
}

EXPERIMENTS = (
    Experiment(
        name="language",
        title="Small language models trained here: peakedness, loss and logit scale against τ",
        source="Liu et al. 2026, Section 4 and Appendix C",
        settings={
            "paper": _PYTHIA,
            "quick": {**_COMMITTED, "runs": _RUNS},
            "tiny": {**_COMMITTED, "runs": _RUNS[:2]},
        },
        simulate=simulate,
        packages=lambda settings: ("torch", "transformers") if settings["models"] else (),
        predict=summarise,
        claims=claims,
        figures=(
            FigureSpec(
                "language",
                "Loss and logit scale of language models",
                "Each run with its own fit of Eq. 20; γ: growth of the logits' standard deviation. Not the "
                "paper's models but at scale paper; its points have figures of their own (6bc).",
                draw_scaling,
            ),
            FigureSpec(
                "language-losses",
                "Loss of language models against steps and against τ",
                "Published (Figs. 25-27): against τ more of the curves lies on one line than against steps.",
                lambda data, prediction: draw_losses(data),
            ),
        ),
    ),
    Experiment(
        name="olmo-2",
        title="OLMo 2 13B: loss and logit scale against τ",
        source="Liu et al. 2026, conference version, Fig. 6d",
        settings={"paper": _OLMO2},
        simulate=simulate,
        packages=lambda settings: ("torch", "transformers"),
        predict=summarise,
        claims=functools.partial(claims, figures=("Fig. 6d", "Fig. 6d")),
        figures=(
            FigureSpec(
                "6d",
                "OLMo 2 13B: loss and logit scale",
                "Thirteen checkpoints of stage 1, with a fit of Eq. 20. Published: as for Pythia.",
                draw_scaling,
            ),
        ),
        notes="Needs the hub, 55 GB a checkpoint, and a GPU; no results come with the package.",
        differences=(
            "2.4 million tokens of FineWeb cut at 1,024 a document, for the authors' 4,800 documents so cut.",
            "Peak rate 9e-4 as in OLMo 2's paper; its published configuration says 3e-4: a factor in τ.",
        ),
    ),
)
