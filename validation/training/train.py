"""Stacked training of students towards their teachers: `train` runs any number of cases side by side.

The gradient is (p - q)xᵀ averaged over a batch, in closed form (Liu et al. 2026, Eqs. 27-28). Two engines
share one specification (docs/training.md): torch on any device, and compiled loops for processors.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peakedtheory._common.checks import fail, whole_number
from peakedtheory._common.output import check_target, provenance, save_dataset
from peakedtheory._common.progress import reporter
from peakedtheory.schedules.reading import as_schedule
from peakedtheory.validation.training.cases import Case
from peakedtheory.validation.training.label_entropy import label_entropies
from peakedtheory.validation.training.observables import OBSERVABLES, Recorder, recorded_steps, to_dataset
from peakedtheory.validation.training.runs import Plan, TrainingRun, run_part

if TYPE_CHECKING:
    import xarray

ENGINES = ("auto", "torch", "compiled")
DTYPES = ("float32", "float64")
_CASES_IN_A_TASK = 16  # of an executor


def train(
    cases: Case | Sequence[Case],
    steps: int,
    *,
    n: int = 128,
    record: Any = None,
    normalise: bool = True,
    common_inputs: bool = True,
    test_samples: int = 8192,
    observe: Sequence[str] = (),
    device: str | None = None,
    engine: str = "auto",
    dtype: str = "float32",
    seed: int = 0,
    output: str | Path | None = None,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    progress: bool | Callable[[int, int | None], None] | None = None,
    executor: Any = None,
) -> xarray.Dataset:
    """Train every case side by side and return what was recorded of them.

    Parameters
    ----------
    cases : Case or sequence of Case
        The runs; their optimizers have one width.
    steps : int
        Number of steps, the same for all cases.
    n : int
        Number of classes.
    record : int, array_like of int, str or None
        Steps to record after: a number of logarithmic times (None: 60), the steps themselves, or
        ``linear:every``. The first two kinds of grid contain step 0 and the last step.
    normalise : bool
        Scale every input to ‖x‖² = m, as in the experiments; otherwise x is standard normal.
    common_inputs : bool
        Whether cases with the same `Case.seed` train on the same inputs (a smaller batch is the beginning of
        a larger one), so that they differ by nothing but their settings. If not, each case has inputs of its
        own, seeded by its place in `cases` too. Test inputs are shared either way.
    test_samples : int
        Held-out inputs of the loss, the same at all times.
    observe : sequence of str
        ``weights`` adds the weights at all times; ``hessian`` the three leading eigenvalues and the trace of
        the Hessian over the first 2,048 test inputs; ``cross_entropy`` the loss plus the labels' entropy.
    device : str, optional
        ``cpu``, ``cuda`` or ``cuda:1``; by default CUDA if there is such a device, else the processor.
    engine : str
        ``torch``, ``compiled`` (processors, float32) or ``auto``, which takes the faster.
    dtype : str
        ``float32`` or ``float64`` for training; the loss is always evaluated in float64.
    seed : int
        Seed of all inputs, beside each case's own.
    output : path, optional
        NetCDF file to write the dataset to.
    checkpoint : path, optional
        Resume file, replaced every ten seconds and at the end; with an executor the name is the start of one
        name per task.
    resume : bool
        Go on from the checkpoint, if it exists. A resumed run equals an uninterrupted one to the bit.
    progress : bool or callable, optional
        True shows a bar; a function is called with (steps done, steps planned).
    executor : optional
        Anything with ``submit(function, *arguments)`` that returns something with result(): the cases are
        then trained in tasks of 16.

    Returns
    -------
    xarray.Dataset
        Dimensions case, time (and n, m, eigenvalue). Losses in nats: `loss`, of the labels' probabilities
        (what a cross-entropy has above the entropy of its labels), with its standard error over the
        test inputs `loss_standard_error`, `radial_loss` of the teacher rescaled to the student's norm and
        `tangential_loss` = loss - radial; `alignment` D and `residual` ρ of W = D Ŵ* + rest, less the common
        shift of all rows; `beta` from the logits' standard deviation and `beta_weights` = ‖W‖/√n;
        `weight_norm`, `gradient_norm`; `efficiency` (n - 1)m/(2NL) after N examples, at most one on sampled
        labels; `step`, `tau` = Σ η; `diverged`. Settings are coordinates of the cases.

    Raises
    ------
    ValueError
        If an argument is impossible, or a file belongs to another run.
    MemoryError
        If not even one case fits on the device. (More cases are split, with a warning.)

    Notes
    -----
    A case whose weights stop being finite or pass 10^15 is marked `diverged`; what is recorded of it from
    then on is NaN, and the others go on. With the compiled engine bits depend neither on threads, nor on the
    executor, nor on the other cases; with torch, other splits of the stack agree to rounding.

    Examples
    --------
    >>> from peakedtheory import SGD
    >>> run = train(Case(beta_star=30, optimizer=SGD(4.0, batch=64, width=8)), 50, n=16, record=3)
    >>> run.step.values.tolist(), run.loss.shape
    ([0, 1, 50], (1, 3))
    """
    plan = _resolve(
        cases,
        steps,
        n=n,
        record=record,
        normalise=bool(normalise),
        common_inputs=bool(common_inputs),
        test_samples=test_samples,
        observe=observe,
        device=device,
        engine=engine,
        dtype=dtype,
        seed=seed,
    )
    target = None if output is None else check_target(Path(output), (".nc",))
    resume_file = None if checkpoint is None else Path(checkpoint)
    if resume_file is not None and not resume_file.parent.is_dir():
        fail("checkpoint", "must lie in an existing folder", str(resume_file), "create it first")
    with reporter(progress, "training") as report:
        if executor is None:
            run = TrainingRun(plan, resume_file, resume=resume)
            records = run.finish(lambda done: report(done, plan.steps))
        else:
            records = _distributed(plan, resume_file, resume, executor, report)
    options = {
        "steps": plan.steps, "n": plan.n, "width": plan.width, "seed": plan.seed, "engine": plan.engine,
        "device": plan.device, "dtype": plan.dtype, "normalise": int(plan.normalise),
        "common_inputs": int(plan.common_inputs), "test_samples": plan.test_samples,
    }  # fmt: skip
    stacks = plan.stacks()
    entropies = label_entropies(stacks) if "cross_entropy" in plan.observe else None
    dataset = to_dataset(plan.cases, records, stacks, {**provenance(options), **options}, entropies)
    if target is not None:
        save_dataset(dataset, target, options)
    return dataset


def _resolve(cases: Case | Sequence[Case], steps: int, **given: Any) -> Plan:
    """Return the plan of a run, every argument checked and every default resolved."""
    listed = [cases] if isinstance(cases, Case) else list(cases)
    if not listed or not all(isinstance(c, Case) for c in listed):
        found = "none" if not listed else type(next(c for c in listed if not isinstance(c, Case))).__name__
        fail("cases", "must be Case objects, at least one", found, "build them with Case or grid")
    steps = whole_number("steps", steps, 1, 2**31)
    n, width = whole_number("n", given["n"], 2, 1 << 20), _width_of(listed)
    observe = (given["observe"],) if isinstance(given["observe"], str) else tuple(given["observe"])
    for name in observe:
        if name not in OBSERVABLES:
            fail("observe", f"knows {', '.join(OBSERVABLES)}", repr(name), "name these")
    if "hessian" in observe and n * width < 3:
        fail("observe", "hessian needs three weights", f"n = {n}, width = {width}", "enlarge one of them")
    for name, known in (("engine", ENGINES), ("dtype", DTYPES)):
        if given[name] not in known:
            fail(name, f"must be {', '.join(known)}", repr(given[name]), "name one of them")
    engine, device = resolve_machine(given["engine"], given["device"], given["dtype"])
    resolved = [
        c if c.schedule is None else replace(c, schedule=as_schedule(c.schedule, steps)) for c in listed
    ]
    return Plan(
        cases=tuple(resolved),
        places=tuple(range(len(resolved))),
        steps=steps,
        n=n,
        width=width,
        times=recorded_steps(given["record"], steps),
        normalise=given["normalise"],
        common_inputs=given["common_inputs"],
        test_samples=whole_number("test_samples", given["test_samples"], 2, 1 << 24),
        observe=observe,
        engine=engine,
        device=device,
        dtype=given["dtype"],
        seed=whole_number("seed", given["seed"], 0, 2**53),
    )


def _width_of(cases: Sequence[Case]) -> int:
    widths = sorted({case.width for case in cases})
    if len(widths) > 1:
        found = f"{widths[0]} and {widths[-1]}"
        fail("cases", "must have optimizers of one width", found, "train them apart")
    return widths[0]


def resolve_machine(engine: str, device: str | None, dtype: str) -> tuple[str, str]:
    """Return engine and device, defaults resolved."""
    if device is None:
        device = "cuda" if engine != "compiled" and _cuda_at_hand() else "cpu"
    elif device != "cpu":
        kind, _, number = device.partition(":")
        if kind != "cuda" or (number and not number.isdigit()):
            fail("device", "must be cpu, cuda or cuda:NUMBER", repr(device), "name one of them")
        if not _cuda_at_hand(int(number or 0)):
            fail("device", "must be present", f"{device}, which torch does not find", "use cpu")
    if engine == "auto":
        engine = "compiled" if device == "cpu" and dtype == "float32" else "torch"
    if engine == "compiled" and (device != "cpu" or dtype != "float32"):
        fail("engine", "compiled runs on the processor in float32", f"{device}, {dtype}", "use torch")
    if engine == "torch" and importlib.util.find_spec("torch") is None:
        fail("engine", "torch must be installed", "no torch", "install peakedtheory[validation]")
    return engine, device


def _cuda_at_hand(number: int = 0) -> bool:
    """Whether torch can use this CUDA device; torch is imported only where there is a CUDA driver."""
    driver = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        ctypes.CDLL(driver)
    except OSError:
        return False
    if importlib.util.find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available() and number < torch.cuda.device_count()


def _distributed(
    plan: Plan,
    checkpoint: Path | None,
    resume: bool,
    executor: Any,
    report: Callable[[int, int | None], None],
) -> Recorder:
    """Train the cases in tasks of an executor."""
    count = len(plan.cases)
    records = Recorder(plan.stacks(), plan.times, plan.observe, plan.test_samples, plan.dtype)
    waiting = []
    for start in range(0, count, _CASES_IN_A_TASK):
        rows = list(range(start, min(start + _CASES_IN_A_TASK, count)))
        part = replace(
            plan, cases=tuple(plan.cases[i] for i in rows), places=tuple(plan.places[i] for i in rows)
        )
        name = None
        if checkpoint is not None:
            name = str(checkpoint.with_name(f"{checkpoint.stem}-{start}{checkpoint.suffix}"))
        waiting.append((rows, executor.submit(run_part, part, name, resume)))
    for done, (rows, future) in enumerate(waiting, 1):
        records.merge(rows, future.result())
        report(plan.steps * done // len(waiting), plan.steps)
    return records
