"""Logs in the style of many trainers: each holds the same curve, and gives it back."""

import contextlib
import gzip
import json
import math
import os
import time
import warnings

import numpy as np
import pytest
from log_consoles import CONSOLES
from log_files import LOSS, STEP, TABLES, Style, is_the_curve, lines, table, write

from peakedtheory.curves.readers import read_loss_curve, read_loss_curves

STYLES = CONSOLES | TABLES


def read(tmp_path, style, **options):
    file = tmp_path / "train.log"
    file.write_bytes(style.text if isinstance(style.text, bytes) else style.text.encode())
    return read_loss_curve(file, **style.options, **options)


@pytest.mark.parametrize("name", STYLES)
def test_styles(tmp_path, name):
    style = STYLES[name]
    curve = read(tmp_path, style)
    np.testing.assert_array_equal(curve.step, style.step)
    np.testing.assert_allclose(curve.loss, LOSS, rtol=1e-6)
    assert (curve.rates is not None) == (style.rates or "lr" in curve.metadata["columns"])
    if style.rates:
        is_the_curve(curve)
    if style.held_out is not None:
        held_out = read(tmp_path, style, split="validation")
        assert held_out.step.tolist() == list(style.held_out)
        np.testing.assert_allclose(
            held_out.loss, LOSS[np.searchsorted(style.step, style.held_out)] + 0.1, rtol=1e-6
        )
        assert "--validation" in " ".join(curve.metadata["notes"])


NOTES = {
    "fairseq": "bits were turned into nats",
    "hugging face": "taken from its progress bar",
    "hugging face, bar after": "taken from its progress bar",
    "hugging face without a bar": "records were counted, 10 steps each",
    "jax": "taken from its numbers in brackets",
    "steps within epochs": "steps count within each epoch, of 50 steps",
    "two columns, loss first": "second column was taken for the step",
    "keras csv": "steps are epochs, counted from 0",
    "lightning": "train_loss_step was taken; the log also has train_loss_epoch, val_loss",
    "pairs": "pairs were taken for step and loss",
}


@pytest.mark.parametrize("name", NOTES)
def test_what_was_decided_is_told(tmp_path, name):
    assert NOTES[name] in " ".join(read(tmp_path, STYLES[name]).metadata["notes"])


def test_rates_in_units_of_the_peak(tmp_path):
    style = STYLES["rate multiplier"]
    assert "in units of the peak" in read(tmp_path, style).metadata["rates"]
    # A schedule agrees with them whatever its peak is.
    assert read(tmp_path, style, schedule="steps:0=0.5,100=0.1,steps=200").rates[0] == 0.5
    with pytest.warns(
        UserWarning, match=r"rate 0.1, the schedule 0.4 \(10 of 20 logged rates differ by more"
    ):
        read(tmp_path, style, schedule="steps:0=0.5,100=0.4,steps=200")


def test_steps_from_epochs_and_a_bar_that_lags(tmp_path):
    """Output and errors come in another order: two records after one state of the bar."""
    text = (
        " 10%|█   | 2/20 [00:06<00:58,  3.24s/it]\n{'loss': 2.4, 'epoch': 0.1}\n{'loss': 2.1, 'epoch': 0.2}\n"
        " 60%|██  | 12/20 [00:39<00:26,  3.25s/it]\n{'loss': 1.8, 'epoch': 1.2}\n{'train_runtime': 9.0, 'epoch': 2.0}\n"
    )
    assert read(tmp_path, Style(text)).step.tolist() == [1, 2, 12]


def test_ranks_that_write_the_same_step(tmp_path):
    own = lines(
        lambda s, v, r: "\n".join(f"[rank{k}] step {s} loss {v + 0.1 * (k - 1):.8f}" for k in range(3))
    )
    curve = read(tmp_path, Style(own))
    is_the_curve(curve, rates=False)
    assert "40 records repeat the step before them; of each step the mean" in curve.metadata["notes"][0]
    same = lines(lambda s, v, r: f"step {s} loss {v:.8f}\nstep {s} loss {v:.8f}")
    assert "and its value" in read(tmp_path, Style(same)).metadata["notes"][0]


