"""Both training engines against autograd, torch.optim and each other."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from peakedtheory.dynamics.optimizers import SGD, Adam, Muon, SignGD
from peakedtheory.schedules.averages import MovingAverage, TailAverage
from peakedtheory.validation import Case, grid, train
from peakedtheory.validation.training.compiled_engine import CompiledEngine
from peakedtheory.validation.training.hessian import Curvature, leading_eigenvalues
from peakedtheory.validation.training.inputs import TEST, TRAINING, Inputs, stream_key
from peakedtheory.validation.training.stacks import build_stacks
from peakedtheory.validation.training.torch_engine import TorchEngine

N, M, BATCH, STEPS = 19, 7, 70, 20  # nothing a multiple of a tile, a vector or a block


class Inline:
    """A pool that computes at once."""

    map = staticmethod(map)


def stack_of(cases, *, n=N, steps=STEPS, common_inputs=True, normalise=True, test_samples=150):
    (stack,) = build_stacks(
        cases,
        range(len(cases)),
        steps,
        n,
        seed=3,
        common_inputs=common_inputs,
        normalise=normalise,
        test_samples=test_samples,
    )
    return stack


def engines_of(stack):
    return {"compiled": CompiledEngine(stack, Inline(), 1), "torch": TorchEngine(stack, "cpu", "float32")}


def torch_loss(case, w, x, teacher):
    """Mean loss of weights w, as anyone would write it."""
    y, y_star = x @ w.T, x @ torch.as_tensor(teacher, dtype=w.dtype).T
    if case.loss == "mse":
        return (y - y_star).square().sum(1).mean() / (2 * y.shape[1])
    if case.labels == "hard":
        return torch.nn.functional.cross_entropy(y, y_star.argmax(1))
    return torch.nn.functional.kl_div(y.log_softmax(1), y_star.softmax(1), reduction="batchmean")


LOSSES = [
    {"start_ratio": 0.7},
    {"beta_star": np.inf},
    {"loss": "mse", "start_ratio": 0.7},
    {"beta_star": 500.0, "start_ratio": 0.7},
    {"beta_star": 0.3, "start_ratio": 0.7},
    {"beta_star": 5.0, "labels": "sampled", "start_ratio": 0.7},
]


@pytest.mark.parametrize("settings", LOSSES)
def test_loss_and_gradient_are_those_of_autograd(settings):
    case = Case(optimizer=SGD(0.1, BATCH, M), **settings)
    stack = stack_of([case])
    if not stack.start.any():
        stack = replace(stack, start=np.random.default_rng(6).standard_normal(stack.start.shape))
    w = torch.tensor(stack.start[0].astype(np.float32).astype(float), requires_grad=True)
    x = torch.tensor(stack.tests.rows(TEST, 0, 1, stack.test_samples)[0, 0], dtype=torch.float64)
    loss = torch_loss(case, w, x, stack.teachers[0])
    loss.backward()
    ratio = w.detach().norm() / np.linalg.norm(stack.teachers[0])
    radial = torch_loss(case, ratio * torch.tensor(stack.teachers[0]), x, stack.teachers[0])
    for engine in engines_of(stack).values():
        seen = engine.observe()
        assert seen["loss"][0] / 150 == pytest.approx(loss.item(), rel=1e-10, abs=1e-13)
        assert seen["radial_loss"][0] / 150 == pytest.approx(radial.item(), rel=1e-10, abs=1e-13)
        np.testing.assert_allclose(seen["gradient"][0] / 150, w.grad.numpy(), rtol=1e-9, atol=1e-13)
        spread = (x @ w.detach().T).var(dim=1).sum().item()
        assert seen["variance"][0] == pytest.approx(spread, rel=1e-10)


MEMORIES = {"beta1": 0.8, "beta2": 0.97}
OPTIMIZERS = {
    "sgd": (SGD, {}, lambda p: torch.optim.SGD(p, lr=0.1)),
    "adam": (Adam, MEMORIES, lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.8, 0.97))),
    "adamw": (
        Adam, MEMORIES, lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.8, 0.97), weight_decay=0.5)
    ),
    "muon": (Muon, {"beta1": 0.8}, lambda p: torch.optim.Muon(p, lr=0.1, momentum=0.8, weight_decay=0.5)),
}  # fmt: skip


def reference_run(case, stack, optimizer):
    """Train with autograd and an optimizer of torch's own in float64; return all weights."""
    w = torch.nn.Parameter(torch.tensor(stack.start[0]))
    stepper = optimizer([w])
    rows = torch.tensor(stack.inputs.rows(TRAINING, 0, STEPS, case.batch)[0], dtype=torch.float64)
    path = []
    for t, rate in enumerate(stack.rates[0]):
        for group in stepper.param_groups:
            group["lr"] = rate
        stepper.zero_grad()
        torch_loss(case, w, rows[t], stack.teachers[0]).backward()
        stepper.step()
        path.append(w.detach().clone().numpy())
    return path


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("schedule", [None, f"cosine:peak=0.3,warmup=4,final=0.01,steps={STEPS}"])
@pytest.mark.parametrize("shape", [(N, M), (M, N)])
def test_optimizers_are_those_of_torch(monkeypatch, name, schedule, shape):
    if name == "muon" and not hasattr(torch.optim, "Muon"):
        pytest.skip("this torch has no Muon")
    decay = 0.5 if name in ("adamw", "muon") else 0.0
    kind, memories, expected_of = OPTIMIZERS[name]
    optimizer = kind(0.1, BATCH, shape[1], **memories)
    case = Case(beta_star=20, optimizer=optimizer, schedule=schedule, start_ratio=0.2, weight_decay=decay)
    assert case.name == name
    stack = stack_of([case], n=shape[0])
    # torch's Muon rounds to bfloat16 on the way; without that its numbers can be compared closely
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.clone)
    expected = reference_run(case, stack, expected_of)
    double = TorchEngine(stack, "cpu", "float64")
    singles = engines_of(stack)
    for t in range(STEPS):
        double.advance(t, t + 1)
        np.testing.assert_allclose(double.state()["weights"][0], expected[t], rtol=1e-6, atol=1e-6)
        for single in singles.values():
            single.advance(t, t + 1)
            np.testing.assert_allclose(
                single.state()["weights"][0], expected[t], rtol=2e-4, atol=2e-4 * np.abs(expected[t]).max()
            )


