"""Compiled kernels on disk: used again from the same sources, and compiled afresh after any change of them."""

import importlib.util

import pytest

from peakedtheory.kernels import cache

SOURCE = """
from peakedtheory.kernels.cache import cached_njit


@cached_njit()
def double(x):
    return 2 * x
"""


@pytest.fixture
def fresh(tmp_path):
    """Import a module with one kernel anew, call it, and return how often it came from the cache."""
    path = tmp_path / "one_kernel.py"
    path.write_text(SOURCE)

    def hits():
        spec = importlib.util.spec_from_file_location("one_kernel", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        assert module.double(21) == 42
        return sum(module.double.stats.cache_hits.values())

    return hits


def test_kernels_load_from_the_cache_until_any_source_changes(fresh, monkeypatch):
    assert fresh() == 0
    assert fresh() == 1
    monkeypatch.setattr(cache, "_DIGEST", "of other sources")
    assert fresh() == 0
    assert fresh() == 1


def test_the_fingerprint_covers_every_source_file(tmp_path, monkeypatch):
    monkeypatch.setattr(cache.resources, "files", lambda package: tmp_path)
    (tmp_path / "a.py").write_text("x = 1")
    (tmp_path / "b.py").write_text("y = 1")
    seen = {cache.source_digest()}
    (tmp_path / "b.py").write_text("y = 2")
    seen.add(cache.source_digest())
    (tmp_path / "b.py").rename(tmp_path / "c.py")
    seen.add(cache.source_digest())
    (tmp_path / "notes.txt").write_text("not a source")
    assert len(seen) == 3
    assert cache.source_digest() in seen


def test_without_a_writable_folder_kernels_are_compiled_and_that_is_said_once(fresh, monkeypatch):
    def refused(self, function):
        raise RuntimeError(f"cannot cache function {function.__name__!r}: no locator available for file")

    monkeypatch.setattr(cache._KernelCache, "__init__", refused)
    monkeypatch.setattr(cache, "_told", [])
    with pytest.warns(UserWarning, match=r"kernels: compiled code cannot be kept .*NUMBA_CACHE_DIR"):
        assert fresh() == 0
    assert fresh() == 0  # without a warning, which would be an error


def test_a_full_disk_or_an_unreadable_cache_costs_time_alone(fresh, monkeypatch):
    def fails(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_told", [])
    monkeypatch.setattr(cache.FunctionCache, "save_overload", fails)
    monkeypatch.setattr(cache.FunctionCache, "load_overload", fails)
    with pytest.warns(UserWarning, match="No space left on device"):
        assert fresh() == 0
