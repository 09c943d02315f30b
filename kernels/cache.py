"""Compiled kernels on disk, each valid for the very sources of all kernels that it was compiled from.

Numba checks a cached function against the file that defines it alone. A kernel contains, once compiled, the
functions of other files that it calls: after an upgrade that changes only those, the old code would run.
"""

import hashlib
import pickle
import warnings
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

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return what was compiled for a signature, None where it cannot be read."""
        try:
            return super().load_overload(sig, target_context)
        except (OSError, EOFError, pickle.UnpicklingError):
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what was compiled, if there is room for it."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            _tell_once(str(error))


def _tell_once(reason: str) -> None:
    """Say that kernels will be compiled anew next time."""
    if _told:
        return
    _told.append(reason)
    warnings.warn(
        f"kernels: compiled code cannot be kept ({' '.join(reason.split())[:200]}), so each new process"
        " compiles it again; name a writable folder in NUMBA_CACHE_DIR",
        stacklevel=3,
    )


_told: list[str] = []


def cached_njit(**options: Any) -> Callable:
    """Compile a kernel as `numba.njit` does, and keep it on disk, where possible, until a source changes."""

    def decorate(function: Callable) -> Callable:
        dispatcher = njit(**options)(function)
        try:
            dispatcher._cache = _KernelCache(function)
        except RuntimeError as error:  # no folder of Numba's choice is writable
            _tell_once(str(error))
        return dispatcher

    return decorate