def two_runs(how):
    rows = [(s, v) for s, v in zip(STEP, LOSS, strict=True)]
    if how == "label":
        return "run_name,step,loss\n" + "".join(
            f"{n},{s},{v + k}\n" for k, n in enumerate("ab") for s, v in rows
        )
    if how == "interleaved":
        return "experiment,step,loss\n" + "".join(
            f"{n},{s},{v + k}\n" for s, v in rows for k, n in enumerate("ab")
        )
    if how == "columns":
        return "Step,a - train/loss,b - train/loss\n" + "".join(f"{s},{v},{v + 1}\n" for s, v in rows)
    if how == "records":
        return "".join(
            f'{{"run":"{n}","width":64,"step":{s},"final_loss":{v + k}}}\n'
            for k, n in enumerate("ab")
            for s, v in rows
        )
    if how == "objects":
        return json.dumps(
            {n: {"step": STEP.tolist(), "loss": (LOSS + k).tolist()} for k, n in enumerate("ab")}
        )
    return "".join(
        f'{{"name":"{n}","step":{STEP.tolist()},"loss":{(LOSS + k).tolist()}}}\n' for k, n in enumerate("ab")
    )


@pytest.mark.parametrize("how", ["label", "interleaved", "columns", "records", "objects", "a run a line"])
def test_several_runs_in_one_file(tmp_path, how):
    file = tmp_path / "runs.txt"
    file.write_text(two_runs(how))
    with pytest.raises(
        ValueError, match=r"run: must name one of the 2 runs .*'a', 'b'; choose with --run NAME"
    ):
        read_loss_curve(file)
    first, second = read_loss_curves(file)
    is_the_curve(first, rates=False)
    np.testing.assert_allclose(second.loss, LOSS + 1)
    assert (first.name, second.name) == ("a", "b")
    assert [curve.name for curve in read_loss_curves(file, runs=["b"])] == ["b"]
    assert read_loss_curve(file, run="b").loss[0] == pytest.approx(LOSS[0] + 1)
    plans = [
        curve.rates[0] for curve in read_loss_curves(file, schedules=["constant:peak=1", "constant:peak=2"])
    ]
    assert plans == [1, 2]
    with pytest.raises(ValueError, match="once for each of the 1 files or 2 runs, got 3 times"):
        read_loss_curves(file, schedules=["constant:peak=1"] * 3)


@pytest.mark.parametrize("column", ["n_params", "cluster"])
def test_runs_that_any_column_tells_apart(tmp_path, column):
    names = {"n_params": ("125000000", "350000000"), "cluster": ("a", "b")}[column]
    rows = [(n, s, v + k) for k, n in enumerate(names) for s, v in zip(STEP, LOSS, strict=True)]
    file = write(tmp_path / "runs.csv", [(column, "step", "loss"), *rows])
    first, second = read_loss_curves(file)
    is_the_curve(first, rates=False)
    np.testing.assert_allclose(second.loss, LOSS + 1)
    assert first.name == ("n_params=125000000" if column == "n_params" else "a")


def test_restarts_of_one_run_are_not_runs(tmp_path):
    """A column that changes at a restart from a checkpoint makes no second run."""
    rows = [("job 1", s, v) for s, v in zip(STEP[:12], LOSS[:12], strict=True)]
    rows += [("job 2", s, v) for s, v in zip(STEP[9:], LOSS[9:], strict=True)]
    with pytest.warns(UserWarning, match="steps go back 1 times .*of 3 repeated steps"):
        is_the_curve(
            read_loss_curve(write(tmp_path / "run.csv", [("job", "step", "loss"), *rows])), rates=False
        )


