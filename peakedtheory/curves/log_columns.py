"""Which columns of a log hold steps, losses and rates, by the names that trainers give them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory.curves.log_formats import Log

Split = Literal["auto", "training", "validation"]

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


def find_columns(log: Log, given: Mapping[str, str], split: Split, path: Path) -> dict[str, str]:
    """Return the columns of step and loss, and of the other keys where the log has them.

    Parameters
    ----------
    log : Log
    given : mapping of str to str
        Names in the file of some of the keys.
    split : {"auto", "training", "validation"}
        Which loss to take.
    path : Path
        Where the log lies, for messages.

    Raises
    ------
    ValueError
        If a column is missing, or it is not clear which one is meant.
    """
    for key in given:
        if key not in _KEYS:
            fail("columns", f"must name {', '.join(_KEYS)}", repr(key), "correct the key")
    names = {key: _named(log, column, path) for key, column in given.items()}
    if "step" not in names:
        names["step"] = _find_step(log, path)
    if "loss" not in names:
        names["loss"] = _find_loss(log, split, path)
    for key, usual in (("lr", _RATES), ("logit_std", _LOGIT_STD), ("entropy", _ENTROPY)):
        if key not in names and (found := _usual(log, usual, key == "lr")):
            names[key] = found
    return names


def is_held_out(column: str) -> bool:
    """Return whether the name says that the loss is one of held-out data."""
    return bool(_tokens(column) & _HELD_OUT) or _plain_name(column) in _VALIDATION


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
