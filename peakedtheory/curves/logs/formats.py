"""Training logs of any kind as tables: what a file is, is found from its content."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path

from peakedtheory._common.checks import fail
from peakedtheory.curves.logs.consoles import read_console
from peakedtheory.curves.logs.delimited import has_header, read_numbers, read_table, read_triples
from peakedtheory.curves.logs.event_files import scalar_records
from peakedtheory.curves.logs.json_shapes import read_json
from peakedtheory.curves.logs.table import Log, Record, as_log

#: Larger logs are not read at one go.
MOST_BYTES = 1 << 29
_LONGEST_LINE = 4_000_000
#: Signs that no text has, and how many of them are let pass for each sign.
_STRANGE = re.compile("[\x00-\x06\x0e\x0f\ufffd]")
_STRANGE_WIDE = re.compile("[^\t-\x7f\u2500-\u25ff]")
_MOST_STRANGE = 0.01
_OTHER_FILES = {
    b"PK\x03\x04": "a ZIP archive",
    b"PAR1": "a Parquet table",
    b"\x89HDF": "an HDF5 file",
    b"SQLite format": "an SQLite database",
    b"\x93NUMPY": "a NumPy array",
    b"%PDF": "a PDF",
    b"\xfd7zXZ": "an xz archive",
    b"BZh": "a bzip2 archive",
    b"\x28\xb5\x2f\xfd": "a zstd archive",
    b"\x80\x04": "a pickle",
}


def read_log(path: Path) -> Log:
    """Return the table in a file, or in the event files of a folder.

    Raises
    ------
    ValueError
        If there is no such file, or its content is of no known kind.
    """
    if path.is_dir() or ".tfevents." in path.name:
        return _event_log(path)
    text = _text(path)
    if not text.strip():
        fail("path", "must not be empty", str(path), "check how the log was written")
    if text.lstrip()[0] in "{[" and (log := read_json(text, path)) is not None:
        return log
    lines = text.splitlines()
    if (longest := max(map(len, lines))) > _LONGEST_LINE:
        rule = f"must have lines of at most {_LONGEST_LINE:,} characters"
        fail("path", rule, f"one of {longest:,} in {path}", "check how it was written")
    if has_header(lines):
        return read_table(lines, path)
    # Text logs may open with anything, for example the script that ran.
    for reader in (read_console, read_triples, read_numbers):
        if (found := reader(lines)) is not None:
            return found
    return read_table(lines, path)


def _text(path: Path) -> str:
    """Return the text of a file, which may be compressed by gzip."""
    if path.is_fifo():
        fail(
            "path",
            "must be a file or a folder of event files",
            f"the pipe {path}",
            "write it to a file first",
        )
    if not path.is_file():
        fail("path", "must be a file or a folder of event files", str(path), "check its name")
    if path.stat().st_size > MOST_BYTES:
        rule = f"must have at most {MOST_BYTES >> 20} MiB"
        fail("path", rule, f"{path.stat().st_size >> 20} MiB in {path}", "keep the lines with losses")
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        data = _unpacked(path)
    return _decoded(data, path)


def _unpacked(path: Path) -> bytes:
    try:
        with gzip.open(path) as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error):
        fail("path", "must be an undamaged gzip file", str(path), "copy it again")
    if len(data) > MOST_BYTES:
        rule = f"must have at most {MOST_BYTES >> 20} MiB"
        fail("path", rule, f"more in {path}", "unpack it, and keep the lines with losses")
    return data


def _decoded(data: bytes, path: Path) -> str:
    rule = "must be a text file or a TensorBoard event file"
    for start, kind in _OTHER_FILES.items():
        if data.startswith(start):
            fail("path", rule, f"{kind}, {path}", "export it as CSV")
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))  # what some shells write
    text = data.decode("utf-16" if wide else "utf-8-sig", "replace")
    strange = len(_STRANGE_WIDE.findall(text) if wide else _STRANGE.findall(text))
    if strange > _MOST_STRANGE * len(text) + 2:
        fail("path", rule, str(path), "export it as CSV or JSON")
    return text


def _event_log(path: Path) -> Log:
    files = sorted(path.glob("*.tfevents.*")) if path.is_dir() else [path]
    records: list[Record] = [dict(record) for file in files for record in scalar_records(file)]
    if not records:
        fail("path", "must hold scalar summaries", f"none in {path}", "name the folder of one run")
    return as_log("TensorBoard event file", records)
