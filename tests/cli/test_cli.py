import json
import subprocess
import sys

import numpy as np
import pytest
import xarray
from typer.testing import CliRunner

from peakedtheory.cli import COMMANDS, application, main

runner = CliRunner()
app = application()


def run(*arguments):
    return runner.invoke(app, list(arguments))


def test_expand_prints_the_coefficients():
    result = run("expand", "--vocab", "50304")
    assert result.exit_code == 0
    for line in ("c0 = 4.2318320420", "c1 = 0", "c2 = 3.4805423456", "√(2 ln n) = 4.6531365499"):
        assert line[:-1] in result.output
    assert "22.3126269139" not in result.output
    assert "-3.8692354449" in result.output


def test_expand_json_and_files(tmp_path):
    figure, table = tmp_path / "e.png", tmp_path / "e.nc"
    result = run(
        "expand", "-n", "128", "--energies", "laplace", "--beta", "0:4:3", "--json", "--plot", str(figure), "--output", str(table)
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    assert values["low_temperature"]["coefficients"][0] == pytest.approx(4.739999912)
    assert values["free_energy"][0] is None
    assert values["entropy"][0] == pytest.approx(4.852030263919617)
    assert figure.read_bytes().startswith(b"\x89PNG")
    with xarray.open_dataset(table, engine="h5netcdf") as dataset:
        assert dataset.attrs["energies"] == "laplace"
        assert dataset.attrs["option_order"] == "6"
        assert "peakedtheory_version" in dataset.attrs
        assert dataset.sizes["beta"] == 3
        assert float(dataset.low_temperature_coefficients[0]) == values["low_temperature"]["coefficients"][0]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["e.nc", "e.png"]


@pytest.mark.parametrize(
    "energies",
    ["atoms:0=0.3,1=0.7", "beta:a=0.3,b=1", "finite-width:m=32", "t:df=2.5", "normal:loc=1,scale=2"],
)
def test_expand_any_energies(energies, tmp_path):
    figure = tmp_path / "e.svg"
    result = run("expand", "--vocab", "100", "--energies", energies, "--beta", "0.5,2", "--plot", str(figure))
    assert result.exit_code == 0, result.output
    assert "nan" not in result.output
    assert b"<svg" in figure.read_bytes()


def test_entropy(tmp_path):
    result = run(
        "entropy",
        "--vocab",
        "32000",
        "--json",
        "--plot",
        str(tmp_path / "s.pdf"),
        "--output",
        str(tmp_path / "s.nc"),
    )
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["beta_star"][0] == pytest.approx(6.7730082285)
    table = run("entropy", "--vocab", "32000", "-H", "1.69,4")
    assert "6.7730082285" in table.output
    assert "high temperature" in table.output
    with xarray.open_dataset(tmp_path / "s.nc", engine="h5netcdf") as dataset:
        assert dataset.beta_star.attrs == {} or "units" not in dataset.beta_star.attrs
        assert float(dataset.beta_star[0]) == pytest.approx(6.7730082285)


def test_verify():
    result = run("verify", "--energies", "normal", "--examples", "2")
    assert result.exit_code == 0, result.output
    assert "FAILS" not in result.output
    values = json.loads(run("verify", "--energies", "normal", "--examples", "2", "--json").stdout)
    assert all(v["holds"] for v in values["identities"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["expand", "--vocab", "0.5"], "error: n: must be whole numbers >= 1, got 0.5"),
        (["expand", "--vocab", "10", "--energies", "cauchy"], "error: energies: must have a finite mean"),
        (["expand", "--vocab", "10", "--beta", "x"], "error: beta: must be numbers"),
        (["expand", "--vocab", "10", "--beta", "1:2"], "error: beta: must be numbers"),
        (["expand", "--vocab", "10", "--order", "1"], "error: order: must be a whole number from 2 to 8"),
        (["expand", "--vocab", "10", "--plot", "x.gif"], "error: plot: must end in .png, .pdf or .svg"),
        (["expand", "--vocab", "10", "--output", "x.csv"], "error: output: must end in .nc"),
        (
            ["expand", "--vocab", "10", "--output", "nowhere/x.nc"],
            "error: output: must lie in an existing folder",
        ),
        (["entropy", "--vocab", "10", "-H", "7"], "error: entropy: must lie strictly between"),
        (["expand"], "error: Missing option '--vocab'"),
        (["nonsense"], "error: No such command"),
        (["expand", "--vocab", "many"], "error: Invalid value for '--vocab'"),
        (["verify", "--seed", "-1"], "error: Invalid value for '--seed'"),
        (["estimate", "--vocab", "10", "--seed", "-1"], "error: Invalid value for '--seed'"),
        (["reproduce", "--all", "4"], "error: figure: must not be named with --all"),
        (["train", "--weights"], "error: weights: need a file"),
        (["schedule", "--vocab", "128", "--batch", "0"], "error: batch: must be a finite positive number"),
        (["flow", "--vocab", "128", "--schedule", "wavy:peak=1"], "error: schedule: must be one of"),
    ],
)
def test_bad_input_ends_with_one_line_and_status_two(arguments, message, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["peakedtheory", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("beta", ["5", "2,2", "0,0.5,7"])
def test_a_file_of_few_temperatures_has_what_the_table_shows(beta, tmp_path):
    result = run("expand", "--vocab", "50304", "--beta", beta, "--output", str(tmp_path / "o.nc"))
    assert result.exit_code == 0
    with xarray.open_dataset(tmp_path / "o.nc", engine="h5netcdf") as stored:
        assert stored["free_energy"].dims == ("beta",)
        low = stored["low_temperature_free_energy"].values
        assert np.isnan(low[stored["beta"].values < 3.0]).all()
        np.testing.assert_allclose(low[-1], stored["free_energy"][-1] if beta != "2,2" else np.nan, rtol=2e-3)


def test_help_of_every_command():
    overview = run("--help").output
    assert runner.invoke(application(()), ["--help"]).output == overview
    for command, line in COMMANDS.items():
        assert f"  {command} " in overview
        text = run(command, "--help")
        assert text.exit_code == 0
        assert line in " ".join(text.output.split())
        assert "--json" in text.output
    assert run("--version").output.strip() == "0.1.0"


def test_the_module_runs_as_the_command_does():
    call = [sys.executable, "-m", "peakedtheory", "entropy", "--vocab", "100", "--entropy", "-1"]
    found = subprocess.run(call, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr.startswith("error: entropy: must")
    assert found.stderr.count("\n") == 1