def test_decay_is_decoupled_and_signs_are_taken():
    case = Case(optimizer=SignGD(0.1, BATCH, M), weight_decay=0.5, start_ratio=0.1)
    stack = stack_of([case])
    w = torch.tensor(stack.start[0], requires_grad=True)
    x = torch.tensor(stack.inputs.rows(TRAINING, 0, 1, BATCH)[0, 0], dtype=torch.float64)
    torch_loss(case, w, x, stack.teachers[0]).backward()
    expected = (w * (1 - 0.1 * 0.5) - 0.1 * w.grad.sign()).detach().numpy()
    for engine in engines_of(stack).values():
        engine.advance(0, 1)
        np.testing.assert_allclose(engine.state()["weights"][0], expected, rtol=1e-6, atol=1e-6)


MIXED = [
    *grid(beta_star=[3, 200], optimizer=[SGD(rate, BATCH, M) for rate in (0.1, 2.0)], teacher=[0, 1]),
    Case(seed=4, start_ratio=0.5, schedule=f"linear:peak=3,steps={STEPS}"),
]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"beta_star": np.inf, "start_ratio": 0.0},
        {"labels": "sampled"},
        {"loss": "mse", "learning_rate": 0.5},
    ],
)
@pytest.mark.parametrize("kind", [SGD, Adam, SignGD])
def test_engines_agree_step_by_step(settings, kind):
    settings = dict(settings)
    rate = settings.pop("learning_rate", None)
    cases = [
        replace(c, optimizer=kind(rate or c.optimizer.learning_rate, BATCH, M), **settings) for c in MIXED
    ]
    stack = stack_of(cases)
    engines = engines_of(stack)
    for t in range(STEPS):
        for engine in engines.values():
            engine.advance(t, t + 1)
        a, b = (engine.state() for engine in engines.values())
        for name in a:
            scale = np.abs(a[name]).max(axis=(1, 2), keepdims=True)
            assert (np.abs(a[name] - b[name]) <= 3e-5 * scale).all()
        engines["torch"].restore(a)  # so that each step is compared from the same weights
    seen = [engine.observe() for engine in engines.values()]
    for name in seen[0]:
        np.testing.assert_allclose(seen[0][name], seen[1][name], rtol=1e-9, atol=1e-11)


