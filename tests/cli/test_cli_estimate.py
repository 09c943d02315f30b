"""`peakedtheory estimate`: what it prints, writes, draws, and refuses."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from peakedtheory import thermodynamics
from peakedtheory.cli import application, estimate as module
from peakedtheory.sampling.montecarlo import estimate

app = application(["estimate"])
runner = CliRunner()
QUICK = ["-n", "128", "--samples", "4096", "--seed", "3"]


def run(*arguments):
    return runner.invoke(app, ["estimate", *arguments])


def test_the_table_shows_estimates_and_deviations():
    result = run(*QUICK, "--beta", "1,5", "--beta-star", "7")
    assert result.exit_code == 0, result.output
    text = result.stdout
    exact = estimate([1.0, 5.0], 128, beta_star=7.0, samples=4096, rng=3)
    assert repr(exact.free_energy).split(" to ")[1] in text
    assert "L(β, β*)" in text
    assert "4096 samples, order-statistics, seed 3" in text


def test_json_carries_everything():
    result = run(*QUICK, "--beta", "0:4:3", "--json")
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    expected = estimate([0.0, 2.0, 4.0], 128, samples=4096, rng=3)
    assert values["samples"] == 4096
    assert values["log_partition"]["mean"] == pytest.approx(expected.log_partition.mean, rel=1e-15)
    assert values["entropy"]["standard_error"] == pytest.approx(expected.entropy.standard_error)
    exact = thermodynamics([0.0, 2.0, 4.0], 128)
    assert values["internal_energy"]["exact"] == pytest.approx(exact.internal_energy)
    assert values["free_energy"]["mean"][0] is None
    assert values["seed"] == "3"


def test_a_drawn_seed_repeats_its_run():
    call = ["-n", "64", "--beta", "1,3", "--samples", "4096", "--json"]
    first = run(*call)
    assert first.exit_code == 0, first.output
    again = run(*call, "--seed", json.loads(first.stdout)["seed"])
    assert again.stdout == first.stdout
    assert run(*call).stdout != first.stdout


def test_workers_and_tolerance():
    call = ["-n", "64", "--beta", "1,3", "--atol", "0.01", "--method", "plain", "--seed", "1", "--json"]
    alone = run(*call)
    shared = run(*call, "--workers", "2")
    assert alone.exit_code == 0, alone.output
    assert alone.stdout == shared.stdout
    values = json.loads(alone.stdout)
    assert values["converged"]
    assert max(values["log_partition"]["standard_error"]) <= 0.01


def test_resume_file(tmp_path):
    file = tmp_path / "run.npz"
    first = run(*QUICK, "--beta", "1", "--checkpoint", str(file), "--json")
    assert file.exists()
    assert run(*QUICK, "--beta", "1", "--checkpoint", str(file), "--json").stdout == first.stdout
    refused = run(*QUICK, "--beta", "2", "--checkpoint", str(file))
    assert refused.exit_code != 0
    assert "checkpoint: must belong to the same estimate" in str(refused.exception)


def test_the_figure_is_drawn(tmp_path):
    for name in ("a.png", "b.svg"):
        result = run(*QUICK, "--beta", "0:10:6", "--plot", str(tmp_path / name))
        assert result.exit_code == 0, result.output
        assert (tmp_path / name).stat().st_size > 5000


def test_the_file_holds_estimates_and_seed(tmp_path):
    import xarray

    result = run(*QUICK, "--beta", "1,5", "--beta-star", "7", "--output", str(tmp_path / "a.nc"))
    assert result.exit_code == 0, result.output
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as data:
        expected = estimate([1.0, 5.0], 128, beta_star=7.0, samples=4096, rng=3)
        assert np.array_equal(data.loss, expected.loss.mean)
        assert np.array_equal(data.loss_standard_error, expected.loss.standard_error)
        assert data.attrs["option_seed"] == "3"
        assert "loss_exact" in data


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-n", "0"], "n: must be whole numbers"),
        (["-n", "10", "--beta", "a"], "beta: must be numbers"),
        (["-n", "10", "--samples", "1"], "samples: must be a whole number >= 2"),
        (["-n", "10", "--method", "x"], "method: must be one of"),
        (["-n", "10", "--workers", "-1"], "workers: must be >= 0"),
        (["-n", "10", "--energies", "nothing"], "energies: "),
    ],
)
def test_bad_input_is_one_line(arguments, message):
    result = run(*arguments)
    assert result.exit_code != 0
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


def test_ctrl_c_prints_what_is_known(monkeypatch):
    def interrupted(*arguments, progress, **options):
        def press(done, planned):
            raise KeyboardInterrupt

        return estimate(*arguments, progress=press, **options)

    monkeypatch.setattr(module, "estimate", interrupted)
    result = run("-n", "128", "--beta", "1", "--samples", "100000", "--seed", "3")
    assert result.exit_code == 0, result.output
    assert "warning: interrupted after" in result.stderr
