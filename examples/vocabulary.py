"""Free-energy expansions for the vocabularies of four models, beside the exact free energy.

Run as `python examples/vocabulary.py`; writes vocabulary.png. Seconds.
"""

import matplotlib.pyplot as plt
import numpy as np

import peakedtheory as pt

VOCABULARIES = {"Llama 2": 32000, "GPT-NeoX": 50304, "Llama 3": 128256, "Gemma": 262144}

beta = np.geomspace(0.3, 60, 120)
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for i, (model, n) in enumerate(VOCABULARIES.items()):
    exact = pt.thermodynamics(beta, n)
    low, high = pt.low_temperature_expansion(n), pt.high_temperature_expansion(n)
    c0, _, c2 = low.coefficients
    print(
        f"{model:9s} n = {n:6d}   c0 = {c0:.6f}   c2 = {c2:.6f}   sqrt(2 ln n) = {np.sqrt(2 * np.log(n)):.4f}"
    )
    left.semilogx(beta, exact.free_energy, color=f"C{i}", label=f"{model}, n = {n}")
    for series, style in ((low, "--"), (high, ":")):
        error = np.abs(series.free_energy(beta) / exact.free_energy - 1)
        right.loglog(beta, error, style, color=f"C{i}")
left.set(xlabel="inverse temperature β", ylabel="free energy F", title="Exact free energy", ylim=(-25, 0))
left.legend()
right.set(
    xlabel="inverse temperature β",
    ylabel="relative error of F",
    title="Order 2 at low (dashed) and high T (dotted)",
    ylim=(1e-8, 2),
)
figure.savefig("vocabulary.png", dpi=150)
