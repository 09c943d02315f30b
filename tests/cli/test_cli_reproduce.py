import importlib.util
import json
import re

import pytest
from typer.testing import CliRunner

from peakedtheory.cli import application, reproduce


@pytest.fixture(scope="module")
def run():
    runner, app = CliRunner(), application(["reproduce"])
    return lambda *arguments: runner.invoke(app, ["reproduce", *map(str, arguments)])


def test_list_names_every_figure(run):
    table = run("--list")
    assert table.exit_code == 0
    answer = json.loads(run("--list", "--json").stdout)
    keys = [figure["key"] for e in answer["experiments"] for figure in e["figures"]]
    assert {"1", "5ab", "6a", "24", "schedules"} <= set(keys)
    assert all(key in table.stdout for key in keys)


def test_one_figure_gives_a_whole_report(run, tmp_path):
    result = run("Fig. 6a", "--scale", "tiny", "--output", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    folder = tmp_path / "out"
    assert {p.name for p in folder.iterdir()} == {
        "entropy-tiny.nc", "figure-6a.png", "report.html", "report.md", "report.json",
    }  # fmt: skip
    numbers = json.loads((folder / "report.json").read_text())
    assert numbers["experiments"][0]["claims"][0]["published"] == 6.87
    assert numbers["experiments"][0]["made_by"]["peakedtheory_version"]
    page = (folder / "report.html").read_text()
    # self-contained: nothing is fetched
    assert re.findall(r"(?:src|href)=['\"](?!data:|#)", page) == []
    assert "data:image/png;base64," in page
    assert "figure-6a.png" in (folder / "report.md").read_text()


def test_resume_takes_finished_results(run, tmp_path):
    assert run("6a", "--scale", "tiny", "--output", tmp_path).exit_code == 0
    stamp = (tmp_path / "entropy-tiny.nc").stat().st_mtime_ns
    again = run("6a", "--scale", "tiny", "--output", tmp_path, "--resume", "--plot-format", "svg")
    assert again.exit_code == 0
    assert (tmp_path / "entropy-tiny.nc").stat().st_mtime_ns == stamp
    assert (tmp_path / "figure-6a.svg").exists()
    (tmp_path / "entropy-tiny.nc").write_bytes(b"broken")
    refused = run("6a", "--scale", "tiny", "--output", tmp_path, "--resume")
    assert "readable NetCDF" in str(refused.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--all"),
        (["99"], "figure: must be"),
        (["6a", "--scale", "huge"], "scale: must be one of"),
        (["6a", "--device", "abacus"], "device: must be"),
        (["6a", "--plot-format", "gif"], "plot_format: must be"),
    ],
)
def test_bad_input_gets_one_line(run, arguments, message, tmp_path):
    result = run(*arguments, "--output", tmp_path / "out")
    assert result.exit_code != 0
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_what_a_missing_package_rules_out_is_told_before_anything_runs(run, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "torch" else find(name))
    refused = run("6a", "23", "--scale", "tiny", "--output", tmp_path / "out")
    assert "residual-network: must find torch" in str(refused.exception)
    assert "peakedtheory[validation]" in str(refused.exception)
    assert not (tmp_path / "out").exists()
    kept = {"entropy": ("6a",), "residual-network": ("23",)}
    assert list(reproduce._possible(kept, "tiny", None, everything=True)) == ["entropy"]


def test_output_must_be_a_folder(run, tmp_path):
    path = tmp_path / "file"
    path.write_text("x")
    assert "folder" in str(run("6a", "--output", path).exception)


def test_stored_results_give_the_report_without_training(run, tmp_path):
    stored = [name for name in ("entropy", "numerics") if reproduce._stored(name)]
    assert stored
    result = run("entropy", "--from-data", "--output", tmp_path, "--json")
    assert result.exit_code == 0, result.output
    assert not list(tmp_path.glob("*.nc"))
    assert json.loads(result.stdout)["experiments"][0]["scale"] in ("paper", "quick")
