"""Experiments and figures by their names."""

import json
import math

import pytest

from peakedtheory.validation.experiments.base import SCALES
from peakedtheory.validation.experiments.registry import EXPERIMENTS, experiment, find


def test_every_figure_of_the_papers_has_an_experiment():
    keys = {figure.key for e in EXPERIMENTS.values() for figure in e.figures}
    wanted = {str(k) for k in (1, 2, 3, 4, *range(7, 25))} | {"5ab", "5cd", "6a", "6bc", "6d", "25-27"}
    assert wanted <= keys
    for e in EXPERIMENTS.values():
        assert set(e.settings) in (set(SCALES), set(SCALES) - {"part"}, {"paper"})
        json.dumps(e.settings)


def test_parameters_of_the_paper():
    scan = experiment("adam-scan").settings["paper"]
    stars = [1 / (math.sqrt(3) * t) for t in scan["temperatures"]]
    assert len(stars) == 8
    assert min(stars) == pytest.approx(0.577, rel=1e-3)
    assert max(stars) == pytest.approx(577.35, rel=1e-4)
    assert scan["rates"][0] == pytest.approx(1e-3)
    assert len(scan["rates"]) == 12
    assert (scan["steps"], scan["batch"]) == (2000, 1024)
    assert experiment("sgd-scan").settings["paper"]["rates"][-1] == pytest.approx(10.0)
    assert experiment("initial-ratios").settings["paper"]["steps"] == 100_000
    residual = experiment("residual-network").settings["paper"]
    assert (residual["depths"][0], residual["starts"], residual["steps"]) == (6, "published", 40_000)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["4"], {"adam-scan": ("4",)}),
        (["Fig. 5a"], {"initial-ratios": ("5ab",)}),
        (["figure 5"], {"initial-ratios": ("5ab",), "weight-decay": ("5cd",)}),
        (["6"], {"entropy": ("6a",), "pythia": ("6bc",), "olmo-2": ("6d",)}),
        (["17", "sgd-scan"], {"sgd-scan": ("17", "13", "14", "15", "16", "18")}),
        (["26"], {"pythia": ("25-27",)}),
        (["controls"], {"controls": ("controls",)}),
    ],
)
def test_names_of_figures(names, expected):
    assert find(names) == expected


@pytest.mark.parametrize("name", ["99", "5e", "adam", ""])
def test_unknown_figures_are_refused(name):
    with pytest.raises(ValueError, match="figure: must be an experiment"):
        find([name])


def test_unknown_experiment_and_scale():
    with pytest.raises(ValueError, match="experiment: must be one of"):
        experiment("adam")
    with pytest.raises(ValueError, match="scale: must be one of"):
        experiment("entropy").run("huge")
