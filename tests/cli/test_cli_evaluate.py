import json

import numpy as np
import pytest
import tiny_language_models as tiny
import torch
import xarray
from typer.testing import CliRunner

from peakedtheory.cli import application


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    root = tmp_path_factory.mktemp("cli")
    tiny.write_model(root / "model", "neox", (1, 4))
    return str(root / "model"), str(tiny.write_jsonl(root / "text.jsonl")), root


@pytest.fixture(scope="module")
def run():
    runner, app = CliRunner(), application(["evaluate"])
    common = ["--max-length", "32", "--device", "cpu"]
    return lambda *arguments: runner.invoke(app, ["evaluate", *map(str, arguments), *common])


def test_table_file_and_figure(run, files):
    model, text, root = files
    output, plot = root / "out.nc", root / "out.png"
    schedule = "constant:peak=0.5,steps=4"
    result = run(model, "--text", text, "--schedule", schedule, "--output", output, "--plot", plot)
    assert result.exit_code == 0, result.output
    for part in ("step1", "step4", "loss", "β*", "peaked", "τ", "300 logits"):
        assert part in result.stdout
    with xarray.open_dataset(output, engine="h5netcdf") as stored:
        assert stored.tau.values.tolist() == [0.5, 2.0]
        assert stored.attrs["command"]
        assert stored.attrs["vocabulary"] == 300
        loss = stored.loss.values
    assert plot.stat().st_size > 1000
    again = run(model, "--text", text, "--schedule", schedule, "--output", output, "--json")
    values = json.loads(again.stdout[: again.stdout.rindex("}") + 1])
    np.testing.assert_array_equal(values["loss"], loss)
    assert values["revision"] == ["step1", "step4"]


def test_one_revision_and_a_budget(run, files):
    model, text, _ = files
    result = run(model, "--text", text, "--revisions", "step4", "--tokens", 50, "--json")
    values = json.loads(result.stdout)
    assert values["tokens"] == [50]
    assert values["not_finite"] == [0]
    assert values["step"] == [4.0]


def test_nan_logits_are_reported(run, files, tmp_path):
    from transformers import AutoModelForCausalLM

    model, text, _ = files
    broken = AutoModelForCausalLM.from_pretrained(f"{model}/step1")
    with torch.no_grad():
        broken.get_input_embeddings().weight[65] = torch.nan
    broken.save_pretrained(tmp_path / "step7")
    result = run(tmp_path, "--text", text, "--tokenizer", model, "--json")
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)
    missed, total = values["not_finite"][0], values["not_finite"][0] + values["tokens"][0]
    assert 0 < missed < total
    assert f"step7: {missed} of {total} positions have NaN or infinite logits" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--revisions", "step2"), "revisions: must be among"),
        (("--schedule", "pythia-13b"), "schedule: must be one of"),
        (("--tokens", "0"), "tokens: must be at least 1"),
        (("--dtype", "int4"), "dtype"),
        (("--field", "body"), "field: must be a field"),
        (("--output", "result.csv"), "output: must end in .nc"),
    ],
)
def test_bad_input(run, files, arguments, message):
    model, text, _ = files
    result = run(model, "--text", text, *arguments)
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


def test_without_the_packages(run, files, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "peakedtheory.validation.language.revisions", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    model, text, _ = files
    result = run(model, "--text", text)
    assert "pip install 'peakedtheory[lm]'" in str(result.exception)
