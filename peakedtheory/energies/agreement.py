"""Which of a law's own probabilities to believe: each is held against the integral of the density.

Probabilities that agree with it, far out too, are kept: they hold where the density diverges, and cost less.
Those that do not, as where SciPy integrates numerically or subtracts from one, give way to the integral.
What still disagrees is kept as a doubt, which enters every stated error.
"""

from __future__ import annotations

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.energies.components import Function
from peakedtheory.energies.doubt import Doubt
from peakedtheory.energies.tabulated import Tabulated

#: Probabilities at which a tail is tried, the farthest first: it is the first to go wrong.
_TRIED = (np.array([1e-30, 1e-16]), np.array([1e-23, 1e-11, 1e-7, 1e-4, 1e-2, 0.3]))
#: Relative disagreement of a tail that is kept, and of two that agree.
_KEPT, _ROUNDING = 2e-12, 2e-13
#: Distance beyond the last panels, in units of all, and the probability that may be left there.
_BEYOND, _NOTHING = 1e3, 1e-30
#: What the density may miss of one.
_LAWFUL = 1e-3


def agreeing(
    pdf: Function, above: Function, below: Function, table: Tabulated, name: str
) -> tuple[Function, Function, Function, Doubt]:
    """Return density, P(X > x) and P(X < x) to work with, and what is doubtful about them."""
    missing = abs(table.total - 1.0)
    if not missing < _LAWFUL:
        fail(
            "energies",
            "must have a density whose integral is one",
            f"{table.total:.6g} for {name}",
            "correct the law, or pass a sample of it",
        )
    inner = table.sure_edges
    sides = (
        (above, table.above(table.edges), table.uncertain_above),
        (below, table.below(table.edges), table.uncertain_below),
    )
    keep = all(_holds(own, known, table, inner, doubt + 4.0 * missing) for own, known, doubt in sides)
    relative, absolute = [np.array([table.noise])], [np.array([table.noise])]
    for own, known, uncertain in sides:
        if keep:
            differs = np.maximum(np.abs(own(table.edges) - known) - (_ROUNDING + uncertain) * known, 0.0)
        else:
            differs = (uncertain + missing) * known
        relative.append((differs / np.maximum(known, 1e-300))[inner])
        absolute.append(differs[inner])
    doubt = Doubt(np.concatenate(relative), np.concatenate(absolute))
    return (pdf, above, below, doubt) if keep else (table.pdf, table.above, table.below, doubt)


def _holds(
    own: Function, known: np.ndarray, table: Tabulated, inner: np.ndarray, uncertain: np.ndarray
) -> bool:
    """Return whether a tail of the law agrees with the integral of its density wherever it is tried."""
    places = np.nonzero(inner)[0]
    with np.errstate(divide="ignore"):
        size = np.log(known[places])
    for levels in _TRIED:
        tried = places[np.unique(np.argmin(np.abs(size - np.log(levels)[:, None]), axis=1))]
        error = np.abs(own(table.edges[tried]) - known[tried])
        if not (error <= (_KEPT + uncertain[tried]) * known[tried]).all():
            return False
    ends = table.edges[[0, -1]] + np.array([-_BEYOND, _BEYOND]) * np.ptp(table.edges)
    return bool((np.abs(own(ends) - np.round(known[[0, -1]])) < _NOTHING).all())
