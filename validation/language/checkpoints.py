"""Checkpoints: where a revision of a model lies, locally or on the hub, and how it is loaded.

A local model is a folder. Revision R of it is, in this order: the folder R inside it; the snapshot that the
file refs/R names (the layout of the hub's own cache); for "main", the folder itself.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from peakedtheory._common.checks import fail

_CONFIG = "config.json"
_STEP = re.compile(r"step[_-]?(\d+)")


def local_revisions(model: str) -> dict[str, Path]:
    """Return the revisions of a local model by name, in the order of their steps; none for a hub name."""
    root = Path(model)
    if not root.is_dir():
        return {}
    found = {path.parent.name: path.parent for path in root.glob(f"*/{_CONFIG}")}
    for reference in sorted((root / "refs").glob("**/*")):
        if reference.is_file():
            snapshot = root / "snapshots" / reference.read_text().strip()
            if (snapshot / _CONFIG).is_file():
                found.setdefault(str(reference.relative_to(root / "refs")), snapshot)
    if (root / _CONFIG).is_file():
        found.setdefault("main", root)
    return dict(
        sorted(found.items(), key=lambda item: (step_of(item[0]) is None, step_of(item[0]) or 0, item[0]))
    )


def step_of(revision: str) -> int | None:
    """Return the training step that a revision's name gives (step128, step1000-tokens4B), or None."""
    match = _STEP.search(revision)
    return int(match.group(1)) if match else None


def resolve_revisions(model: str, revisions: str | None) -> list[str]:
    """Return the names in a comma-separated list; by default all of a local model, "main" of a hub model.

    Raises
    ------
    ValueError
        If the list is empty or a local model lacks a revision.
    """
    local = local_revisions(model)
    if Path(model).is_dir() and not local:
        fail("model", f"must hold {_CONFIG} or folders of revisions with it", model, "name another folder")
    if revisions is None:
        return list(local) or ["main"]
    names = [name.strip() for name in revisions.split(",") if name.strip()]
    if not names:
        fail(
            "revisions",
            "must name at least one revision",
            repr(revisions),
            "write for example step128,step256",
        )
    missing = [name for name in names if local and name not in local]
    if missing:
        some = ", ".join(list(local)[:12]) + (", …" if len(local) > 12 else "")
        fail("revisions", f"must be among those of {model}: {some}", ", ".join(missing), "name existing ones")
    return list(dict.fromkeys(names))


def load_model(model: str, revision: str, *, dtype: str = "auto", device: str = "auto") -> Any:
    """Return one revision as a causal language model in evaluation mode.

    Parameters
    ----------
    model : str
        Local folder or hub name.
    revision : str
        Name of the revision.
    dtype : str
        float32, float16, bfloat16, or auto: float32 on the CPU, bfloat16 or float16 on a GPU.
    device : str
        cpu, a CUDA device, or auto: what accelerate finds, spread over several GPUs where the model needs it.

    Raises
    ------
    ValueError
        If the revision cannot be found or read; the message says which file was wanted.
    """
    import torch
    from transformers import AutoModelForCausalLM

    on_gpu = device != "cpu" and torch.cuda.is_available()
    if dtype == "auto":
        half = "bfloat16" if on_gpu and torch.cuda.is_bf16_supported() else "float16"
        dtype = half if on_gpu else "float32"
    if dtype not in {"float32", "float16", "bfloat16"}:
        fail("dtype", "must be auto, float32, float16 or bfloat16", repr(dtype), "name one of them")
    where: dict[str, Any] = {"device_map": "auto" if device == "auto" else device} if on_gpu else {}
    loaded = _load(
        AutoModelForCausalLM, model, revision, "model.safetensors", dtype=getattr(torch, dtype), **where
    )
    return loaded.eval()


def load_encoder(model: str, revision: str, tokenizer: str | None = None) -> Callable[[str], list[int]]:
    """Return the function from text to token ids, with the special tokens that the tokenizer adds.

    The tokenizer is looked for in the revision, then in a local model's own folder; `tokenizer` names another
    folder or hub model. A padding token is not needed.
    """
    from transformers import AutoTokenizer

    chosen, at = tokenizer or model, revision if tokenizer is None else "main"
    if Path(chosen).is_dir():
        candidates = [local_revisions(chosen).get(at, Path(chosen)), Path(chosen)]
        chosen = str(next((p for p in candidates if list(p.glob("tokenizer*"))), candidates[-1]))
        at = "main"
    loaded = _load(AutoTokenizer, chosen, at, "tokenizer.json")
    return lambda text: loaded(text, verbose=False)["input_ids"]


@contextlib.contextmanager
def without_bars() -> Iterator[None]:
    """Silence the progress bars of transformers, which appear on files and pipes too."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _load(kind: Any, model: str, revision: str, file: str, **options: Any) -> Any:
    local = local_revisions(model)
    try:
        with without_bars():
            if Path(model).is_dir():
                return kind.from_pretrained(str(local.get(revision, Path(model))), **options)
            return kind.from_pretrained(model, revision=revision, **options)
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        _unreadable(model, revision, file, error)


def _unreadable(model: str, revision: str, file: str, error: Exception) -> NoReturn:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    if Path(model).is_dir():
        fail(
            "model",
            f"must hold a readable {file} for revision {revision}",
            f"{model}: {reason}",
            "repair the folder",
        )
    folder = f"FOLDER/{revision}"
    fail(
        "model",
        f"must be a local folder or a hub name with {_CONFIG} and {file} of revision {revision} in reach",
        f"{model}: {reason}",
        f"where a network is, `hf download {model} --revision {revision} --local-dir {folder}`; pass FOLDER",
    )
