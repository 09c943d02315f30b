"""What small language models say about the theory: the committed runs, analysed, with figures.

    python examples/language_model.py [FOLDER]

writes language_scaling.png and language_losses.png into FOLDER (the current one by default) and prints what
docs/language_models.md tells. It needs no torch: the runs come with the package.
"""

import json
import sys
from pathlib import Path

from peakedtheory import match_entropy
from peakedtheory.curves.comparison import compare_laws
from peakedtheory.dynamics.regimes import regime
from peakedtheory.validation.language.analysis import (
    collapse,
    law_comparison,
    load_runs,
    loss_curves,
    summarise,
)
from peakedtheory.validation.language.figures import draw_losses, draw_scaling


def main(folder: Path) -> None:
    """Print the findings and draw the figures."""
    runs = load_runs()
    n = int(runs.attrs["vocabulary"])
    record = json.loads(runs.attrs["corpus"])
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    print(f"{int(runs.attrs['parameters']):,} parameters, {n} token types, text: docstrings of {versions}")

    summary = summarise(runs)
    print(f"\nPeaked? c0 = {float(summary.c0):.4f}, S(c0) = {float(summary.entropy_at_c0):.4f} nats")
    for run in summary.run.values:
        one = summary.sel(run=run)
        print(
            f"  {run:20} loss {float(one.loss):.3f}, β*/c0 = {float(one.peakedness):.3f} ±"
            f" {float(one.peakedness_error):.3f}, {100 * float(one.peaked_fraction):.0f} % of tokens peaked"
        )

    print("\nGrowth of the logit scale as τ^γ, and L = L∞ + c τ^(-α) of each run alone")
    for run in summary.run.values:
        one = summary.sel(run=run)
        print(
            f"  {run:20} γ = {float(one.growth):.2f} ± {float(one.growth_error):.2f},"
            f" α = {float(one.alpha):.2f} ± {float(one.alpha_error):.2f},"
            f" L∞ = {float(one.floor):.2f} ± {float(one.floor_error):.2f}"
        )

    curves = loss_curves(runs)
    constant = [
        curve for name, curve in curves.items() if name in {"adamw-15e-4", "adamw-45e-4", "adamw-5e-4"}
    ]
    print("\nLaws fitted to the first half of the three constant-rate AdamW runs, scored on the second")
    print(law_comparison(constant))
    print("\nLaws fitted to the three constant-rate runs, scored on the cosine and WSD runs")
    annealed = [curves["adamw-45e-4-cosine"], curves["adamw-45e-4-wsd"]]
    print(compare_laws(constant, ["power", "power:alpha=1/3", "power-steps"], held_out=annealed))

    print("\nCollapse of the three constant-rate runs")
    for quantity in ("loss", "logit_std"):
        print(f"  {quantity}: {collapse(constant, quantity).verdict}")
    print("\nCollapse of all five AdamW runs")
    adamw = [curve for name, curve in curves.items() if name.startswith("adamw")]
    for quantity in ("loss", "logit_std"):
        print(f"  {quantity}: {collapse(adamw, quantity).verdict}")

    print("\nWhat the theory expects of an aligned student with the last entropy")
    best = min(curves, key=lambda name: curves[name].loss[-1])
    entropy = float(curves[best].entropy[-1])
    star = float(match_entropy(entropy, n).beta_star)
    print(f"  {best}: H = {entropy:.3f}, β* = {star:.3f}: {regime(star, n).explanation}")

    for name, figure in (("scaling", draw_scaling(runs, summary)), ("losses", draw_losses(runs))):
        figure.savefig(folder / f"language_{name}.png", dpi=110)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd())