@pytest.mark.parametrize("column", ["split", "phase", "Subset"])
def test_rows_of_training_and_of_held_out_data(tmp_path, column):
    rows = [r for s, v in zip(STEP, LOSS, strict=True) for r in (("train", s, v), ("val", s, v + 0.1))]
    file = write(tmp_path / "run.csv", [(column, "step", "loss"), *rows])
    is_the_curve(read_loss_curve(file), rates=False)
    np.testing.assert_allclose(read_loss_curve(file, split="validation").loss, LOSS + 0.1)


def test_two_quantities_under_one_name_are_told(tmp_path):
    text = lines(lambda s, v, r: f"step {s} loss {v:.8f}\nstep {s} loss {v + 1:.8f}")
    with pytest.warns(UserWarning, match="of each step the mean was taken, although they differ by 1"):
        read(tmp_path, Style(text))


def test_rows_in_any_order(tmp_path):
    order = np.random.default_rng(0).permutation(STEP.size)
    file = write(tmp_path / "run.csv", table("step", "loss", columns=(STEP[order], LOSS[order])))
    with pytest.warns(UserWarning, match=r"steps go back \d+ times \(restarts\?\); they were sorted$"):
        is_the_curve(read_loss_curve(file), rates=False)


def test_counts_that_begin_anew_are_asked_about(tmp_path):
    file = tmp_path / "resumed.csv"
    rest = 0.8 * LOSS
    file.write_text(
        "step,loss\n"
        + "".join(f"{s},{v}\n" for part in (LOSS, rest) for s, v in zip(STEP, part, strict=True))
    )
    with pytest.raises(
        ValueError, match=r"begin anew .* got 10 after 200 .*--restarts shift .*apart .*--run 1"
    ):
        read_loss_curve(file)
    shifted = read_loss_curve(file, restarts="shift")
    np.testing.assert_array_equal(shifted.step, [*STEP, *(STEP + 200)])
    np.testing.assert_allclose(shifted.loss, [*LOSS, *rest])
    second = read_loss_curve(file, restarts="apart", run="2")
    np.testing.assert_allclose(second.loss, rest)
    assert [curve.name for curve in read_loss_curves(file, restarts="apart")] == ["1", "2"]
    with pytest.warns(
        UserWarning, match="of 20 repeated steps the values written last kept; they differ by 20 %"
    ):
        np.testing.assert_allclose(read_loss_curve(file, restarts="replace").loss, rest)


def test_a_run_that_began_again_is_no_question(tmp_path):
    file = tmp_path / "again.csv"
    part = list(zip(STEP, LOSS, strict=True))
    file.write_text("step,loss\n" + "".join(f"{s},{v}\n" for s, v in [*part[:8], *part]))
    with pytest.warns(UserWarning, match="steps go back 1 times.*of 8 repeated steps"):
        is_the_curve(read_loss_curve(file), rates=False)


def test_units_that_the_log_shows(tmp_path):
    nats = read_loss_curve(
        write(tmp_path / "a.csv", table("step", "loss", "ppl", columns=(STEP, LOSS, np.exp(LOSS))))
    )
    np.testing.assert_allclose(nats.loss, LOSS)
    bits = write(tmp_path / "b.csv", table("step", "loss", "ppl", columns=(STEP, LOSS, 2.0**LOSS)))
    np.testing.assert_allclose(read_loss_curve(bits).loss, LOSS * math.log(2))
    np.testing.assert_allclose(read_loss_curve(bits, bits=False).loss, LOSS)
    only = write(tmp_path / "c.csv", table("step", "val_perplexity", columns=(STEP, np.exp(LOSS))))
    curve = read_loss_curve(only)
    np.testing.assert_allclose(curve.loss, LOSS)
    assert "is a perplexity" in curve.metadata["notes"][0]
    per_byte = write(tmp_path / "d.csv", table("step", "val_bpb", columns=(STEP, LOSS / 4 / math.log(2))))
    np.testing.assert_allclose(read_loss_curve(per_byte, bytes_per_token=4).loss, LOSS)
    assert "--bytes-per-token" in read_loss_curve(per_byte).metadata["notes"][0]


