"""What has to be set before any test module is imported."""

import importlib.util
import os

# Triton reads this once, when anything (torch's compiler among them) first imports it.
if importlib.util.find_spec("torch") is not None:
    import torch

    if not torch.cuda.is_available():
        os.environ["TRITON_INTERPRET"] = "1"
