"""One training curve, the logs that trainers would write of it, and the check that a reader gave it back."""

import json
from dataclasses import dataclass, field

import numpy as np
import pytest

STEP = np.arange(10, 210, 10)
LOSS = 2.0 + 3.0 * STEP**-0.4
RATE = np.where(STEP <= 100, 1e-3, 2e-4)


def write(path, rows, delimiter=","):
    path.write_text("\n".join(delimiter.join(str(entry) for entry in row) for row in rows) + "\n")
    return path


def table(*names, columns=(STEP, LOSS, RATE)):
    return [names, *zip(*columns, strict=True)]


def records(step="step", loss="loss", rate="lr"):
    return [
        {step: int(s), loss: float(v), rate: float(r), "run": "a"}
        for s, v, r in zip(STEP, LOSS, RATE, strict=True)
    ]


def is_the_curve(curve, rates=True):
    np.testing.assert_array_equal(curve.step, STEP)
    np.testing.assert_allclose(curve.loss, LOSS, rtol=1e-6)
    if rates:
        assert curve.rates.size == 200
        np.testing.assert_allclose(curve.rates[:99], 1e-3, rtol=1e-6)
        np.testing.assert_allclose(curve.rates[109:], 2e-4, rtol=1e-6)
        # Linear from step 100 to step 110.
        assert curve.rates[104] == pytest.approx(6e-4, rel=1e-6)


#: Records with a validation loss, which is higher by a tenth.
HELD_OUT = (100, 200)
ROWS = [(int(s), float(v), float(r)) for s, v, r in zip(STEP, LOSS, RATE, strict=True)]
COUNT = np.arange(1, len(ROWS) + 1)


@dataclass(frozen=True)
class Style:
    """A log in the style of one trainer, with its right reading: steps, whether rates, which held-out steps."""

    text: str | bytes
    step: np.ndarray = field(default_factory=lambda: STEP)
    rates: bool = True
    held_out: tuple | None = None
    options: dict = field(default_factory=dict)


def lines(line, held_out=None, first=()):
    """A line for each record, and another where the held-out loss was measured."""
    found = list(first)
    for s, v, r in ROWS:
        found.append(line(s, v, r))
        if held_out is not None and s in HELD_OUT:
            found.append(held_out(s, v + 0.1))
    return "\n".join(found) + "\n"


def jsonl(record):
    return lines(lambda s, v, r: json.dumps(record(s, v, r)))


