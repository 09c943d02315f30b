"""`peakedtheory evaluate`: next-token statistics of a language model's checkpoints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from peakedtheory.cli._common import JsonFlag, OutputFile, PlotFile, print_json, print_table, save_figure
from peakedtheory.sampling.estimates import with_error
from peakedtheory.validation.language.checkpoints import resolve_revisions
from peakedtheory.validation.language.figures import draw_evaluation
from peakedtheory.validation.language.published import PYTHIA_REVISIONS, resolve_schedule
from peakedtheory.validation.language.texts import TextSource

if TYPE_CHECKING:
    import xarray

_SHOWN = {"loss": "loss", "entropy": "entropy", "logit_std": "logit std", "beta_star": "β*", "top_gap": "gap"}


def command(
    model: Annotated[str, typer.Argument(help="Folder of a model, or its name on the hub.", metavar="MODEL")],
    text: Annotated[
        str,
        typer.Option(
            "--text",
            help="A .txt, .jsonl or .parquet file, a folder of them, or a hub dataset OWNER/NAME[:CONFIG].",
            metavar="DATASET|FILE",
        ),
    ],
    revisions: Annotated[
        str | None,
        typer.Option(
            "--revisions",
            help="Revisions step128,step256,…; `pythia` for those of the paper; all of a folder by default.",
            metavar="LIST",
        ),
    ] = None,
    tokens: Annotated[int, typer.Option("--tokens", help="Next-token positions to evaluate.")] = 2_000_000,
    max_length: Annotated[int, typer.Option("--max-length", help="Tokens read of each document.")] = 1024,
    cut: Annotated[
        bool | None,
        typer.Option("--cut/--truncate", help="Longer documents: cut into pieces, or drop the rest."),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, help="Documents that run together.")] = 8,
    field: Annotated[str, typer.Option("--field", help="Field of a record that holds the text.")] = "text",
    split: Annotated[str, typer.Option("--split", help="Split of a hub dataset.")] = "train",
    tokenizer: Annotated[
        str | None, typer.Option("--tokenizer", help="Tokenizer, if not the model's own.", metavar="NAME")
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            "--schedule",
            help="Learning rates of the run, for τ: pythia-410m, olmo-1b, … or cosine:peak=…,steps=…; "
            "known from the name of a published model.",
            metavar="TEXT",
        ),
    ] = None,
    dtype: Annotated[str, typer.Option("--dtype", help="auto, float32, float16 or bfloat16.")] = "auto",
    device: Annotated[str, typer.Option("--device", help="auto, cpu or a CUDA device.")] = "auto",
    json: JsonFlag = False,
    plot: PlotFile = None,
    output: OutputFile = None,
) -> None:
    """Evaluate checkpoints of MODEL: loss, entropy, logit scale, margins and β* of predictions.

    An evaluation that was interrupted goes on from --output.
    """
    try:
        # loads torch
        from peakedtheory.validation.language.revisions import Evaluation, evaluate_revisions
    except ModuleNotFoundError as error:
        message = (
            f"evaluate: must find {error.name}, which is not installed; run pip install 'peakedtheory[lm]'"
        )
        raise ValueError(message) from None
    names = list(PYTHIA_REVISIONS) if revisions == "pythia" else resolve_revisions(model, revisions)
    rates = resolve_schedule(schedule, model)
    source = TextSource(text, field, split)
    evaluation = Evaluation(model, source, tokens, max_length, batch, tokenizer, dtype, device, cut)

    def report(revision: str, dataset: xarray.Dataset) -> None:
        missed = int(dataset.sel(revision=revision).not_finite)
        if missed:
            total = missed + int(dataset.sel(revision=revision).tokens)
            problem = f"{missed} of {total} positions have NaN or infinite logits and are left out"
            typer.echo(f"warning: {revision}: {problem}", err=True)

    result = evaluate_revisions(evaluation, names, output=output, schedule=rates, progress=True, done=report)
    if json:
        print_json(_as_json(result))
    else:
        _print(model, result)
    if output is not None:
        typer.echo(f"results written to {output}", err=True)
    save_figure(plot, draw_evaluation, result, model)


def _print(model: str, result: xarray.Dataset) -> None:
    rows = []
    for revision in result.revision.values:
        one = result.sel(revision=revision)
        row = [str(revision)]
        row += [with_error(float(one[k]), float(one[f"{k}_standard_error"])) for k in _SHOWN]
        row += [f"{100 * float(one.peaked_fraction):.1f} %", str(int(one.tokens))]
        if "tau" in result:
            row.insert(1, f"{float(one.tau):.4g}")
        rows.append(row)
    header = ["revision", *(["τ"] if "tau" in result else []), *_SHOWN.values(), "peaked", "tokens"]
    print_table(f"{model}: {result.attrs['vocabulary']} logits, nats", header, rows)
    c0, entropy = result.attrs["c0"], result.attrs["entropy_at_c0"]
    typer.echo(f"peaked: entropy below {entropy:.4g}, that of i.i.d. Gaussian logits at β = c0 = {c0:.4g}")


def _as_json(result: xarray.Dataset) -> dict[str, Any]:
    values = {name: result[name].values for name in result.variables if name != "entropy_bin"}
    return {**{k: v for k, v in result.attrs.items() if not k.startswith("option_")}, **values}
