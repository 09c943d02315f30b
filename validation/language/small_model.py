"""Training of a small decoder-only transformer, with evaluation at logarithmic steps.

The model is a GPT-NeoX (the architecture of Pythia) with an untied head and no dropout. Step t draws its
batch from a generator seeded by (seed, t): a run that was interrupted goes on as if it had not been.
"""

from __future__ import annotations

import dataclasses
import json
import platform
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from peakedtheory._common.checks import fail
from peakedtheory._common.output import atomic_path
from peakedtheory._common.progress import Report
from peakedtheory.schedules.reading import parse_schedule
from peakedtheory.validation.language.checkpoints import without_bars
from peakedtheory.validation.language.corpus import END_OF_TEXT, Corpus
from peakedtheory.validation.language.evaluation import evaluate_model
from peakedtheory.validation.language.totals import STATISTICS

if TYPE_CHECKING:
    import xarray

_SAVE_EVERY = 200  # steps between saved states, beside those at evaluations


@dataclass(frozen=True)
class RunSettings:
    """What defines a run to the bit, on one kind of device.

    Attributes
    ----------
    schedule : str
        Learning rates, as `parse_schedule` reads them, with `steps=`.
    optimizer : str
        "adamw" or "sgd" (plain, without momentum).
    width, layers, heads : int
        Size of the transformer; the feed-forward layers are four times as wide.
    context, batch : int
        Tokens of one training window, and windows of one step.
    weight_decay : float
        Decoupled decay per unit learning rate.
    clip : float
        Largest norm of the gradient; 0 for no clipping.
    seed : int
        Seeds the weights and the order of the data.
    evaluations : int
        Number of evaluations at logarithmically spaced steps.
    documents : int
        Held-out documents of each evaluation, the same ones every time, cut at `context` + 1 tokens.
    """

    schedule: str
    optimizer: str = "adamw"
    width: int = 96
    layers: int = 2
    heads: int = 4
    context: int = 64
    batch: int = 8
    weight_decay: float = 0.0
    clip: float = 1.0
    seed: int = 0
    evaluations: int = 48
    documents: int = 300

    def __post_init__(self) -> None:
        if self.optimizer not in {"adamw", "sgd"}:
            fail("optimizer", "must be adamw or sgd", repr(self.optimizer), "choose one of them")
        for name in ("width", "layers", "heads", "context", "batch", "evaluations", "documents"):
            if getattr(self, name) < 1:
                fail(name, "must be at least 1", str(getattr(self, name)), "give a positive number")
        if self.width % self.heads:
            fail("width", f"must be a multiple of heads={self.heads}", str(self.width), "change one of them")
        parse_schedule(self.schedule)

    @property
    def steps(self) -> int:
        """Length of the run."""
        return parse_schedule(self.schedule).steps

    @property
    def evaluated_steps(self) -> np.ndarray:
        """Steps after which the model is evaluated: 0, then logarithmic up to the last one."""
        grid = np.geomspace(1, self.steps, max(self.evaluations - 1, 1))
        return np.unique(np.append(0, np.round(grid).astype(int)))


