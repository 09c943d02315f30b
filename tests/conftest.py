"""What has to be set before any test module is imported."""

import os

import torch

# Triton reads this once, when anything (torch's compiler among them) first imports it.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
