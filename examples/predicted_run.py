"""From learning rate, batch and width to a loss curve: the theory's prediction under a short training run.

Run as `python examples/predicted_run.py`; writes predicted_run.png. Half a minute; the experiments need
`pip install 'peakedtheory[validation]'`.
"""

import math

import matplotlib.pyplot as plt

import peakedtheory as pt
from peakedtheory.validation import Case, train

n, width, batch, steps, beta_star = 128, 32, 64, 2000, 100.0
best = pt.optimal_learning_rate(steps, math.inf, n, optimizer=pt.SGD(batch=batch, width=width))
print(best)

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for i, factor in enumerate((0.1, 1.0, 4.0)):
    rate = factor * best.learning_rate
    sgd = pt.SGD(rate, batch, width)
    runs = train([Case(beta_star, sgd, teacher=k, seed=k) for k in range(4)], steps, n=n, record=30)
    tau = runs.tau.values[0, 1:]
    theory = pt.student_flow(tau, beta_star, n, optimizer=sgd)
    label = f"η = {rate:.2g}" + (" (best)" if factor == 1 else "")
    for axes, name in ((left, "loss"), (right, "beta")):
        mean = runs[name].mean("case").values[1:]
        axes.loglog(runs.step.values[1:], mean, "o", ms=3, color=f"C{i}")
        axes.loglog(runs.step.values[1:], getattr(theory, name), color=f"C{i}", label=label)
    final = float(runs.loss.mean("case")[-1])
    print(f"{label:18s} loss after {steps} steps: trained {final:.4f}, predicted {theory.loss[-1]:.4f}")
left.set(
    xlabel="step", ylabel="loss (nats)", title=f"n = {n}, β* = {beta_star:g}; points: mean of 4 teachers"
)
right.set(xlabel="step", ylabel="inverse temperature β", title="lines: theory, nothing fitted")
left.legend()
figure.savefig("predicted_run.png", dpi=150)
