"""Evaluation of several checkpoints, one after the other, resumed between them, as one labelled dataset."""

from __future__ import annotations

import gc
import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory._common.output import save_dataset
from peakedtheory._common.progress import Report, reporter
from peakedtheory.exact.entropy import match_entropy
from peakedtheory.exact.expansions import low_temperature_expansion
from peakedtheory.exact.thermodynamics import thermodynamics
from peakedtheory.schedules.clock import Clock
from peakedtheory.validation.language.checkpoints import load_encoder, load_model, step_of
from peakedtheory.validation.language.evaluation import SplitModel, evaluate_model, onset
from peakedtheory.validation.language.texts import TextSource, tokenised
from peakedtheory.validation.language.totals import GAP_BANDWIDTH, HISTOGRAM_BINS, Totals

if TYPE_CHECKING:
    import xarray


@dataclass(frozen=True)
class Evaluation:
    """What is evaluated, and how: everything that the numbers depend on.

    Attributes
    ----------
    model : str
        Local folder or hub name.
    text : TextSource
    tokens : int
        Next-token positions to evaluate at most.
    max_length : int
        Tokens of a document that are read.
    batch : int
        Documents that run through the model together.
    tokenizer : str or None
        Folder or hub name of the tokenizer, where it is not the model's own.
    dtype, device : str
        As in `checkpoints.load_model`.
    cut : bool or None
        As in `texts.tokenised`.
    """

    model: str
    text: TextSource
    tokens: int = 2_000_000
    max_length: int = 1024
    batch: int = 8
    tokenizer: str | None = None
    dtype: str = "auto"
    device: str = "auto"
    cut: bool | None = None

    def run(self, revision: str, progress: Report | None = None) -> Totals:
        """Return the statistics of one revision.

        Raises
        ------
        ValueError
            If model, tokenizer or text cannot be had, or `max_length` exceeds the model's context.
        """
        encode = load_encoder(self.model, revision, self.tokenizer)
        pieces = tokenised(self.text, encode, self.max_length, self.tokens, cut=self.cut)
        first = next(pieces)  # a text that cannot be had is known before the model is loaded
        model = load_model(self.model, revision, dtype=self.dtype, device=self.device)
        context = getattr(model.config, "max_position_embeddings", None)
        if context is not None and self.max_length > context:
            fail(
                "max_length",
                f"must be at most the model's context of {context}",
                str(self.max_length),
                "lower it",
            )
        split = SplitModel(model)
        totals = evaluate_model(split, itertools.chain([first], pieces), batch=self.batch, progress=progress)
        del model, split
        gc.collect()  # before the next revision is loaded
        return totals

    def options(self) -> dict[str, str]:
        """Return the settings as text, for files and comparison."""
        plain = asdict(self)
        return {key: str(value) for key, value in (plain.pop("text") | plain).items()}


def evaluate_revisions(
    evaluation: Evaluation,
    revisions: Sequence[str],
    *,
    output: Path | None = None,
    schedule: Clock | None = None,
    progress: bool = False,
    done: Callable[[str, xarray.Dataset], None] | None = None,
) -> xarray.Dataset:
    """Evaluate revisions one after the other and return them as one dataset.

    Parameters
    ----------
    evaluation : Evaluation
    revisions : sequence of str
    output : Path, optional
        NetCDF file, rewritten after each revision. Revisions that it holds already are not evaluated again.
    schedule : Clock, optional
        Learning rates of the training run, for τ.
    progress : bool
        Show a bar on a terminal.
    done : callable, optional
        Called as done(revision, dataset) after each revision that was evaluated.

    Returns
    -------
    xarray.Dataset
        Over `revision`: each of `totals.STATISTICS` and β* with standard errors, the step, τ, counts of
        tokens, documents and positions left out because of NaN, the histogram of entropies.

    Raises
    ------
    ValueError
        If `output` holds an evaluation with other settings, or a revision cannot be evaluated.
    """
    kept: xarray.Dataset | None = None
    if output is not None:
        output = Path(output)
        if output.suffix != ".nc" or not output.parent.is_dir():  # said before hours are spent
            fail("output", "must be a .nc file in an existing folder", str(output), "name another file")
        if output.exists():
            kept = _read(output, evaluation)
    with reporter(progress, "evaluating") as report:
        for revision in revisions:
            if kept is not None and revision in kept.revision.values:
                continue
            row = to_dataset(revision, evaluation.run(revision, report))
            kept = row if kept is None else _join(kept, row)
            if output is not None:
                save_dataset(_finish(kept, revisions, schedule), output, evaluation.options())
            if done is not None:
                done(revision, kept)
    if kept is None:
        fail("revisions", "must name at least one revision", "none", "name one")
    return _finish(kept, revisions, schedule)


