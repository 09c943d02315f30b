"""Fit a training log: which law, how well known, and what if the run goes on.

Run as `python examples/fit_log.py [LOG]`; writes fit_log.png. Without LOG it takes a run of the toy model
whose rate decays on a cosine. About half a minute.
"""

import sys
from pathlib import Path

import peakedtheory as pt

path = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "loss_curves" / "sgd_cosine.csv"
curve = pt.read_loss_curve(path)
fit = pt.fit_loss_curve(curve, law="power", bootstrap=200, rng=0)
print(fit, end="\n\n")
comparison = pt.compare_laws(curve)
print(comparison.verdict)
fit.plot().figure.savefig("fit_log.png", dpi=150)
