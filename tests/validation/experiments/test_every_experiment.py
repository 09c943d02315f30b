"""Every experiment from its settings to its figures, at a tiny scale, and interrupted."""

import json
import math

import numpy as np
import pytest
import xarray

from peakedtheory.validation.experiments.claims import FAILS, HOLDS
from peakedtheory.validation.experiments.drawing import tidy
from peakedtheory.validation.experiments.registry import EXPERIMENTS, experiment

#: Experiments of seconds; those of a group share tables of the theory, which are kept within a process.
FAST = (
    ("entropy", "numerics"),
    ("initial-ratios", "cosine"),
    ("weight-decay", "adam-weights"),
    ("hard-labels", "schedules"),
    ("residual-network", "residual-uniform"),
)

#: These share theirs with the negative controls, and run beside them.
SCANS = ("adam-scan", "sgd-scan")

#: Those whose theory takes longer to set up, or which are tested elsewhere.
SLOW = tuple(name for name, e in EXPERIMENTS.items() if "tiny" in e.settings and name not in sum(FAST, SCANS))


def end_to_end(name, folder):
    chosen = experiment(name)
    for package in chosen.packages(chosen.settings["tiny"]):
        pytest.importorskip(package)
    data = chosen.run("tiny", output=folder)
    prediction = chosen.predict(data)
    claims = chosen.judge(data, prediction)
    assert claims
    assert all(
        claim.verdict not in (HOLDS, FAILS) or chosen.settings["tiny"] == chosen.settings["paper"]
        for claim in claims
    )
    for spec in chosen.figures:
        figure = spec.draw(data, prediction)
        assert figure.axes
        for axes in figure.axes:
            if axes.axison and (axes.lines or axes.collections):
                assert axes.get_xlabel() or axes.get_ylabel() or axes.get_title()
        tidy(figure)
    figure.draw_without_rendering()
    stored = chosen.load(folder, "tiny")
    assert stored.attrs["experiment"] == name
    assert json.loads(stored.attrs["settings"]) == chosen.settings["tiny"]
    again = chosen.run("tiny", output=folder, resume=True)
    xarray.testing.assert_equal(again, stored)
    return data, prediction, claims


class StopError(Exception):
    pass


OPTIMA = {"optimizer": "sgd", "beta_star": None, "families": ["constant", "optimal"], "shifts": [0]}


@pytest.mark.parametrize(
    ("name", "changes", "share"),
    [
        ("other-energies", {"steps": 300}, 2 / 3),
        ("residual-network", {"depths": [1, 2]}, 0.4),  # the first depth is done
        ("schedules", {"budgets": [16, 24], "parts": [OPTIMA]}, 0.5),  # of the tuning
        ("hard-labels", {"optimizers": ["sgd"]}, 0.5),
    ],
)
def test_an_interrupted_experiment_goes_on_where_it_was(name, changes, share, tmp_path, monkeypatch):
    monkeypatch.setattr("peakedtheory._common.resume.SAVE_SECONDS", 0.0)
    monkeypatch.setattr("peakedtheory._common.resume.SAVING_SHARE", math.inf)
    monkeypatch.setattr("peakedtheory.validation.training.runs._CHUNK_STEPS", 10)
    monkeypatch.setattr("peakedtheory.validation.training.residual_network._CHUNK_ROWS", 32)
    chosen = experiment(name).at(**changes)
    if chosen.packages(chosen.settings["tiny"]):
        pytest.importorskip("torch")

    def stop(done, planned):
        if done >= share * planned:
            raise StopError

    with pytest.raises(StopError):
        chosen.run("tiny", output=tmp_path, progress=stop)
    with pytest.raises(ValueError, match="must not exist unless a run is resumed"):
        chosen.run("tiny", output=tmp_path)
    parts = []
    resumed = chosen.run(
        "tiny", output=tmp_path, resume=True, progress=lambda done, planned: parts.append(done / planned)
    )
    assert 0.8 * share < parts[0] <= parts[-1] == 1.0
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}-tiny.nc"]
    xarray.testing.assert_equal(resumed, chosen.run("tiny"))


@pytest.mark.parametrize("names", FAST, ids="+".join)
def test_end_to_end_at_a_tiny_scale(names, tmp_path):
    for name in names:
        end_to_end(name, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_every_other_experiment_end_to_end(name, tmp_path):
    end_to_end(name, tmp_path)


def test_scans_and_their_negative_controls(tmp_path):
    """Quadratic loss and high temperature steepen; cross-entropy at low temperature does not."""
    for name in SCANS:
        end_to_end(name, tmp_path)
    chosen = experiment("controls").at(
        batch=64, steps=600, teachers=2, rate=2.0, records=50, test_samples=512
    )
    data = chosen.run("quick")
    prediction = chosen.predict(data)
    law, hot, quadratic, rate = chosen.judge(data, prediction)
    assert law.measured < 1.2
    assert hot.measured > 2.0
    assert quadratic.measured > 2.0
    assert rate.measured == pytest.approx(2.0, rel=0.1)
    square = data["kind"].values == 2
    np.testing.assert_allclose(
        data["loss"].values[square], prediction["loss"].values[square], rtol=0.25, atol=1e-2
    )
    figure = chosen.figures[0].draw(data, prediction)
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("training step t", "loss over its start")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        "training", "theory, nothing fitted",
        "cross-entropy, low temperature (β* = 577)", "slope -1/3",
        "cross-entropy, high temperature (β* = 0.577)", "quadratic, low temperature (β* = 577)",
    ]  # fmt: skip
