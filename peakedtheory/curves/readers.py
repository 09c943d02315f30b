"""Loss curves from the logs that trainers write, ready for the laws of `losscurves`.

`read_loss_curve` finds step, loss and learning rate in a log, puts restarted stretches in order, and gives
every optimizer step its rate, from which the dynamic time τ = Σ η follows (Liu et al. 2026, Eq. 22).
"""

from __future__ import annotations

import math
import re
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np

from peakedtheory._common.checks import MOST_STEPS, fail
from peakedtheory.curves.curve import LossCurve, between_records, schedule_behind
from peakedtheory.curves.log_formats import Log, read_log

#: What columns are called after `_plain_name`, in the order of preference.
_STEPS = (
    *("train/global_step", "trainer/global_step", "global_step", "step", "steps", "train_step", "train/step"),
    *("iteration", "iterations", "iter", "iters", "update", "updates", "num_updates", "_step"),
)
_RATES = ("lr", "learning_rate", "train/lr", "train/learning_rate", "lrate", "optim/lr", "optimizer/lr")
_TRAINING = (
    *("train_loss", "train/loss", "training_loss", "training/loss", "loss/train", "loss_train", "trl"),
    *(
        "loss",
        "lm_loss",
        "lm_loss_value",
        "train/lm_loss",
        "cross_entropy",
        "ce_loss",
        "nll",
        "nll_loss",
        "value",
    ),
)
_VALIDATION = (
    *("val_loss", "val/loss", "validation_loss", "validation/loss", "valid_loss", "valid/loss", "eval_loss"),
    *("eval/loss", "loss/val", "loss/validation", "loss/eval", "dev_loss", "test_loss", "test/loss", "tel"),
)
_LOGIT_STD = ("logit_std", "logits_std", "logit/std", "logits/std", "std_logits", "logit_standard_deviation")
_ENTROPY = ("entropy", "output_entropy", "prediction_entropy", "predictive_entropy", "entropy_nats")
_KEYS = ("step", "loss", "lr", "logit_std", "entropy")
_HELD_OUT = {"val", "valid", "validation", "eval", "evaluation", "test", "dev"}
#: A schedule that is further than this fraction of the peak from the logged rates deserves a word.
_DISAGREEMENT = 0.05


Split = Literal["auto", "training", "validation"]


def read_loss_curve(
    path: str | Path,
    *,
    columns: dict[str, str] | None = None,
    schedule: Any = None,
    split: Split = "auto",
    bits: bool = False,
    bytes_per_token: float | None = None,
    name: str | None = None,
) -> LossCurve:
    r"""Return the loss curve in a training log.

    CSV, TSV, JSON and JSON Lines with named columns, the `trainer_state.json` of Hugging Face's Trainer,
    exports of Weights & Biases and TensorBoard, TensorBoard event files (or the folder of one run), and text
    logs with one step and its `name value` pairs per line (llm.c, nanoGPT, modded-nanogpt, Megatron) are
    recognised by their content.

    Parameters
    ----------
    path : path_like
        The log.
    columns : dict, optional
        Names in the file of `step`, `loss`, `lr`, `logit_std` or `entropy`, where they are unusual.
    schedule : optional
        Learning rates as `as_schedule` takes them, for example
        "cosine:peak=3e-4,warmup=2160,steps=72000,final=3e-5". Where it is given, logged rates only serve as
        a check.
    split : {"auto", "training", "validation"}
        Which loss to take; `auto` is the training loss where there is one.
    bits : bool
        Whether loss and entropy are in bits, not nats.
    bytes_per_token : float, optional
        Where loss and entropy are per byte: mean bytes of a token, to turn them into values per token.
    name : str, optional
        What tables and legends call the run; the file's name by default.

    Returns
    -------
    LossCurve
        Losses in nats. `metadata` says which columns were used and where the rates came from.

    Raises
    ------
    ValueError
        If the file cannot be understood, columns are missing or ambiguous, or the schedule does not fit.

    Warns
    -----
    UserWarning
        If steps repeat or go back (of equal steps the one written last is kept), losses are not finite (left
        out), the first rates are not in the log, or schedule and logged rates disagree.

    Notes
    -----
    A rate logged with step t is taken for the update that leads to t. Rates of steps between two logged ones
    are interpolated linearly; after the last one it is held; before the first one it is held, or, if the log
    still rises there, brought up linearly from zero. A constant factor in the rates rescales τ and changes no
    exponent.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "run.csv"
    >>> _ = file.write_text("iter,train_loss,lr\n1,5.0,0.1\n2,4.5,0.1\n3,4.2,0.05\n")
    >>> read_loss_curve(file).tau.round(12).tolist()
    [0.1, 0.2, 0.25]
    """
    path = Path(path)
    log = read_log(path)
    chosen = dict(columns or {})
    for key in chosen:
        if key not in _KEYS:
            fail("columns", f"must name {', '.join(_KEYS)}", repr(key), "correct the key")
    names = {key: _named(log, chosen[key], path) for key in chosen}
    if "step" not in names:
        names["step"] = _find_step(log, path)
    if "loss" not in names:
        names["loss"] = _find_loss(log, split, path)
    for key, usual in (("lr", _RATES), ("logit_std", _LOGIT_STD), ("entropy", _ENTROPY)):
        if key not in names and (found := _usual(log, usual, key == "lr")):
            names[key] = found
    table = {key: log.columns[column] for key, column in names.items()}
    factor = _factor(bits, bytes_per_token)
    step, loss = _series(table["step"], table["loss"], f"{path.name}: {names['loss']}", path)
    if step[-1] > MOST_STEPS:
        rule = f"must count at most {MOST_STEPS:g} optimizer steps"
        fail("step", rule, f"{step[-1]:g} in {path}", "if these are tokens, name the column of steps, step=…")
    rates, source = _rates(table, step, schedule, path)
    extras = {
        key: _beside(table["step"], table[key], step, f"{path.name}: {names[key]}", path)
        if key in table
        else None
        for key in ("logit_std", "entropy")
    }
    entropy = None if extras["entropy"] is None else factor * extras["entropy"]
    held_out = _tokens(names["loss"]) & _HELD_OUT or _plain_name(names["loss"]) in _VALIDATION
    metadata = {
        "format": log.kind,
        "columns": names,
        "split": "validation" if held_out else "training",
        "rates": source,
        "nats_per_unit": factor,
    }
    return LossCurve(step, factor * loss, rates, extras["logit_std"], entropy, name or path.stem, metadata)