def test_two_losses_of_one_name(tmp_path):
    file = write(
        tmp_path / "run.csv", table("step", "head_1/loss", "head_2/loss", columns=(STEP, LOSS, LOSS))
    )
    with pytest.raises(ValueError, match=r"one loss, got head_1/loss, head_2/loss .*--column loss=NAME"):
        read_loss_curve(file)


def test_a_rate_far_beyond_the_losses_is_a_slip(tmp_path):
    rows = [*table("step", "loss", "lr"), (9e7, "", 5e-4)]
    is_the_curve(read_loss_curve(write(tmp_path / "run.csv", rows)))
    only = [("step", "loss", "lr"), *((s, v, "") for s, v in zip(STEP, LOSS, strict=True)), (9e7, "", 5e-4)]
    with pytest.warns(UserWarning, match="rates before step 200 are not in the log"):
        curve = read_loss_curve(write(tmp_path / "only.csv", only))
    np.testing.assert_array_equal(curve.rates, np.full(200, 5e-4))


def test_the_fuller_series_is_taken(tmp_path):
    rows = [
        ("step", "loss", "train_loss"),
        *((s, v, v + 1 if s % 100 == 0 else "") for s, v in zip(STEP, LOSS, strict=True)),
    ]
    is_the_curve(read_loss_curve(write(tmp_path / "run.csv", rows)), rates=False)


@pytest.mark.parametrize("name", ["accuracy", "eval_accuracy", "value", "hellaswag/acc"])
def test_scores_are_no_losses(tmp_path, name):
    file = write(tmp_path / "run.csv", table("step", name, columns=(STEP, 1 - LOSS / 6)))
    with pytest.raises(
        ValueError, match=f"must be a loss, which training lowers, got run.csv: {name}.*--column loss=NAME"
    ):
        read_loss_curve(file, columns={"loss": name})


def test_a_loss_that_rises(tmp_path):
    file = write(tmp_path / "run.csv", table("step", "loss", columns=(STEP, 8 - LOSS)))
    with pytest.warns(
        UserWarning, match=r"run.csv: loss: the values rise from 5\.\d+ to 5\.\d+; a loss falls"
    ):
        read_loss_curve(file)


def test_spikes_and_divergence_are_named(tmp_path):
    step = np.arange(10, 2000, 10)
    loss = 2 + 3 * step**-0.4 + np.where(np.isin(step, (700, 710, 1500)), 1.5, 0.0)
    spiked = read_loss_curve(write(tmp_path / "a.csv", table("step", "loss", columns=(step, loss))))
    assert spiked.metadata["notes"] == ("2 spikes, the highest at step 1500: 3.661, around it 2.161",)
    loss = np.where(step < 1700, 2 + 3 * step**-0.4, 2.8)
    lost = read_loss_curve(write(tmp_path / "b.csv", table("step", "loss", columns=(step, loss))))
    assert (
        "the loss rises after step 1650, from 2.155 to 2.8: has the run diverged?"
        in lost.metadata["notes"][0]
    )
    noise = np.exp(0.02 * np.random.default_rng(0).standard_normal(step.size))
    noisy = read_loss_curve(
        write(tmp_path / "c.csv", table("step", "loss", columns=(step, (2 + 3 * step**-0.4) * noise)))
    )
    assert noisy.metadata["notes"] == ()


def test_values_that_are_no_numbers_are_told(tmp_path):
    rows = table("step", "loss", columns=(STEP, LOSS))
    rows[5:5] = [(45, "OOM")]
    with pytest.warns(UserWarning, match=r"1 value is no number \('OOM'\)"):
        is_the_curve(read_loss_curve(write(tmp_path / "run.csv", rows)), rates=False)


