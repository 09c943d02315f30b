"""The one way from a result to its picture, and the only arrow that points upwards.

Figures know every result, so no result may know a figure: a result that can draw itself asks for its drawer
by name here, and `peakedtheory.figures` holds the table of names.
"""

from __future__ import annotations

import importlib
from typing import Any

_FIGURES = "peakedtheory.figures"


def draw(result: Any, *arguments: Any) -> Any:
    """Draw a result, as its `plot` method promises; what draws it is loaded by the first call.

    Parameters
    ----------
    result : object
        Its type's name is a key of `peakedtheory.figures.DRAWERS`.
    *arguments
        What `plot` was given: axes to draw into, or the curves that the result compares.

    Returns
    -------
    matplotlib.axes.Axes or matplotlib.figure.Figure
        Axes if the drawer is a `plot_...`, a figure of its own if it is a `draw_...`.
    """
    module, _, name = importlib.import_module(_FIGURES).DRAWERS[type(result).__name__].partition(":")
    drawer = getattr(importlib.import_module(f"{_FIGURES}.{module}"), name)
    return drawer(result, *arguments)
