"""Students and teachers with residual layers before their heads (Liu et al. 2026, Eqs. 64-67, Figs. 23, 24).

h_0 = norm(x), h_l = h_{l-1} + B_l relu²(A_l norm(h_{l-1}) + b_l), y = W norm(h_ℓ), with norm(v) = v √m/|v|.
Students that share a teacher's body, and differ in the temperature of its head, are trained side by side by
Adam.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from peakedtheory._checks import fail
from peakedtheory._output import atomic_path

_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8
_TEACHER, _STUDENT, _TRAIN, _TEST = 1, 2, 3, 4  # streams of seeds


@dataclass(frozen=True)
class ResidualPlan:
    """One stack of residual students of a common depth, teacher and learning rate.

    Attributes
    ----------
    beta_star : tuple of float
        Inverse temperatures of the teacher's head, one student each.
    depth, teacher_depth : int
        Layers of the students and of the teacher.
    learning_rate : float
        Adam's η.
    batch, steps : int
    teacher, seed : int
        Seeds of the teacher, and of the students and their data.
    n, width : int
        Classes and width m; hidden layers are 4m wide.
    test_samples : int
    """

    beta_star: tuple[float, ...]
    depth: int
    teacher_depth: int
    learning_rate: float
    batch: int
    steps: int
    teacher: int = 0
    seed: int = 0
    n: int = 128
    width: int = 32
    test_samples: int = 4096

    def identity(self) -> str:
        """Return a text that no other plan has."""
        return repr(self)


def rms_norm(v: torch.Tensor) -> torch.Tensor:
    """Scale vectors of the last axis to root-mean-square 1."""
    return v / v.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(1e-12)


def features(x: torch.Tensor, layers: list[torch.Tensor]) -> torch.Tensor:
    """Return norm(h_ℓ) (S, batch, m) for layers A (ℓ, S, m, 4m), b (ℓ, S, 1, 4m), B (ℓ, S, 4m, m)."""
    a, b, out = layers
    h = rms_norm(x).expand(a.shape[1], *x.shape[-2:])
    for layer in range(a.shape[0]):
        hidden = torch.relu(torch.baddbmm(b[layer], rms_norm(h), a[layer])).square()
        h = h + torch.bmm(hidden, out[layer])
    return rms_norm(h)


def draw_layers(rng: np.random.Generator, depth: int, width: int, count: int = 1) -> list[np.ndarray]:
    """Draw layers by the uniform law ±1/√(fan in), the same for all `count` students."""
    inner, outer = 1.0 / math.sqrt(width), 1.0 / math.sqrt(4 * width)
    shapes = ((depth, 1, width, 4 * width), (depth, 1, 1, 4 * width), (depth, 1, 4 * width, width))
    return [
        np.repeat(rng.uniform(-bound, bound, shape), count, axis=1).astype(np.float32)
        for shape, bound in zip(shapes, (inner, inner, outer), strict=True)
    ]


class ResidualRun:
    """The state of one stack of residual students, which can be stored and taken up again."""

    def __init__(self, plan: ResidualPlan, device: str) -> None:
        self.plan, self.device = plan, torch.device(device)
        count, m, n = len(plan.beta_star), plan.width, plan.n
        rng = np.random.default_rng([plan.teacher, _TEACHER])
        self.teacher = [self._tensor(v) for v in draw_layers(rng, plan.teacher_depth, m)]
        head = rng.uniform(-1.0, 1.0, (m, n)) * math.sqrt(3.0 / m)
        scale = np.array(plan.beta_star)[:, None, None]
        self.teacher_head = self._tensor((scale * head).astype(np.float32))
        layers = draw_layers(np.random.default_rng([plan.seed, _STUDENT]), plan.depth, m, count)
        # The head starts at zero, as the linear students do.
        values = [*layers, np.zeros((count, m, n), np.float32)]
        self.parameters = [self._tensor(v).requires_grad_() for v in values]
        self.first = [torch.zeros_like(p) for p in self.parameters]
        self.second = [torch.zeros_like(p) for p in self.parameters]
        self.done = 0

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def _inputs(self, stream: int, step: int, size: int) -> torch.Tensor:
        rng = np.random.default_rng([self.plan.seed, stream, step])
        return self._tensor(rng.standard_normal((1, size, self.plan.width), dtype=np.float32))

    def losses(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return KL(teacher || student) of every example, (students, batch), and the students' logits."""
        with torch.no_grad():
            known = torch.matmul(features(x, self.teacher), self.teacher_head)
            log_q = torch.log_softmax(known, dim=-1)
        logits = torch.bmm(features(x, self.parameters[:3]), self.parameters[3])
        log_p = torch.log_softmax(logits, dim=-1)
        return (log_q.exp() * (log_q - log_p)).sum(dim=-1), logits

    def step(self) -> None:
        """One step of Adam on a fresh batch."""
        value, _ = self.losses(self._inputs(_TRAIN, self.done, self.plan.batch))
        gradients = torch.autograd.grad(value.mean(dim=1).sum(), self.parameters)
        self.done += 1
        size = self.plan.learning_rate / (1.0 - _BETA1**self.done)
        root = 1.0 / math.sqrt(1.0 - _BETA2**self.done)
        with torch.no_grad():
            for p, g, first, second in zip(self.parameters, gradients, self.first, self.second, strict=True):
                first.lerp_(g, 1.0 - _BETA1)
                second.mul_(_BETA2).addcmul_(g, g, value=1.0 - _BETA2)
                p.addcdiv_(first, second.sqrt().mul_(root).add_(_EPSILON), value=-size)

    def observe(self) -> dict[str, np.ndarray]:
        """Return the test loss with its standard error, and β from the logits, of every student."""
        with torch.no_grad():
            value, logits = self.losses(self._inputs(_TEST, 0, self.plan.test_samples))
            beta = logits.var(dim=-1, correction=0).mean(dim=1).sqrt()
            error = value.double().std(dim=1) / math.sqrt(self.plan.test_samples)
            mean = value.double().mean(dim=1)
        return {k: v.cpu().numpy() for k, v in (("loss", mean), ("loss_se", error), ("beta", beta))}

    def store(self, path: Path, records: dict[str, np.ndarray]) -> None:
        """Write weights, moments and what was recorded, atomically and without pickles."""
        arrays: dict[str, Any] = {f"record_{name}": value for name, value in records.items()}
        for name in ("parameters", "first", "second"):
            arrays |= {f"{name}_{k}": v.detach().cpu().numpy() for k, v in enumerate(getattr(self, name))}
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez(file, identity=np.array(self.plan.identity()), done=np.array(self.done), **arrays)

    def restore(self, path: Path) -> dict[str, np.ndarray]:
        """Take up a stored run and return what it had recorded."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = dict(stored)
        except (OSError, ValueError, EOFError) as error:
            fail("checkpoint", "must be a readable file", f"{path} ({error})", "delete it and start again")
        if str(arrays.get("identity")) != self.plan.identity():
            fail("checkpoint", "must belong to this run", f"{path} of another", "delete it or name another")
        self.done = int(arrays["done"])
        with torch.no_grad():
            for name in ("parameters", "first", "second"):
                for k, tensor in enumerate(getattr(self, name)):
                    tensor.copy_(self._tensor(arrays[f"{name}_{k}"]))
        return {k.removeprefix("record_"): v for k, v in arrays.items() if k.startswith("record_")}


def train_residual(
    plan: ResidualPlan,
    record: np.ndarray,
    *,
    device: str = "cpu",
    checkpoint: Path | None = None,
    resume: bool = False,
    report: Callable[[int], Any] | None = None,
) -> dict[str, np.ndarray]:
    """Train one stack and return loss, loss_se and beta, each of shape (students, records).

    Parameters
    ----------
    plan : ResidualPlan
    record : ndarray of int
        Steps after which to record, ascending, none beyond the plan's.
    device : str
        ``cpu`` or a CUDA device.
    checkpoint : path, optional
        File that is replaced at every record; removed at the end.
    resume : bool
        Go on from it where it exists. The result is the same to the bit on the same device.
    report : callable, optional
        Called with the number of steps done.

    Raises
    ------
    ValueError
        If the checkpoint is unreadable or of another run.
    """
    run = ResidualRun(plan, device)
    shape = (len(plan.beta_star), len(record))
    records = {name: np.full(shape, np.nan) for name in ("loss", "loss_se", "beta")}
    if checkpoint is not None and resume and checkpoint.exists():
        records = run.restore(checkpoint)
    for place, step in enumerate(record):
        if step <= run.done and np.isfinite(records["loss"][0, place]):
            continue
        while run.done < step:
            run.step()
            if report is not None:
                report(run.done)
        for name, values in run.observe().items():
            records[name][:, place] = values
        if checkpoint is not None:
            run.store(checkpoint, records)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return records
