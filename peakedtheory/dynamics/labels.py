"""What a student is told of its teacher: probabilities, the most likely class, or a class drawn from them.

Of labels that are drawn a student can learn only so much: the parametric bound, Eq. 55 of docs/dynamics.md.
"""

from __future__ import annotations

import math

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory._common.types import Values

#: The kinds of labels. Of an infinitely cold teacher, whose probabilities are one and zero, all are the same.
LABELS = ("soft", "hard", "sampled")


def checked_labels(labels: object, beta_star: float) -> str:
    """Return the kind of labels of a teacher at this β*: hard wherever that is infinite, and only there.

    Raises
    ------
    ValueError
        For another word, and for hard labels of a teacher at finite β*.
    """
    if labels not in LABELS:
        rule = f"must be {', '.join(LABELS[:-1])} or {LABELS[-1]}"
        fail("labels", rule, f"{labels!r}"[:60], "name one of them")
    if math.isinf(beta_star):
        return "hard"
    if labels == "hard":
        rule = "must be soft or sampled at a finite beta_star"
        fail("labels", rule, f"'hard' at {beta_star:g}", "set beta_star=inf")
    return str(labels)


def data_efficiency(loss: Values, examples: Values, n: float, width: float) -> Values:
    """Return (n - 1)m/(2NL), the parametric bound over the loss; infinite before the first example.

    Parameters
    ----------
    loss, examples : float or ndarray
        Excess loss L in nats and number of examples N, of shapes that broadcast.
    n, width : float
        Number of classes and of inputs m: a common shift of all rows is not a weight.
    """
    with np.errstate(divide="ignore"):
        return (n - 1.0) * width / (2.0 * np.asarray(examples) * loss)
