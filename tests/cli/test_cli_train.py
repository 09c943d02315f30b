"""`peakedtheory train`: the same numbers as the library, tables, files, figures and clean errors."""

import json

import numpy as np
import pytest
import xarray
from typer.testing import CliRunner

from peakedtheory import SGD, Adam
from peakedtheory.cli import application
from peakedtheory.validation import Case, grid, train

TINY = ("--vocab", 12, "--width", 6, "--batch", 16, "--steps", 20, "--test-samples", 100, "--record", 4)
LIBRARY = {"n": 12, "test_samples": 100, "record": 4}


@pytest.fixture(scope="module")
def run():
    runner, app = CliRunner(), application(["train"])
    return lambda *arguments: runner.invoke(app, ["train", *map(str, arguments)])


def test_json_is_the_library(run):
    result = run(*TINY, "--lr", "0.01:1:3:log", "--beta-star", "3,30", "--optimizer", "adam,sgd", "--json")
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    optimizers = [kind(rate, 16, 6) for kind in (Adam, SGD) for rate in (0.01, 0.1, 1.0)]
    expected = train(grid(beta_star=[3, 30], optimizer=optimizers), 20, **LIBRARY)
    assert len(values["cases"]) == 12
    assert values["step"] == expected.step.values.tolist()
    for name in ("loss", "beta", "tau", "tangential_loss"):
        np.testing.assert_allclose([c[name] for c in values["cases"]], expected[name])
    assert [c["optimizer"] for c in values["cases"]] == expected.optimizer.values.tolist()


def test_adam_under_decay_is_adamw(run):
    result = run(*TINY, "--optimizer", "adam", "--weight-decay", "0,0.1", "--json")
    assert [c["optimizer"] for c in json.loads(result.stdout)["cases"]] == ["adam", "adamw"]
    named = run(*TINY, "--optimizer", "adamw", "--weight-decay", "0.1", "--json")
    assert json.loads(named.stdout)["cases"][0] == json.loads(result.stdout)["cases"][1]


def test_table_names_what_differs(run):
    result = run(*TINY, "--lr", "0.1,1e9", "--loss", "mse")
    assert result.exit_code == 0, result.output
    assert "tangential" in result.stdout
    assert "diverged" in result.stdout
    assert "optimizer" not in result.stdout


def test_sampled_labels_and_their_cross_entropy(run):
    result = run(*TINY, "--beta-star", "4,inf", "--labels", "sampled", "--cross-entropy", "--json")
    assert result.exit_code == 0, result.output
    soft, hard = json.loads(result.stdout)["cases"]
    assert (soft["labels"], hard["labels"], hard["label_entropy"]) == ("sampled", "hard", 0.0)
    assert hard["cross_entropy"] == hard["loss"]
    case = Case(4.0, SGD(0.1, 16, 6), labels="sampled")
    expected = train(case, 20, observe=["cross_entropy"], **LIBRARY)
    np.testing.assert_allclose(soft["cross_entropy"], expected.cross_entropy[0])
    np.testing.assert_allclose(soft["cross_entropy"], np.array(soft["loss"]) + soft["label_entropy"])
    # At the start all classes are equally likely, so that the cross-entropy is ln n.
    assert soft["cross_entropy"][0] == pytest.approx(np.log(12), rel=1e-9)


def test_schedules_take_the_rate_as_their_peak(run):
    scheduled = run(*TINY, "--lr", "0.1,0.2", "--schedule", "cosine:warmup=4,final=0.01", "--json")
    values = json.loads(scheduled.stdout)
    assert [c["learning_rate"] for c in values["cases"]] == pytest.approx([0.1, 0.2])
    alone = json.loads(run(*TINY, "--schedule", "cosine:peak=0.2,warmup=4,final=0.01", "--json").stdout)
    np.testing.assert_allclose(alone["cases"][0]["loss"], values["cases"][1]["loss"])
    by_steps = json.loads(run(*TINY, "--schedule", "steps:0=0.2,10=0.1", "--json").stdout)
    assert by_steps["cases"][0]["tau"][-1] == pytest.approx(3.0)


def test_files_and_figure(run, tmp_path):
    arguments = (
        *TINY, "--lr", "0.5,2", "--hessian", "--weights", "--checkpoint", tmp_path / "c.npz",
        "--output", tmp_path / "r.nc", "--plot", tmp_path / "r.png",
    )  # fmt: skip
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    with xarray.open_dataset(tmp_path / "r.nc", engine="h5netcdf") as stored:
        assert stored.weights.shape == (2, 4, 12, 6)
        assert stored.hessian_eigenvalue.shape == (2, 4, 3)
        first = stored.loss.values
    assert (tmp_path / "r.png").stat().st_size > 10000
    assert run(*arguments, "--resume").exit_code == 0
    with xarray.open_dataset(tmp_path / "r.nc", engine="h5netcdf") as stored:
        np.testing.assert_array_equal(stored.loss, first)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--resume",), "resume: needs a checkpoint"),
        (("--labels", "hard"), "labels: must be soft or sampled at a finite beta_star, got 'hard' at 100"),
        (("--lr", "fast"), "lr: must be numbers"),
        (("--lr", "1", "--schedule", "linear:peak=1"), "lr: must be left out"),
        (("--schedule", "cosine:speed=3"), "schedule: cosine takes"),
        (("--optimizer", "lion"), "optimizer: must be sgd"),
        (("--steps", "1.5"), "steps: must be a whole number"),
        (("--vocab", "0.5"), "n: must be a whole number"),
        (("--device", "abacus"), "device: must be cpu"),
        (("--plot", "figure.gif"), "plot: must end in"),
        (("--record", "often"), "record: must read linear:every"),
        (("--output", "run.txt"), "output: must end in .nc"),
    ],
)
def test_clean_errors(run, arguments, message):
    result = run(*TINY, *arguments)
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
