"""Runs as a whole: resume, splits, threads, executors, divergence, short memory, files and bad input."""

import concurrent.futures
import doctest
import importlib
import math
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import xarray

from peakedtheory._common import resume
from peakedtheory.dynamics.optimizers import SGD, Adam, GradientFlow, Muon
from peakedtheory.schedules.averages import TailAverage
from peakedtheory.validation import Case, grid, train
from peakedtheory.validation.training import runs, train as training
from peakedtheory.validation.training.observables import recorded_steps
from peakedtheory.validation.training.torch_engine import TorchEngine

SMALL = {"n": 12, "test_samples": 100}
CASES = [
    *(
        Case(beta_star, kind(rate, 40, 6))
        for kind in (Adam, SGD)
        for beta_star in (3, 60)
        for rate in (0.05, 0.5)
    ),
    Case(optimizer=Muon(0.1, 24, 6), seed=1, start_ratio=0.4),
    Case(np.inf, SGD(batch=40, width=6), schedule="cosine:peak=0.4,steps=37,warmup=5"),
    Case(5.0, SGD(2.0, 70, 6), labels="sampled", average=TailAverage(0.5), teacher=1, seed=2),
]
STEPS = 37


def plain(batch, **settings):
    """Return a case of plain SGD with six inputs."""
    return Case(optimizer=SGD(0.1, batch, 6), **settings)


def same(a, b, places=slice(None)):
    for name in a.data_vars:
        other = b[name].values[places] if "case" in b[name].dims else b[name].values
        np.testing.assert_array_equal(a[name].values, other, err_msg=name)


@pytest.fixture(scope="module")
def whole():
    return train(CASES, STEPS, record=9, observe=["weights"], **SMALL)


def test_bits_do_not_depend_on_the_stack(whole):
    for i in (0, 3, 7, 8, 9, 10):
        same(train(CASES[i], STEPS, record=9, observe=["weights"], **SMALL), whole, slice(i, i + 1))
    backwards = train(CASES[::-1], STEPS, record=9, observe=["weights"], **SMALL)
    same(backwards, whole, slice(None, None, -1))


def test_bits_do_not_depend_on_threads_and_chunks(whole, monkeypatch):
    monkeypatch.setattr(runs, "number_of_threads", lambda: 3)
    monkeypatch.setattr(runs, "_CHUNK_STEPS", 5)
    same(train(CASES, STEPS, record=9, observe=["weights"], **SMALL), whole)


def test_bits_do_not_depend_on_the_executor(monkeypatch):
    monkeypatch.setattr(training, "_CASES_IN_A_TASK", 3)
    options = {"record": 4, "common_inputs": False, **SMALL}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        distributed = train(CASES, STEPS, executor=pool, **options)
    same(distributed, train(CASES, STEPS, **options))


def test_worker_processes(tmp_path):
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    cases = [plain(8, schedule=lambda t: 0.1 / (1 + t)), plain(8)]
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        distributed = train(cases, 3, executor=pool, checkpoint=tmp_path / "c.npz", **SMALL)
    same(distributed, train(cases, 3, **SMALL))
    assert [p.name for p in tmp_path.iterdir()] == ["c-0.npz"]


def test_common_inputs_are_common_and_own_inputs_are_not():
    twins = [plain(16), plain(16), plain(16, seed=1)]
    common = train(twins, 5, **SMALL).weight_norm.values[:, -1]
    assert common[0] == common[1] != common[2]
    own = train(twins, 5, common_inputs=False, **SMALL).weight_norm.values[:, -1]
    assert len(set(own)) == 3


class StopError(Exception):
    pass


@pytest.mark.parametrize("engine", ["compiled", "torch"])
def test_resume_gives_the_same_bits(tmp_path, monkeypatch, engine):
    monkeypatch.setattr(resume, "SAVE_SECONDS", 0.0)
    monkeypatch.setattr(resume, "SAVING_SHARE", math.inf)
    monkeypatch.setattr(runs, "_CHUNK_STEPS", 4)
    options = {"record": 9, "engine": engine, "observe": ["weights", "hessian"], **SMALL}

    def stop(done, planned):
        assert planned == STEPS
        if done >= 20:
            raise StopError

    file = tmp_path / "run.npz"
    with pytest.raises(StopError):
        train(CASES, STEPS, checkpoint=file, progress=stop, **options)
    reached = []
    resumed = train(
        CASES, STEPS, checkpoint=file, resume=True, progress=lambda done, _: reached.append(done), **options
    )
    assert reached[0] > 16
    same(resumed, train(CASES, STEPS, **options))
    again = train(CASES, STEPS, checkpoint=file, resume=True, **options)
    same(again, resumed)


