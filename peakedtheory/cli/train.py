"""`peakedtheory train`: students trained beside their teachers, in stacks, with the predicted flow on top."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from peakedtheory._common.checks import fail
from peakedtheory.cli._common import (
    JsonFlag,
    OutputFile,
    PlotFile,
    number,
    parse_grid,
    print_json,
    print_table,
    save_figure,
)
from peakedtheory.cli._students import BATCHED, AverageOption, Labels, named_average, named_optimizer
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.reading import parse_schedule
from peakedtheory.validation.training.cases import Case
from peakedtheory.validation.training.figures import draw_training

if TYPE_CHECKING:
    import xarray

_SETTINGS = (
    "beta_star", "learning_rate", "optimizer", "batch", "start_ratio", "weight_decay", "teacher", "seed",
    "labels",
)  # fmt: skip
_SYMBOLS = {"beta_star": "β*", "learning_rate": "η", "batch": "B", "weight_decay": "ω"}
_RECORDED = (
    "tau", "loss", "loss_standard_error", "radial_loss", "tangential_loss", "alignment", "residual", "beta",
    "beta_weights", "weight_norm", "gradient_norm", "efficiency",
)  # fmt: skip
_HESSIAN = ("hessian_eigenvalue", "hessian_error", "hessian_trace", "hessian_trace_standard_error")


def _grid(flag: str, text: str) -> Any:
    return typer.Option(flag, help=text + " A number, a list, a grid 0.01:1:5:log.", metavar="GRID")


def command(
    beta_star: Annotated[str, _grid("--beta-star", "Teacher's inverse temperature.")] = "100",
    learning_rate: Annotated[str | None, _grid("--lr", "Learning rate (default 0.1).")] = None,
    optimizer: Annotated[
        str,
        typer.Option(
            "--optimizer", help="sgd, adam (adamw under decay), signgd, muon, or several.", metavar="NAMES"
        ),
    ] = "sgd",
    steps: Annotated[float, typer.Option("--steps", help="Number of steps.", metavar="T")] = 2000,
    batch: Annotated[str, _grid("--batch", "Examples per step.")] = "1024",
    start_ratio: Annotated[str, _grid("--start-ratio", "β at the start over β*.")] = "0",
    weight_decay: Annotated[str, _grid("--weight-decay", "Decoupled weight decay.")] = "0",
    teacher: Annotated[str, _grid("--teacher", "Seed of the teacher's weights.")] = "0",
    seed: Annotated[str, _grid("--seed", "Seed of the inputs and of the student's start.")] = "0",
    schedule: Annotated[
        str | None,
        typer.Option(
            "--schedule",
            help="Learning rates, for example cosine:warmup=20,final=0.01; without peak= that is --lr.",
            metavar="TEXT",
        ),
    ] = None,
    labels: Labels = "soft",
    average: AverageOption = None,
    loss: Annotated[str, typer.Option("--loss", help="kl, or mse of the logits.", metavar="NAME")] = "kl",
    vocab: Annotated[float, typer.Option("--vocab", "-n", help="Number of classes n.", metavar="N")] = 128,
    width: Annotated[float, typer.Option("--width", help="Number of inputs m.", metavar="M")] = 32,
    record: Annotated[
        str, typer.Option("--record", help="Number of logarithmic times, or linear:EVERY.", metavar="TIMES")
    ] = "60",
    raw_inputs: Annotated[
        bool, typer.Option("--raw-inputs", help="Standard normal inputs, not scaled to |x|² = m.")
    ] = False,
    own_inputs: Annotated[
        bool, typer.Option("--own-inputs", help="Inputs of its own for each case, not common ones.")
    ] = False,
    test_samples: Annotated[
        float, typer.Option("--test-samples", help="Held-out inputs of the loss.", metavar="N")
    ] = 8192,
    hessian: Annotated[bool, typer.Option("--hessian", help="Record leading Hessian eigenvalues.")] = False,
    weights: Annotated[bool, typer.Option("--weights", help="Record the weights (with --output).")] = False,
    cross_entropy: Annotated[
        bool, typer.Option("--cross-entropy", help="Record cross-entropy and the labels' entropy too.")
    ] = False,
    device: Annotated[
        str | None, typer.Option("--device", help="cpu or cuda (default: cuda if there is one).")
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="auto, torch or compiled.")] = "auto",
    double: Annotated[bool, typer.Option("--double", help="Train in float64.")] = False,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            "--checkpoint",
            help="Keep what is needed to go on in FILE.npz; started anew without --resume.",
            metavar="FILE",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the checkpoint, to the same bits.")
    ] = False,
    json: JsonFlag = False,
    plot: PlotFile = None,
    output: OutputFile = None,
) -> None:
    """Train students towards teachers, beside the theory.

    Every combination of the settings is one run; all of them train side by side.
    """
    if resume and checkpoint is None:
        fail("resume", "needs a checkpoint", "none", "name one with --checkpoint")
    scans = [
        parse_grid("beta-star", beta_star).tolist(),
        [name.strip() for name in optimizer.split(",")],
        parse_grid("batch", batch).tolist(),
        parse_grid("start-ratio", start_ratio).tolist(),
        parse_grid("weight-decay", weight_decay).tolist(),
        parse_grid("teacher", teacher).tolist(),
        parse_grid("seed", seed).tolist(),
        _rates(learning_rate, schedule, steps),
    ]
    cases = [
        _case(*values, width=width, labels=labels, loss=loss, average=named_average(average))
        for values in itertools.product(*scans)
    ]
    if weights and output is None:
        fail("weights", "need a file to be recorded in", "none", "name one with --output")
    wanted = {"hessian": hessian, "weights": weights, "cross_entropy": cross_entropy}
    observe = [name for name, asked in wanted.items() if asked]
    dataset = _trained(
        cases,
        steps,
        n=vocab,
        record=int(record) if record.isdigit() else record,
        normalise=not raw_inputs,
        common_inputs=not own_inputs,
        test_samples=test_samples,
        observe=observe,
        device=device,
        engine=engine,
        dtype="float64" if double else "float32",
        output=output,
        checkpoint=checkpoint,
        resume=resume,
        progress=True,
    )
    if json:
        print_json(_values(dataset))
    else:
        _print(dataset)
    if output is not None:
        typer.echo(f"results written to {output}", err=True)
    save_figure(plot, draw_training, dataset, cases)


def _trained(cases: list[Case], steps: Any, **options: Any) -> xarray.Dataset:
    from peakedtheory.validation.training.train import train  # loads numba

    try:
        return train(cases, steps, **options)
    except MemoryError as error:  # one line, as for any other impossible input
        raise ValueError(str(error)) from None


def _case(
    beta_star: float,
    optimizer: str,
    batch: float,
    start_ratio: float,
    weight_decay: float,
    teacher: Any,
    seed: Any,
    rate: tuple[float, Clock | None],
    *,
    width: float,
    **common: Any,
) -> Case:
    return Case(
        beta_star=beta_star,
        optimizer=named_optimizer(optimizer, BATCHED, learning_rate=rate[0], batch=batch, width=width),
        schedule=rate[1],
        start_ratio=start_ratio,
        weight_decay=weight_decay,
        teacher=teacher,
        seed=seed,
        **common,
    )


def _rates(learning_rate: str | None, schedule: str | None, steps: float) -> list[tuple[float, Clock | None]]:
    """Return every learning rate and its schedule; one without a peak is given each rate as its peak."""
    if schedule is not None and ("peak=" in schedule or schedule.startswith("steps:")):
        if learning_rate is not None:
            fail("lr", "must be left out where the schedule has its own rates", learning_rate, "drop one")
        plan = parse_schedule(schedule, int(steps))
        return [(plan.peak, plan)]
    rates = parse_grid("lr", learning_rate or "0.1").tolist()
    if schedule is None:
        return [(rate, None) for rate in rates]
    head, _, tail = schedule.partition(":")
    texts = [f"{head}:{','.join(filter(None, (f'peak={rate!r}', tail)))}" for rate in rates]
    return [(rate, parse_schedule(text, int(steps))) for rate, text in zip(rates, texts, strict=True)]


def _settings(dataset: xarray.Dataset, case: int) -> dict[str, Any]:
    return {name: dataset[name].values[case] for name in _SETTINGS}


def _values(dataset: xarray.Dataset) -> dict[str, Any]:
    recorded = [name for name in (*_RECORDED, *_HESSIAN, "label_entropy", "cross_entropy") if name in dataset]
    attributes = {name: dataset.attrs[name] for name in ("n", "width", "steps", "engine", "device")}
    cases = [
        _settings(dataset, i)
        | {"diverged": dataset["diverged"].values[i]}
        | {name: dataset[name].values[i] for name in recorded}
        for i in range(dataset.sizes["case"])
    ]
    return {**attributes, "step": dataset["step"].values, "cases": cases}


def _print(dataset: xarray.Dataset) -> None:
    """Print the state at the last recorded step, with the settings in which the cases differ."""
    count = dataset.sizes["case"]
    every = [_settings(dataset, i) for i in range(count)]
    varying = [n for n in _SETTINGS if n in ("beta_star", "learning_rate") or len({s[n] for s in every}) > 1]
    shown = [
        "tau",
        "loss",
        "loss_standard_error",
        "radial_loss",
        "tangential_loss",
        "beta",
        "alignment",
        "residual",
    ]
    columns = ["τ", "loss", "± s.e.", "radial", "tangential", "β", "D", "ρ"]
    if "sampled" in dataset["labels"].values:
        shown.append("efficiency")
        columns.append("N-efficiency")
    rows = []
    for i, settings in enumerate(every):
        last = [float(dataset[name].values[i, -1]) for name in shown]
        row = [f"{s:.4g}" if isinstance(s, float) else str(s) for s in (settings[n] for n in varying)]
        cells = [number(v, 4) for v in last]
        rows.append([*row, *cells, "diverged" if dataset["diverged"].values[i] else ""])
    n, width, last_step = dataset.attrs["n"], dataset.attrs["width"], int(dataset["step"][-1])
    where = f"{dataset.attrs['engine']} on {dataset.attrs['device']}"
    title = f"{count} case(s) of n = {n}, m = {width} after {last_step} steps ({where})"
    print_table(title, [*(_SYMBOLS.get(name, name) for name in varying), *columns, ""], rows)