def _factor(bits: bool, bytes_per_token: float | None) -> float:
    if bytes_per_token is not None and not (0 < bytes_per_token < math.inf):
        fail(
            "bytes_per_token", "must be a finite number > 0", f"{bytes_per_token}", "3 to 5 is usual for text"
        )
    return (math.log(2.0) if bits else 1.0) * (1.0 if bytes_per_token is None else float(bytes_per_token))


def _plain_name(column: str) -> str:
    """Return a name in lower case and underscores, without the run's name that exports put before it."""
    return re.sub(r"[\s.\-]+", "_", column.rsplit(" - ", 1)[-1].strip().lower())


def _tokens(column: str) -> set[str]:
    return set(re.split(r"[/_]+", _plain_name(column)))


def _columns(log: Log) -> list[str]:
    """Names of the columns, without the envelopes that Weights & Biases adds to each."""
    return [name for name in log.columns if not name.endswith(("__MIN", "__MAX"))]


def _usual(log: Log, names: tuple[str, ...], last_part: bool = False) -> str | None:
    """Return the column that has the most preferred of the usual names, None if there is none."""
    plain: dict[str, list[str]] = {}
    for column in _columns(log):
        plain.setdefault(_plain_name(column), []).append(column)
    if last_part:
        for column in _columns(log):
            plain.setdefault(_plain_name(column).rsplit("/", 1)[-1], []).append(column)
            if re.match(r"lr[_/]", _plain_name(column)):  # one rate per parameter group: lr-AdamW/pg1
                plain.setdefault("lr", []).append(column)
    found = [plain[name] for name in names if name in plain]
    # Trainers add summaries, one number under a name that other trainers use for the curve.
    found.sort(key=lambda several: np.count_nonzero(~np.isnan(log.columns[several[0]])) < 2)
    if not found:
        return None
    if len(found[0]) > 1 and not last_part:
        rule = "must belong to one run"
        fail("columns", rule, ", ".join(map(repr, found[0][:4])), "name the column wanted")
    return found[0][0]


def _find_step(log: Log, path: Path) -> str:
    found = _usual(log, _STEPS)
    if found is None:
        held = ", ".join(_columns(log)[:12]) or "none"
        fail("columns", "must include one for step", f"{held} in {path}", "name it, step=…")
    return found


def _named(log: Log, column: str, path: Path) -> str:
    if column in log.columns:
        return column
    same = [name for name in _columns(log) if _plain_name(name) == _plain_name(column)]
    if len(same) != 1:
        fail("columns", f"must be in {path}", repr(column), f"it has {', '.join(_columns(log)[:12])}")
    return same[0]


