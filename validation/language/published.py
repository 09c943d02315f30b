"""Learning-rate schedules of published models by name, for the dynamic time of their checkpoints.

Pythia (Biderman et al. 2023, Table 6 and the published configurations): Adam, 143,000 steps, warmup over 1 %,
cosine to 10 % of the peak. OLMo (Groeneveld et al. 2024, Section 3 and the published configurations): AdamW,
4.2 million tokens a step; 1B: warmup over 2,000 steps, cosine to 10 % at step 739,328; 7B: warmup over 5,000
steps, linear to 10 % at 2·10¹² tokens. OLMo's warmup starts at 10 % of the peak and is taken from zero here:
100 steps' worth of τ for 1B, 250 for 7B. OLMo 2 13B (OLMo team 2025 and the published configuration
of stage 1): AdamW, 2,048 × 4,096 tokens a step, warmup over 1,000 steps, cosine to 10 % at 5·10¹² tokens. Its
peak is the paper's 9·10⁻⁴, at a tenth of which stage 2 goes on; the configuration of stage 1 says 3·10⁻⁴.
"""

from __future__ import annotations

from peakedtheory._common.checks import fail
from peakedtheory.schedules.clock import Clock
from peakedtheory.schedules.families import power_decay, warmup_cosine
from peakedtheory.schedules.reading import parse_schedule

_PYTHIA_STEPS = 143_000
_PYTHIA_PEAKS = {
    "14m": 1e-3,
    "31m": 1e-3,
    "70m": 1e-3,
    "160m": 6e-4,
    "410m": 3e-4,
    "1b": 3e-4,
    "1.4b": 2e-4,
    "2.8b": 1.6e-4,
    "6.9b": 1.2e-4,
    "12b": 1.2e-4,
}
#: Names that `named_schedule` knows.
NAMES = (*(f"pythia-{size}" for size in _PYTHIA_PEAKS), "olmo-1b", "olmo-7b", "olmo-2-1124-13b")
#: Checkpoints that Liu et al. 2026 (Section D.7) evaluated, evenly spaced on a logarithmic scale.
PYTHIA_REVISIONS = tuple(
    f"step{step}"
    for step in (128, 256, 512, 1000, 2000, 3000, 6000, 12000, 16000, 32000, 48000, 79000, 143000)
)
#: Stage-1 checkpoints of OLMo 2 13B of the paper's Fig. 6d; branches name their tokens, in 10⁹, rounded up.
OLMO2_REVISIONS = tuple(
    f"stage1-step{step}-tokens{-(-step * 2048 * 4096 // 10**9)}B"
    for step in (
        1100, 5000, 7000, 12000, 19850, 31000, 48000, 72000, 107500, 167000, 239000, 358000, 596057,
    )
)  # fmt: skip
#: Sets of revisions by the name that commands know them by.
REVISIONS = {"pythia": PYTHIA_REVISIONS, "olmo-2-1124-13b": OLMO2_REVISIONS}


def named_schedule(name: str) -> Clock | None:
    """Return the schedule of a published model, or None where the name is not known.

    Parameters
    ----------
    name : str
        One of `NAMES`, or a model's hub name, with or without its owner and "-deduped" or "-hf" at its end.

    Examples
    --------
    >>> float(named_schedule("EleutherAI/pythia-410m-deduped").rates[1429])
    0.0003
    """
    short = name.rsplit("/", 1)[-1].lower().removesuffix("-hf").removesuffix("-deduped")
    if short == "olmo-1b":
        return warmup_cosine(4e-4, 739_328, 2000, 4e-5)
    if short == "olmo-7b":
        return power_decay(3e-4, 476_837, 1.0, 5000, 3e-5)
    if short == "olmo-2-1124-13b":
        return warmup_cosine(9e-4, 596_057, 1000, 9e-5)
    peak = _PYTHIA_PEAKS.get(short.removeprefix("pythia-")) if short.startswith("pythia-") else None
    return None if peak is None else warmup_cosine(peak, _PYTHIA_STEPS, _PYTHIA_STEPS // 100, 0.1 * peak)


def resolve_schedule(text: str | None, model: str) -> Clock | None:
    """Return the schedule given as text or by name; without a text, the one published for `model`.

    Raises
    ------
    ValueError
        If the text names no schedule.
    """
    if text is None:
        return named_schedule(model)
    known = named_schedule(text)
    if known is not None:
        return known
    if ":" not in text:
        fail(
            "schedule",
            f"must be one of {', '.join(NAMES)} or like cosine:peak=…,steps=…",
            repr(text),
            "correct it",
        )
    return parse_schedule(text)
