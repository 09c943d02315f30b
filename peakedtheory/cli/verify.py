"""`peakedtheory verify`: the theory's identities on random examples."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from peakedtheory.cli._common import JsonFlag, print_json, print_table
from peakedtheory.testing import verify


def command(
    energies: Annotated[
        str | None,
        typer.Option(
            "--energies", help="Distribution to test; by default many kinds are tried.", metavar="NAME|FILE"
        ),
    ] = None,
    examples: Annotated[int, typer.Option("--examples", min=1, help="Examples of each identity.")] = 25,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the examples.")] = 0,
    json: JsonFlag = False,
) -> None:
    """Check the identities of the theory on random cases.

    Inverse temperatures, counts and energies are drawn to break them; exit status 1 if one fails.
    """
    console = Console(stderr=True)
    with console.status("verifying …") as status:
        results = verify(
            energies,
            examples=examples,
            seed=seed,
            progress=(lambda name: status.update(f"verifying {name}")) if console.is_terminal else None,
        )
    if json:
        print_json({"seed": seed, "identities": [vars(r) | {"holds": r.holds} for r in results]})
    else:
        rows = [
            [r.identity, "holds" if r.holds else "FAILS", str(r.examples), f"{r.worst:.2g}", r.example]
            for r in results
        ]
        print_table(
            "Identities; violations in units of the error estimates",
            ["identity", "verdict", "examples", "worst", "at"],
            rows,
        )
    if not all(r.holds for r in results):
        raise typer.Exit(1)
