import json
import math
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from peakedtheory.cli import application
from peakedtheory.curves.collapse import compare_collapse
from peakedtheory.curves.fits import fit_loss_curve
from peakedtheory.curves.forecasts import forecast as predict
from peakedtheory.curves.readers import read_loss_curve

EXAMPLES = Path(__file__).parents[2] / "examples" / "loss_curves"
STEP = np.arange(20, 4020, 20)


@pytest.fixture(scope="module")
def run():
    runner, app = CliRunner(), application(["fit", "forecast"])
    return lambda *arguments: runner.invoke(app, [str(a) for a in arguments])


def curve_file(path, rate=1e-3, alpha=0.5, seed=0, steps=STEP):
    noise = 2e-4 * np.random.default_rng(seed).standard_normal(steps.size)
    loss = (2.0 + 3.0 * (1.0 * rate * steps) ** -alpha * 0.1) * np.exp(noise)
    rows = [f"{s},{v:.7f},{rate}" for s, v in zip(steps, loss, strict=True)]
    path.write_text("step,loss,lr\n" + "\n".join(rows))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curves")
    return [curve_file(folder / f"run_{i}.csv", rate, seed=i) for i, rate in enumerate((1e-3, 3e-3))]


def answer(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_fit_is_the_library(run, files):
    values = answer(run("fit", files[0], "--law", "power", "--bootstrap", 50, "--seed", 3, "--json"))
    expected = fit_loss_curve(read_loss_curve(files[0]), "power", bootstrap=50, rng=3)
    alpha = values["fit"]["parameters"]["alpha"]
    assert alpha["value"] == expected.parameters["alpha"]
    assert alpha["standard_error"] == expected.uncertainty["alpha"].total
    assert alpha["interval_95"] == list(expected.interval("alpha"))
    assert values["fit"]["window"] == list(expected.window)
    assert values["curves"] == ["run_0"]
    assert "comparison" not in values


def test_fit_table(run, files):
    result = run("fit", files[0], "--law", "power", "--bootstrap", 0)
    assert result.exit_code == 0, result.output
    for text in ("loss_floor", "alpha", "statistical", "window", "origin", "95 % interval of α", "1/2"):
        assert text in result.stdout
    held = run("fit", files[0], "--law", "power:alpha=1/3", "--bootstrap", 0)
    assert "held" in held.stdout
    assert "95 % interval of α" not in held.stdout


def test_all_laws_with_figure_and_file(run, files, tmp_path):
    result = run(
        "fit", files[0], "--bootstrap", 0, "--plot", tmp_path / "laws.png", "--output", tmp_path / "fit.nc"
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "error held out" in result.stdout
    assert "cannot be told apart" in result.stdout or "predicts best" in result.stdout
    # Laws of the annealing have nothing to hold on to at a constant rate, and one line says so for all.
    assert "not fitted: two-channel, s1-s2, multi-power, multi-power-held" in result.stdout
    assert (tmp_path / "laws.png").stat().st_size > 10_000
    import xarray

    with xarray.open_dataset(tmp_path / "fit.nc", engine="h5netcdf") as stored:
        assert stored.attrs["option_seed"] == "0"
        assert stored.attrs["option_held_out"] == "0.5"
        assert stored.attrs["option_origin"] == "auto"
        assert stored["loss"].attrs["units"] == "nat"
    values = answer(run("fit", files[0], "--bootstrap", 0, "--json"))
    laws = values["comparison"]["laws"]
    assert laws[0]["law"] == values["comparison"]["best"]
    errors = [law["error"] for law in laws if law["error"] is not None]
    assert errors == sorted(errors)


def test_several_files(run, files, tmp_path):
    result = run(
        "fit", *files, "--law", "power", "--bootstrap", 0, "--collapse", "--plot", tmp_path / "two.svg"
    )
    assert result.exit_code == 0, result.output
    assert "together" in result.stdout
    assert "τ collapses the curves better than steps" in result.stdout
    assert (tmp_path / "two.svg").exists()
    values = answer(run("fit", *files, "--law", "power", "--bootstrap", 0, "--json"))
    expected = compare_collapse([read_loss_curve(file) for file in files])
    assert values["collapse"]["tau"]["spread"] == expected.tau.spread
    assert values["collapse"]["better"] == "tau"
    assert len(values["each"]) == 2
    without = answer(run("fit", *files, "--law", "power", "--bootstrap", 0, "--no-collapse", "--json"))
    assert "collapse" not in without


def test_one_file_that_cannot_be_fitted_alone(run, files, tmp_path):
    short = curve_file(tmp_path / "short.csv", steps=STEP[:2])
    result = run(
        "fit", files[0], short, "--law", "power", "--bootstrap", 0, "--no-collapse", "--window", "10:4000"
    )
    assert result.exit_code == 0, result.output
    assert "warning: short alone:" in result.stderr
    assert "–" in result.stdout


def test_partial_results(run, files, tmp_path):
    # Half of nine records holds no law, all of them do.
    few = curve_file(tmp_path / "few.csv", steps=STEP[9:100:10])
    result = run("fit", few, "--bootstrap", 0)
    assert result.exit_code == 0, result.output
    assert "warning: laws were not compared:" in result.stderr
    assert "alpha" in result.stdout
    # Runs of different tasks can be fitted each, not collapsed.
    other = tmp_path / "other.csv"
    rows = [f"{s},{9 + s**-0.5},1e-3" for s in STEP]
    other.write_text("step,loss,lr\n" + "\n".join(rows))
    result = run("fit", files[0], other, "--law", "power", "--bootstrap", 0)
    assert result.exit_code == 0, result.output
    assert "warning: no collapse: curves: must reach common losses" in result.stderr


def test_regime_of_the_examples(run):
    curve = EXAMPLES / "sgd_rate_4.csv"
    common = ("fit", curve, "--law", "power", "--bootstrap", 0, "--vocab", 128, "--optimizer", "sgd")
    result = run(*common, "--entropy", 0)
    assert "power law. β goes from" in result.stdout
    assert "in line with the α of the fit" in result.stdout
    values = answer(run(*common, "--json"))
    stand = values["regimes"][0]
    assert stand["sources"]["beta"] == "standard deviation of the logits"
    assert stand["beta_star"] is not None  # from L∞ of the fit
    assert stand["onset"] == pytest.approx(2.5945973686)


def test_examples_collapse_against_tau(run):
    names = ("sgd_rate_1", "sgd_rate_2", "sgd_rate_4", "sgd_cosine")
    comparison = compare_collapse([read_loss_curve(EXAMPLES / f"{name}.csv") for name in names])
    assert comparison.better == "tau"
    assert comparison.tau.factor < 1.06 < 1.5 < comparison.step.factor


def test_options_of_the_log(run, files, tmp_path):
    bits = tmp_path / "bits.jsonl"
    curve = read_loss_curve(files[0])
    bits.write_text(
        "\n".join(
            json.dumps({"it": int(s), "bpb": v / 4 / math.log(2)})
            for s, v in zip(curve.step, curve.loss, strict=True)
        )
    )
    arguments = ("--column", "step=it", "--column", "loss=bpb", "--bits", "--bytes-per-token", 4)
    values = answer(
        run(
            "fit",
            bits,
            *arguments,
            "--schedule",
            "constant:peak=1e-3",
            "--law",
            "power",
            "--bootstrap",
            0,
            "--json",
        )
    )
    expected = fit_loss_curve(curve, "power")
    assert values["fit"]["parameters"]["alpha"]["value"] == pytest.approx(
        expected.parameters["alpha"], rel=1e-4
    )


def test_window_and_origin(run, files):
    common = ("fit", files[0], "--law", "power", "--bootstrap", 0, "--json")
    values = answer(run(*common, "--window", "1000:3000", "--origin", 0))
    assert 1000 <= values["fit"]["window"][0] < values["fit"]["window"][1] <= 3000
    assert values["fit"]["parameters"]["alpha"]["origin"] == 0
    assert answer(run(*common, "--window", "1000:"))["fit"]["window"][1] == 4000


def test_forecast_is_the_library(run, files):
    values = answer(run("forecast", files[0], "--steps", "5000,8000", "--law", "power", "--json"))
    expected = predict(read_loss_curve(files[0]), [5000, 8000], law="power")
    np.testing.assert_allclose(values["loss"], expected.loss)
    np.testing.assert_allclose(values["lower"], expected.lower)
    truth = 2.0 + 0.3 * 8.0**-0.5
    assert values["lower"][1] < truth < values["upper"][1]


def test_forecast_table_figure_and_file(run, files, tmp_path):
    result = run(
        "forecast", files[0], "--steps", 16000, "--compare", "--plot", tmp_path / "f.png", "--output", tmp_path / "f.nc"
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "16000" in result.stdout
    assert "All laws at step 16000" in result.stdout
    assert "left out: two-channel" in result.stderr
    assert (tmp_path / "f.png").stat().st_size > 10_000
    import xarray

    with xarray.open_dataset(tmp_path / "f.nc", engine="h5netcdf") as stored:
        assert stored["step"][-1] == 16000
    one = run("forecast", files[0], "--steps", "5000,5001", "--level", 0.5, "--plot", tmp_path / "g.png")
    assert "50 % interval" in one.stdout


def test_forecast_under_another_schedule(run, files):
    values = answer(
        run(
            "forecast",
            files[0],
            "--schedule",
            "constant:peak=3e-3,steps=4000",
            "--steps",
            "2000,4000",
            "--law",
            "power",
            "--json",
        )
    )
    # Three times the rate reaches the same τ three times sooner.
    same = answer(run("forecast", files[0], "--steps", "6000,12000", "--law", "power", "--json"))
    np.testing.assert_allclose(values["loss"], same["loss"], rtol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fit", "missing.csv"), "path: must be a file"),
        (("fit", "FILE", "--law", "parabola"), "law: must be one of"),
        (("fit", "FILE", "--window", "10"), "window: must be"),
        (("fit", "FILE", "--window", "1:60"), "window"),
        (("fit", "FILE", "--origin", "there"), "origin: must be"),
        (("fit", "FILE", "--held-out", "1"), "held_out: must be"),
        (("fit", "FILE", "--column", "loss"), "column: must be KEY=NAME"),
        (("fit", "FILE", "FILE", "--schedule", "a", "--schedule", "b", "--schedule", "c"), "schedule: must be given once"),
        (("fit", "FILE", "--schedule", "constant:peak=1,steps=9"), "schedule: must cover"),
        (("fit", "FILE", "--law", "power", "--bootstrap", "0", "--plot", "x.gif"), "plot: must end"),
        (("fit", "FILE", "--law", "power", "--bootstrap", "0", "--vocab", "1"), "n: must be"),
        (("fit", "FILE", "--collapse", "--law", "power", "--bootstrap", "0"), "curves: must be at least two"),
        (("forecast", "FILE"), "steps, schedule: one at least"),
        (("forecast", "FILE", "--steps", "ten"), "steps: must be numbers"),
        (("forecast", "FILE", "--steps", "9000", "--level", "2"), "level: must lie"),
    ],
)  # fmt: skip
def test_bad_input(run, files, arguments, message):
    result = run(*(files[0] if a == "FILE" else a for a in arguments))
    assert result.exit_code != 0
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)


def test_warnings_are_single_lines(run, files, tmp_path):
    lines = files[0].read_text().splitlines()
    again = tmp_path / "again.csv"
    again.write_text("\n".join([*lines, *lines[-5:]]))
    result = run("fit", again, "--law", "power", "--bootstrap", 0)
    assert result.exit_code == 0, result.output
    assert result.stderr.count("warning:") == 1
    assert "again.csv: loss: steps go back 1 times" in result.stderr


def test_several_runs_in_one_file(run, tmp_path):
    parts = [
        curve_file(tmp_path / f"{name}.csv", rate, seed=i)
        for i, (name, rate) in enumerate((("a", 1e-3), ("b", 3e-3)))
    ]
    both = tmp_path / "both.csv"
    rows = [f"{part.stem},{line}" for part in parts for line in part.read_text().splitlines()[1:]]
    both.write_text("run_name,step,loss,lr\n" + "\n".join(rows))
    common = ("--law", "power", "--bootstrap", 0, "--no-collapse", "--json")
    together = run("fit", both, *common)
    assert answer(together)["curves"] == ["a", "b"]
    assert "note: 2 runs in 1 file: a, b (--run NAME takes one)" in together.stderr
    alone = answer(run("fit", both, "--run", "b", *common))
    assert alone["fit"]["parameters"] == answer(run("fit", parts[1], *common))["fit"]["parameters"]
    asked = run("forecast", both, "--steps", 8000)
    assert "run: must name the run to continue" in str(asked.exception)
    assert "2 runs in 1 file: a, b; choose with --run NAME" in str(asked.exception)
    first = answer(run("forecast", both, "--run", "b", "--steps", 8000, "--law", "power", "--json"))
    assert (
        first["loss"]
        == answer(run("forecast", parts[1], "--steps", 8000, "--law", "power", "--json"))["loss"]
    )


def test_what_was_decided_in_reading(run, tmp_path):
    file = tmp_path / "train.log"
    file.write_text(
        "".join(f"Epoch 1 | iter {s}: train loss {2 + s**-0.5:.6f}, val loss 3.1\n" for s in STEP)
    )
    result = run("fit", file, "--law", "power-steps", "--bootstrap", 0)
    assert result.exit_code == 0, result.output
    assert (
        "note: train: train loss was taken; the log also has val loss (--column loss=NAME, --validation)"
        in result.stderr
    )
    bits = answer(run("fit", file, "--law", "power-steps", "--bootstrap", 0, "--bits", "--json"))
    nats = answer(run("fit", file, "--law", "power-steps", "--bootstrap", 0, "--nats", "--json"))
    floors = [one["fit"]["parameters"]["loss_floor"]["value"] for one in (bits, nats)]
    assert floors[0] / floors[1] == pytest.approx(math.log(2), rel=1e-6)


def test_counts_that_begin_anew(run, tmp_path):
    file = tmp_path / "resumed.csv"
    losses = 2 + np.arange(20, 8020, 20.0) ** -0.5
    file.write_text(
        "step,loss\n" + "".join(f"{s},{v:.7f}\n" for s, v in zip([*STEP, *STEP], losses, strict=True))
    )
    common = ("fit", file, "--law", "power-steps", "--bootstrap", 0)
    assert "--restarts shift" in str(run(*common).exception)
    shifted = answer(run(*common, "--restarts", "shift", "--json"))["fit"]
    assert shifted["window"][1] == 8000
    assert shifted["parameters"]["alpha"]["value"] == pytest.approx(0.5, abs=1e-3)
    assert answer(run(*common, "--restarts", "apart", "--run", "2", "--json"))["curves"] == ["2"]


def test_records_without_steps_and_weighed(run, tmp_path):
    file = tmp_path / "losses.txt"
    noise = np.where(STEP < 2000, 0.01, 0.001) * np.random.default_rng(0).standard_normal(STEP.size)
    file.write_text("".join(f"{v:.7f}\n" for v in (2 + STEP**-0.5) * np.exp(noise)))
    common = ("fit", file, "--every", 20, "--law", "power-steps:alpha=1/2", "--bootstrap", 0)
    weighed = read_loss_curve(file, every=20).with_local_noise()
    for curve, more in ((read_loss_curve(file, every=20), ()), (weighed, ("--weigh",))):
        expected = fit_loss_curve(curve, "power-steps:alpha=1/2").parameters["loss_floor"]
        found = answer(run(*common, *more, "--json"))["fit"]["parameters"]["loss_floor"]["value"]
        assert found == expected == pytest.approx(2, abs=0.01)