TABLES = {
    "JSON in lines": Style(
        lines(lambda s, v, r: "03:04:05 INFO " + json.dumps({"step": s, "metrics": {"loss": v}, "lr": r}))
    ),
    "UTF-16": Style(lines(lambda s, v, r: f"step {s} loss {v:.8f} lr {r}").encode("utf-16")),
    "mlperf": Style(
        ':::MLLOG {"key": "global_batch_size", "value": 32, "metadata": {"lineno": 1}}\n'
        + lines(
            lambda s, v, r: (
                ":::MLLOG "
                + json.dumps({"key": "eval_accuracy", "value": v, "metadata": {"samples_count": 32 * s}})
            )
        ),
        rates=False,
    ),
    "mlperf, cut short": Style(
        lines(
            lambda s, v, r: (
                f'0: :::MLLOG {{"key": "tracked_stats", "value": {{"train_step_time": 0.5, "reduced_train_loss": {v}}}, "metadata": {{"step": {s}.0, "samples_count":'
            )
        ),
        rates=False,
    ),
    "step, kind, value": Style(
        lines(lambda s, v, r: f"{s} train {v:.8f}", lambda s, v: f"{s} val {v:.8f}\n{s} hella 0.2413"),
        rates=False,
        held_out=HELD_OUT,
    ),
    "two columns": Style(lines(lambda s, v, r: f"{s} {v:.8f}"), rates=False),
    "two columns, loss first": Style(lines(lambda s, v, r: f"{v:.8f}\t{s}"), rates=False),
    "one column": Style(lines(lambda s, v, r: f"{v:.8f}"), rates=False, options={"every": 10}),
    "markdown": Style(
        "| step | loss | lr |\n|---:|---:|---:|\n" + lines(lambda s, v, r: f"| {s} | {v:.8f} | {r} |")
    ),
    "decimal commas": Style(
        "step;loss;lr\n" + lines(lambda s, v, r: f"{s};{v:.8f};{r:.5f}".replace(".", ","))
    ),
    "header again": Style(
        "step,loss,lr\n" + lines(lambda s, v, r: f"{s},{v:.8f},{r}" + ("\nstep,loss,lr" if s == 100 else ""))
    ),
    "group rates": Style(
        "_step,eval/web-validation/CrossEntropyLoss,optim/learning_rate_group0,learning_rate_peak\n"
        + lines(lambda s, v, r: f"{s},{v:.8f},{r},0.00123")
    ),
    "lightning": Style(
        "epoch,step,train_loss_epoch,train_loss_step,val_loss\n"
        + lines(lambda s, v, r: f"0,{s},,{v:.8f},", lambda s, v: f"0,{s},{v:.8f},,{v:.8f}"),
        rates=False,
        held_out=HELD_OUT,
    ),
    "keras csv": Style(
        "epoch,accuracy,loss,val_accuracy,val_loss\n"
        + "\n".join(f"{i},0.9,{v:.8f},0.9,{v + 0.1:.8f}" for i, (_, v, _) in enumerate(ROWS)),
        step=COUNT - 1,
        rates=False,
        held_out=tuple(COUNT - 1),
    ),
    "mlflow metric": Style(lines(lambda s, v, r: f"{1924992000000 + s} {v:.8f} {s}"), rates=False),
    "neptune series": Style(lines(lambda s, v, r: f"{s},{1924992000.0 + s},{v:.8f}"), rates=False),
    "mlflow table": Style(
        "run_id,key,value,timestamp,step\n"
        + lines(lambda s, v, r: f"abc,train_loss,{v:.8f},1,{s}\nabc,learning_rate,{r},1,{s}")
    ),
    "mlflow answer": Style(
        json.dumps({"metrics": [{"key": "loss", "value": v, "step": s} for s, v, _ in ROWS]}), rates=False
    ),
    "aim": Style(
        json.dumps(
            {
                "metrics": [
                    {
                        "name": "loss",
                        "context": {"subset": "train"},
                        "values": LOSS.tolist(),
                        "iters": STEP.tolist(),
                    },
                    {
                        "name": "loss",
                        "context": {"subset": "val"},
                        "values": [LOSS[9] + 0.1, LOSS[19] + 0.1],
                        "iters": [100, 200],
                    },
                ]
            }
        ),
        rates=False,
        held_out=HELD_OUT,
    ),
    "clearml": Style(
        json.dumps({"loss": {"train": {"name": "train", "x": STEP.tolist(), "y": LOSS.tolist()}}}),
        rates=False,
    ),
    "nested history": Style(
        json.dumps(
            {
                "history": {
                    "val": {"iter": [100, 200], "val_loss": [LOSS[9] + 0.1, LOSS[19] + 0.1]},
                    "train": {"iter": STEP.tolist(), "train_lr": RATE.tolist(), "train_loss": LOSS.tolist()},
                }
            }
        ),
        held_out=HELD_OUT,
    ),
    "step to loss": Style(json.dumps({str(s): v for s, v, _ in ROWS}, indent=2), rates=False),
    "pairs": Style(json.dumps([[s, v] for s, v, _ in ROWS]), rates=False),
    "history without steps": Style(
        json.dumps({"loss": LOSS.tolist(), "val_loss": LOSS.tolist()}), rates=False, options={"every": 10}
    ),
    "weights and biases": Style(
        '"train/global_step","calm-sea - _step","calm-sea - train/loss","calm-sea - train/loss__MIN","calm-sea - train/loss__MAX"\n'
        + lines(lambda s, v, r: f'"{s}","{s // 5}","{v:.8f}","{v - 1:.8f}","{v + 1:.8f}"'),
        rates=False,
    ),
    "bars between columns": Style(
        " step | train loss | lr\n------+------------+-----\n"
        + lines(lambda s, v, r: f" {s} | {v:.8f} | {r}")
    ),
    "names with blanks": Style(
        "Step    Training Loss    Validation Loss\n"
        + lines(lambda s, v, r: f"{s}    {v:.8f}    {v + 0.1:.8f}"),
        rates=False,
        held_out=tuple(STEP),
    ),
    "training and validation apart": Style(
        json.dumps(
            {
                "train": [{"step": s, "loss": v} for s, v, _ in ROWS],
                "val": [{"step": s, "loss": v + 0.1} for s, v, _ in ROWS[::5]],
            }
        ),
        rates=False,
        held_out=tuple(STEP[::5]),
    ),
    "lists in lists": Style(
        json.dumps({"data": {"run": {"history": [[{"_step": s, "loss": v} for s, v, _ in ROWS]]}}}),
        rates=False,
    ),
    "one run in a table": Style(
        "timestamp,run_name,step,loss,lr\n" + lines(lambda s, v, r: f"2031-01-02,run-1,{s},{v:.8f},{r}")
    ),
}
