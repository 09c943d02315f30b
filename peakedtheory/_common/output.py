"""Result files: NetCDF, written atomically, with the options and versions that made them."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peakedtheory._common.checks import fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray


def provenance(parameters: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes every file carries: versions, machine type, threads and resolved options."""
    attributes = {
        "peakedtheory_version": metadata.version("peakedtheory"),
        "python_version": platform.python_version(),
        "numpy_version": metadata.version("numpy"),
        "scipy_version": metadata.version("scipy"),
        "platform": f"{platform.system()} {platform.machine()}",
        "threads": os.environ.get("NUMBA_NUM_THREADS", str(os.cpu_count())),
        "command": " ".join(["peakedtheory", *sys.argv[1:]]),
    }
    attributes |= {f"option_{key}": str(value) for key, value in parameters.items()}
    return attributes


def check_target(path: Path, suffixes: tuple[str, ...], argument: str = "output") -> Path:
    """Return `path` if a file of that kind can be written there, before any work is done for it."""
    path = Path(path)
    if suffixes and path.suffix not in suffixes:
        *others, last = suffixes
        rule = f"must end in {', '.join(others)} or {last}" if others else f"must end in {last}"
        fail(argument, rule, str(path), f"name it {path.stem}{suffixes[0]}")
    if not path.parent.is_dir():
        fail(argument, "must lie in an existing folder", str(path), f"create {path.parent} first")
    return path


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block succeeds."""
    path = check_target(path, ())
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def save_dataset(dataset: xarray.Dataset, path: Path, parameters: dict[str, Any]) -> None:
    """Write `dataset` to `path` (NetCDF-4) with its provenance.

    Raises
    ------
    ValueError
        If the name does not end in .nc or the folder does not exist.
    """
    with atomic_path(check_target(path, (".nc",))) as temporary:
        dataset.assign_attrs(provenance(parameters)).to_netcdf(temporary, engine="h5netcdf")
