"""Every result that can draw itself has a drawer, and drawers are named for what they return."""

import importlib
import inspect
import pkgutil

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import peakedtheory as pt
from peakedtheory.figures import DRAWERS

MODULES = [
    importlib.import_module(f"peakedtheory.figures.{m.name}")
    for m in pkgutil.iter_modules(pt.figures.__path__)
]
FUNCTIONS = [
    function
    for module in MODULES
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if function.__module__ == module.__name__ and not name.startswith("_")
]


def test_results_that_draw_are_those_in_the_table():
    classes = (getattr(pt, name) for name in pt.__all__)
    assert {c.__name__ for c in classes if inspect.isclass(c) and hasattr(c, "plot")} == set(DRAWERS)
    known = {f"{f.__module__.rpartition('.')[2]}:{f.__name__}" for f in FUNCTIONS}
    assert set(DRAWERS.values()) <= known


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_the_name_says_what_comes_back(function):
    returned = function.__annotations__["return"]
    assert function.__name__.startswith(("plot_", "draw_"))
    assert ("Axes" in returned) == function.__name__.startswith("plot_")
    assert ("Figure" in returned) == function.__name__.startswith("draw_")
    assert ("axes" in inspect.signature(function).parameters) == function.__name__.startswith("plot_")


def test_plot_draws_into_the_axes_that_are_given_or_new_ones_of_the_style():
    pytest.importorskip("matplotlib.pyplot").close("all")
    result = pt.thermodynamics([0.5, 1.0, 2.0], 100)
    axes = Figure().add_subplot()
    assert result.plot(axes) is axes
    own = result.plot()
    assert isinstance(own, Axes)
    assert not own.spines["top"].get_visible()
    assert [line.get_color() for line in own.lines] == [line.get_color() for line in axes.lines]
