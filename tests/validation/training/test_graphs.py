"""The CUDA path of the torch engine on a fake device: warm-up, capture, replay, fallbacks, short memory.

The fake device is the processor. A graph keeps the operations of its capture with the very tensors they read and
wrote, so that a replay sees, as on a real device, only what has been copied into those tensors since.
"""

import contextlib

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from peakedtheory.dynamics.optimizers import SGD, Adam, Muon, SignGD
from peakedtheory.validation import Case, grid, train
from peakedtheory.validation.training import train as training
from peakedtheory.validation.training.stacks import build_stacks
from peakedtheory.validation.training.torch_engine import TorchEngine


class OnProcessor(TorchFunctionMode):
    """Puts on the processor what is asked for on CUDA; pinned memory is known by its address."""

    def __init__(self):
        super().__init__()
        self.pinned = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function is torch.Tensor.pin_memory:
            self.pinned.add(args[0].data_ptr())
            return args[0]
        pinned = kwargs.pop("pin_memory", False)
        if kwargs.get("non_blocking"):
            assert args[0].data_ptr() in self.pinned, (
                "a copy that nobody waits for must come from pinned memory"
            )

        def moved(value):
            return torch.device("cpu") if isinstance(value, torch.device) else value

        found = function(*map(moved, args), **{name: moved(value) for name, value in kwargs.items()})
        if pinned:
            self.pinned.add(found.data_ptr())
        return found


class Recorder(TorchDispatchMode):
    """Keeps every operation with its arguments and results."""

    def __init__(self, operations):
        super().__init__()
        self.operations = operations

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, result))
        return result


def copied_back(function, args, kwargs, result):
    """Run an operation again and leave its result where the first run left it."""
    again = function(*args, **kwargs)
    for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
        if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
            old.copy_(new)


class Cuda:
    """The part of torch.cuda that the engine uses; `log` lists what was asked of it.

    Parameters
    ----------
    capture_error, replay_error : callable
        Called with the number of captures and of replays begun; may raise.
    """

    def __init__(self, capture_error=lambda count: None, replay_error=lambda count: None):
        self.log = []
        self.capture_error, self.replay_error = capture_error, replay_error
        self.captures = self.replays = 0

    def stream_named(self, name):
        cuda = self

        class Stream:
            def wait_stream(self, other):
                cuda.log.append(f"{name} waits for {other.name}")

        found = Stream()
        found.name = name
        return found

    @contextlib.contextmanager
    def stream(self, stream):
        self.log.append(f"on {stream.name}")
        yield
        self.log.append(f"off {stream.name}")

    @contextlib.contextmanager
    def graph(self, graph):
        self.captures += 1
        self.log.append("capture")
        with Recorder(graph.operations):
            yield
        self.capture_error(self.captures)

    def new_graph(self):
        cuda = self

        class Graph:
            def __init__(self):
                self.operations = []

            def replay(self):
                cuda.replays += 1
                cuda.log.append("replay")
                for operation in self.operations:
                    copied_back(*operation)
                cuda.replay_error(cuda.replays)

        return Graph()

    @contextlib.contextmanager
    def installed(self, monkeypatch):
        """Put this in the place of torch.cuda for the engine."""
        replacements = {
            "is_available": lambda: True,
            "device_count": lambda: 1,
            "CUDAGraph": self.new_graph,
            "Stream": lambda device: self.stream_named("side"),
            "current_stream": lambda device: self.stream_named("main"),
            "stream": self.stream,
            "device": lambda device: contextlib.nullcontext(),
            "graph": self.graph,
        }
        with monkeypatch.context() as patch, OnProcessor():
            patch.setattr("ctypes.CDLL", lambda name: None)
            for name, value in replacements.items():
                patch.setattr(torch.cuda, name, value)
            yield self


SMALL = {"n": 12, "test_samples": 100, "record": 5}
STEPS = 11
KINDS = {
    "adam": [Case(optimizer=Adam(0.1, 24, 6), seed=s, start_ratio=0.3) for s in (0, 1)],
    "sgd": grid(beta_star=[3, 60], optimizer=[SGD(r, 24, 6) for r in (0.5, 2.0)], teacher=[0, 1]),
    "signgd": [Case(optimizer=SignGD(0.01, 24, 6), beta_star=np.inf)],
    "sampled": [Case(6.0, SGD(1.0, 24, 6), labels="sampled", teacher=t) for t in (0, 1)],
    "muon": [Case(optimizer=Muon(0.1, 24, 6), schedule=f"linear:peak=0.2,steps={STEPS}")],
    "mse": [Case(loss="mse", optimizer=SGD(1.0, 24, 6))],
}


def same(run, expected):
    for name in expected.data_vars:
        np.testing.assert_array_equal(run[name].values, expected[name].values, err_msg=name)


def plain(cases):
    return train(cases, STEPS, engine="torch", device="cpu", **SMALL)


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_is_captured_once_and_replayed_for_every_step(kind, monkeypatch):
    steps = []
    original = TorchEngine._step
    monkeypatch.setattr(TorchEngine, "_step", lambda self: steps.append(len(cuda.log)) or original(self))
    with Cuda().installed(monkeypatch) as cuda:
        run = train(KINDS[kind], STEPS, device="cuda", **SMALL)
    assert run.attrs["device"] == "cuda"
    before = ["side waits for main", "on side", "off side", "main waits for side", "capture"]
    assert cuda.log == before + ["replay"] * STEPS
    # three steps on the side stream to warm up, one that is captured
    assert steps == [2, 2, 2, 5]
    same(run, plain(KINDS[kind]))


