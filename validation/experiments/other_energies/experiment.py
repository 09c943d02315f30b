"""Energies whose exponent is not 1/3: a singular edge, atoms, and Gaussian ones beside them.

What is trained is the logit scale alone: n i.i.d. energies are drawn per example, the student's logits are
-βε and its label is the lowest energy. Stochastic gradient descent on that sampled loss, β ← β - (η/n) dL/dβ,
is the aligned student of Liu et al. 2026, Eq. 9, for any energies; the rate grows with the step, so that a
few thousand steps span many decades of τ.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np

from peakedtheory._common.progress import reporter
from peakedtheory._common.resume import ResumeFile
from peakedtheory._common.threads import number_of_threads
from peakedtheory.dynamics.aligned_path import aligned_path
from peakedtheory.dynamics.gap_law import predict_exponent
from peakedtheory.dynamics.interpolant import interpolant
from peakedtheory.energies.reading import as_energies
from peakedtheory.validation.experiments.base import Experiment, FigureSpec, RunContext, Settings
from peakedtheory.validation.experiments.claims import Claim, near
from peakedtheory.validation.experiments.comparison import agreement, fit_exponent, late_window
from peakedtheory.validation.experiments.flows import record_steps
from peakedtheory.validation.experiments.other_energies.figures import draw

if TYPE_CHECKING:
    import xarray

_BLOCK = 100  # steps that one generator draws for
_RECORDED = ("beta", "loss", "loss_standard_error")


def simulate(settings: Settings, context: RunContext) -> xarray.Dataset:
    """Train β for every distribution, several seeds side by side."""
    import xarray

    names, steps = settings["energies"], settings["steps"]
    scales = [_LogitScale(name, settings) for name in names]
    file = ResumeFile(context.checkpoint(), "training of logit scales", settings)
    done, left = 0, file.left(context.resume)
    if left is not None:
        done = int(left["done"])
        for scale, beta, records in zip(scales, left["beta"], left["records"], strict=True):
            scale.beta, scale.records = beta, records
    with (
        reporter(context.progress, "training logit scales") as report,
        ThreadPoolExecutor(number_of_threads()) as pool,
    ):
        # drawing takes longest and needs no β: blocks are drawn ahead, as many as keep the threads at work
        ahead: deque[list[Future[np.ndarray]]] = deque()
        starts = iter(range(done, steps, _BLOCK))
        depth = 2 + number_of_threads() // len(scales)
        while done < steps:
            for start in itertools.islice(starts, depth - len(ahead)):
                ahead.append([pool.submit(scale.draw, start) for scale in scales])
            drawn = [future.result() for future in ahead.popleft()]
            deque(pool.map(_LogitScale.advance, scales, [done] * len(scales), drawn), maxlen=0)
            done = min(done + _BLOCK, steps)
            report(done, steps)
            if file.due():
                state = {
                    name: np.array([getattr(scale, name) for scale in scales]) for name in ("beta", "records")
                }
                file.save({"done": np.array(done), **state})
    records = np.array([scale.records for scale in scales])
    at = scales[0].steps
    return xarray.Dataset(
        {name: (("energies", "seed", "time"), records[:, i]) for i, name in enumerate(_RECORDED)}
        | {"tau": (("time",), np.cumsum(_rates(settings))[at - 1]), "step": (("time",), at)},
        coords={"energies": list(names)},
        attrs={"classes": settings["classes"]},
    )


def _rates(settings: Settings) -> np.ndarray:
    """Rates that grow geometrically to `growth` times the first: η_t keeps a fixed ratio to τ."""
    u = np.linspace(0.0, 1.0, settings["steps"])
    return settings["rate"] * settings["growth"] ** u


class _LogitScale:
    """Students of one distribution, a seed each: their β, and what was recorded of them.

    Energies have their classes first, (n, seeds, batch), so that sums over the classes add whole rows. The
    steps of a block draw from a generator of its own: what a run has done says where it goes on.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        self.energies = as_energies(name)
        self.rates = _rates(settings)
        self.steps = record_steps(settings["steps"], settings["records"])
        self.key = [settings["seed"], int.from_bytes(name.encode()[:8], "little")]
        self.shape = (settings["classes"], settings["seeds"], settings["batch"])
        self.beta = np.zeros(settings["seeds"])
        self.records = np.full((len(_RECORDED), settings["seeds"], self.steps.size), np.nan)
        samples = (settings["classes"], settings["seeds"], settings["test_samples"])
        self.test = self._gaps(self._generator(0), samples)

    def _generator(self, stream: int) -> np.random.Generator:
        return np.random.default_rng([*self.key, stream])

    def _gaps(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """Draw energies above the lowest of each example; equal lowest ones share the label at no cost."""
        x = self.energies.sample(rng, shape)
        return x - x.min(axis=0)

    def draw(self, done: int) -> np.ndarray:
        """Return the gaps of the block of steps that begins after `done` of them."""
        rng = self._generator(1 + done // _BLOCK)
        count = min(_BLOCK, self.rates.size - done)
        return np.stack([self._gaps(rng, self.shape) for _ in range(count)])

    def advance(self, done: int, drawn: np.ndarray) -> None:
        """Train the block of steps that begins after `done` of them, on its gaps."""
        n, _, batch = self.shape
        for step, (rate, gaps) in enumerate(zip(self.rates[done:], drawn, strict=False), start=done + 1):
            weight = np.exp(-self.beta[:, None] * gaps)
            # dL/dβ = -Σ p gap, the mean of the excess energy under the softmax
            drive = ((weight * gaps).sum(axis=0) / weight.sum(axis=0)).sum(axis=1) / batch
            self.beta = self.beta + rate / n * drive
            place = int(np.searchsorted(self.steps, step))
            if self.steps[place] == step:
                self.records[:, :, place] = [self.beta, *self._test_loss()]

    def _test_loss(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the loss over each seed's own test energies, and its standard error."""
        samples = self.test.shape[2]
        log_z = np.log(np.exp(-self.beta[:, None] * self.test).sum(axis=0))
        losses = log_z - np.log((self.test == 0.0).sum(axis=0))
        return losses.mean(axis=1), losses.std(axis=1) / math.sqrt(samples)


@functools.lru_cache(maxsize=16)
def _path(name: str, n: int) -> tuple[dict[str, np.ndarray], float]:
    """Return τ, β and L along the aligned flow, and the asymptotic exponent."""
    energies = as_energies(name)
    path = aligned_path(interpolant(n, energies), math.inf, points=200)
    fields = {"tau": path.tau, "beta": path.beta, "loss": path.loss}
    return fields, float(predict_exponent(n, energies).exponent)


def predict(data: xarray.Dataset) -> xarray.Dataset:
    """Return β(τ) and L(τ) of the exact aligned flow, and the asymptotic exponent.

    Beyond the flow's table, where logarithms have long been straight, both go on as they end, for a decade.
    """
    import xarray

    tau = np.asarray(data["tau"], dtype=float)
    n = int(data.attrs["classes"])
    fields = {name: np.full((data.sizes["energies"], tau.size), np.nan) for name in ("beta", "loss")}
    limits = []
    for k, name in enumerate(data["energies"].values):
        path, limit = _path(str(name), n)
        limits.append(limit)
        known = path["loss"] > 0
        x = np.log(path["tau"][known])
        inside = (np.log(tau) >= x[0]) & (np.log(tau) <= x[-1] + math.log(10.0))
        at = np.log(tau[inside])
        for field in ("beta", "loss"):
            y = np.log(path[field][known])
            slope = (y[-1] - y[-6]) / (x[-1] - x[-6])
            fields[field][k, inside] = np.exp(np.interp(at, x, y) + slope * np.maximum(at - x[-1], 0.0))
    return xarray.Dataset(
        {name: (("energies", "time"), values) for name, values in fields.items()}
        | {"limit": (("energies",), limits)}
    )


def claims(data: xarray.Dataset, prediction: xarray.Dataset) -> list[Claim]:
    """Judge the exponent of every distribution, asymptotic and at these times, and the flow."""
    out = []
    tau = data["tau"].values
    window = late_window(tau, 100.0)
    for k, name in enumerate(data["energies"].values):
        fit = fit_exponent(tau, data["loss"].values[k], window)
        theory = fit_exponent(tau, prediction["loss"].values[k], window)
        limit = float(prediction["limit"].values[k])
        out.append(
            near(
                f"{name}: L ~ τ^-{limit:.3f} (last two decades of τ)",
                -fit.value,
                fit.error,
                limit,
                0.1 * max(limit, 1 / 3),
                "asymptotic exponent ± 10 %",
                predicted=-theory.value,
                published=1 / 3 if abs(limit - 1 / 3) < 1e-9 else None,
            )
        )
        losses = data["loss"].values[k].astype(float)
        mean = losses.mean(axis=0)
        noise = float(np.median(losses.std(axis=0, ddof=1) / mean)) / math.sqrt(len(losses))
        out.append(
            Claim(
                f"{name}: L is that of the exact flow, nothing fitted (typical relative error)",
                agreement(mean, prediction["loss"].values[k]).typical,
                noise,
                -math.inf,
                max(0.05, 3 * noise),
                "at most 5 %, or three errors of the mean over seeds",
                predicted=0.0,
            )
        )
    return out


_ENERGIES = ["normal", "expon", "beta:a=0.3,b=1", "gamma:a=0.25", "atoms:0=0.3,1=0.7"]

EXPERIMENTS = (
    Experiment(
        name="other-energies",
        title="Energies whose exponent is not 1/3",
        source="beyond the papers",
        settings={
            "paper": {
                "energies": _ENERGIES, "classes": 4, "steps": 20000, "batch": 1024, "seeds": 8, "rate": 1.0,
                "growth": 1e6, "records": 60, "test_samples": 100000, "seed": 0,
            },
            "quick": {
                "energies": _ENERGIES, "classes": 4, "steps": 2000, "batch": 256, "seeds": 4, "rate": 1.0,
                "growth": 1e5, "records": 40, "test_samples": 100000, "seed": 0,
            },
            "tiny": {
                "energies": _ENERGIES[:2] + _ENERGIES[-1:], "classes": 4, "steps": 100, "batch": 32,
                "seeds": 2, "rate": 1.0, "growth": 1e2, "records": 12, "test_samples": 2000, "seed": 0,
            },
        },
        simulate=simulate,
        predict=predict,
        claims=claims,
        figures=(
            FigureSpec(
                "other-energies",
                "Singular edges and atoms: other exponents",
                "Points: training of the logit scale, mean over seeds; lines: exact aligned flow, nothing "
                "fitted. The paper gives 1/3 for Gaussian energies and calls it universal.",
                draw,
            ),
        ),
        notes="scale paper: our own larger setting, as no paper has this experiment.",
    ),
)  # fmt: skip
