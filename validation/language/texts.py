"""Texts that a model is evaluated on, one document at a time: local files or a dataset of the hub."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peakedtheory._common.checks import fail

FORMATS = {".txt", ".jsonl", ".parquet"}


@dataclass(frozen=True)
class TextSource:
    """Where documents come from.

    Attributes
    ----------
    name : str
        A .txt (one document), .jsonl or .parquet file, a folder of such files, or a dataset of the hub as
        `OWNER/NAME` or `OWNER/NAME:CONFIGURATION`.
    field : str
        Field of a record that holds the text.
    split : str
        Split of a hub dataset.
    """

    name: str
    field: str = "text"
    split: str = "train"

    def documents(self) -> Iterator[str]:
        """Yield the texts in their order, without holding them all.

        Raises
        ------
        ValueError
            If the file's format or field is unknown, or a dataset cannot be reached.
        """
        path = Path(self.name)
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix in FORMATS)
            if not files:
                fail(
                    "text", f"must hold files {', '.join(sorted(FORMATS))}", self.name, "name another folder"
                )
            for file in files:
                yield from self._of_file(file)
        elif path.is_file():
            yield from self._of_file(path)
        elif path.suffix in FORMATS or self.name.count("/") != 1:
            fail(
                "text",
                "must be an existing .txt, .jsonl or .parquet file, a folder of them, or a set OWNER/NAME",
                repr(self.name),
                "correct the path",
            )
        else:
            yield from self._of_hub()

    def _of_file(self, path: Path) -> Iterator[str]:
        if path.suffix == ".txt":
            yield path.read_text(encoding="utf-8")
        elif path.suffix == ".jsonl":
            with path.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield self._text(_parse(line, path, number), f"{path} line {number}")
        elif path.suffix == ".parquet":
            yield from self._of_parquet(path)
        else:
            fail("text", "must end in .txt, .jsonl or .parquet", str(path), "convert the file")

    def _of_parquet(self, path: Path) -> Iterator[str]:
        import pyarrow.parquet

        with pyarrow.parquet.ParquetFile(path) as file:
            if self.field not in file.schema_arrow.names:
                names = ", ".join(file.schema_arrow.names)
                fail("field", f"must be a column of {path}: {names}", repr(self.field), "name one of them")
            for rows in file.iter_batches(batch_size=256, columns=[self.field]):
                yield from (str(text) for text in rows.column(0).to_pylist() if text is not None)

    def _of_hub(self) -> Iterator[str]:
        from datasets import load_dataset

        name, _, configuration = self.name.partition(":")
        try:
            records = load_dataset(name, configuration or None, split=self.split, streaming=True)
            iterator = iter(records)
            first = next(iterator, None)
        except Exception as error:  # the hub's client raises errors of many kinds
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            fail(
                "text",
                f"must be a local file or a dataset that can be reached (split {self.split!r})",
                f"{self.name}: {reason}",
                "check name and network, or download a .parquet file of it and name that file",
            )
        if first is not None:
            yield self._text(first, self.name)
        for record in iterator:
            yield self._text(record, self.name)

    def _text(self, record: Any, where: str) -> str:
        if not isinstance(record, dict) or self.field not in record:
            known = ", ".join(record) if isinstance(record, dict) else type(record).__name__
            fail(
                "field",
                f"must be a field of the records of {where}",
                f"{self.field!r} not among {known}",
                "name one",
            )
        return str(record[self.field])


def _parse(line: str, path: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        fail("text", "must hold one JSON object on each line", f"{path} line {number}: {error}", "correct it")


def tokenised(
    source: TextSource,
    encode: Callable[[str], list[int]],
    length: int,
    tokens: int,
    *,
    cut: bool | None = None,
) -> Iterator[list[int]]:
    """Yield documents as token ids until `tokens` next-token positions are spent.

    Parameters
    ----------
    source : TextSource
    encode : callable
        From text to token ids.
    length : int
        Tokens of a document that are read, at least 2.
    tokens : int
        Next-token positions to yield at most; the document that reaches it is the last one, and cut there.
    cut : bool, optional
        Cut longer documents into pieces that count as documents of their own, instead of dropping their rest.
        By default only a single .txt file is cut.

    Raises
    ------
    ValueError
        If no document has two tokens.
    """
    if length < 2:
        fail("max_length", "must be at least 2", str(length), "a next-token position needs two tokens")
    if tokens < 1:
        fail("tokens", "must be at least 1", str(tokens), "give a number of positions")
    if cut is None:
        cut = Path(source.name).suffix == ".txt"
    left = tokens
    shortest = None
    for text in source.documents():
        ids = encode(text)
        stop = len(ids) if cut else min(len(ids), length)
        for start in range(0, stop, length):
            piece = ids[start : min(start + length, stop)][: left + 1]
            if len(piece) < 2:  # an empty document, or the last token of one that was cut
                shortest = len(piece)
                continue
            yield piece
            left -= len(piece) - 1
            if left <= 0:
                return
    if left == tokens:
        found = "no document" if shortest is None else f"{shortest} token"
        fail("text", "must hold a document of at least two tokens", found, "name a longer text")
