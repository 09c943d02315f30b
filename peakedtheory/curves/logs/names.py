"""What trainers call steps, losses and rates: names without their spelling, and what they stand for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

#: Steps by their names after `plain_name`, in the order of preference.
STEPS = (
    *("train/global_step", "trainer/global_step", "global_step", "num_updates", "optimizer_step", "opt_step"),
    *(
        "step",
        "steps",
        "train_step",
        "train/step",
        "training_step",
        "current_steps",
        "current_step",
        "step_num",
    ),
    *("iteration", "iterations", "iter", "iters", "iter_num", "it", "itr", "s", "up", "update", "updates"),
    *("_step", "batch", "batches", "epoch", "epochs", "ep"),
)
#: Names come again in every line.
_REMEMBERED = 10_000
EPOCHS = ("epoch", "epochs", "ep")
#: Training losses in the order of preference; what is called otherwise comes after them.
TRAINING = (
    *("train_loss", "train/loss", "training_loss", "training/loss", "loss/train", "loss_train", "trl"),
    *("loss", "total_loss", "lm_loss", "lm_loss_value", "train/lm_loss", "cross_entropy", "ce_loss", "nll"),
    *("nll_loss", "train_loss_step", "train_loss_epoch", "reduced_train_loss", "loss_step", "value"),
    *("train_cross_entropy_loss", "train_cross_entropy", "train/cross_entropy_loss", "train/cross_entropy"),
    *("cross_entropy_loss", "train_language_cross_entropy", "train/language_cross_entropy"),
    *("language_cross_entropy", "xent", "cost", "train", "training"),
)
VALIDATION = (
    *("val_loss", "val/loss", "validation_loss", "validation/loss", "valid_loss", "valid/loss", "eval_loss"),
    *("eval/loss", "loss/val", "loss/validation", "loss/eval", "dev_loss", "test_loss", "test/loss", "tel"),
    *("validation/lm_loss_value", "validation/lm_loss", "valid/nll_loss", "valid_nll_loss"),
    *("loss_val", "val", "valid", "validation", "eval", "test"),
)
RATES = (
    *("lr", "learning_rate", "train/lr", "train/learning_rate", "train_lr", "lrate"),
    *("optim/lr", "optimizer/lr", "lrm"),
)
LOGIT_STD = ("logit_std", "logits_std", "logit/std", "logits/std", "std_logits", "logit_standard_deviation")
ENTROPY = ("entropy", "output_entropy", "prediction_entropy", "predictive_entropy", "entropy_nats")

#: Standard errors of the losses.
NOISE = (
    "loss_stderr",
    "loss_se",
    "loss_sem",
    "loss_standard_error",
    "val_loss_stderr",
    "train_loss_stderr",
    "stderr",
)

HELD_OUT = {"val", "valid", "validate", "validation", "validating", "eval", "evaluate", "evaluation"} | {
    *("evaluating", "test", "testing", "dev", "heldout")
}
_LOSS = {"loss", "losses", "nll", "xent", "crossentropy", "cost", "trl", "tel", "ce", "xe", "logloss"}
#: Words that make a loss something else than what is learnt.
_OTHER = {"scale", "scaler", "acc", "accuracy", "time", "grad", "aux", "z", "moe", "gate", "router"} | {
    *("balance", "balancing", "lb", "sop", "mtp", "kl", "ppl", "perplexity", "weight", "weights", "best"),
    *("min", "max", "std", "stderr", "var", "variance", "tokens", "count", "norm", "num", "l1", "l2", "reg"),
    *("delta", "improvement", "target", "threshold", "per", "coef", "commit", "entropy"),
}
_SCORE = {
    "acc",
    "accuracy",
    "f1",
    "bleu",
    "rouge",
    "reward",
    "rewards",
    "score",
    "em",
    "auc",
    "top1",
    "top5",
} | {*("precision", "recall", "hella", "hellaswag", "mmlu", "acc_norm", "r2", "map", "mfu")}
_RATE = re.compile(
    r"(?:^|/)(?:lr|learning_rate)[_/]"  # one rate for each group of parameters: lr-AdamW/pg1
    r"|(?:^|[/_])(?:lr|lrate|learning_rate|learningrate|lrm)(?:_?(?:group|g|pg)?_?\d+)?(?=$|[/_])"
)
_MULTIPLIER = re.compile(r"(?:^|[/_])(?:lrm|lr_mult|lr_multiplier|lr_scale|lr_factor|rate_multiplier)$")
_NO_RATE = {"peak", "max", "min", "base", "init", "initial", "final", "end", "target", "decay", "warmup"} | {
    *("ratio", "steps", "iters", "style", "loss", "scheduler", "schedule", "step", "epoch", "mult", "scale")
}


@lru_cache(_REMEMBERED)
def plain_name(column: str) -> str:
    """Return a name in lower case and underscores, without the run's name that exports put before it."""
    name = column.rsplit(" - ", 1)[-1].strip()
    name = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[\s.\-()]+", "_", name.lower()).strip("_") if not name.startswith("_") else name.lower()


