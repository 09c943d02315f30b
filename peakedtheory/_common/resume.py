"""Resume files of training runs: NumPy archives without pickle, replaced at once or not at all."""

from __future__ import annotations

import json
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory._common.output import atomic_path

SAVE_SECONDS = 10.0
SAVING_SHARE = 0.05  # of the time, at most
_KIND = "peakedtheory training 1"
_REMEDY = "name another file, or delete it"


class ResumeFile:
    """The file of one run, replaced every ten seconds or more rarely where that takes long.

    Parameters
    ----------
    path : Path or None
        None is a run without a file: nothing is due, nothing is saved, nothing is left.
    identity : dict
        What another run must agree with to go on from it; values that JSON holds.
    """

    def __init__(self, path: Path | None, identity: dict[str, Any]) -> None:
        self.path = path
        self._identity = {"kind": _KIND, **identity}
        self._next = time.monotonic() + SAVE_SECONDS

    def due(self) -> bool:
        """Whether it is time to save."""
        return self.path is not None and time.monotonic() >= self._next

    def save(self, arrays: dict[str, np.ndarray]) -> None:
        """Write the state of the run."""
        if self.path is None:
            return
        start = time.monotonic()
        text = json.dumps(self._identity)
        with atomic_path(self.path) as temporary, temporary.open("wb") as file:
            np.savez(file, identity=np.array(text), **arrays)  # type: ignore[arg-type]
        end = time.monotonic()
        self._next = end + max(SAVE_SECONDS, (end - start) / SAVING_SHARE)

    def left(self, resume: bool) -> dict[str, np.ndarray] | None:
        """Return the state that the same run has left, None where there is none.

        Raises
        ------
        ValueError
            If there is a file and the run is not to be resumed, or the file is none of these, or of another
            run; the message names the difference.
        """
        path = self.path
        if path is None or not path.exists():
            return None
        if not resume:
            remedy = "resume it, or name another file"
            fail("checkpoint", "must not exist unless a run is resumed", str(path), remedy)
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
                found = json.loads(str(arrays.pop("identity")))
                kind = found["kind"]
        except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
            fail("checkpoint", "must be a resume file of a training run", f"{path} ({error})", _REMEDY)
        if kind != _KIND:
            fail("checkpoint", f"must be of the kind {_KIND!r}", f"{path} of {kind!r}", _REMEDY)
        mine = json.loads(json.dumps(self._identity))
        for key in [*mine, *found]:
            if mine.get(key) != found.get(key):
                fail("checkpoint", "must belong to the same run", f"{path}, which differs in {key}", _REMEDY)
        return arrays
