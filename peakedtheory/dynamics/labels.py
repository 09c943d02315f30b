"""What a student is told of its teacher: probabilities, the most likely class, or a class drawn from them."""

from __future__ import annotations

import math

from peakedtheory._common.checks import fail

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