def _find_loss(log: Log, split: Split, path: Path) -> str:
    if split not in ("auto", "training", "validation"):
        fail("split", "must be auto, training or validation", repr(split), "choose one")
    usual = {"training": (_TRAINING,), "validation": (_VALIDATION,), "auto": (_TRAINING, _VALIDATION)}[split]
    for names in usual:
        if found := _usual(log, names):
            return found
    losses = [name for name in _columns(log) if "loss" in _tokens(name)]
    if split != "auto":
        losses = [name for name in losses if bool(_tokens(name) & _HELD_OUT) == (split == "validation")]
    if len(losses) == 1:
        return losses[0]
    kind = "loss" if split == "auto" else f"{split} loss"
    held = ", ".join((losses or _columns(log))[:12])
    return fail("columns", f"must include one {kind}", f"{held} in {path}", "name it, loss=…")


def _series(step: np.ndarray, value: np.ndarray, label: str, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the records that have both numbers, by increasing step; of equal steps the last in the file."""
    there = ~np.isnan(step) & ~np.isnan(value)
    step, value = step[there], value[there]
    finite = np.isfinite(step) & np.isfinite(value)
    if not finite.all() and finite.any():
        first = step[~finite][0]
        count = np.count_nonzero(~finite)
        warnings.warn(
            f"{label}: {count} values are not finite (first at step {first:g}) and were left out",
            stacklevel=3,
        )
    step, value = step[finite], value[finite]
    if step.size == 0:
        what = label.split(": ")[-1]
        fail("path", f"must hold records of {what}", f"none in {path}", "check how it was written")
    back = np.count_nonzero(np.diff(step) <= 0)
    newest_first = step.size > 1 and (np.diff(step) < 0).all()
    step, value, dropped = _in_order(step, value)
    if back and not newest_first:
        warnings.warn(
            f"{label}: steps go back or repeat {back} times (restarts?); they were sorted, and of {dropped}"
            " repeated steps the values written last kept",
            stacklevel=3,
        )
    return step, value


def _in_order(step: np.ndarray, value: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    order = np.argsort(step, kind="stable")
    step, value = step[order], value[order]
    last = np.append(np.diff(step) > 0, True)
    return step[last], value[last], int(np.count_nonzero(~last))


def _beside(step: np.ndarray, value: np.ndarray, wanted: np.ndarray, label: str, path: Path) -> np.ndarray:
    """Return a column at the steps of the losses, linear between its own records."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # the loss has already said what there is to say
        at, there = _series(step, value, label, path)
    return np.interp(wanted, at, there)


def _rates(
    table: dict[str, np.ndarray], step: np.ndarray, schedule: Any, path: Path
) -> tuple[np.ndarray | None, str]:
    """Return the rate of every optimizer step and where it came from."""
    logged = None
    if "lr" in table and np.isfinite(table["lr"]).any():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            logged = _series(table["step"], table["lr"], f"{path.name}: learning rate", path)
        if (logged[1] < 0).any():
            fail("lr", "must be >= 0", f"{logged[1].min():g} in {path}", "name the right column, lr=…")
    if schedule is not None:
        plan = schedule_behind(schedule, step[-1])
        if plan.steps < step[-1]:
            fail(
                "schedule",
                f"must cover the {step[-1]:g} steps of {path.name}",
                f"{plan.steps} steps",
                "correct its length",
            )
        if logged is not None:
            _compare(plan.rates, *logged, path)
        return plan.rates, plan.name
    if logged is None:
        return None, "unknown"
    at, rate = logged
    typical = float(np.median(np.diff(at))) if at.size > 1 else 1.0
    if at[0] > 2.0 * typical:
        warnings.warn(
            f"{path.name}: rates before step {at[0]:g} are not in the log and were taken as {rate[0]:g}; a"
            " schedule with the warmup would place the origin of τ",
            stacklevel=3,
        )
    if at[-1] < step[-1]:
        at, rate = np.append(at, step[-1]), np.append(rate, rate[-1])
    return between_records(at, rate), "logged rates, linear between records"


def _compare(planned: np.ndarray, at: np.ndarray, rate: np.ndarray, path: Path) -> None:
    """Warn where the schedule is not what was logged; one step to either side is a matter of counting."""
    index = np.clip(np.ceil(at).astype(int) - 1, 0, planned.size - 1)
    near = np.stack([planned[np.clip(index + shift, 0, planned.size - 1)] for shift in (-1, 0, 1)])
    gap = np.abs(near - rate).min(axis=0)
    worst = int(np.argmax(gap))
    if gap[worst] > _DISAGREEMENT * planned.max():
        warnings.warn(
            f"{path.name}: at step {at[worst]:g} the log has rate {rate[worst]:g}, the schedule"
            f" {planned[index[worst]]:g}; the schedule was used",
            stacklevel=4,
        )
