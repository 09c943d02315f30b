"""Text that installed packages carry: the docstrings of scientific Python, tokenised for small models.

The text is read from the packages as installed, never stored; versions, licences and a digest identify it.
Documents are whole docstrings, split into training and held-out ones by a hash of their text.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from peakedtheory._common.checks import fail

#: Packages read by default and the licences of their text.
PACKAGES = {
    "numpy": "BSD-3-Clause",
    "scipy": "BSD-3-Clause",
    "sympy": "BSD-3-Clause",
    "pandas": "BSD-3-Clause",
    "networkx": "BSD-3-Clause",
    "matplotlib": "PSF-based Matplotlib licence",
}
END_OF_TEXT = "<|endoftext|>"
_SHORTEST = 200  # characters of a docstring that counts as a document
_HELD_OUT = 32  # one document in so many is held out


@dataclass(frozen=True)
class Corpus:
    """Token streams of a corpus.

    Attributes
    ----------
    train : ndarray of uint16, shape (tokens,)
        Training documents in a shuffled order, each followed by the end-of-text token.
    held_out : list of ndarray of uint16
        Held-out documents, each followed by the end-of-text token.
    tokenizer : tokenizers.Tokenizer
        Byte-level BPE; token 0 is end-of-text.
    record : dict
        Packages with versions and licences, numbers of documents and characters, SHA-256 of the text.
    """

    train: np.ndarray
    held_out: list[np.ndarray]
    tokenizer: Tokenizer
    record: dict

    @property
    def vocabulary(self) -> int:
        """Number of token types."""
        return int(self.record["vocabulary"])


def docstrings(packages: Sequence[str]) -> Iterator[str]:
    """Yield the docstrings of the packages' modules, classes and functions, tests left out.

    Raises
    ------
    ValueError
        If a package is not installed.
    """
    for name in packages:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            fail("packages", "must be installed", repr(name), f"run pip install {name}")
        root = Path(spec.origin).parent
        for path in sorted(root.rglob("*.py")):
            if "test" not in str(path.relative_to(root)):
                yield from _of_file(path)


def _of_file(path: Path) -> Iterator[str]:
    with warnings.catch_warnings(action="ignore"):  # other people's escape sequences
        tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            text = ast.get_docstring(node)
            if text and len(text) >= _SHORTEST:
                yield text


def train_tokenizer(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """Return a byte-level BPE tokenizer with `vocabulary` entries, the first of them end-of-text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def load_corpus(folder: Path, packages: Sequence[str] = tuple(PACKAGES), vocabulary: int = 2048) -> Corpus:
    """Return the corpus kept in `folder`, which is made first where it does not exist yet.

    Parameters
    ----------
    folder : Path
        Receives `tokenizer.json`, `tokens.npz` and `corpus.json`; about 12 MB.
    packages : sequence of str
        Installed packages to read.
    vocabulary : int
        Entries of the tokenizer, from 257 (all bytes and end-of-text) to 65536.

    Raises
    ------
    ValueError
        If the vocabulary is out of range, or the folder holds a corpus of other packages, versions or size.
    """
    if not 257 <= vocabulary <= 65536:
        fail("vocabulary", "must lie between 257 and 65536", str(vocabulary), "bytes alone need 257 entries")
    folder = Path(folder)
    wanted = {"vocabulary": vocabulary, "versions": {name: metadata.version(name) for name in packages}}
    if not (folder / "corpus.json").exists():
        _make(folder, packages, wanted)
    record = json.loads((folder / "corpus.json").read_text())
    if {key: record[key] for key in wanted} != wanted:
        found = json.dumps({key: record[key] for key in wanted})
        fail("folder", "must hold the corpus asked for", found, "name another folder or delete this one")
    with np.load(folder / "tokens.npz") as arrays:
        held_out = np.split(arrays["held_out"], arrays["ends"][:-1])
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        return Corpus(arrays["train"], held_out, tokenizer, record)


def _make(folder: Path, packages: Sequence[str], wanted: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    texts = list(dict.fromkeys(docstrings(packages)))  # repeated docstrings count once
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    order = np.random.default_rng(0).permutation(len(texts))
    parts: tuple[list[str], list[str]] = ([], [])
    for index in order:
        chosen = hashlib.sha256(texts[index].encode()).digest()[0] % _HELD_OUT == 0
        parts[chosen].append(texts[index])
    tokenizer = train_tokenizer(parts[0], wanted["vocabulary"])
    tokenizer.save(str(folder / "tokenizer.json"))
    train, held_out = ([_tokens(tokenizer, text) for text in part] for part in parts)
    np.savez_compressed(
        folder / "tokens.npz",
        train=np.concatenate(train),
        held_out=np.concatenate(held_out),
        ends=np.cumsum([document.size for document in held_out]),
    )
    record = wanted | {
        "licences": {name: PACKAGES.get(name, "see the package") for name in packages},
        "documents": [len(part) for part in parts],
        "characters": [sum(map(len, part)) for part in parts],
        "tokens": [sum(document.size for document in part) for part in (train, held_out)],
        "sha256": digest,
    }
    (folder / "corpus.json").write_text(json.dumps(record, indent=1))


def _tokens(tokenizer: Tokenizer, text: str) -> np.ndarray:
    return np.array([*tokenizer.encode(text).ids, 0], dtype=np.uint16)
