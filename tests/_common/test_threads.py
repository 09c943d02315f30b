"""Ranges of compiled loops shared among threads."""

import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from itertools import pairwise
from multiprocessing import get_context

import numba
import pytest

from peakedtheory._common.threads import number_of_threads, share


@pytest.fixture
def three_threads(monkeypatch):
    monkeypatch.setattr("peakedtheory._common.threads.number_of_threads", lambda: 3)


@pytest.mark.parametrize(("items", "unit"), [(0, 1), (1, 64), (64, 64), (65, 64), (1000, 64), (7, 1)])
def test_ranges_cover_all_items_once(three_threads, items, unit):
    ranges = []
    share(items, unit, 10.0, lambda *some: ranges.append(some))
    ranges.sort()
    assert ranges[0][0] == 0
    assert ranges[-1][1] == items
    assert all(a[1] == b[0] and a[1] % unit == 0 for a, b in pairwise(ranges))
    assert len(ranges) == min(3, max(1, -(-items // unit)))


def test_long_loops_run_on_several_threads_and_short_ones_here(three_threads):
    meet = threading.Barrier(3, timeout=20)
    share(3, 1, 10.0, lambda start, stop: meet.wait())
    seen = []
    share(3, 1, 1e-4, lambda start, stop: seen.append((start, stop, threading.current_thread())))
    assert seen == [(0, 3, threading.current_thread())]


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_errors_come_through_after_all_have_stopped(three_threads, bad):
    done = []

    def work(start, stop):
        if start == bad:
            raise ZeroDivisionError
        if start == 2:
            time.sleep(0.05)
        done.append(start)

    with pytest.raises(ZeroDivisionError):
        share(3, 1, 10.0, work)
    assert sorted(done) == sorted({0, 1, 2} - {bad})


def test_threads_may_share_at_the_same_time(three_threads):
    def total(number):
        parts = []
        share(number, 1, 10.0, lambda start, stop: parts.append(sum(range(start, stop))))
        return sum(parts)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(total, range(200))) == [n * (n - 1) // 2 for n in range(200)]


def test_numba_says_how_many_threads_but_in_a_worker():
    before = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        assert number_of_threads() == 1
    finally:
        numba.set_num_threads(before)
    assert number_of_threads() == before
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        assert pool.submit(number_of_threads).result() == 1
