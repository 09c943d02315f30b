"""Figures of training runs, and the predicted flow that belongs to a case."""

import math

import numpy as np
import pytest
import xarray

from peakedtheory.dynamics.optimizers import SGD, Adam, Muon
from peakedtheory.schedules.reading import as_schedule
from peakedtheory.validation import Case, grid
from peakedtheory.validation.training import figures
from peakedtheory.validation.training.figures import draw_training, predicted_flow


def test_a_predicted_flow_has_the_settings_of_its_case(monkeypatch):
    asked = {}

    def flow(tau, beta_star, n, **options):
        asked.update(options, tau=tau, beta_star=beta_star, n=n)

    monkeypatch.setattr(figures, "student_flow", flow)
    schedule = as_schedule("linear:peak=0.3,steps=20", 20)
    adam = Adam(0.3, 16, 6, beta2=0.9)
    predicted_flow(Case(7, adam, schedule=schedule, weight_decay=0.1, start_ratio=0.5), np.array([1.0]), 12)
    assert asked["optimizer"] == adam
    assert (asked["beta_star"], asked["n"], asked["residual0"]) == (7, 12, 3.5)
    assert (asked["weight_decay"], asked["schedule"], asked["labels"]) == (0.1, schedule, "soft")
    predicted_flow(Case(labels="sampled"), np.array([1.0]), 12)
    assert asked["labels"] == "sampled"
    predicted_flow(Case(beta_star=np.inf), np.array([1.0]), 12)
    assert asked["beta_star"] == math.inf
    assert asked["residual0"] == 0.0


@pytest.mark.parametrize("case", [Case(optimizer=Muon()), Case(loss="mse")])
def test_no_flow_where_there_is_no_theory(case):
    assert predicted_flow(case, np.array([1.0]), 12) is None


def trained(cases):
    """What `train` would return, with loss τ^-1/2 for every case."""
    rates = np.array([case.optimizer.learning_rate for case in cases])
    tau = np.arange(5) * rates[:, None]
    with np.errstate(divide="ignore"):
        loss = tau**-0.5
    fields = ("beta_star", "batch", "labels", "weight_decay")
    return xarray.Dataset(
        {name: (("case", "time"), values) for name, values in (("tau", tau), ("loss", loss), ("beta", tau))},
        coords={name: ("case", [getattr(case, name) for case in cases]) for name in fields}
        | {"learning_rate": ("case", rates)},
        attrs={"n": 12, "width": 6, "steps": 4},
    )


def test_many_cases_are_told_apart_by_colour_alone(monkeypatch):
    def flow(tau, beta_star, n, **options):
        return xarray.Dataset({"tau": ("t", tau), "loss": ("t", tau**-0.5), "beta": ("t", tau)})

    monkeypatch.setattr(figures, "student_flow", flow)
    cases = grid(beta_star=[3.0, 30.0], optimizer=[SGD(rate, width=6) for rate in np.geomspace(0.1, 1, 7)])
    figure = draw_training(trained(cases), cases)
    loss, beta = figure.axes
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["predicted flow (8 of 14 cases)"]
    assert (loss.get_ylabel(), beta.get_ylabel()) == ("test loss (nats)", "inverse temperature β")
    dotted = [line.get_ydata()[0] for line in beta.lines if line.get_linestyle() == ":"]
    assert dotted == [3.0, 30.0]
    assert figure.get_suptitle() == "n = 12, m = 6, 4 steps, 14 cases"
    few = draw_training(trained(cases[:2]), cases[:2])
    labels = [text.get_text() for text in few.axes[0].get_legend().get_texts()]
    assert labels == ["η = 0.1", "η = 0.147", "predicted flow"]
