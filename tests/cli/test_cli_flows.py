import json
import math

import numpy as np
import pytest
import xarray
from typer.testing import CliRunner

from peakedtheory.cli import application
from peakedtheory.dynamics.optimizers import SGD
from peakedtheory.dynamics.student import student_flow
from peakedtheory.exact.entropy import match_entropy
from peakedtheory.schedules import TailAverage


@pytest.fixture(scope="module")
def run():
    runner, app = CliRunner(), application(["regime", "flow", "schedule"])
    return lambda *arguments: runner.invoke(app, [str(a) for a in arguments])


def test_regime_says_that_there_is_no_window(run):
    answer = json.loads(run("regime", "-n", 32000, "--beta-star", 6.87, "--json").stdout)
    assert answer["window"] is None
    assert answer["asymptotic_exponent"] == pytest.approx(1 / 3)
    by_entropy = json.loads(run("regime", "--vocab", 32000, "--entropy", 1.69, "--json").stdout)
    assert by_entropy["beta_star"] == pytest.approx(6.7730082285)


def test_regime_table_and_figure(run, tmp_path):
    result = run("regime", "-n", 128, "--plot", tmp_path / "regime.png", "--output", tmp_path / "path.nc")
    assert result.exit_code == 0
    with xarray.open_dataset(tmp_path / "path.nc", engine="h5netcdf") as path:
        flow = student_flow(path["tau"].values[300:500:50], math.inf, 128)
        np.testing.assert_allclose(path["loss"].values[300:500:50], flow.loss, rtol=1e-4)
    assert "power law" in result.stdout
    assert (tmp_path / "regime.png").stat().st_size > 1000


def test_flow_is_the_library(run, tmp_path):
    result = run(
        "flow", "-n", 128, "--beta-star", 50, "--optimizer", "sgd", "--lr", 2, "--batch", 64, "--tau", "10,1000",
        "--json", "--output", tmp_path / "run.nc", "--plot", tmp_path / "run.svg",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout[: result.stdout.rindex("}") + 1])
    expected = student_flow([10.0, 1000.0], 50.0, 128, optimizer=SGD(2.0, 64, 32))
    np.testing.assert_allclose(values["loss"], expected.loss)
    with xarray.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as stored:
        np.testing.assert_allclose(stored["loss"], expected.loss)
        kept = {
            name: stored.attrs[f"option_{name}"] for name in ("learning_rate", "batch", "tau", "schedule")
        }
        assert kept == {"learning_rate": "2.0", "batch": "64.0", "tau": "10,1000", "schedule": ""}
    np.testing.assert_allclose(values["radial_loss"], expected.radial_loss)
    assert isinstance(values["n"], int)


def test_flow_on_sampled_labels_and_its_average(run):
    asked = (
        "flow",
        "-n",
        128,
        "--beta-star",
        5,
        "--labels",
        "sampled",
        "--optimizer",
        "sgd",
        "--lr",
        2,
        "--batch",
        64,
    )
    result = run(*asked, "--tau", "10,1000", "--average", "tail:share=0.5", "--json")
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    expected = student_flow(
        [10.0, 1000.0], 5.0, 128, optimizer=SGD(2.0, 64, 32), labels="sampled", average=TailAverage(0.5)
    )
    for name in ("loss", "cross_entropy", "efficiency", "examples"):
        np.testing.assert_allclose(values[name], getattr(expected, name))
    assert values["label_entropy"] == pytest.approx(expected.label_entropy)
    table = run(*asked, "--tau", "10,1000")
    assert "N-efficiency" in table.stdout
    assert "over the labels' 1.23" in table.stdout


def test_schedule_for_sampled_labels(run):
    settings = ("schedule", "-n", 128, "--steps", 40, "--beta-star", 5, "--batch", 64, "--json")
    soft, drawn = (json.loads(run(*settings, "--labels", kind).stdout) for kind in ("soft", "sampled"))
    assert drawn["labels"] == "sampled"
    assert drawn["loss"] > soft["loss"]


def test_flow_follows_a_schedule(run):
    result = run(
        "flow", "-n", 128, "--optimizer", "adam", "--batch", 64, "--schedule", "cosine:peak=0.1,steps=200"
    )
    assert result.exit_code == 0
    assert "local exponent" in result.stdout


def test_schedule_compares_families(run, tmp_path):
    result = run("schedule", "-n", 128, "--steps", "1e2", "--json", "--plot", tmp_path / "rates.png")
    answer = json.loads(result.stdout[: result.stdout.rindex("}") + 1])
    families = answer["families"]
    assert 0.0 < answer["tangential_fraction"] < 1.0
    assert answer["peak"] > 0.0
    losses = [family["loss"] for family in families]
    assert losses == sorted(losses)
    assert all(math.isfinite(loss) for loss in losses)
    assert (tmp_path / "rates.png").exists()


def test_schedule_towards_the_teacher_of_an_entropy(run, tmp_path):
    result = run("schedule", "-n", 128, "--entropy", 1.0, "--steps", 20, "--output", tmp_path / "rates.nc")
    assert "constant" in result.stdout
    with xarray.open_dataset(tmp_path / "rates.nc", engine="h5netcdf") as stored:
        assert stored["learning_rate"].shape == (20,)
        assert float(stored.attrs["option_beta_star"]) == pytest.approx(match_entropy(1.0, 128).beta_star)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("flow", "-n", 128, "--optimizer", "lion"), "optimizer"),
        (("flow", "-n", 128, "--beta-star", 5, "--labels", "hard"), "labels: must be soft or sampled"),
        (("flow", "-n", 128, "--average", "mean"), "average: must be ema or tail"),
        (
            ("flow", "-n", 128, "--average", "tail:share=1"),
            "average: must be a MovingAverage or TailAverage, by",
        ),
        (("flow", "-n", 128, "--beta-star", 5, "--entropy", 1), "at most one"),
        (("flow", "-n", 128, "--lr", 2), "lr: must be left out for gradient flow"),
        (
            ("flow", "-n", 128, "--optimizer", "sgd", "--lr", 2, "--schedule", "constant:peak=1,steps=9"),
            "lr:",
        ),
        (("regime", "-n", 128, "--beta-star", 5, "--entropy", 1), "exactly one"),
        (("regime", "-n", 1), "n: must be"),
        (("schedule", "-n", 128, "--steps", 3), "steps"),
        (("schedule", "-n", 128, "--beta-star", 5, "--entropy", 1), "at most one"),
    ],
)
def test_bad_input(run, arguments, message):
    result = run(*arguments)
    assert result.exit_code != 0
    assert message in str(result.exception)


def test_flow_of_other_energies(run, tmp_path):
    given = ("flow", "-n", 64, "--entropy", 1.5, "--energies", "laplace", "--tau", "1:1e5:5:log")
    answer = json.loads(run(*given, "--json").stdout)
    star = float(match_entropy(1.5, 64, "laplace").beta_star)
    flow = student_flow(answer["tau"], star, 64, energies="laplace")
    assert answer["energies"] == "laplace"
    assert answer["beta_star"] == pytest.approx(star)
    np.testing.assert_allclose(answer["loss"], flow.loss)
    drawn = run(*given, "--plot", tmp_path / "flow.png")
    assert "laplace energies" in drawn.stdout
    assert (tmp_path / "flow.png").stat().st_size > 1000
    refused = run(*given, "--optimizer", "sgd")
    assert refused.exit_code != 0
