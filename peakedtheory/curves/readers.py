"""Loss curves from the logs that trainers write, ready for the laws of loss curves.

`read_loss_curve` finds step, loss and learning rate in a log, puts restarted stretches in order, and gives
every optimizer step its rate, from which the dynamic time τ = Σ η follows (Liu et al. 2026, Eq. 22).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from peakedtheory._common.checks import MOST_STEPS, fail
from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.log_columns import Split, find_columns, is_held_out
from peakedtheory.curves.log_formats import read_log
from peakedtheory.curves.rates import logged_up_to, planned
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.reading import ScheduleLike


def read_loss_curve(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    schedule: ScheduleLike | None = None,
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
    names = find_columns(log, columns or {}, split, path)
    table = {key: log.columns[column] for key, column in names.items()}
    factor = _factor(bits, bytes_per_token)
    step, loss = _series(table["step"], table["loss"], f"{path.name}: {names['loss']}", path)
    if step[-1] > MOST_STEPS:
        rule = f"must count at most {MOST_STEPS:g} optimizer steps"
        fail("step", rule, f"{step[-1]:g} in {path}", "if these are tokens, name the column of steps, step=…")
    clock, source = _clock(table, float(step[-1]), schedule, path)
    extras = {
        key: _beside(table["step"], table[key], step, f"{path.name}: {names[key]}", path)
        for key in ("logit_std", "entropy")
        if key in table
    }
    if "entropy" in extras:
        extras["entropy"] = factor * extras["entropy"]
    metadata = {
        "format": log.kind,
        "columns": names,
        "split": "validation" if is_held_out(names["loss"]) else "training",
        "rates": source,
        "nats_per_unit": factor,
    }
    std, entropy = extras.get("logit_std"), extras.get("entropy")
    return LossCurve(step, factor * loss, clock, std, entropy, name or path.stem, metadata)


def read_loss_curves(
    paths: Sequence[Path],
    *,
    columns: Mapping[str, str] | None = None,
    schedules: Sequence[ScheduleLike] | None = None,
    split: Split = "auto",
    bits: bool = False,
    bytes_per_token: float | None = None,
) -> list[LossCurve]:
    """Return the curves in several logs, under names that tell them apart.

    Parameters
    ----------
    paths : sequence of Path
        The logs.
    schedules : sequence, optional
        Learning rates, once for all logs or once for each.
    columns, split, bits, bytes_per_token : optional
        As in `read_loss_curve`.

    Raises
    ------
    ValueError
        As `read_loss_curve`, and for another number of schedules.
    """
    plans: list[ScheduleLike | None] = [*schedules] if schedules else [None]
    if len(plans) not in (1, len(paths)):
        rule = f"must be given once, or once for each of the {len(paths)} files"
        fail("schedule", rule, f"{len(plans)} times", "correct the count")
    stems = [path.stem for path in paths]
    return [
        read_loss_curve(
            path,
            columns=columns,
            schedule=plan,
            split=split,
            bits=bits,
            bytes_per_token=bytes_per_token,
            name=path.stem if stems.count(path.stem) == 1 else f"{path.parent.name}/{path.stem}",
        )
        for path, plan in zip(paths, plans if len(plans) == len(paths) else plans * len(paths), strict=True)
    ]


def _factor(bits: bool, bytes_per_token: float | None) -> float:
    if bytes_per_token is not None and not (0 < bytes_per_token < math.inf):
        fail(
            "bytes_per_token", "must be a finite number > 0", f"{bytes_per_token}", "3 to 5 is usual for text"
        )
    return (math.log(2.0) if bits else 1.0) * (1.0 if bytes_per_token is None else float(bytes_per_token))


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


def _clock(
    table: dict[str, np.ndarray], last: float, schedule: ScheduleLike | None, path: Path
) -> tuple[Clock | None, str]:
    """Return the rates of every optimizer step up to the last record, and where they came from."""
    logged = _logged_rates(table, path)
    if schedule is not None:
        plan = planned(schedule, last, logged, path.name)
        return plan, plan.name
    if logged is None:
        return None, "unknown"
    return logged_up_to(last, *logged, path.name), "logged rates, linear between records"


def _logged_rates(table: dict[str, np.ndarray], path: Path) -> tuple[np.ndarray, np.ndarray] | None:
    if "lr" not in table or not np.isfinite(table["lr"]).any():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        step, rate = _series(table["step"], table["lr"], f"{path.name}: learning rate", path)
    if (rate < 0).any():
        fail("lr", "must be >= 0", f"{rate.min():g} in {path}", "name the right column, lr=…")
    return step, rate
