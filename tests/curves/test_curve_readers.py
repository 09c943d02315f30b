import json
import math
import runpy
import warnings
from pathlib import Path

import numpy as np
import pytest
from log_files import LOSS, RATE, STEP, is_the_curve, records, table, write

from peakedtheory.curves.readers import read_loss_curve, read_loss_curves
from peakedtheory.schedules.families import warmup_cosine


@pytest.mark.parametrize(
    "names",
    [
        ("step", "loss", "lr"),
        ("iter", "train_loss", "learning_rate"),
        ("global_step", "train/loss", "train/learning_rate"),
        ("_step", "train/lm_loss", "lr-AdamW/pg1"),
        ("Iteration", "Training Loss", "Learning-Rate"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_named_columns(tmp_path, names, delimiter):
    curve = read_loss_curve(write(tmp_path / "run.csv", table(*names), delimiter))
    is_the_curve(curve)
    assert curve.name == "run"
    assert curve.metadata["columns"] == dict(zip(("step", "loss", "lr"), names, strict=True))


def test_white_space_comments_and_byte_order_mark(tmp_path):
    rows = "\n".join(f"{s}   {v}  {r}" for s, v, r in zip(STEP, LOSS, RATE, strict=True))
    file = tmp_path / "run.txt"
    file.write_text("\ufeff# made by hand\nstep loss  lr\n" + rows, encoding="utf-8")
    is_the_curve(read_loss_curve(file))


def test_json_in_every_shape(tmp_path):
    file = tmp_path / "run.json"
    columns = {"step": STEP.tolist(), "loss": LOSS.tolist(), "lr": RATE.tolist()}
    by_row = {name: {str(i): v for i, v in enumerate(values)} for name, values in columns.items()}
    nested = [{"step": r["step"], "train": {"loss": r["loss"], "lr": r["lr"]}} for r in records()]
    for content in (records(), columns, by_row, nested):
        file.write_text(json.dumps(content))
        is_the_curve(read_loss_curve(file))
    lines = tmp_path / "run.jsonl"
    lines.write_text("\n".join(json.dumps(record) for record in records()))
    is_the_curve(read_loss_curve(lines))


def test_last_line_of_a_killed_run(tmp_path):
    file = tmp_path / "run.jsonl"
    file.write_text("\n".join(json.dumps(record) for record in records()) + '\n{"step": 210, "lo')
    with pytest.warns(UserWarning, match="cut short"):
        is_the_curve(read_loss_curve(file))
    text = file.read_text().splitlines()
    file.write_text("\n".join([text[0], text[-1], *text[1:-1]]))
    with pytest.raises(ValueError, match="line 2"):
        read_loss_curve(file)


def test_hugging_face_trainer_state(tmp_path):
    history = [{"step": int(s), "loss": float(v), "learning_rate": float(r), "epoch": 0.1}
               for s, v, r in zip(STEP, LOSS, RATE, strict=True)]  # fmt: skip
    history[9:9] = [{"step": 90, "eval_loss": 2.9, "eval_runtime": 1.0}]
    history += [{"step": 200, "eval_loss": 2.5}, {"step": 200, "train_loss": 2.7, "train_runtime": 60.0}]
    file = tmp_path / "trainer_state.json"
    file.write_text(json.dumps({"global_step": 200, "log_history": history}))
    is_the_curve(read_loss_curve(file))
    held_out = read_loss_curve(file, split="validation")
    assert held_out.step.tolist() == [90, 200]
    assert held_out.loss.tolist() == [2.9, 2.5]
    assert held_out.metadata["split"] == "validation"
    np.testing.assert_allclose(held_out.tau, read_loss_curve(file).tau[[8, 19]])


def test_weights_and_biases_exports(tmp_path):
    head = (
        '"Step"',
        '"calm-sea-7 - train/loss"',
        '"calm-sea-7 - train/loss__MIN"',
        '"calm-sea-7 - train/loss__MAX"',
    )
    chart = write(
        tmp_path / "chart.csv", [head, *((s, v, v - 1, v + 1) for s, v in zip(STEP, LOSS, strict=True))]
    )
    curve = read_loss_curve(chart, schedule="constant:peak=1e-3")
    is_the_curve(curve, rates=False)
    assert curve.tau[-1] == pytest.approx(0.2)
    # The trainer's step counts updates, _step counts calls of the logger.
    rows = [{"_step": i, "train/global_step": r["step"], "train/loss": r["loss"], "train/learning_rate": r["lr"], "note": "NaN"}
            for i, r in enumerate(records())]  # fmt: skip
    file = tmp_path / "history.json"
    file.write_text(json.dumps(rows))
    is_the_curve(read_loss_curve(file))


def test_several_runs_in_one_chart_must_be_told_apart(tmp_path):
    two = write(
        tmp_path / "chart.csv",
        table("Step", "a - train/loss", "b - train/loss", columns=(STEP, LOSS, LOSS + 1)),
    )
    with pytest.raises(ValueError, match=r"one of the 2 runs.*'a', 'b'; choose with --run NAME"):
        read_loss_curve(two)
    np.testing.assert_allclose(read_loss_curve(two, run="b").loss, LOSS + 1)
    with pytest.raises(ValueError, match=r"run: must be in .*'c'; it has 'a', 'b'"):
        read_loss_curve(two, run="c")
    assert [curve.name for curve in read_loss_curves(two)] == ["a", "b"]
    curve = read_loss_curve(two, columns={"loss": "b - train/loss"})
    np.testing.assert_allclose(curve.loss, LOSS + 1)
    assert curve.rates is None
    with pytest.raises(ValueError, match="rates"):
        curve.tau  # noqa: B018


def test_llm_c_log(tmp_path):
    lines = ["s:0 tel:11.0092"]
    for s, v, r in zip(STEP, LOSS, RATE, strict=True):
        lines.append(f"s:{s} trl:{v:.10f} lr:{r:.6f} norm:0.61")
        if s % 50 == 0:
            lines += [f"s:{s} tel:{v + 0.1:.4f}", f"s:{s} eval:0.2546"]
    file = tmp_path / "main.log"
    file.write_text("\n".join(lines))
    is_the_curve(read_loss_curve(file))
    held_out = read_loss_curve(file, split="validation")
    assert held_out.step.tolist() == [0, 50, 100, 150, 200]
    assert held_out.tau[2] == pytest.approx(0.1)


def test_logs_of_speed_runs(tmp_path):
    source = (
        "import torch\nstep = 3\nfor step in range(10):\n    loss = 1.0  # step: loss\n" + "=" * 40 + "\n"
    )
    lines = [
        f"step:{s}/200 val_loss:{v:.8f} train_time:{s * 11}ms step_avg:11.02ms"
        for s, v in zip(STEP, LOSS, strict=True)
    ]
    lines += [f"step:{s}/200 train_loss:{v + 1:.8f} train_time:5ms" for s, v in zip(STEP, LOSS, strict=True)]
    file = tmp_path / "run.txt"
    file.write_text(source + "\n".join(lines))
    is_the_curve(read_loss_curve(file, split="validation"), rates=False)
    np.testing.assert_allclose(read_loss_curve(file).loss, LOSS + 1, rtol=1e-6)


def test_logs_for_people(tmp_path):
    nano = [f"iter {s}: loss {v:.8f}, time 12.51ms, mfu 3.20%" for s, v in zip(STEP, LOSS, strict=True)]
    nano.insert(5, "step 60: train loss 2.9, val loss 3.0")
    file = tmp_path / "out.log"
    file.write_text("number of parameters: 124M\n" + "\n".join(nano))
    is_the_curve(read_loss_curve(file, columns={"loss": "loss"}), rates=False)
    mega = [
        f" iteration {s:8d}/ 200 | consumed samples: {s * 8} | learning rate: {r:.3E} | lm loss: {v:.6E} | grad norm: nan |"
        for s, v, r in zip(STEP, LOSS, RATE, strict=True)
    ]
    file.write_text("\n".join(mega))
    is_the_curve(read_loss_curve(file))


def test_restarts_are_sorted_and_the_later_record_is_kept(tmp_path):
    again = np.concatenate([STEP[:12], STEP[8:]])
    loss = np.concatenate([LOSS[:12] + 0.5, LOSS[8:]])
    rate = np.concatenate([RATE[:12], RATE[8:]])
    file = write(tmp_path / "run.csv", table("step", "loss", "lr", columns=(again, loss, rate)))
    with pytest.warns(
        UserWarning, match="go back 1 times.*of 4 repeated steps.*last kept; they differ by 17 %"
    ) as caught:
        curve = read_loss_curve(file)
    assert len(caught) == 1
    np.testing.assert_array_equal(curve.step, STEP)
    np.testing.assert_allclose(curve.loss[8:], LOSS[8:])
    np.testing.assert_allclose(curve.loss[:8], LOSS[:8] + 0.5)


def test_newest_first_is_no_restart(tmp_path):
    is_the_curve(
        read_loss_curve(
            write(
                tmp_path / "run.csv",
                table("step", "loss", "lr", columns=(STEP[::-1], LOSS[::-1], RATE[::-1])),
            )
        )
    )


def test_losses_that_are_not_finite(tmp_path):
    rows = table("step", "loss", "lr")
    rows[4:4] = [(35, "nan", 1e-3), (36, "", 1e-3), (37, "inf", 1e-3)]
    with pytest.warns(UserWarning, match=r"2 values are not finite \(first at step 35\)"):
        is_the_curve(read_loss_curve(write(tmp_path / "run.csv", rows)))


def test_rates_from_a_schedule(tmp_path):
    file = write(tmp_path / "run.csv", table("step", "loss", columns=(STEP, LOSS)))
    text = "cosine:peak=3e-4,warmup=20,steps=400,final=3e-5"
    plan = warmup_cosine(3e-4, 400, warmup=20, final=3e-5)
    for schedule in (text, plan, plan.rates):
        curve = read_loss_curve(file, schedule=schedule)
        np.testing.assert_array_equal(curve.rates, plan.rates)
        np.testing.assert_allclose(curve.tau, plan.tau[STEP])
    assert read_loss_curve(file, schedule="constant:peak=2").rates.size == 200
    assert read_loss_curve(file, schedule=text).metadata["rates"].startswith("cosine:")


def test_schedule_and_log_are_compared(tmp_path):
    plan = warmup_cosine(3e-4, 400, warmup=20, final=3e-5)
    logged = np.array([float(f"{r:.6f}") for r in plan.rates[STEP - 1]])
    file = write(tmp_path / "run.csv", table("step", "loss", "lr", columns=(STEP, LOSS, logged)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_loss_curve(file, schedule=plan)
    with pytest.warns(UserWarning, match="step 200 the log has rate.*the schedule was used"):
        read_loss_curve(file, schedule="constant:peak=3e-4,warmup=20")


def test_first_rates_missing_or_rising(tmp_path):
    late = STEP + 1000
    file = write(tmp_path / "run.csv", table("step", "loss", "lr", columns=(late, LOSS, RATE)))
    with pytest.warns(UserWarning, match="before step 1010"):
        curve = read_loss_curve(file)
    np.testing.assert_allclose(curve.rates[:1100], 1e-3)
    rising = np.minimum(STEP / 100, 1.0)
    warm = read_loss_curve(
        write(tmp_path / "warm.csv", table("step", "loss", "lr", columns=(STEP, LOSS, rising)))
    )
    np.testing.assert_allclose(warm.rates, np.minimum(np.arange(1, 201) / 100, 1.0))


def test_units(tmp_path):
    columns = (STEP, LOSS / math.log(2.0), LOSS / 7 / math.log(2.0), RATE)
    file = write(tmp_path / "run.csv", table("step", "loss", "entropy", "lr", columns=columns))
    is_the_curve(read_loss_curve(file, bits=True))
    np.testing.assert_allclose(read_loss_curve(file, bits=True).entropy, LOSS / 7)
    per_byte = read_loss_curve(file, bits=True, bytes_per_token=4.2)
    np.testing.assert_allclose(per_byte.loss, 4.2 * LOSS)
    assert per_byte.metadata["nats_per_unit"] == pytest.approx(4.2 * math.log(2.0))


def test_logit_statistics_are_taken_along(tmp_path):
    spread = np.where(STEP % 20 == 0, 0.01 * STEP, np.nan)
    file = write(
        tmp_path / "run.csv", table("step", "loss", "lr", "logits/std", columns=(STEP, LOSS, RATE, spread))
    )
    curve = read_loss_curve(file)
    np.testing.assert_allclose(curve.logit_std[1:], 0.01 * STEP[1:])
    assert curve.logit_std[0] == pytest.approx(0.2)


def test_columns_by_name(tmp_path):
    file = write(
        tmp_path / "run.csv", table("n", "misfit", "eta", "aux loss", columns=(STEP, LOSS, RATE, LOSS + 9))
    )
    is_the_curve(read_loss_curve(file, columns={"step": "n", "loss": "misfit", "lr": "ETA"}))
    # The only one that is called a loss.
    np.testing.assert_allclose(read_loss_curve(file, columns={"step": "n"}).loss, LOSS + 9)


def test_example_files_are_what_their_script_trains():
    folder = Path(__file__).parents[2] / "examples" / "loss_curves"
    make = runpy.run_path(str(folder / "make.py"))
    rows = {row[0]: row for row in make["train"](np.full(40, 2.0))}
    curve = read_loss_curve(folder / "sgd_rate_2.csv")
    early = curve.step <= 40
    assert early.sum() > 10
    for step, loss, spread in zip(curve.step[early], curve.loss[early], curve.logit_std[early], strict=True):
        assert rows[int(step)][2:4] == pytest.approx((loss, spread), rel=1e-3)
    for name, text in make["SCHEDULES"].items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            planned = read_loss_curve(folder / f"{name}.csv", schedule=text)
        np.testing.assert_allclose(planned.tau, read_loss_curve(folder / f"{name}.csv").tau, rtol=0.01)


BAD = {
    "no such file": (None, {}, "must be a file"),
    "empty": ("", {}, "must not be empty"),
    "no header": ("1,2,3\n2,2,3\n", {}, "got 1, 2, 3 .*--column step=1 --column loss=2"),
    "header only": ("step,loss\n", {}, "rows below"),
    "equal names": ("step,loss,loss\n1,2,3\n", {}, "'loss' twice"),
    "tokens": ("step,loss,lr\n1e9,3,1\n2e9,2,1\n", {}, "at most 1e.08 optimizer steps"),
    "empty history": ('{"log_history": []}', {}, "include one loss, got none"),
    "no step": ("hours,loss\n1,2\n", {}, "for step, got hours beside loss .*--column step=NAME.*--every N"),
    "no loss": ("step,accuracy\n1,2\n", {}, "include one loss, got step, accuracy"),
    "two losses": ("step,aux_loss,z_loss\n1,2,3\n", {}, "aux_loss, z_loss"),
    "no validation": ("step,loss\n1,2\n", {"split": "validation"}, "one validation loss"),
    "split": ("step,loss\n1,2\n", {"split": "dev"}, "split: must be"),
    "column": ("step,loss\n1,2\n", {"columns": {"loss": "x"}}, "must be in .*'x'; it has step, loss"),
    "key": ("step,loss\n1,2\n", {"columns": {"los": "x"}}, "columns: must name"),
    "no numbers": ("step,loss\n1,a\n", {}, "must hold numbers, got 'a' in loss"),
    "all lost": ("step,loss\n1,nan\n", {}, "records of a loss, got none in .*1 are not finite"),
    "negative loss": ("step,loss\n1,-2\n2,-3\n", {}, "loss: must be finite and > 0"),
    "negative rate": ("step,loss,lr\n1,2,-1\n2,2,-1\n", {}, "lr: must be >= 0"),
    "short schedule": (
        "step,loss\n1,2\n90,2\n",
        {"schedule": "constant:peak=1,steps=50"},
        "cover the 90 steps",
    ),
    "bytes": ("step,loss\n1,2\n", {"bytes_per_token": 0}, "bytes_per_token"),
    "other JSON": ('{"a": 1}', {}, "records, columns"),
    "other list": ("[1, 2]", {}, "records, columns"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(tmp_path, case):
    text, options, message = BAD[case]
    file = tmp_path / "run.csv"
    if text is not None:
        file.write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(ValueError, match=message) as caught:
            read_loss_curve(file, **options)
    assert "\n" not in str(caught.value)


def test_binary_file(tmp_path):
    file = tmp_path / "run.csv"
    file.write_bytes(b"\xff\xfe\x00\x81" * 9)
    with pytest.raises(ValueError, match="text file"):
        read_loss_curve(file)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="scalar summaries"):
        read_loss_curve(tmp_path / "empty")
