"""`python -m peakedtheory.validation.language.train`: a small language model of installed packages' text.

The folder receives the corpus, the state of the run, its curve and, if asked for, its checkpoints. The same
command goes on with an interrupted run.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from peakedtheory._common.output import save_dataset
from peakedtheory._common.progress import reporter
from peakedtheory.validation.language.corpus import PACKAGES, load_corpus
from peakedtheory.validation.language.small_model import RunSettings, train


def command(
    folder: Annotated[Path, typer.Argument(help="Folder of the run.")],
    schedule: Annotated[
        str,
        typer.Option("--schedule", help="Learning rates, for example cosine:peak=3e-3,steps=2000,warmup=20."),
    ],
    optimizer: Annotated[str, typer.Option("--optimizer", help="adamw or sgd.")] = "adamw",
    width: Annotated[int, typer.Option("--width", help="Width of the transformer.")] = 96,
    layers: Annotated[int, typer.Option("--layers", help="Number of layers.")] = 2,
    heads: Annotated[int, typer.Option("--heads", help="Attention heads of a layer.")] = 4,
    context: Annotated[int, typer.Option("--context", help="Tokens of a training window.")] = 64,
    batch: Annotated[int, typer.Option("--batch", help="Windows of a step.")] = 8,
    weight_decay: Annotated[float, typer.Option("--weight-decay", help="Decoupled weight decay.")] = 0.0,
    clip: Annotated[float, typer.Option("--clip", help="Largest gradient norm; 0 for none.")] = 1.0,
    seed: Annotated[int, typer.Option("--seed", help="Seed of weights and data.")] = 0,
    evaluations: Annotated[
        int, typer.Option("--evaluations", help="Evaluations, at logarithmic steps.")
    ] = 48,
    documents: Annotated[int, typer.Option("--documents", help="Held-out documents of an evaluation.")] = 300,
    vocabulary: Annotated[int, typer.Option("--vocab", "-n", help="Tokens of the BPE vocabulary.")] = 512,
    packages: Annotated[
        str, typer.Option("--packages", help="Installed packages whose docstrings are the text.")
    ] = ",".join(PACKAGES),
    corpus: Annotated[
        Path | None, typer.Option("--corpus", help="Folder of the tokenised text; FOLDER/corpus by default.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="cpu or a CUDA device.")] = "cpu",
    checkpoints: Annotated[bool, typer.Option(help="Keep checkpoints at powers of two.")] = False,
) -> None:
    """Train a small GPT-NeoX and write FOLDER/curve.nc."""
    settings = RunSettings(
        schedule,
        optimizer,
        width,
        layers,
        heads,
        context,
        batch,
        weight_decay,
        clip,
        seed,
        evaluations,
        documents,
    )
    text = load_corpus(corpus or folder / "corpus", packages.split(","), vocabulary)
    with reporter(True, "training") as report:
        curve = train(settings, text, folder, device=device, checkpoints=checkpoints, progress=report)
    save_dataset(curve, folder / "curve.nc", {"folder": folder.name})
    last = curve.isel(step=-1)
    typer.echo(
        f"loss {float(last.loss):.4f} nats after {int(last.step)} steps; curve in {folder / 'curve.nc'}"
    )


def main() -> None:
    """Run the command; bad input ends with one line and exit status 2."""
    try:
        typer.run(command)
    except (ValueError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