@lru_cache(_REMEMBERED)
def tokens(column: str) -> frozenset[str]:
    """Return the words of a name."""
    return frozenset(re.split(r"[/_]+", plain_name(column)))


def last_part(column: str) -> str:
    """Return the part of a plain name after the last slash."""
    return plain_name(column).rsplit("/", 1)[-1]


@lru_cache(_REMEMBERED)
def is_held_out(column: str) -> bool:
    """Return whether the name says that the loss is one of held-out data."""
    return bool(tokens(column) & HELD_OUT) or plain_name(column) in VALIDATION


@lru_cache(_REMEMBERED)
def is_loss(column: str) -> bool:
    """Return whether the name is one of a loss that is learnt."""
    words = tokens(column)
    named = bool(words & _LOSS) or "cross_entropy" in plain_name(column)
    other = words & _OTHER - ({"entropy"} if "cross_entropy" in plain_name(column) else set())
    return named and not other


def is_any_loss(column: str) -> bool:
    """Return whether the name has to do with a loss at all, be it an auxiliary one."""
    return bool(tokens(column) & _LOSS) and not tokens(column) & {"scale", "scaler"}


def is_perplexity(column: str) -> bool:
    """Return whether the name is one of a perplexity."""
    return bool(tokens(column) & {"ppl", "perplexity"})


def is_bits(column: str) -> bool:
    """Return whether the name is one of a loss in bits."""
    return bool(tokens(column) & {"bpb", "bpc", "bpt", "bits"})


def is_score(column: str) -> bool:
    """Return whether the name is one of a quantity that training raises."""
    return bool(tokens(column) & _SCORE)


def is_multiplier(column: str) -> bool:
    """Return whether the name is one of rates in units of the peak."""
    return bool(_MULTIPLIER.search(plain_name(column)))


def is_rate(column: str) -> bool:
    """Return whether the name is one of a learning rate that is in force."""
    if is_multiplier(column):
        return True
    plain = plain_name(column)
    return bool(_RATE.search(plain)) and not tokens(column) & _NO_RATE


def is_bare(column: str) -> bool:
    """Return whether the name says only of which data a loss is."""
    return plain_name(column) in {"train", "training", "val", "valid", "validation"}


@lru_cache(_REMEMBERED)
def is_step(column: str) -> bool:
    """Return whether the name is one of a count of steps, in a line of text."""
    plain = plain_name(column)
    return plain in STEPS or re.sub(r"^(?:train|valid|val|eval)[/_]", "", plain) == "num_updates"


def without_envelopes(names: Iterable[str]) -> list[str]:
    """Return the names without the envelopes that Weights & Biases adds to each."""
    return [name for name in names if not name.endswith(("__MIN", "__MAX"))]
