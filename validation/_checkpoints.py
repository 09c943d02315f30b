"""Resume files of training runs: NumPy archives without pickle, replaced at once or not at all."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from peakedtheory._checks import fail
from peakedtheory._output import atomic_path

_KIND = "peakedtheory training 1"
_REMEDY = "name another file, or delete it"


def save(path: Path, identity: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Write arrays with the identity of the run they belong to."""
    text = json.dumps({"kind": _KIND, **identity})
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, identity=np.array(text), **arrays)  # type: ignore[arg-type]


def load(path: Path, identity: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays of a file that belongs to the same run.

    Raises
    ------
    ValueError
        If the file is none of these, or of another run; the message names the difference.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
            found = json.loads(str(arrays.pop("identity")))
            kind = found.pop("kind")
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        fail("checkpoint", "must be a resume file of train", f"{path} ({error})", _REMEDY)
    if kind != _KIND:
        fail("checkpoint", f"must be of the kind {_KIND!r}", f"{path} of {kind!r}", _REMEDY)
    mine = json.loads(json.dumps(identity))
    for key in [*mine, *found]:
        if mine.get(key) != found.get(key):
            fail("checkpoint", "must belong to the same run", f"{path}, which differs in {key}", _REMEDY)
    return arrays
