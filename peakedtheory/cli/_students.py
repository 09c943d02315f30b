"""Options of commands about students: their teacher, and their optimizer, read from its name here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from peakedtheory._common.checks import fail
from peakedtheory.dynamics.optimizers import SGD, Adam, GradientFlow, Muon, SignGD
from peakedtheory.energies.reading import EnergiesLike
from peakedtheory.exact.entropy import match_entropy
from peakedtheory.schedules.averages import Average, parse_average

BetaStar = Annotated[
    float | None,
    typer.Option(
        "--beta-star",
        help="Teacher's inverse temperature; inf, the default, for hard labels.",
        metavar="B",
    ),
]
EntropyOption = Annotated[
    float | None,
    typer.Option("--entropy", "-H", help="Teacher's entropy in nats, instead of --beta-star.", metavar="H"),
]


Labels = Annotated[
    str,
    typer.Option(
        "--labels",
        help="soft (probabilities), sampled (one class drawn from them); hard are those of β* = inf.",
        metavar="KIND",
    ),
]


AverageOption = Annotated[
    str | None,
    typer.Option(
        "--average", help="Average of the weights, ema:steps=200 or tail:share=0.5.", metavar="TEXT"
    ),
]


def named_average(text: str | None) -> Average | None:
    """Return the average that an option names, if any."""
    return None if text is None else parse_average(text)


def teacher(
    beta_star: float | None, entropy: float | None, vocab: float, energies: EnergiesLike = None
) -> float:
    """Return the β* that two options give; infinite, hard labels, without either."""
    if beta_star is not None and entropy is not None:
        fail(
            "beta_star, entropy",
            "at most one may be given",
            f"{beta_star}, {entropy}",
            "name the teacher once",
        )
    if entropy is not None:
        return float(match_entropy(entropy, vocab, energies).beta_star)
    return math.inf if beta_star is None else beta_star


#: What names of optimizers that draw batches stand for (Adam under weight decay is AdamW); those whose rates
#: the theory tunes; all it predicts.
BATCHED: Mapping[str, type[SGD | Adam | SignGD | Muon]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": Adam,
    "signgd": SignGD,
    "muon": Muon,
}
TUNED = ("sgd", "adam", "signgd")
PREDICTED = ("gradient-flow", *TUNED)


def named_optimizer(
    name: str,
    known: Iterable[str],
    *,
    learning_rate: float | None = None,
    batch: float | None = None,
    width: float | None = None,
) -> Any:
    """Return the optimizer of that name, one of those `known`, with its own default for what is not given."""
    if name not in known:
        *others, last = known
        fail("optimizer", f"must be {', '.join(others)} or {last}", repr(name), "name one of them")
    if name == "gradient-flow":
        if learning_rate is not None:
            rule = "must be left out for gradient flow"
            fail("lr", rule, f"{learning_rate:g}", "name an optimizer or drop it")
        return GradientFlow(width=width)
    numbers = {"learning_rate": learning_rate, "batch": batch, "width": width}
    return BATCHED[name](**{key: value for key, value in numbers.items() if value is not None})
