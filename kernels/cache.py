"""Compiled kernels on disk, each valid for the very sources of all kernels that it was compiled from.

Numba checks a cached function against the file that defines it alone. A kernel contains, once compiled, the
functions of other files that it calls: after an upgrade that changes only those, the old code would run.
"""

import hashlib
from collections.abc import Callable
from importlib import resources
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache, IndexDataCacheFile


def source_digest() -> str:
    """Return a fingerprint of all source files of this package."""
    files = [file for file in resources.files(__package__).iterdir() if file.name.endswith(".py")]
    total = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        total.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return total.hexdigest()


_DIGEST = source_digest()


class _KernelCache(FunctionCache):
    """Numba's cache of one function, stamped with the fingerprint of all kernels."""

    def __init__(self, function: Callable) -> None:
        super().__init__(function)
        self._cache_file = IndexDataCacheFile(self.cache_path, self._impl.filename_base, _DIGEST)


def cached_njit(**options: Any) -> Callable:
    """Compile a kernel as `numba.njit` does, and keep it on disk until a kernel's source changes."""

    def decorate(function: Callable) -> Callable:
        dispatcher = njit(**options)(function)
        dispatcher._cache = _KernelCache(function)
        return dispatcher

    return decorate