def test_standard_errors_become_noise(tmp_path):
    rows = table("step", "loss", "loss_stderr", columns=(STEP, LOSS, 0.01 * LOSS))
    curve = read_loss_curve(write(tmp_path / "run.csv", rows))
    np.testing.assert_allclose(curve.noise, 0.01)
    rows[3] = (*rows[3][:2], 0)
    with pytest.raises(ValueError, match="noise: must be standard errors > 0, got 0 in loss_stderr"):
        read_loss_curve(write(tmp_path / "run.csv", rows))


#: Signs of which a log consists in one long line, after a record; a pattern that tries all ways would hang.
LONG = [
    "a b ",
    "[",
    "1,",
    "1.",
    "-",
    "{",
    '{"',
    "(",
    " ",
    "1:",
    "'",
    "x=",
    "|",
    "e1e",
    "0/",
    "\x1b[",
    "a: ",
    "é",
]


@pytest.mark.parametrize("sign", LONG)
def test_long_lines_take_no_long_time(tmp_path, sign):
    file = tmp_path / "run.log"
    for text in (
        sign * (200_000 // len(sign)),
        "\n".join([f"step {i} loss {9 - i} " + 100 * sign for i in range(3)] * 50),
    ):
        file.write_text(text)
        start = time.process_time()
        with warnings.catch_warnings(), contextlib.suppress(ValueError):
            warnings.simplefilter("ignore", UserWarning)
            read_loss_curve(file)
        assert time.process_time() - start < 5.0


HOSTILE = {
    "deep list": (b"[" * 100_000, "levels|first line"),
    "deep object": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "levels"),
    "less deep": (b'{"a":' * 900 + b"1" + b"}" * 900, "records, columns"),
    "deep in a line": (b"x " + b'{"a":' * 20_000, "rows below"),
    "huge field": (
        b'step,loss,text\n1,2,"' + b"x" * 300_000 + b'"\n2,1,a',
        "readable table, got field larger",
    ),
    "long line": (b"a" * 4_100_000, "at most 4,000,000 characters"),
    "long number": (b"step: 1 " + b"1" * 300_000, "readable table"),
    "wide table": (
        b",".join(b"c%d" % i for i in range(200_000)) + b"\n1,2",
        "at most 10,000 columns, got 200,000",
    ),
    "wide line": (b"step 1 loss 2 " + b"".join(b"c%d 1 " % i for i in range(200_000)), None),
    "zeros": (b"\0" * 10_000, "must be a text file"),
    "noise": (np.random.default_rng(0).bytes(10_000), "must be a text file"),
    "archive": (b"PK\x03\x04" + bytes(100), "a ZIP archive"),
    "pickle": (b"\x80\x04" + bytes(100), "a pickle"),
    "broken gzip": (b"\x1f\x8b" + bytes(100), "undamaged gzip"),
    "long integer": (b'{"step": [1, 2], "loss": [2, 1' + b"0" * 5000 + b"]}", None),
    "texts": (b'{"step": ["a"], "loss": ["x"]}', "must hold numbers, got 'x' in loss"),
    "nothing": (b"null", "must name its columns"),
    "nulls": (b"[null, null]", "records, columns"),
    "no records": (b"[]", "records, columns"),
    "lone surrogate": (b'{"step": [1, 2], "loss": [3, 2], "\\ud800": [1, 2]}', None),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(tmp_path, name):
    data, message = HOSTILE[name]
    file = tmp_path / "run.log"
    file.write_bytes(data)
    if message is None:
        assert len(read_loss_curve(file)) >= 1
        return
    with pytest.raises(ValueError, match=message) as caught:
        read_loss_curve(file)
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


def test_pipes_devices_and_compressed_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match=r"the pipe .*write it to a file first"):
        read_loss_curve(tmp_path / "pipe")
    with pytest.raises(ValueError, match="must be a file or a folder"):
        read_loss_curve("/dev/zero")
    packed = tmp_path / "run.csv.gz"
    packed.write_bytes(gzip.compress(lines(lambda s, v, r: f"step {s} loss {v:.8f} lr {r}").encode()))
    is_the_curve(read_loss_curve(packed))
