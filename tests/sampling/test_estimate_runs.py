"""Runs of blocks: executors, workers that die, interruption, and resuming to the bit."""

import functools
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pool_tasks
import pytest

from peakedtheory.sampling import blocks
from peakedtheory.sampling.blocks import WorkerError
from peakedtheory.sampling.montecarlo import estimate

PROBLEM = {"beta": [1.0, 6.0], "n": 300, "beta_star": 6.0, "method": "plain", "samples": 20_000, "rng": 4}


def same(a, b):
    return all(
        np.array_equal(one.mean, b.estimates()[name].mean)
        and np.array_equal(one.standard_error, b.estimates()[name].standard_error)
        for name, one in a.estimates().items()
    )


@pytest.fixture
def single_blocks(monkeypatch):
    """Make every block a task of its own, so that short runs have many."""
    monkeypatch.setattr(blocks, "_TASK_SECONDS", 0.0)


@pytest.fixture(scope="module")
def alone():
    return estimate(**PROBLEM)


@pytest.fixture(scope="module")
def processes():
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield pool


def test_processes_give_the_same_bits(alone, processes):
    assert same(alone, estimate(**PROBLEM, executor=processes))


def test_threads_give_the_same_bits(alone):
    with ThreadPoolExecutor(3) as pool:
        assert same(alone, estimate(**PROBLEM, executor=pool))


@pytest.mark.parametrize("method", ["order-statistics", "qmc"])
def test_all_methods_go_to_processes(processes, method):
    call = PROBLEM | {"method": method, "samples": 1 << 13, "energies": "logistic"}
    assert same(estimate(**call), estimate(**call, executor=processes))


def test_distributions_with_caches_go_to_processes(processes):
    call = {"beta": 1.0, "n": 40, "energies": "laplace", "samples": 2000, "rng": 1}
    first = estimate(**call)
    assert same(first, estimate(**(call | {"energies": first.energies}), executor=processes))


def test_dask_gives_the_same_bits(alone):
    import distributed

    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, memory_limit=0
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        assert same(alone, estimate(**PROBLEM, executor=client.get_executor()))


class Sometimes:
    """An executor in this process whose task fails on its first `failures` attempts."""

    def __init__(self, failures):
        self.failures, self.calls = failures, 0

    def submit(self, function, *arguments):
        future = Future()
        self.calls += 1
        if self.calls <= self.failures:
            future.set_exception(ConnectionError("lost"))
        else:
            try:
                future.set_result(function(*arguments))
            except ValueError as error:
                future.set_exception(error)
        return future


def test_a_lost_task_is_tried_again(alone):
    assert same(alone, estimate(**PROBLEM, executor=Sometimes(2)))


def test_a_task_that_always_fails_is_named():
    with pytest.raises(WorkerError, match=r"samples 0\.\.\d+ failed 3 time.*ConnectionError: lost") as caught:
        estimate(**PROBLEM, executor=Sometimes(10**6))
    assert caught.value.result is None


def test_bad_samplers_are_not_tried_again():
    def wrong(rng, size):
        return np.zeros(3)

    executor = Sometimes(0)
    with pytest.raises(ValueError, match="must return an array of shape"):
        estimate(1.0, 10, wrong, samples=64, rng=1, executor=executor)
    assert executor.calls == 1


class DiesAfter:
    """An executor that works for a while and is broken from then on."""

    def __init__(self, tasks):
        self.left = tasks

    def submit(self, function, *arguments):
        if self.left == 0:
            raise ConnectionError("scheduler gone")
        self.left -= 1
        future = Future()
        future.set_result(function(*arguments))
        return future


LONG = {"beta": 2.0, "n": 4000, "energies": pool_tasks.normal, "samples": 6_000, "rng": 4}


def test_finished_work_is_kept_when_the_executor_breaks(tmp_path, single_blocks):
    whole = estimate(**LONG)
    file = tmp_path / "run.npz"
    with pytest.raises(WorkerError, match=r"finished samples are kept in .*run\.npz") as caught:
        estimate(**LONG, executor=DiesAfter(4), checkpoint=file)
    assert 0 < caught.value.result.samples < 6_000
    assert caught.value.result.interrupted
    done = []
    resumed = estimate(**LONG, checkpoint=file, progress=lambda now, total: done.append(now))
    assert done[0] > caught.value.result.samples
    assert same(whole, resumed)


def test_a_worker_process_that_dies_is_named_and_its_work_is_kept(tmp_path):
    energies = functools.partial(pool_tasks.dies_once, str(tmp_path / "died"))
    call = {"beta": 1.0, "n": 20, "energies": energies, "samples": 500, "rng": 1}
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
        pytest.raises(WorkerError, match="BrokenProcessPool"),
    ):
        estimate(**call, executor=pool)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert estimate(**call, executor=pool).samples == 500