def test_every_kind_of_step_has_its_own_graph(monkeypatch):
    cases = [*KINDS["adam"], *KINDS["mse"]]
    with Cuda().installed(monkeypatch) as cuda:
        run = train(cases, STEPS, device="cuda:0", **SMALL)
    assert (cuda.captures, cuda.replays) == (2, 2 * STEPS)
    same(run, plain(cases))


def test_steps_that_cannot_be_captured_are_launched_one_by_one(monkeypatch):
    def refuse(count):
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    with (
        Cuda(capture_error=refuse).installed(monkeypatch) as cuda,
        pytest.warns(
            RuntimeWarning, match=r"\(operation not permitted when stream is capturing\): steps are"
        ),
    ):
        run = train(KINDS["adam"], STEPS, device="cuda", **SMALL)
    assert (cuda.captures, cuda.replays) == (1, 0)
    same(run, plain(KINDS["adam"]))


# records after 0, 1, 2, 5 and 11 steps: five replays of the whole stack, two in vain, six of either half
@pytest.mark.parametrize(
    ("when", "full_at", "replays"), [("capture_error", 1, 2 * STEPS), ("replay_error", 7, 5 + 2 + 2 * 6)]
)
def test_short_memory_splits_the_stack_and_captures_its_halves(when, full_at, replays, monkeypatch):
    def full(count):
        if count == full_at:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 TiB\nmore")

    with (
        Cuda(**{when: full}).installed(monkeypatch) as cuda,
        pytest.warns(
            RuntimeWarning, match="out of memory on cuda: a stack of 8 cases is trained in two parts"
        ),
    ):
        run = train(KINDS["sgd"], STEPS, device="cuda", **SMALL)
    assert run.step.values.tolist() == [0, 1, 2, 5, 11]
    assert (cuda.captures, cuda.replays) == (3, replays)
    np.testing.assert_allclose(run.loss, plain(KINDS["sgd"]).loss, rtol=1e-4, atol=1e-6)


def engine_of(cases, device="cpu"):
    (stack,) = build_stacks(
        cases, range(len(cases)), STEPS, 12, seed=3, common_inputs=True, normalise=True, test_samples=100
    )
    return TorchEngine(stack, device, "float32")


@pytest.mark.parametrize(
    ("error", "raised", "message"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried\nmore"),
            MemoryError,
            r"^CUDA out of memory. Tried$",
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried"), MemoryError, "not enough memory"),
        (RuntimeError("an illegal instruction"), RuntimeError, "an illegal instruction"),
    ],
)
def test_a_failed_advance_leaves_the_state_as_it_was(error, raised, message, monkeypatch):
    engine = engine_of(KINDS["adam"])
    engine.advance(0, 2)
    before = engine.state()
    original = TorchEngine._step

    done = []

    def fail(self):
        original(self)
        done.append(self)
        if len(done) == 3:
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(TorchEngine, "_step", fail)
        with pytest.raises(raised, match=message):
            engine.advance(2, 7)
    for name, value in engine.state().items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)
    engine.advance(2, 7)
    whole = engine_of(KINDS["adam"])
    whole.advance(0, 7)
    np.testing.assert_array_equal(engine.state()["weights"], whole.state()["weights"])


def test_a_graph_is_not_kept_over_a_failure(monkeypatch):
    def stop(count):
        if count == 3:
            raise RuntimeError("launch failure")

    with Cuda(replay_error=stop).installed(monkeypatch) as cuda:
        engine = engine_of(KINDS["adam"], "cuda")
        with pytest.raises(RuntimeError, match="launch failure"):
            engine.advance(0, 5)
        engine.advance(0, 5)
        found = engine.state()
    assert cuda.captures == 2
    whole = engine_of(KINDS["adam"])
    whole.advance(0, 5)
    np.testing.assert_array_equal(found["weights"], whole.state()["weights"])


def no_driver(name):
    raise OSError(f"{name}: cannot open shared object file")


def test_the_device_is_chosen_and_refused(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("ctypes.CDLL", no_driver)
        assert training.resolve_machine("auto", None, "float32") == ("compiled", "cpu")
        with pytest.raises(ValueError, match="device: must be present, got cuda, which torch does not find"):
            training.resolve_machine("auto", "cuda", "float32")
    with Cuda().installed(monkeypatch):
        assert training.resolve_machine("auto", None, "float32") == ("torch", "cuda")
        assert training.resolve_machine("torch", "cuda:0", "float64") == ("torch", "cuda:0")
        assert training.resolve_machine("compiled", None, "float32") == ("compiled", "cpu")
        with pytest.raises(ValueError, match="device: must be present, got cuda:1"):
            training.resolve_machine("auto", "cuda:1", "float32")
        with pytest.raises(ValueError, match="engine: compiled runs on the processor"):
            training.resolve_machine("compiled", "cuda", "float32")
        monkeypatch.setattr(training.importlib.util, "find_spec", lambda name: None)
        assert training.resolve_machine("auto", None, "float32") == ("compiled", "cpu")
        with pytest.raises(ValueError, match=r"torch must be installed.*peakedtheory\[validation\]"):
            training.resolve_machine("torch", None, "float32")