def test_labels_are_drawn_from_the_teachers_probabilities():
    """Counts of classes, and their sums over inputs, lie within what draws scatter: chi-squared over all of them."""
    batch, n = 60_000, 12
    case = Case(beta_star=4.0, optimizer=SGD(1.0, batch, M), labels="sampled", teacher=3)
    stack = stack_of([case], n=n, steps=1)
    x = stack.inputs.rows(TRAINING, 0, 1, batch)[0, 0].astype(float)
    q = torch.softmax(torch.tensor(x @ stack.teachers[0].T), dim=1).numpy()
    for engine in engines_of(stack).values():
        engine.advance(0, 1)
        # From W = 0 at rate 1 the weights are the mean of (e - p) x.
        moments = batch * engine.state()["weights"][0] + (1.0 / n) * x.sum(axis=0) - q.T @ x
        variance = (q * (1.0 - q)).T @ x**2
        ratio = (moments**2 / variance).ravel()
        assert abs(ratio.mean() - 1.0) < 4.0 * ratio.std() / math.sqrt(ratio.size) + 1.0 / n


def test_the_numbers_that_draw_labels_belong_to_their_step_and_row():
    inputs = Inputs((stream_key(0, 1), stream_key(0, 2)), 32, True)
    u = inputs.uniforms(TRAINING, 7, 3, 4096)
    assert u.shape == (2, 3, 4096)
    np.testing.assert_array_equal(inputs.uniforms(TRAINING, 8, 1, 70)[:, 0, :70], u[:, 1, :70])
    flat = u.ravel()
    assert 0.0 < flat.min() < flat.max() < 1.0
    for power in (1, 2, 3):
        error = flat.size**-0.5
        assert abs((flat**power).mean() - 1.0 / (power + 1)) < 4.0 * error
    x = inputs.rows(TRAINING, 7, 3, 4096)
    for other in (u[0, 1], u[1, 0], x[0, 0, :, 0], x[0, 0, :, 31]):
        assert abs(np.corrcoef(u[0, 0], other)[0, 1]) < 4.0 / math.sqrt(4096)


AVERAGES = [MovingAverage(5.0), TailAverage(0.6), TailAverage(1.0)]


def test_averages_are_means_of_the_weights():
    cases = [Case(3.0, Adam(0.1, BATCH, M), start_ratio=0.5, average=a) for a in AVERAGES]
    plain = stack_of([replace(cases[0], average=None)])
    engine, path = CompiledEngine(plain, Inline(), 1), []
    for t in range(STEPS):
        engine.advance(t, t + 1)
        path.append(engine.state()["weights"][0].astype(float))
    path = np.array(path)
    old = (1.0 - 1.0 / 5.0) ** np.arange(STEPS)[::-1]
    expected = [
        np.tensordot(old / old.sum(), path, 1),
        path[-round(0.6 * STEPS) :].mean(axis=0),
        path.mean(axis=0),
    ]
    for trained in engines_of(stack_of(cases)).values():
        trained.advance(0, STEPS)
        np.testing.assert_allclose(trained.state()["average"], expected, rtol=1e-4, atol=2e-5)
        np.testing.assert_allclose(trained.state()["weights"], [path[-1]] * 3, rtol=1e-4, atol=2e-5)
        again = engines_of(stack_of(cases))["compiled" if isinstance(trained, CompiledEngine) else "torch"]
        again.restore(trained.state())
        np.testing.assert_array_equal(again.observe()["loss"], trained.observe()["loss"])
    run = train(cases, STEPS, n=N, record=[0, STEPS], observe=["weights"], test_samples=100)
    np.testing.assert_allclose(
        run.beta_weights[:, 1] ** 2 * N, (run.weights[:, 1].values ** 2).sum((1, 2)), rtol=1e-6
    )
    assert run.average.values.tolist() == [str(a) for a in AVERAGES]


