"""Files of numbers, before they are opened: regular ones, that do not inflate to fill the memory."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

#: An archive may inflate to this many bytes, whatever it weighs itself,
_INFLATED = 1 << 28
#: and beyond to this many times its own size.
_RATIO = 100


def require_regular(path: Path) -> None:
    """Refuse what is no file with a beginning and an end: a pipe would be waited for, a device never ends.

    Raises
    ------
    OSError
        If there is nothing at `path`, or something else.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError("no regular file")


def require_archive(path: Path) -> None:
    """Refuse, beside what `require_regular` does, zip archives that inflate to far more than they weigh.

    Raises
    ------
    OSError, zipfile.BadZipFile
    """
    require_regular(path)
    with path.open("rb") as stream:
        if stream.read(2) != b"PK":
            return
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    if size > max(_INFLATED, _RATIO * path.stat().st_size):
        raise OSError(f"an archive that inflates to {size:.2g} bytes")