KILLED = """
import sys
from peakedtheory import SGD, Adam
from peakedtheory.validation import grid, train
from peakedtheory._common import resume
from peakedtheory.validation.training import runs
resume.SAVE_SECONDS, resume.SAVING_SHARE = 0.0, float("inf")
runs._CHUNK_STEPS = 7
cases = grid(optimizer=[Adam(0.1, 40, 6), SGD(0.1, 40, 6)])
train(cases, 3000, checkpoint=sys.argv[1], n=12, test_samples=100)
"""


def test_a_killed_run_resumes_to_the_same_bits(tmp_path):
    file = tmp_path / "run.npz"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(file)])
    deadline = time.monotonic() + 120
    while not file.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with np.load(file) as stored:
        done = int(stored["done"][0])
    assert 0 < done < 3000
    cases = grid(optimizer=[Adam(0.1, 40, 6), SGD(0.1, 40, 6)])
    resumed = train(cases, 3000, checkpoint=file, resume=True, **SMALL)
    same(resumed, train(cases, 3000, **SMALL))


def test_a_diverging_case_is_marked_and_the_rest_go_on():
    cases = [Case(loss="mse", optimizer=SGD(rate, 16, 6)) for rate in (100, 0.1)]
    for engine in ("compiled", "torch"):
        run = train(cases, 60, record="linear:10", engine=engine, observe=["hessian"], **SMALL)
        assert run.diverged.values.tolist() == [True, False]
        assert np.isfinite(run.loss.values[1]).all()
        assert np.isfinite(run.hessian_trace.values[1]).all()
        assert np.isfinite(run.loss.values[0, :2]).all()
        assert np.isnan(run.loss.values[0, -1])
        assert np.isnan(run.hessian_eigenvalue.values[0, -1]).all()


def test_short_memory_splits_the_stack(monkeypatch, whole):
    original = TorchEngine._step

    def step(self):
        original(self)
        if self.stack.size > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 TiB\nmore")

    monkeypatch.setattr(TorchEngine, "_step", step)
    with pytest.warns(
        RuntimeWarning, match="out of memory on cpu: a stack of 4 cases is trained in two parts"
    ):
        run = train(CASES, STEPS, record=9, engine="torch", **SMALL)
    np.testing.assert_allclose(run.loss, whole.loss, rtol=1e-2)
    np.testing.assert_allclose(run.loss[:4], whole.loss[:4], rtol=1e-3)

    def never(self):
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr(TorchEngine, "_step", never)
    with pytest.raises(MemoryError, match="one case does not fit"):
        train(plain(8), 3, engine="torch", **SMALL)


def test_double_precision_takes_torch():
    run = train(plain(16, start_ratio=0.5), 5, dtype="float64", observe=["weights"], **SMALL)
    assert run.attrs["engine"] == "torch"
    assert run.weights.dtype == float


def test_file(tmp_path, whole):
    run = train(CASES, STEPS, record=9, observe=["weights"], output=tmp_path / "run.nc", **SMALL)
    with xarray.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as stored:
        same(run, stored)
        assert stored.optimizer.values.tolist() == ["adam"] * 4 + ["sgd"] * 4 + ["muon", "sgd", "sgd"]
        assert stored.labels.values.tolist() == ["soft"] * 9 + ["hard", "sampled"]
        assert stored.attrs["option_steps"] == "37"
        assert stored.learning_rate.values[-2] == pytest.approx(0.4)