def test_records_are_what_they_are_called():
    case = Case(beta_star=8, optimizer=SGD(2.0, BATCH, 24), start_ratio=0.3, teacher=2, seed=5)
    run = train(case, 30, n=40, record=[0, 10, 30], observe=["weights"], test_samples=4000)
    assert run.step.values.tolist() == [0, 10, 30]
    np.testing.assert_allclose(run.tau[0], [0, 20, 60])
    w, star = run.weights.values[0].astype(float), run.teacher_weights.values[0]
    unit = star / np.linalg.norm(star) * np.sqrt(40)
    np.testing.assert_allclose(run.weight_norm[0], np.linalg.norm(w, axis=(1, 2)), rtol=1e-12)
    np.testing.assert_allclose(run.beta_weights[0], run.weight_norm[0] / np.sqrt(40), rtol=1e-12)
    np.testing.assert_allclose(run.alignment[0], (w * unit).sum((1, 2)) / 40, rtol=1e-10)
    centred, centre = (v - v.mean(axis=-2, keepdims=True) for v in (w, star))
    along = (centred * centre).sum((1, 2)) / (centre**2).sum()
    rest = (centred**2).sum((1, 2)) - along**2 * (centre**2).sum()
    np.testing.assert_allclose(run.residual[0] ** 2, rest / 40, rtol=1e-9)
    np.testing.assert_allclose(run.tangential_loss, run.loss - run.radial_loss)
    np.testing.assert_allclose(run.beta, run.beta_weights, rtol=0.05)
    assert run.beta_weights[0, 0] == pytest.approx(0.3 * 8, rel=0.1)
    assert star.std() == pytest.approx(8 / np.sqrt(24), rel=0.05)
    assert np.abs(star).max() <= 8 * np.sqrt(3 / 24)
    assert not run.diverged.any()


def test_training_is_that_of_the_plain_simulator():
    # the same teachers, other inputs: means over teachers agree within what the inputs make them scatter
    import simulator

    seeds = range(6)
    teachers = simulator.teachers(32, 16, 30.0, seeds)
    plain = simulator.train(teachers, np.full(300, 2.0), 64, record=[300], samples=4096)
    cases = [Case(beta_star=30, optimizer=SGD(2.0, 64, 16), teacher=s, seed=s) for s in seeds]
    run = train(cases, 300, n=32, record=[300], observe=["weights"], test_samples=4096)
    np.testing.assert_allclose(run.teacher_weights, teachers, rtol=1e-12)
    whole = {
        "loss": plain.loss, "beta_weights": plain.beta, "alignment": plain.alignment,
        "residual": plain.residual,
    }  # fmt: skip
    for name, other in whole.items():
        differences = np.log(run[name].values[:, -1] / other[0])
        assert abs(differences.mean()) < 4 * differences.std(ddof=1) / np.sqrt(len(seeds)) < 0.2


def test_the_standard_error_of_the_loss_is_honest():
    # the same weights, other test inputs: losses must scatter by their standard errors
    cases = [Case(beta_star=5, seed=s, optimizer=SGD(0.1, 16, M)) for s in range(200)]
    run = train(cases, 1, n=N, record=[0], test_samples=100)
    scatter = run.loss.values.std(ddof=1)
    assert scatter == pytest.approx(run.loss_standard_error.values.mean(), rel=0.2)


