"""Draw the figures of practice.md: floors, batches, decays, averages and temperature on sampled labels.

Run as `python docs/practice_figures.py`; half a minute. Floors and decays come from the committed results,
the runs of the others are trained on the spot.
"""

from pathlib import Path

import numpy as np
from scipy.special import softmax

from peakedtheory import SGD, parse_schedule, student_flow
from peakedtheory._common.style import COLORS, new_figure
from peakedtheory.dynamics import best_scale, best_scale_of_logits
from peakedtheory.schedules import MovingAverage, TailAverage
from peakedtheory.validation import Case, train
from peakedtheory.validation.experiments.drawing import tidy
from peakedtheory.validation.experiments.registry import experiment

ROOT = Path(__file__).resolve().parent
STAR, N, WIDTH, BATCH, STEPS = 5.0, 128, 32, 64, 3000
TEACHERS = 3


def stored(key: str):
    """Return a figure of the committed experiment."""
    study = experiment("sampled-labels")
    data = study.load(ROOT.parent / "validation" / "data", "paper")
    (spec,) = [spec for spec in study.figures if spec.key == key]
    return spec.draw(data, study.predict(data))


def trained(cases: list[Case], steps: int, record: np.ndarray) -> np.ndarray:
    """Return losses, the mean over teachers, of one case each."""
    every = [Case(**{**vars(case), "teacher": t, "seed": t}) for case in cases for t in range(TEACHERS)]
    run = train(every, steps, n=N, record=record, test_samples=4096)
    return run.loss.values.reshape(len(cases), TEACHERS, -1).mean(axis=1)


def batches():
    """Draw the loss against examples for batches whose rates are in proportion."""
    figure, ((axes,),) = new_figure(1, width=5.4, height=3.8)
    examples = 2**19
    for colour, batch in zip(COLORS, (16, 64, 256, 1024), strict=False):
        optimizer, steps = SGD(batch * 0.5 / WIDTH, batch, WIDTH), examples // batch
        record = np.unique(np.round(np.geomspace(8, steps, 9)).astype(int))
        flow = student_flow(record * optimizer.learning_rate, STAR, N, optimizer=optimizer, labels="sampled")
        (loss,) = trained([Case(STAR, optimizer, labels="sampled")], steps, record)
        axes.loglog(record * batch, loss, "o", ms=4, color=colour, label=f"B = {batch}, η = {batch / 64:g}")
        axes.loglog(flow.examples, flow.loss, color=colour, lw=1.2)
    axes.set(xlabel="examples N", ylabel="excess loss (nats)", title="One rate for each example")
    axes.legend(fontsize=7)
    return figure


def averages():
    """Draw averages of the weights of one constant rate beside that rate and a linear decay."""
    figure, ((axes,),) = new_figure(1, width=5.4, height=3.8)
    rule = SGD(4.0, BATCH, WIDTH)
    linear = parse_schedule("linear:peak=4", STEPS)
    kinds = {
        "constant rate": (None, None),
        "moving average, 200 steps": (None, MovingAverage(200.0)),
        "mean of all weights": (None, TailAverage(1.0)),
        "linear decay": (linear, None),
    }
    record = np.unique(np.round(np.geomspace(30, STEPS, 10)).astype(int))
    cases = [Case(STAR, rule, plan, labels="sampled", average=mean) for plan, mean in kinds.values()]
    losses = trained(cases, STEPS, record)
    for colour, (label, (plan, mean)), loss in zip(COLORS, kinds.items(), losses, strict=False):
        tau = record * 4.0 if plan is None else plan.tau[record]
        flow = student_flow(tau, STAR, N, optimizer=rule, schedule=plan, labels="sampled", average=mean)
        axes.loglog(record, loss, "o", ms=4, color=colour, label=label)
        axes.loglog(record, flow.loss, color=colour, lw=1.2)
    bound = (N - 1) * WIDTH / (2 * BATCH * record)
    axes.loglog(record, bound, "k:", lw=1, label="(n-1)m/(2N)")
    axes.set(xlabel="training step t", ylabel="excess loss (nats)", title="Averaging instead of decay")
    axes.legend(fontsize=7)
    return figure


def tuned(rule: SGD, record: np.ndarray) -> np.ndarray:
    """Return the share of the loss that the best scale of the logits saves, measured on fresh inputs."""
    cases = [Case(STAR, rule, labels="sampled", teacher=t, seed=t) for t in range(TEACHERS)]
    run = train(cases, STEPS, n=N, record=record, observe=["weights"], test_samples=256)
    x = np.random.default_rng(1).standard_normal((8192, WIDTH))
    x *= np.sqrt(WIDTH / (x * x).sum(axis=1))[:, None]
    shares = np.empty(run.loss.shape)
    for i, star in enumerate(run.teacher_weights.values):
        labels = softmax(x @ star.T, axis=1)
        for k, weights in enumerate(run.weights.values[i].astype(float)):
            found = best_scale_of_logits(x @ weights.T, labels)
            shares[i, k] = found.saved / found.loss
    return shares.mean(axis=0)


def temperature():
    """Draw the share of the loss that the best temperature takes off along constant rates."""
    figure, ((axes,),) = new_figure(1, width=5.4, height=3.8)
    record = np.unique(np.round(np.geomspace(30, STEPS, 60)).astype(int))
    for colour, ratio in zip(COLORS, (0.5, 2.0), strict=False):
        rule = SGD(ratio * BATCH / WIDTH, BATCH, WIDTH)
        flow = student_flow(record * rule.learning_rate, STAR, N, optimizer=rule, labels="sampled")
        found = [best_scale(d, r, STAR, N) for d, r in zip(flow.alignment, flow.residual, strict=True)]
        share = [one.saved / one.loss for one in found]
        axes.semilogx(record, share, color=colour, lw=1.2)
        axes.semilogx(
            record[::8], tuned(rule, record[::8]), "o", ms=4, color=colour, label=f"ηm/B = {ratio:g}"
        )
    axes.set(xlabel="training step t", ylabel="share of the excess loss", ylim=(0, 0.8))
    axes.set_title("What the best temperature saves at a constant rate")
    axes.legend(fontsize=7)
    return figure


def main() -> None:
    """Write all figures."""
    drawn = {
        "floors": stored("sampled-labels"), "decays": stored("cooldowns"), "batches": batches(),
        "averages": averages(), "temperature": temperature(),
    }  # fmt: skip
    for name, figure in drawn.items():
        tidy(figure)
        figure.savefig(ROOT / "images" / f"practice_{name}.png", dpi=110)


if __name__ == "__main__":
    main()
