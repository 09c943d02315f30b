"""The papers' toy-model experiments and those that go beyond them, declared; `registry` lists them all."""

from peakedtheory.validation.experiments.base import SCALES, Experiment, FigureSpec, RunContext
from peakedtheory.validation.experiments.registry import EXPERIMENTS, experiment, find

__all__ = ["EXPERIMENTS", "SCALES", "Experiment", "FigureSpec", "RunContext", "experiment", "find"]
