# What the root leaves
from .blocks import WorkerError as WorkerError
