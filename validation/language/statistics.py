"""Statistics of each row of logits: one compiled pass on the CPU, torch elsewhere."""

from __future__ import annotations

import numpy as np
import torch

from peakedtheory._common.threads import share
from peakedtheory.kernels import logit_statistics as kernel

_SECONDS_PER_LOGIT = 5e-10
_BYTES = 64 * 2**20  # of float32 logits that one call may hold


def logit_statistics(logits: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """Return the statistics of each row of logits, one column for each of `totals.TOKEN_STATISTICS`.

    On the CPU one compiled pass over float32 or bfloat16 logits; elsewhere torch operations that agree with
    it to single precision.

    Parameters
    ----------
    logits : Tensor, shape (tokens, vocabulary)
    labels : Tensor of int64, shape (tokens,)
        The next tokens.

    Returns
    -------
    ndarray of float64, shape (tokens, 8)
        NaN throughout in rows with a NaN or infinite logit.
    """
    if logits.device.type != "cpu":
        return _with_torch(logits, labels)
    rows = logits.detach().contiguous()
    bits = rows.dtype == torch.bfloat16
    array = rows.view(torch.uint16).numpy() if bits else rows.float().numpy()
    out = np.empty((array.shape[0], kernel.QUANTITIES))
    classes = labels.numpy()

    def fill(start: int, stop: int) -> None:
        kernel.logit_statistics(start, stop, array, classes, out)

    share(len(out), 1, array.size * _SECONDS_PER_LOGIT, fill)
    return out


def _with_torch(logits: torch.Tensor, labels: torch.Tensor) -> np.ndarray:
    """Compute the same statistics with torch, in chunks of rows of bounded size."""
    n = logits.shape[1]
    parts = []
    for start in range(0, logits.shape[0], max(1, _BYTES // (4 * n))):
        y = logits[start : start + max(1, _BYTES // (4 * n))].float()
        top = y.topk(2, dim=1).values.double()
        shift = y[:, :1]
        d = y - shift
        mean = d.mean(dim=1, dtype=torch.float64)
        spread = (d - mean.float()[:, None]).square().sum(dim=1, dtype=torch.float64)
        correct = y.gather(1, labels[start : start + y.shape[0], None]).double()[:, 0]
        below = top[:, :1].float() - y
        weight = torch.exp(-below)
        partition = weight.sum(dim=1, dtype=torch.float64)
        energy = (weight * below).sum(dim=1, dtype=torch.float64)
        base = shift[:, 0].double()
        columns = [
            top[:, 0] - correct + partition.log(),
            partition.log() + energy / partition,
            (spread / (n - 1)).sqrt(),
            base + mean,
            (correct - base) - mean,
            (top[:, 0] - base) - mean,
            top[:, 0] - y.amin(dim=1).double(),
            top[:, 0] - top[:, 1],
        ]
        values = torch.stack(columns, dim=1)
        values[~torch.isfinite(y.sum(dim=1))] = torch.nan
        parts.append(values.cpu().numpy())
    return np.concatenate(parts)