def to_dataset(revision: str, totals: Totals) -> xarray.Dataset:
    """Return one revision's means, standard errors and β* along a `revision` dimension of length one.

    β* is the inverse temperature at which i.i.d. Gaussian logits have the mean entropy of the predictions
    (Liu et al. 2026, Section 4); its error follows from the entropy's by |dS/dβ| = β Φ''.
    """
    import xarray

    if not totals.tokens:
        fail(
            "model",
            "must have finite logits",
            f"NaN or infinity at every position of {revision}",
            "check the file",
        )
    means, errors = totals.means, totals.standard_errors
    star, slope = _matched(means["entropy"], totals.vocabulary)
    means["beta_star"], errors["beta_star"] = star, errors["entropy"] / slope
    variables: dict[str, Any] = {name: ("revision", [value]) for name, value in means.items()}
    variables |= {f"{name}_standard_error": ("revision", [errors[name]]) for name in means}
    counts = {"tokens": totals.tokens, "documents": totals.documents, "not_finite": totals.not_finite}
    variables |= {name: ("revision", [value]) for name, value in counts.items()}
    variables["entropy_histogram"] = (("revision", "entropy_bin"), totals.histogram[None])
    step = step_of(revision)
    c0, peaked = onset(totals.vocabulary)
    edges = np.linspace(0.0, np.log(totals.vocabulary), HISTOGRAM_BINS + 1)
    return xarray.Dataset(
        variables,
        {
            "revision": [revision],
            "step": ("revision", [np.nan if step is None else float(step)]),
            "entropy_bin": 0.5 * (edges[1:] + edges[:-1]),
        },
        {
            "vocabulary": totals.vocabulary,
            "c0": c0,
            "entropy_at_c0": peaked,
            "gap_bandwidth": GAP_BANDWIDTH,
            "units": "nats",
        },
    )


def _matched(entropy: float, vocabulary: int) -> tuple[float, float]:
    """Return β* with S(β*) = entropy and |dS/dβ| there; beyond β = 10⁵ from the law S = 2 c2/β."""
    low = 2.0 * float(low_temperature_expansion(vocabulary, order=2).coefficients[2])
    if entropy < 1e-5 * low:
        return low / entropy, entropy**2 / low
    # single precision can leave uniform predictions an entropy of ln n
    star = float(match_entropy(min(entropy, np.log(vocabulary) * (1.0 - 1e-9)), vocabulary).beta_star)
    return star, star * float(thermodynamics(star, vocabulary).energy_variance)


def _read(output: Path, evaluation: Evaluation) -> xarray.Dataset:
    import xarray

    try:
        with xarray.open_dataset(output, engine="h5netcdf") as stored:
            kept = stored.load()
    except (OSError, ValueError):
        fail(
            "output", "must be a NetCDF file of an evaluation or a new name", str(output), "name another file"
        )
    wanted = evaluation.options()
    changed = sorted(key for key, value in wanted.items() if str(kept.attrs.get(f"option_{key}")) != value)
    if changed or "revision" not in kept.dims:
        found = (
            ", ".join(f"{key}={kept.attrs.get(f'option_{key}')}" for key in changed) or "another kind of file"
        )
        fail(
            "output",
            "must hold an evaluation with the same settings",
            found,
            "name another file or delete it",
        )
    return kept


def _join(first: xarray.Dataset, second: xarray.Dataset) -> xarray.Dataset:
    import xarray

    names = [name for name in first.data_vars if name in second]
    if first.attrs["vocabulary"] != second.attrs["vocabulary"]:
        sizes = f"{first.attrs['vocabulary']} and {second.attrs['vocabulary']}"
        fail("revisions", "must have the same number of logits", sizes, "evaluate them into different files")
    return xarray.concat([first[names], second[names]], dim="revision", combine_attrs="override")


def _finish(dataset: xarray.Dataset, revisions: Sequence[str], schedule: Clock | None) -> xarray.Dataset:
    """Order the revisions as asked, others behind them, and add τ where it is known."""
    known = [str(name) for name in dataset.revision.values]
    order = [name for name in revisions if name in known] + [name for name in known if name not in revisions]
    result = dataset.sel(revision=order)
    if schedule is not None:
        step, tau = result.step.values, schedule.tau
        inside = np.isfinite(step) & (step < tau.size)
        times = np.where(inside, tau[np.where(inside, step, 0).astype(int)], np.nan)
        result = result.assign(tau=("revision", times)).assign_attrs(schedule=schedule.name)
    return result
