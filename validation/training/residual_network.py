"""Students and teachers with residual layers before their heads (Liu et al. 2026, Eqs. 64-67, Figs. 23, 24).

h_0 = norm(x), h_l = h_{l-1} + B_l relu²(A_l norm(h_{l-1}) + b_l), y = W norm(h_ℓ), with norm(v) = v √m/|v|.
Students of one depth, of every teacher and temperature of its head, are trained side by side by Adam. All
layers are drawn by the uniform law ±1/√(fan in); then, as in the paper's published code, the teacher's B_l
are multiplied by 1/√(its layers), and the students' B_l and heads are set to zero.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from peakedtheory._common.checks import fail
from peakedtheory._common.resume import ResumeFile
from peakedtheory._common.threads import number_of_threads
from peakedtheory.validation.training.graphs import captured, drawn, on_device
from peakedtheory.validation.training.inputs import TEST, TRAINING, Inputs, stream_key

_TEACHER, _STUDENT = 1, 2  # streams of seeds
_CHUNK_ROWS = 1 << 16  # examples of each teacher that are drawn, and labelled, at a time
_TEST_ROWS = 1024
_TILE_ROWS = 256  # at a time where no gradient is wanted, so that hidden layers stay in the cache
#: How layers start, by name: what multiplies the projections B of a teacher of ℓ layers, and of students.
STARTS: dict[str, tuple[Callable[[int], float], float]] = {
    "published": (lambda layers: 1.0 / math.sqrt(layers), 0.0),
    "uniform": (lambda layers: 1.0, 1.0),
}


@dataclass(frozen=True)
class ResidualPlan:
    """A stack of residual students of one depth: one for every teacher and every inverse temperature.

    Attributes
    ----------
    beta_star : tuple of float
        Inverse temperatures of the teachers' heads.
    depth, teacher_depth : int
        Layers of the students and of the teachers.
    learning_rate : float
        Adam's η.
    batch, steps : int
    teachers : tuple of int
        Seeds of the teachers; each is also that of its students and their inputs.
    seed : int
        Seed of all inputs, beside these.
    n, width : int
        Classes and width m; hidden layers are 4m wide.
    test_samples : int
    starts : str
        ``published``: B of the teacher over the root of its layers, B of the students zero, as in the code of
        Liu et al. 2026. ``uniform``: both as they are drawn. Heads of students are zero either way.

    Raises
    ------
    ValueError
        For starts that have no such name.
    """

    beta_star: tuple[float, ...]
    depth: int
    teacher_depth: int
    learning_rate: float
    batch: int
    steps: int
    teachers: tuple[int, ...] = (0,)
    seed: int = 0
    n: int = 128
    width: int = 32
    test_samples: int = 4096
    starts: str = "published"

    def __post_init__(self) -> None:
        if self.starts not in STARTS:
            fail("starts", f"must be {' or '.join(STARTS)}", repr(self.starts), "name one of them")


def rms_norm(v: torch.Tensor) -> torch.Tensor:
    """Scale vectors of the last axis to root-mean-square 1."""
    return v / v.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(1e-12)


#: Takes the gradient with respect to the features, returns those with respect to A, b and B.
Pullback = Callable[[torch.Tensor], Sequence[torch.Tensor]]


def features(
    x: torch.Tensor, stream_of: torch.Tensor, layers: Sequence[torch.Tensor], *, keep: bool = False
) -> tuple[torch.Tensor, Pullback | None]:
    """Return norm(h_ℓ) of every student (S, rows, m) and, if it is to be kept, the way back.

    Parameters
    ----------
    x : Tensor, shape (streams, rows, m)
    stream_of : Tensor of int64, shape (S,)
        Which inputs each student sees.
    layers : sequence of Tensor
        A (ℓ, S, m, 4m), b (ℓ, S, 1, 4m) and B (ℓ, S, 4m, m).
    keep : bool
        Whether gradients are wanted.

    Notes
    -----
    On CUDA by kernels that keep a tile of examples in registers, elsewhere by torch's own operations.
    """
    if x.is_cuda and importlib.util.find_spec("triton") is not None:
        from peakedtheory.validation.training import residual_kernels  # loads triton

        if residual_kernels.serves(x):
            return residual_kernels.features(x, stream_of, layers, keep=keep)
    if not keep:
        with torch.no_grad():
            tiles = [_through(tile, stream_of, layers) for tile in x.split(_TILE_ROWS, dim=1)]
        return torch.cat(tiles, dim=1), None
    leaves = [v.detach().requires_grad_() for v in layers]
    with torch.enable_grad():
        found = _through(x, stream_of, leaves)
    return found.detach(), lambda gradient: torch.autograd.grad(found, leaves, gradient)


def _through(x: torch.Tensor, stream_of: torch.Tensor, layers: Sequence[torch.Tensor]) -> torch.Tensor:
    """Take inputs through the layers, one torch operation after the other."""
    a, b, out = layers
    h = rms_norm(x).index_select(0, stream_of)
    for layer in range(a.shape[0]):
        hidden = torch.relu(torch.baddbmm(b[layer], rms_norm(h), a[layer])).square()
        h = h + torch.bmm(hidden, out[layer])
    return rms_norm(h)


def draw_layers(
    rng: np.random.Generator, depth: int, width: int, count: int = 1, projections: float = 1.0
) -> list[np.ndarray]:
    """Draw A, b and B by the uniform law ±1/√(fan in), alike for all `count` students, B times a factor."""
    inner, outer = 1.0 / math.sqrt(width), projections / math.sqrt(4 * width)
    shapes = ((depth, 1, width, 4 * width), (depth, 1, 1, 4 * width), (depth, 1, 4 * width, width))
    return [
        np.repeat(rng.uniform(-bound, bound, shape), count, axis=1).astype(np.float32)
        for shape, bound in zip(shapes, (inner, inner, outer), strict=True)
    ]


class ResidualRun:
    """The state of one stack of residual students, which can be stored and taken up again."""

    def __init__(self, plan: ResidualPlan, device: str) -> None:
        self.plan, self.device = plan, torch.device(device)
        m, n = plan.width, plan.n
        of_teacher, of_student = STARTS[plan.starts]
        bodies, heads, starts = [], [], []
        for teacher in plan.teachers:
            rng = np.random.default_rng([teacher, _TEACHER])
            factor = of_teacher(plan.teacher_depth)
            bodies.append(draw_layers(rng, plan.teacher_depth, m, projections=factor))
            heads.append(rng.uniform(-1.0, 1.0, (m, n)) * math.sqrt(3.0 / m))
            rng = np.random.default_rng([teacher, _STUDENT])
            starts.append(draw_layers(rng, plan.depth, m, len(plan.beta_star), of_student))
        self.teacher = [self._tensor(np.concatenate(v, axis=1)) for v in zip(*bodies, strict=True)]
        scaled = [[star * head for star in plan.beta_star] for head in heads]
        self.teacher_head = self._tensor(np.concatenate(scaled).astype(np.float32))
        # The head starts at zero, as the linear students do.
        values = [np.concatenate(v, axis=1) for v in zip(*starts, strict=True)]
        values.append(np.zeros(self.teacher_head.shape, np.float32))
        self.parameters = [self._tensor(v) for v in values]
        self.each = torch.arange(len(plan.teachers), device=self.device)
        self.teacher_of = self.each.repeat_interleave(len(plan.beta_star))
        self.optimizer = self._optimizer()
        self.inputs = Inputs(tuple(stream_key(plan.seed, t) for t in plan.teachers), m, True)
        self.pool = ThreadPoolExecutor(number_of_threads())
        shape = (len(plan.teachers), plan.batch, m)
        self._x, self._known = (torch.zeros(shape, device=self.device) for _ in range(2))
        self._graph: torch.cuda.CUDAGraph | None = None
        self._capture = self.device.type == "cuda"
        self.done = 0

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return on_device(values, self.device)

    def _optimizer(self) -> torch.optim.Adam:
        """Return Adam whose moments exist, at zero, before the first step."""
        adam = torch.optim.Adam(
            self.parameters,
            lr=self.plan.learning_rate,
            fused=True,
            capturable=self.device.type == "cuda",
        )
        for parameter in self.parameters:
            parameter.grad = torch.zeros_like(parameter)
        adam.step()
        for state in adam.state.values():
            state["step"].zero_()
        return adam

    def moments(self, name: str) -> list[torch.Tensor]:
        """Return exp_avg, exp_avg_sq or step of every parameter."""
        return [self.optimizer.state[p][name] for p in self.parameters]

    def _targets(self, known: torch.Tensor) -> torch.Tensor:
        """Return the teachers' logits (S, rows, n) from their features (teachers, rows, m)."""
        return torch.bmm(known.index_select(0, self.teacher_of), self.teacher_head)

    def _step(self) -> None:
        """One step of Adam on the inputs and teachers' features held."""
        *body, head = self.parameters
        found, back = features(self._x, self.teacher_of, body, keep=True)
        assert back is not None
        error = torch.softmax(torch.bmm(found, head), dim=-1)
        error.sub_(torch.softmax(self._targets(self._known), dim=-1)).div_(self.plan.batch)
        gradients = [*back(torch.bmm(error, head.mT)), torch.bmm(found.mT, error)]
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimizer.step()

    def chunk(self) -> int:
        """Return how many steps to train at a time."""
        return max(1, _CHUNK_ROWS // self.plan.batch)

    def advance(self, steps: int) -> None:
        """Train some steps on fresh inputs."""
        rows = drawn(self.inputs, TRAINING, self.done, steps, self.plan.batch, self.pool, self.device)
        known = features(rows.flatten(1, 2), self.each, self.teacher)[0].view_as(rows)
        for s in range(steps):
            self._x.copy_(rows[:, s])
            self._known.copy_(known[:, s])
            if self._capture and self._graph is None:
                names = ("exp_avg", "exp_avg_sq", "step")
                held = [*self.parameters, *(v for name in names for v in self.moments(name))]
                self._graph = captured(self._step, held, self.device)
                self._capture = self._graph is not None
            if self._graph is None:
                self._step()
            else:
                self._graph.replay()
        self.done += steps

    def observe(self) -> dict[str, np.ndarray]:
        """Return the test loss with its standard error, and β from the logits, of every student."""
        samples = self.plan.test_samples
        losses, variance = [], torch.zeros(len(self.teacher_of), dtype=torch.float64, device=self.device)
        tests = drawn(self.inputs, TEST, 0, 1, samples, self.pool, self.device)[:, 0]
        *body, head = self.parameters
        for x in tests.split(_TEST_ROWS, dim=1):
            target = self._targets(features(x.contiguous(), self.each, self.teacher)[0])
            logits = torch.bmm(features(x.contiguous(), self.teacher_of, body)[0], head).double()
            log_q, log_p = (torch.log_softmax(v.double(), dim=-1) for v in (target, logits))
            losses.append((log_q.exp() * (log_q - log_p)).sum(dim=-1))
            variance += logits.var(dim=-1, correction=0).sum(dim=1)
        value = torch.cat(losses, dim=1)
        found = {
            "loss": value.mean(dim=1),
            "loss_standard_error": value.std(dim=1) / math.sqrt(samples),
            "beta": (variance / samples).sqrt(),
        }
        return {k: v.cpu().numpy() for k, v in found.items()}

    def file(self, path: Path | None) -> ResumeFile:
        """Return the resume file of this run."""
        return ResumeFile(path, "residual training run", asdict(self.plan) | {"device": self.device.type})

    def store(self, file: ResumeFile, records: dict[str, np.ndarray]) -> None:
        """Write weights, moments and what was recorded."""
        arrays = {f"record_{name}": value for name, value in records.items()}
        for name, tensors in self._state().items():
            arrays |= {f"{name}_{k}": v.cpu().numpy() for k, v in enumerate(tensors)}
        file.save({"done": np.array(self.done), **arrays})

    def _state(self) -> dict[str, list[torch.Tensor]]:
        names = {"first": "exp_avg", "second": "exp_avg_sq"}
        return {"parameters": self.parameters, **{k: self.moments(v) for k, v in names.items()}}

    def restore(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Take up a stored run and return what it had recorded."""
        self.done = int(arrays["done"])
        for name, tensors in self._state().items():
            for k, tensor in enumerate(tensors):
                tensor.copy_(self._tensor(arrays[f"{name}_{k}"]))
        for count in self.moments("step"):
            count.fill_(self.done)
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
    """Train one stack and return loss, loss_standard_error and beta, each of shape (students, records).

    Students come teacher by teacher, in the order of `ResidualPlan.beta_star`.

    Parameters
    ----------
    plan : ResidualPlan
    record : ndarray of int
        Steps after which to record, ascending, none beyond the plan's.
    device : str
        ``cpu`` or a CUDA device.
    checkpoint : path, optional
        File that is replaced every ten seconds at most, and at the end.
    resume : bool
        Go on from it where it exists. The result is the same to the bit on the same device.
    report : callable, optional
        Called with the number of steps done.

    Raises
    ------
    ValueError
        If the checkpoint is unreadable, of another run, or exists and is not to be resumed.
    """
    run = ResidualRun(plan, device)
    shape = (len(run.teacher_of), len(record))
    records = {name: np.full(shape, np.nan) for name in ("loss", "loss_standard_error", "beta")}
    file = run.file(checkpoint)
    left = file.left(resume)
    if left is not None:
        records = run.restore(left)
    with run.pool:
        for place, step in enumerate(record):
            if step <= run.done and np.isfinite(records["loss"][0, place]):
                continue
            while run.done < step:
                run.advance(min(run.chunk(), int(step) - run.done))
                if report is not None:
                    report(run.done)
                if file.due():
                    run.store(file, records)
            for name, values in run.observe().items():
                records[name][:, place] = values
    run.store(file, records)
    return records