def build_model(settings: RunSettings, vocabulary: int) -> Any:
    """Return the untrained GPT-NeoX of a run."""
    from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

    torch.manual_seed(settings.seed)
    config = GPTNeoXConfig(
        vocab_size=vocabulary,
        hidden_size=settings.width,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.heads,
        intermediate_size=4 * settings.width,
        max_position_embeddings=settings.context,
        attention_dropout=0.0,
        hidden_dropout=0.0,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPTNeoXForCausalLM(config)


def batch_of(settings: RunSettings, tokens: np.ndarray, step: int) -> torch.Tensor:
    """Return the windows of a step, shape (batch, context + 1)."""
    rng = np.random.default_rng([settings.seed, step])
    starts = rng.integers(0, tokens.size - settings.context, settings.batch)
    return torch.from_numpy(tokens[starts[:, None] + np.arange(settings.context + 1)].astype(np.int64))


class _Run:
    """State of a run: model, optimizer, steps done, rows logged."""

    def __init__(self, settings: RunSettings, corpus: Corpus, device: str) -> None:
        self.settings, self.corpus, self.device = settings, corpus, device
        self.rates = parse_schedule(settings.schedule).rates
        self.model = build_model(settings, corpus.vocabulary).to(device)
        parameters = self.model.parameters()
        if settings.optimizer == "adamw":
            decay = settings.weight_decay
            self.optimizer: Any = torch.optim.AdamW(
                parameters, betas=(0.9, 0.95), weight_decay=decay, fused=True
            )
        else:
            self.optimizer = torch.optim.SGD(parameters, lr=1.0, weight_decay=settings.weight_decay)
        self.step = 0
        self.rows: list[dict[str, Any]] = []
        self.held_out = [d[: settings.context + 1] for d in corpus.held_out[: settings.documents]]
        # a document's last token is its end-of-text, which some cut documents lack
        self.held_out = [d for d in self.held_out if d.size > 1]

    def advance(self) -> None:
        self.model.train()
        ids = batch_of(self.settings, self.corpus.train, self.step).to(self.device)
        for group in self.optimizer.param_groups:
            group["lr"] = float(self.rates[self.step])
        # on a GPU matrix products in bfloat16, on the CPU everything in float32
        with torch.autocast("cuda", torch.bfloat16, enabled=self.device.startswith("cuda")):
            logits = self.model(input_ids=ids[:, :-1], use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), ids[:, 1:].flatten())
        self.optimizer.zero_grad()
        loss.backward()
        if self.settings.clip:
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip)
        self.optimizer.step()
        self.step += 1

    def evaluate(self) -> None:
        totals = evaluate_model(self.model, self.held_out, batch=64)
        if totals.not_finite:
            fail(
                "schedule",
                "must keep the logits finite",
                f"NaN or infinity at {totals.not_finite} of {totals.tokens + totals.not_finite} tokens after"
                f" step {self.step}",
                "lower the learning rate",
            )
        row: dict[str, Any] = {
            "step": self.step,
            "tokens": totals.tokens,
            "head_norm": self._head_norm(),
            **totals.means,
        }
        row["entropy_histogram"] = totals.histogram.tolist()
        errors = totals.standard_errors
        self.rows.append(row | {f"{name}_standard_error": errors[name] for name in STATISTICS})

    def _head_norm(self) -> float:
        """Root mean square of the entries of the output head."""
        return float(self.model.get_output_embeddings().weight.detach().square().mean().sqrt())

    def save(self, path: Path) -> None:
        state = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        state |= {"step": self.step, "rows": self.rows, "settings": dataclasses.asdict(self.settings)}
        state |= {"corpus": self.corpus.record["sha256"]}
        with atomic_path(path) as temporary:
            torch.save(state, temporary)

    def load(self, path: Path) -> None:
        state = torch.load(path, map_location=self.device, weights_only=True)
        wanted = dataclasses.asdict(self.settings)
        if state["settings"] != wanted or state["corpus"] != self.corpus.record["sha256"]:
            changed = sorted(k for k in wanted if state["settings"].get(k) != wanted[k]) or ["corpus"]
            fail(
                "folder",
                "must hold a run of the same settings",
                f"one that differs in {', '.join(changed)}",
                "name another folder",
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.rows = state["step"], state["rows"]


def train(
    settings: RunSettings,
    corpus: Corpus,
    folder: Path,
    *,
    device: str = "cpu",
    checkpoints: bool = False,
    stop: int | None = None,
    progress: Report | None = None,
) -> xarray.Dataset:
    """Train, or go on with, the run kept in `folder` and return its curve.

    Parameters
    ----------
    settings : RunSettings
    corpus : Corpus
    folder : Path
        Receives `state.pt`, from which an interrupted run goes on.
    device : str
        "cpu" (float32) or a CUDA device (matrix products in bfloat16).
    checkpoints : bool
        Also keep `step1`, `step2`, `step4`, … and the last one as folders that `peakedtheory evaluate` reads.
    stop : int, optional
        Leave after this step, with the state saved.
    progress : callable, optional
        Called as progress(step, steps).

    Returns
    -------
    xarray.Dataset
        Over `step`: every statistic with its standard error, τ, the learning rate just used, and the root
        mean square of the head's entries. Attributes hold settings, corpus, versions and device.

    Raises
    ------
    ValueError
        If the folder holds another run, the corpus is shorter than a window, or the logits stop being finite.
    """
    if corpus.train.size <= settings.context:
        fail(
            "corpus",
            f"must be longer than a window of {settings.context} tokens",
            f"{corpus.train.size}",
            "add text",
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(settings, corpus, device)
    state = folder / "state.pt"
    if state.exists():
        run.load(state)
    evaluated = set(settings.evaluated_steps.tolist())
    last = settings.steps if stop is None else min(stop, settings.steps)
    while True:
        due = run.step in evaluated
        if due and (not run.rows or run.rows[-1]["step"] < run.step):
            run.evaluate()
        if due or run.step % _SAVE_EVERY == 0 or run.step >= last:
            run.save(state)
        if checkpoints and run.step and (run.step & (run.step - 1) == 0 or run.step == settings.steps):
            _save_revision(run, folder)
        if progress is not None:
            progress(run.step, settings.steps)
        if run.step >= last:
            return _curve(run)
        run.advance()


def _save_revision(run: _Run, folder: Path) -> None:
    """Write `folder/step<N>` as transformers does, and the tokenizer into `folder`."""
    from transformers import PreTrainedTokenizerFast

    with without_bars():
        run.model.save_pretrained(folder / f"step{run.step}")
    if not (folder / "tokenizer.json").exists():
        fast = PreTrainedTokenizerFast(tokenizer_object=run.corpus.tokenizer, eos_token=END_OF_TEXT)
        fast.save_pretrained(folder)


def _curve(run: _Run) -> xarray.Dataset:
    import xarray

    names = [name for name in run.rows[0] if name not in {"step", "entropy_histogram"}]
    step = np.array([row["step"] for row in run.rows])
    variables: dict[str, Any] = {name: ("step", np.array([row[name] for row in run.rows])) for name in names}
    histogram = np.array([row["entropy_histogram"] for row in run.rows], dtype=np.int32)
    variables["entropy_histogram"] = (("step", "entropy_bin"), histogram)
    tau = np.concatenate([[0.0], np.cumsum(run.rates)])
    variables["tau"] = ("step", tau[step])
    variables["learning_rate"] = ("step", run.rates[np.maximum(step - 1, 0)])
    parameters = sum(p.numel() for p in run.model.parameters())
    record = run.corpus.record
    attributes = {f"setting_{k}": v for k, v in dataclasses.asdict(run.settings).items()}
    attributes |= {
        "vocabulary": run.corpus.vocabulary,
        "parameters": parameters,
        "device": torch.cuda.get_device_name() if run.device.startswith("cuda") else platform.machine(),
        "torch_version": metadata.version("torch"),
        "transformers_version": metadata.version("transformers"),
        "corpus": json.dumps(record),
    }
    return xarray.Dataset(variables, {"step": step}, attributes)
