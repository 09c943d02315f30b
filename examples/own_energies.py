"""Energies of your own: how their lowest gap decides the exponent of learning.

Run as `python examples/own_energies.py`; writes own_energies.png. About half a minute.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

import peakedtheory as pt

n = 64
cases = {
    "normal": stats.norm(),
    "sharp edge (exponential)": stats.expon(),
    "singular edge (gamma, a = 0.3)": stats.gamma(0.3),
    "two atoms": pt.Discrete([0.0, 1.0], [0.1, 0.9]),
}
beta = np.geomspace(1, 1e4, 17)
figure, axes = plt.subplots(figsize=(6, 4.2), layout="constrained")
for name, energies in cases.items():
    prediction = pt.predict_exponent(n, energies)
    print(f"{name}: loss ~ τ^-{prediction.exponent:.3f}; {prediction.explanation}")
    loss = np.array([pt.loss(b, np.inf, n, energies) for b in beta])
    seen = loss > 1e-9
    axes.loglog(beta[seen], loss[seen], label=f"{name}: α = {prediction.exponent:.3f}")
axes.set(
    xlabel="inverse temperature β",
    ylabel="loss against hard labels (nats)",
    title=f"Aligned student of {n} classes",
    ylim=(1e-6, 10),
)
axes.legend(fontsize=8, loc="lower right")
figure.savefig("own_energies.png", dpi=150)
