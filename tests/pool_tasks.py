"""Samplers for worker processes, which must import them by name."""

import os
from pathlib import Path


def normal(rng, size):
    return rng.normal(size=size)


def dies_once(flag, rng, size):
    """Kill the worker process on the first call of all; `flag` is the path that remembers it."""
    if not Path(flag).exists():
        Path(flag).touch()
        os._exit(17)
    return rng.normal(size=size)


def fails_twice(counter, rng, size):
    """Raise on the first two calls; `counter` is the path that counts them."""
    path = Path(counter)
    calls = int(path.read_text()) if path.exists() else 0
    path.write_text(str(calls + 1))
    if calls < 2:
        raise OSError("lost connection")
    return rng.normal(size=size)