def test_recorded_steps():
    assert recorded_steps(None, 10**5)[[0, 1, -1]].tolist() == [0, 1, 10**5]
    assert recorded_steps([5, 3, 5], 10).tolist() == [3, 5]
    assert recorded_steps(2, 1).tolist() == [0, 1]
    assert len(recorded_steps(60, 2000)) <= 60


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "sgd"}, "optimizer: must be of SGD, Adam, SignGD, Muon, got 'sgd'"),
        ({"optimizer": GradientFlow()}, "optimizer: must be of SGD, Adam, SignGD, Muon"),
        ({"beta_star": 0}, "beta_star: must be one positive"),
        ({"labels": "hard"}, "labels: must be soft or sampled at a finite beta_star, got 'hard' at 100"),
        ({"average": 0.5}, "average: must be a MovingAverage or TailAverage, got 0.5"),
        ({"labels": "random"}, "labels: must be soft, hard or sampled, got 'random'"),
        ({"labels": None}, "labels: must be soft, hard or sampled"),
        ({"labels": "sampled", "loss": "mse"}, "labels must be soft"),
        ({"beta_star": [1, 2]}, "beta_star: must be one number"),
        ({"optimizer": SGD(batch=1.5)}, "batch: must be a whole number"),
        ({"optimizer": SGD(width=6.5)}, "width: must be a whole number"),
        ({"teacher": -1}, "teacher: must be a whole number"),
        ({"weight_decay": -0.1}, "weight_decay: must be one nonnegative"),
        ({"beta_star": np.inf, "loss": "mse"}, "labels must be soft"),
        ({"beta_star": np.inf, "start_ratio": 0.1}, "start_ratio: needs a finite"),
    ],
)
def test_impossible_cases(settings, message):
    with pytest.raises(ValueError, match=message):
        Case(**settings)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cases": []}, "cases: must be Case objects"),
        ({"cases": [3]}, "cases: must be Case objects.* got int"),
        ({"cases": [Case(), plain(8)]}, "cases: must have optimizers of one width, got 6 and 32"),
        ({"steps": 0}, "steps: must be a whole number"),
        ({"n": 1}, "n: must be a whole number"),
        ({"record": "daily"}, "record: must read linear:every"),
        ({"record": [0, 99]}, "record: must be whole steps from 0 to 4"),
        ({"record": 1}, "record: must be a whole number >= 2"),
        ({"observe": ["loss"]}, "observe: knows weights, hessian, cross_entropy"),
        ({"device": "tpu"}, "device: must be cpu, cuda"),
        ({"device": "cuda:99"}, "device: must be present"),
        ({"engine": "jax"}, "engine: must be auto, torch, compiled"),
        ({"engine": "compiled", "dtype": "float64"}, "engine: compiled runs on the processor in float32"),
        ({"dtype": "float16"}, "dtype: must be float32, float64"),
        ({"output": "run.csv"}, "output: must end in .nc"),
        ({"output": "nowhere/run.nc"}, "output: must lie in an existing folder"),
        ({"checkpoint": "nowhere/run.npz"}, "checkpoint: must lie in an existing folder"),
        ({"cases": [plain(8, schedule="linear:peak=1,steps=9")]}, "schedule: must have 4 steps"),
    ],
)
def test_impossible_runs(options, message):
    with pytest.raises(ValueError, match=message):
        train(**{"cases": [plain(8)], "steps": 4, **SMALL, **options})


def test_resume_files_of_something_else(tmp_path):
    file = tmp_path / "run.npz"
    train(plain(8), 4, checkpoint=file, **SMALL)
    with pytest.raises(ValueError, match="must not exist unless a run is resumed"):
        train(plain(8), 4, checkpoint=file, **SMALL)
    with pytest.raises(ValueError, match=r"same training run.*made with steps = 4 and not 5"):
        train(plain(8), 5, checkpoint=file, resume=True, **SMALL)
    with pytest.raises(ValueError, match=r"same training run.*made with cases = "):
        train(plain(9), 4, checkpoint=file, resume=True, **SMALL)
    file.write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(ValueError, match="must be a resume file of a training run"):
        train(plain(8), 4, checkpoint=file, resume=True, **SMALL)
    np.savez(file, a=np.zeros(3))
    with pytest.raises(ValueError, match="must be a resume file of a training run"):
        train(plain(8), 4, checkpoint=file, resume=True, **SMALL)
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("name", ["cases", "train", "observables"])
def test_examples_in_docstrings_run(name):
    assert doctest.testmod(importlib.import_module(f"peakedtheory.validation.training.{name}")).failed == 0