def test_inputs_are_normal_and_belong_to_their_step_and_row():
    inputs = Inputs((stream_key(0, 1), stream_key(0, 2)), 32, False)
    x = inputs.rows(TRAINING, 7, 3, 1000)
    assert x.shape == (2, 3, 1000, 32)
    flat = x.astype(float).ravel()
    for power, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs((flat**power).mean() - expected) < 4 * math.sqrt(variance / flat.size)
    np.testing.assert_array_equal(inputs.rows(TRAINING, 8, 1, 70)[:, 0], x[:, 1, :70])
    # drawn by threads into given memory, and beside the same samples in lanes
    with ThreadPoolExecutor(2) as pool:
        given = np.empty((2, 40, 100, 32), np.float32)
        inputs.rows(TRAINING, 7, 40, 100, pool, given)
        lanes, rows = inputs.draw(TRAINING, 7, 40, 100, pool)
    np.testing.assert_array_equal(given[:, :3], x[:, :, :100])
    np.testing.assert_array_equal(given, rows[:, :, :100])
    np.testing.assert_array_equal(lanes.swapaxes(3, 4).reshape(rows.shape), rows)
    others = (x[0, 1], x[1, 0], inputs.rows(TEST, 7, 1, 1000)[0, 0])
    for other in others:
        assert abs(np.corrcoef(x[0, 0].ravel(), other.ravel())[0, 1]) < 4 / np.sqrt(32000)
    scaled = Inputs(inputs.keys, 32, True).rows(TRAINING, 7, 3, 1000)
    np.testing.assert_allclose((scaled.astype(float) ** 2).sum(-1), 32, rtol=1e-5)
    np.testing.assert_allclose(scaled[0, 0, 5] / scaled[0, 0, 5, 0], x[0, 0, 5] / x[0, 0, 5, 0], rtol=1e-4)


@pytest.mark.parametrize("settings", [{"start_ratio": 0.6}, {}, {"loss": "mse"}])
def test_hessian_is_that_of_autograd(settings):
    n, m = 6, 5
    case = Case(beta_star=4, optimizer=SGD(0.1, BATCH, m), **settings)
    stack = stack_of([case], n=n, test_samples=192)
    x = torch.tensor(stack.tests.rows(TEST, 0, 1, 192)[0, 0], dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(
        lambda w: torch_loss(case, w.reshape(n, m), x, stack.teachers[0]),
        torch.tensor(stack.start[0]).reshape(-1),
    )
    expected = np.linalg.eigvalsh(hessian.numpy())[::-1]
    seen = Curvature(stack, Inline()).measure(stack.start)
    assert np.abs(seen["hessian_eigenvalue"][0] - expected[:3]).max() <= seen["hessian_error"].max() + 1e-12
    assert seen["hessian_error"].max() <= 1e-5 * expected[0]
    assert seen["hessian_trace"][0] == pytest.approx(expected.sum(), rel=1e-9)
    assert 0 <= seen["hessian_trace_standard_error"][0] < 0.1 * expected.sum()


def test_equal_eigenvalues_are_all_found():
    rng = np.random.default_rng(1)
    q = np.linalg.qr(rng.standard_normal((60, 60)))[0]
    matrix = (q * np.concatenate([[2.0, 2.0, 1.0], np.linspace(0, 0.9, 57)])) @ q.T
    values, errors = leading_eigenvalues(lambda v: v @ matrix, 60)
    assert np.abs(values - [2, 2, 1]).max() <= errors.max() + 1e-12 < 2.1e-5


def local_exponent(run):
    """-d ln L / d ln τ over the second half of the steps."""
    loss, tau = run.loss.values[0, -2:], run.tau.values[0, -2:]
    return -np.log(loss[1] / loss[0]) / np.log(tau[1] / tau[0])


def test_power_law_needs_cross_entropy_and_low_temperature():
    steps = {"record": [0, 200, 400], "n": 32, "test_samples": 2000}
    cold = local_exponent(train(Case(beta_star=100, optimizer=SGD(4.0, 256, 16)), 400, **steps))
    slow = SGD(0.5, 256, 16)  # else nothing is left of these losses in float32
    squares = local_exponent(train(Case(beta_star=100, loss="mse", optimizer=slow), 400, **steps))
    warm = local_exponent(train(Case(beta_star=0.5, optimizer=slow), 400, **steps))
    assert 0.2 < cold < 0.5
    assert squares > 5
    assert warm > 5
