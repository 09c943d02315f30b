"""Work for a CUDA device that the processor need not wait for: copies, and steps captured in graphs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

import numpy as np
import torch

from peakedtheory.validation.training.inputs import Inputs

_WARM_UP = 3  # steps before a capture, so that libraries have set up their workspaces


def on_device(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """Return an array on a device; from pinned memory, so that the processor need not wait."""
    host = torch.as_tensor(np.ascontiguousarray(array))
    return host.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else host.to(device)


def drawn(
    inputs: Inputs,
    stream: int,
    first: int,
    steps: int,
    batch: int,
    pool: Executor | None,
    device: torch.device,
) -> torch.Tensor:
    """Return batches of inputs (streams, steps, batch, m) on a device, drawn where it can copy from."""
    shape = (len(inputs.keys), steps, batch, inputs.width)
    host = torch.empty(shape, pin_memory=device.type == "cuda")
    inputs.rows(stream, first, steps, batch, pool, host.numpy())
    return host.to(device, non_blocking=device.type == "cuda")


def captured(
    step: Callable[[], object], held: Sequence[torch.Tensor], device: torch.device
) -> torch.cuda.CUDAGraph | None:
    """Return a graph of one step, or None, with a warning, where steps cannot be captured.

    Parameters
    ----------
    step : callable
        Reads and writes the same tensors at every call, and waits for nothing on the host.
    held : sequence of Tensor
        All that steps change and remember; left as it was.
    device : torch.device
        The CUDA device.

    Raises
    ------
    torch.OutOfMemoryError
        If memory is short.
    """
    before = [tensor.clone() for tensor in held]
    graph = torch.cuda.CUDAGraph()
    found: torch.cuda.CUDAGraph | None = graph
    try:
        side = torch.cuda.Stream(device)
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            for _ in range(_WARM_UP):
                step()
        torch.cuda.current_stream(device).wait_stream(side)
        with torch.cuda.device(device), torch.cuda.graph(graph):
            step()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        warnings.warn(
            f"a step cannot be captured in a CUDA graph ({reason}): steps are launched one by one",
            RuntimeWarning,
            stacklevel=2,
        )
        found = None
    with torch.no_grad():
        for tensor, old in zip(held, before, strict=True):
            tensor.copy_(old)
    return found
