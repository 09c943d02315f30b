"""Loss curves from the logs that trainers write, ready for the laws of loss curves.

`read_loss_curve` finds step, loss and learning rate in a log, puts restarted stretches in order, and gives
every optimizer step its rate, from which the dynamic time τ = Σ η follows (Liu et al. 2026, Eq. 22).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from peakedtheory._common.checks import fail
from peakedtheory.curves.curve import LossCurve
from peakedtheory.curves.logs.columns import Split
from peakedtheory.curves.logs.curves import Reading, Run, curve_of, listed, runs_of
from peakedtheory.curves.logs.series import Restarts
from peakedtheory.schedules.reading import ScheduleLike


def read_loss_curve(
    path: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    schedule: ScheduleLike | None = None,
    split: Split = "auto",
    bits: bool | None = None,
    bytes_per_token: float | None = None,
    run: str | None = None,
    restarts: Restarts = "auto",
    every: float | None = None,
    name: str | None = None,
) -> LossCurve:
    r"""Return the loss curve in a training log.

    CSV, TSV, JSON and JSON Lines with named columns, the `trainer_state.json` of Hugging Face's Trainer,
    exports of Weights & Biases, TensorBoard and MLflow, TensorBoard event files (or the folder of one run),
    and the consoles of most trainers are recognised by their content; files may be compressed by gzip.

    Parameters
    ----------
    path : path_like
        The log.
    columns : dict, optional
        Names in the file of `step`, `loss`, `lr`, `logit_std`, `entropy` or `noise` (the standard errors of
        the losses), where they are unusual.
    schedule : optional
        Learning rates as `as_schedule` takes them, for example
        "cosine:peak=3e-4,warmup=2160,steps=72000,final=3e-5". Where it is given, logged rates only serve as
        a check.
    split : {"auto", "training", "validation"}
        Which loss to take; `auto` is the training loss where there is one.
    bits : bool, optional
        Whether loss and entropy are in bits, not nats. By default what the log shows: bits for fairseq, for
        columns named so, and where a perplexity is 2 to the power of the loss.
    bytes_per_token : float, optional
        Where loss and entropy are per byte: mean bytes of a token, to turn them into values per token.
    run : str, optional
        Which run to take of a log of several, by its name there.
    restarts : {"auto", "replace", "shift", "apart"}
        What steps mean that go back: later records replace the earlier ones, as after a restart from a
        checkpoint; the count began anew after a resume and is shifted by the last step; or each stretch is a
        run of its own, named "1", "2", …. `auto` replaces, and asks where the losses contradict that.
    every : float, optional
        Steps between records of a log that does not count them.
    name : str, optional
        What tables and legends call the run; the file's name, or the run's in it, by default.

    Returns
    -------
    LossCurve
        Losses in nats. `metadata` says which columns were used, where the rates came from, and in `notes`
        what else was decided or noticed: other losses in the log, units, repeated steps, spikes.

    Raises
    ------
    ValueError
        If the file cannot be understood, holds several runs, columns are missing or ambiguous, the column is
        a score instead of a loss, or the schedule does not fit.

    Warns
    -----
    UserWarning
        If steps go back, losses are not finite (left out) or rise, the first rates are not in the log, or
        schedule and logged rates disagree.

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
    reading = Reading(columns or {}, split, bits, bytes_per_token, restarts, every)
    found = runs_of(Path(path), reading, () if run is None else (run,))
    if len(found) > 1:
        names = listed([one.name for one in found])
        fail("run", f"must name one of the {len(found)} runs in {path}", "none", f"they are {names}")
    return curve_of(found[0], reading, schedule, name or found[0].name or Path(path).stem)


def read_loss_curves(
    paths: str | Path | Sequence[str | Path],
    *,
    columns: Mapping[str, str] | None = None,
    schedules: Sequence[ScheduleLike] | None = None,
    split: Split = "auto",
    bits: bool | None = None,
    bytes_per_token: float | None = None,
    runs: Sequence[str] = (),
    restarts: Restarts = "auto",
    every: float | None = None,
) -> list[LossCurve]:
    r"""Return the curves of all runs in one or several logs, under names that tell them apart.

    Parameters
    ----------
    paths : path_like or sequence of path_like
        The logs.
    schedules : sequence, optional
        Learning rates, once for all logs, once for each, or once for each run in them.
    runs : sequence of str, optional
        Which runs to take of logs that hold several, in this order; all by default.
    columns, split, bits, bytes_per_token, restarts, every : optional
        As in `read_loss_curve`.

    Returns
    -------
    list of LossCurve

    Raises
    ------
    ValueError
        As `read_loss_curve`, and for another number of schedules.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "runs.csv"
    >>> _ = file.write_text("run,step,loss\na,1,5.0\na,2,4.5\nb,1,5.1\nb,2,4.4\n")
    >>> [(curve.name, curve.loss.tolist()) for curve in read_loss_curves(file)]
    [('a', [5.0, 4.5]), ('b', [5.1, 4.4])]
    """
    reading = Reading(columns or {}, split, bits, bytes_per_token, restarts, every)
    files = [Path(path) for path in ([paths] if isinstance(paths, (str, Path)) else paths)]
    found = [runs_of(file, reading, runs) for file in files]
    flat = [one for several in found for one in several]
    titles = [one.name or one.path.stem for one in flat]
    return [
        curve_of(one, reading, plan, title if titles.count(title) == 1 else _longer(one))
        for one, plan, title in zip(flat, _plans(schedules, found), titles, strict=True)
    ]


def _plans(schedules: Sequence[ScheduleLike] | None, found: list[list[Run]]) -> list[ScheduleLike | None]:
    """Return the schedule of each run."""
    count = sum(map(len, found))
    plans: list[ScheduleLike | None] = [*schedules] if schedules else [None]
    if len(plans) == 1:
        return plans * count
    if len(plans) == len(found):
        return [plan for plan, several in zip(plans, found, strict=True) for _ in several]
    if len(plans) != count:
        what = f"{len(found)} files" if len(found) == count else f"{len(found)} files or {count} runs"
        rule = f"must be given once, or once for each of the {what}"
        fail("schedule", rule, f"{len(plans)} times", "correct the count")
    return plans


def _longer(run: Run) -> str:
    return f"{run.path.stem}/{run.name}" if run.name else f"{run.path.parent.name}/{run.path.stem}"
