"""Resume files of long computations: NumPy archives without pickle, replaced at once or not at all."""

from __future__ import annotations

import hashlib
import json
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from peakedtheory._common.archives import require_archive
from peakedtheory._common.checks import fail, one_line
from peakedtheory._common.output import atomic_path

SAVE_SECONDS = 10.0
SAVING_SHARE = 0.05  # of the time, at most
_FORMAT = 2
_REMEDY = "name another file, or delete it"
_SHOWN = 40  # characters of a value in a message


class ResumeFile:
    """The file of one run, replaced every ten seconds or more rarely where that takes long.

    It holds a checksum of all that is in it, so that a damaged file is refused. Where it cannot be
    written, the one before stays, a warning says why, and the run goes on.

    Parameters
    ----------
    path : Path or None
        None is a run without a file: nothing is due, nothing is saved, nothing is left.
    kind : str
        What kind of run it is, as messages name it: "estimate", "training run".
    identity : mapping
        What another run must agree with to go on from it; values that JSON holds.

    Raises
    ------
    ValueError
        If the folder does not exist.
    """

    def __init__(self, path: Path | None, kind: str, identity: Mapping[str, Any]) -> None:
        if path is not None and not path.parent.is_dir():
            fail("checkpoint", "must lie in an existing folder", str(path), "create it first")
        self.path, self.kind = path, kind
        # as a file gives it back: tuples are lists there
        self._identity = json.loads(json.dumps({"format": _FORMAT, "kind": kind, **identity}))
        self._next = time.monotonic() + SAVE_SECONDS

    def due(self) -> bool:
        """Whether it is time to save."""
        return self.path is not None and time.monotonic() >= self._next

    def save(self, arrays: dict[str, np.ndarray]) -> None:
        """Write the state of the run."""
        if self.path is None:
            return
        start = time.monotonic()
        identity = np.array(json.dumps(self._identity))
        checksum = np.array(_checksum(arrays | {"identity": identity}))
        try:
            with atomic_path(self.path) as temporary, temporary.open("wb") as file:
                np.savez(file, identity=identity, checksum=checksum, **arrays)  # type: ignore[arg-type]
        except OSError as error:
            reason = error.strerror or error
            message = f"checkpoint: {self.path} could not be written ({reason}); the run goes on without it"
            warnings.warn(one_line(message), stacklevel=2)
        end = time.monotonic()
        self._next = end + max(SAVE_SECONDS, (end - start) / SAVING_SHARE)

    def left(self, resume: bool = True) -> dict[str, np.ndarray] | None:
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
            require_archive(path)
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
                checksum = str(arrays.pop("checksum", ""))
                whole = checksum == _checksum(arrays)
                found = dict(json.loads(str(arrays.pop("identity"))))
        except Exception as error:  # whatever a damaged archive makes of its readers
            self._refuse(f"{path} ({error})")
        if found.get("format") == _FORMAT and not whole:
            self._refuse(f"{path}, which is damaged: its checksum is another")
        if found.get("kind") != self.kind:
            self._refuse(f"{path} of {found.get('kind')!r}")
        self._require_same(found, path)
        return arrays

    def _refuse(self, value: str) -> NoReturn:
        article = "an" if self.kind[0] in "aeiou" else "a"
        fail("checkpoint", f"must be a resume file of {article} {self.kind}", value, _REMEDY)

    def _require_same(self, found: dict[str, Any], path: Path) -> None:
        for key in [*self._identity, *found]:
            mine, its = self._identity.get(key), found.get(key)
            if mine != its:
                value = f"{path}, made with {key} = {_short(its)} and not {_short(mine)}"
                fail("checkpoint", f"must belong to the same {self.kind}", value, _REMEDY)


def _checksum(arrays: Mapping[str, np.ndarray]) -> str:
    """Return a fingerprint of names, kinds, shapes and contents."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        total.update(f"{name}:{array.dtype.str}:{arrays[name].shape};".encode())
        total.update(array.tobytes())
    return total.hexdigest()


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
