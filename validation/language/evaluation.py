"""Evaluation of one language model on tokenised documents: statistics of every valid next-token position.

A position counts where its token and the next one are real, not padding (Liu et al. 2026, Appendix C). The
model's body runs on a batch of documents, its output head on chunks of positions, so that the logits of a
large vocabulary never exist all at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from peakedtheory._common.checks import fail
from peakedtheory._common.progress import Report
from peakedtheory.exact.expansions import low_temperature_expansion
from peakedtheory.exact.thermodynamics import thermodynamics
from peakedtheory.validation.language.statistics import logit_statistics
from peakedtheory.validation.language.totals import Totals

#: Bytes of float32 logits that exist at a time.
CHUNK_BYTES = 64 * 2**20

_PROBE = 8  # positions at which the split model is compared with the whole one


@lru_cache(maxsize=8)
def onset(vocabulary: int) -> tuple[float, float]:
    """Return c0 = ⟨max⟩ of n i.i.d. standard normal logits and the entropy S(β = c0) in nats."""
    c0 = float(low_temperature_expansion(vocabulary, order=1).coefficients[0])
    return c0, float(thermodynamics(c0, vocabulary).entropy)


class SplitModel:
    """A causal language model cut in two: its body, which gives hidden states, and its output head.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        With `base_model` and `get_output_embeddings`, as every causal model of transformers has.

    Raises
    ------
    ValueError
        If head and body together do not give the logits of the model.
    """

    def __init__(self, model: Any) -> None:
        self.model = model.eval()
        self.body = model.base_model
        self.head = model.get_output_embeddings()
        self.vocabulary = int(self.head.weight.shape[0])
        self.device = model.device
        self._check()

    @torch.inference_mode()
    def hidden(self, ids: torch.Tensor) -> torch.Tensor:
        """Return the last hidden states of right-padded ids.

        No attention mask is needed: a causal model's valid positions never see the padding behind them.
        """
        return self.body(input_ids=ids.to(self.device), use_cache=False).last_hidden_state

    @torch.inference_mode()
    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the logits at hidden states of shape (positions, width), as the model defines them."""
        config = self.model.config
        logits = self.head(hidden.to(self.head.weight.device))
        if scale := getattr(config, "logit_scale", None):  # Cohere
            logits = logits * scale
        if scale := getattr(config, "logits_scaling", None):  # Granite
            logits = logits / scale
        if cap := getattr(config, "final_logit_softcapping", None):  # Gemma
            logits = torch.tanh(logits / cap) * cap
        return logits

    def _check(self) -> None:
        ids = torch.arange(_PROBE)[None] % self.vocabulary
        with torch.inference_mode():
            whole = self.model(input_ids=ids.to(self.device), use_cache=False).logits[0].float().cpu()
        parts = self.logits(self.hidden(ids)[0]).float().cpu()
        both = torch.isfinite(whole) & torch.isfinite(parts)
        away = (whole - parts)[both].abs().max().item() if both.any() else 0.0
        if away > 1e-3 * max(1.0, whole[both].abs().max().item() if both.any() else 0.0):
            name = type(self.model).__name__
            fail(
                "model",
                "must have logits that are its output head applied to its last hidden states",
                f"{name}, whose logits differ by {away:.2g}",
                "extend SplitModel.logits by what this model does after its head",
            )


def pad(documents: Sequence[Sequence[int] | np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return right-padded ids and the mask of real tokens, both of shape (documents, longest)."""
    longest = max(len(document) for document in documents)
    ids = torch.zeros((len(documents), longest), dtype=torch.int64)
    mask = torch.zeros((len(documents), longest), dtype=torch.bool)
    for i, document in enumerate(documents):
        ids[i, : len(document)] = torch.from_numpy(np.asarray(document, dtype=np.int64))
        mask[i, : len(document)] = True
    return ids, mask


def token_statistics(model: SplitModel, documents: Sequence[Sequence[int] | np.ndarray]) -> Iterator[Any]:
    """Yield (values, document) for chunks of valid positions of one padded batch.

    `values` has the columns of `totals.TOKEN_STATISTICS`, `document` the index of each row's document.
    """
    ids, mask = pad(documents)
    valid = mask[:, :-1] & mask[:, 1:]
    hidden = model.hidden(ids[:, :-1])[valid.to(model.device)]
    labels, owner = ids[:, 1:][valid], valid.nonzero()[:, 0].numpy()
    size = max(1, CHUNK_BYTES // (4 * model.vocabulary))
    for start in range(0, labels.numel(), size):
        logits = model.logits(hidden[start : start + size])
        some = labels[start : start + size].to(logits.device)
        yield logit_statistics(logits, some), owner[start : start + size]


def evaluate_model(
    model: SplitModel | Any,
    documents: Iterable[Sequence[int] | np.ndarray],
    *,
    batch: int = 8,
    progress: Report | None = None,
) -> Totals:
    """Return the statistics of `model` over tokenised documents.

    Parameters
    ----------
    model : SplitModel or transformers.PreTrainedModel
    documents : iterable of sequences of int
        Token ids, each document of two tokens or more and no longer than the model's context.
    batch : int
        Documents that run through the model's body together.
    progress : callable, optional
        Called as progress(tokens done, None).

    Returns
    -------
    Totals
        Sums in float64; `means` and `standard_errors` weigh every real token once.

    Raises
    ------
    ValueError
        If there is no document, or a document has fewer than two tokens.
    """
    split = model if isinstance(model, SplitModel) else SplitModel(model)
    totals = Totals(split.vocabulary, onset(split.vocabulary)[1])
    for group in _groups(documents, batch):
        parts = list(token_statistics(split, group))
        values, owner = (np.concatenate(part) for part in zip(*parts, strict=True))
        totals.add(values, owner)
        if progress is not None:
            progress(totals.tokens, None)
    if totals.tokens + totals.not_finite == 0:
        fail("documents", "must hold at least one document", "none", "name a text that is not empty")
    return totals


def _groups(documents: Iterable[Any], size: int) -> Iterator[list[Any]]:
    group: list[Any] = []
    for document in documents:
        if len(document) < 2:
            fail(
                "documents",
                "must have at least two tokens each",
                f"{len(document)}",
                "a next-token position needs a token and its successor",
            )
        group.append(document)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