def test_a_task_that_fails_twice_in_a_process_succeeds(tmp_path, processes):
    energies = functools.partial(pool_tasks.fails_twice, str(tmp_path / "count"))
    result = estimate(1.0, 20, energies, samples=500, rng=1, executor=processes)
    assert same(result, estimate(1.0, 20, pool_tasks.normal, samples=500, rng=1))


class Interrupts:
    """A progress function that presses Ctrl-C after some calls."""

    def __init__(self, after):
        self.left = after

    def __call__(self, done, planned):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_ctrl_c_returns_what_is_known_and_the_run_goes_on(tmp_path, single_blocks):
    whole = estimate(**LONG)
    file = tmp_path / "run.npz"
    part = estimate(**LONG, checkpoint=file, progress=Interrupts(3))
    assert part.interrupted
    assert 0 < part.samples < 6_000
    assert np.isfinite(part.log_partition.standard_error)
    assert "interrupted" in repr(part)
    resumed = estimate(**LONG, checkpoint=file)
    assert not resumed.interrupted
    assert same(whole, resumed)
    assert same(whole, estimate(**LONG, checkpoint=file))


def test_ctrl_c_before_the_first_block_is_not_swallowed():
    def interrupted(rng, size):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        estimate(1.0, 20, interrupted, samples=100, rng=1)


@pytest.mark.parametrize("method", ["plain", "order-statistics", "qmc"])
def test_a_tolerance_run_resumes_to_the_bit(tmp_path, method):
    call = {
        "beta": [2.0, 5.0],
        "n": 500,
        "atol": 3e-3 if method != "qmc" else 3e-5,
        "rng": 4,
        "method": method,
    }
    whole = estimate(**call, covariance=True)
    file = tmp_path / "run.npz"
    part = estimate(**call, covariance=True, checkpoint=file, progress=Interrupts(2))
    assert part.interrupted
    resumed = estimate(**call, covariance=True, checkpoint=file)
    assert same(whole, resumed)
    assert resumed.samples == whole.samples
    assert np.array_equal(whole.log_partition_covariance, resumed.log_partition_covariance)


def test_a_finished_file_can_be_extended(tmp_path):
    file = tmp_path / "run.npz"
    call = PROBLEM | {"keep_samples": True}
    estimate(**(call | {"samples": 5_000}), checkpoint=file)
    longer = estimate(**call, checkpoint=file)
    whole = estimate(**call)
    assert same(whole, longer)
    assert np.array_equal(whole.log_partition_samples, longer.log_partition_samples)
    with pytest.raises(ValueError, match="checkpoint: holds"):
        estimate(**(call | {"samples": 300}), checkpoint=file)


def test_files_of_other_estimates_are_refused(tmp_path):
    file = tmp_path / "run.npz"
    estimate(**PROBLEM, checkpoint=file)
    changes = {"n": 301, "rng": 5, "beta": [1.0, 7.0], "energies": "laplace"}
    for (name, value), key in zip(changes.items(), ("n", "seed", "beta", "energies"), strict=True):
        message = f"checkpoint: must belong to the same estimate, got .*, made with {key} = "
        with pytest.raises(ValueError, match=message) as caught:
            estimate(**(PROBLEM | {name: value}), checkpoint=file)
        assert "\n" not in str(caught.value)
    file.write_bytes(b"garbage")
    with pytest.raises(ValueError, match="checkpoint: must be a resume file"):
        estimate(**PROBLEM, checkpoint=file)
    np.savez(file, a=np.array([object()], dtype=object))
    with pytest.raises(ValueError, match="checkpoint: must be a resume file"):
        estimate(**PROBLEM, checkpoint=file)


KILLED = """
import sys
from peakedtheory.sampling import blocks
from peakedtheory.sampling.montecarlo import estimate
import pool_tasks
estimate(2.0, 20_000, pool_tasks.normal, samples=20_000, rng=4, checkpoint=sys.argv[1],
         progress=lambda done, planned: print(done, flush=True))
"""


def test_a_killed_process_leaves_a_whole_file(tmp_path):
    """SIGKILL in the middle of a run: what the file holds resumes to the bit of an uninterrupted run."""
    file = tmp_path / "run.npz"
    environment = os.environ | {"PYTHONPATH": str(Path(pool_tasks.__file__).parent)}
    code = "import peakedtheory._common.resume as r; r.SAVE_SECONDS = 0.0; r.SAVING_SHARE = float('inf')\n"
    code += "import peakedtheory.sampling.blocks as b; b._TASK_SECONDS = 0.0\n" + KILLED
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE, env=environment
    )
    try:
        for _ in range(3):
            process.stdout.readline()
        time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    assert file.exists()
    with np.load(file, allow_pickle=False) as data:
        done = int(data["blocks"][2])
    call = {"beta": 2.0, "n": 20_000, "energies": pool_tasks.normal, "samples": done + 150, "rng": 4}
    assert same(estimate(**call, checkpoint=file), estimate(**call))


def test_no_temporary_files_remain(tmp_path):
    estimate(**PROBLEM, checkpoint=tmp_path / "run.npz")
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]
