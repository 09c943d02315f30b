"""What an experiment is: settings per scale, a run, a prediction, claims and figures; and its results files.

Nothing here knows any particular experiment. A results file carries the experiment's name, its scale, its
settings and the version of the format, and is refused where one of them differs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from peakedtheory._common.checks import fail
from peakedtheory._common.output import atomic_path, provenance
from peakedtheory.validation.experiments.claims import Claim

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

#: Version of the results files; raised when their meaning changes.
FORMAT = 1
#: Scales and what they are for.
SCALES = {
    "paper": "the papers' own parameters",
    "part": "fewer runs of the papers' own parameters, where all of them need a GPU; few experiments have it",
    "quick": "a few minutes at most on two processor cores",
    "tiny": "seconds; checks that everything runs, decides nothing",
}

Settings = Mapping[str, Any]
Progress = bool | Callable[[int, int | None], None]


@dataclass(frozen=True)
class RunContext:
    """Where and how an experiment computes.

    Attributes
    ----------
    device : str or None
        Device of the training engine; None lets it choose.
    checkpoints : Path or None
        Folder for checkpoints of unfinished training.
    resume : bool
        Whether to go on from such checkpoints.
    progress : bool or callable
        As elsewhere in the package.
    label : str
        Experiment and scale, with which the checkpoints' names begin.
    written : list of Path
        Checkpoints that were written, which the finished results replace.
    """

    device: str | None = None
    checkpoints: Path | None = None
    resume: bool = False
    progress: Progress = False
    label: str = "run"
    written: list[Path] = field(default_factory=list)

    def checkpoint(self, part: str = "") -> Path | None:
        """Return the checkpoint of a part of the experiment, if there is a folder for it."""
        if self.checkpoints is None:
            return None
        path = self.checkpoints / f"{'-'.join(filter(None, (self.label, part)))}.checkpoint.npz"
        self.written.append(path)
        return path

    def train(self, cases: Sequence[Any], steps: int, *, part: str = "", **options: Any) -> xarray.Dataset:
        """Train stacked cases; `part` tells the parts of one experiment apart."""
        from peakedtheory.validation.training.train import train  # loads numba

        path = self.checkpoint(part)
        if path is not None:
            options |= {"checkpoint": path, "resume": self.resume}
        return train(list(cases), steps, device=self.device, progress=self.progress, **options)


@dataclass(frozen=True)
class FigureSpec:
    """One figure: its number in the paper or a name, title, caption with the published value, and drawing."""

    key: str
    title: str
    caption: str
    draw: Callable[[xarray.Dataset, xarray.Dataset], Figure]


@dataclass(frozen=True)
class Experiment:
    """One experiment, declared.

    Attributes
    ----------
    name : str
        Its name on the command line.
    title, source : str
        What it is; where it was published, or what it adds.
    settings : mapping of scale to parameters
        Plain numbers, texts and lists, written into every results file.
    simulate : callable
        (settings, context) -> Dataset, the measured curves.
    predict : callable
        (dataset) -> Dataset, the theory at the same points. What is fitted, if anything, is named there.
    claims : callable
        (dataset, prediction) -> list of Claim.
    figures : tuple of FigureSpec
    notes : str
        What a reader of the numbers should know.
    differences : tuple of str
        What is not as in the authors' code: everything that a reader of the verdicts has to know.
    packages : callable
        (settings) -> names of the optional packages that the simulation imports.
    former : mapping
        Values of settings before results files named them, so that an older file is refused by what differs.
    """

    name: str
    title: str
    source: str
    settings: Mapping[str, Settings]
    simulate: Callable[[Settings, RunContext], xarray.Dataset]
    predict: Callable[[xarray.Dataset], xarray.Dataset]
    claims: Callable[[xarray.Dataset, xarray.Dataset], list[Claim]]
    figures: tuple[FigureSpec, ...]
    notes: str = ""
    differences: tuple[str, ...] = ()
    packages: Callable[[Settings], tuple[str, ...]] = lambda settings: ()
    former: Mapping[str, Any] = field(default_factory=dict)

    def require(self, scale: str) -> None:
        """Raise ValueError where a package that the simulation imports is not installed."""
        for package in self.packages(self.settings_of(scale)):
            if importlib.util.find_spec(package) is None:
                extra = "validation" if package == "torch" else "lm"
                fail(self.name, f"must find {package}", "none", f"install peakedtheory[{extra}]")

    def run(
        self,
        scale: str = "quick",
        *,
        device: str | None = None,
        output: Path | str | None = None,
        resume: bool = False,
        progress: Progress = False,
    ) -> xarray.Dataset:
        """Run the experiment, or return what a finished results file of the same settings holds.

        Parameters
        ----------
        scale : {"paper", "quick", "tiny"}
        device : str, optional
            Device of the training engine.
        output : path, optional
            Folder for the results file and for checkpoints.
        resume : bool
            Go on from checkpoints in `output`, and take a finished results file as it is.
        progress : bool or callable

        Raises
        ------
        ValueError
            For an unknown scale or device, a package that is missing, and a results file of something else.
        """
        settings = self.settings_of(scale)
        folder = None if output is None else Path(output)
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            if resume and self.path(folder, scale).exists():
                return self.load(folder, scale)
        self.require(scale)
        started = time.perf_counter()
        context = RunContext(device, folder, resume, progress, f"{self.name}-{scale}")
        data = self.simulate(settings, context)
        seconds = time.perf_counter() - started
        data = data.assign_attrs(
            {**provenance({}), **data.attrs, **self._identity(scale), "run_seconds": round(seconds, 1)}
        )
        if folder is not None:
            self.save(data, folder, scale)
            for path in context.written:
                path.unlink(missing_ok=True)
        return data

    def judge(self, data: xarray.Dataset, prediction: xarray.Dataset) -> list[Claim]:
        """Return the claims, with verdicts that the scale of the data allows."""
        scale = str(data.attrs["scale"])
        if self.settings[scale] == self.settings["paper"]:
            scale = "paper"
        return [claim.at_scale(scale) for claim in self.claims(data, prediction)]

    def settings_of(self, scale: str) -> Settings:
        """Return the parameters of a scale."""
        if scale not in self.settings:
            fail("scale", f"must be one of {', '.join(self.settings)}", repr(scale), "choose one of them")
        return self.settings[scale]

    def path(self, folder: Path, scale: str) -> Path:
        """Return where the results of a scale lie in a folder."""
        return folder / f"{self.name}-{scale}.nc"

    def _identity(self, scale: str) -> dict[str, Any]:
        text = json.dumps(dict(self.settings[scale]), sort_keys=True)
        return {
            "experiment": self.name,
            "scale": scale,
            "results_format": FORMAT,
            "settings": text,
            "settings_digest": hashlib.sha256(text.encode()).hexdigest()[:16],
        }

    def save(self, data: xarray.Dataset, folder: Path, scale: str) -> Path:
        """Write the results, compressed, in single precision, atomically."""
        path = self.path(folder, scale)
        encoding = {
            str(name): {"zlib": True, "complevel": 6, "shuffle": True}
            | ({"dtype": "float32"} if variable.dtype == np.float64 else {})
            for name, variable in data.data_vars.items()
            if variable.dtype.kind in "fiub" and variable.ndim
        }
        with atomic_path(path) as temporary:
            data.to_netcdf(temporary, engine="h5netcdf", encoding=encoding)
        return path

    def load(self, folder: Path, scale: str) -> xarray.Dataset:
        """Read the results of a scale from a folder.

        Raises
        ------
        ValueError
            If the file is missing, unreadable, or of another experiment, scale, setting or format.
        """
        import xarray

        path = self.path(folder, scale)
        if not path.is_file():
            fail("results", f"must hold {path.name}", str(folder), f"run {self.name} at scale {scale} first")
        try:
            with xarray.open_dataset(path, engine="h5netcdf") as stored:
                data = stored.load()
        except (OSError, ValueError, KeyError) as error:
            fail("results", "must be a readable NetCDF file", f"{path} ({error})", "delete it and run again")
        expected = self._identity(scale)
        for name in ("experiment", "scale", "results_format", "settings_digest"):
            found = data.attrs.get(name)
            if found != expected[name]:
                what = {"results_format": f"format version {FORMAT}", "settings_digest": "these settings"}
                if name == "settings_digest":
                    found = self._other_settings(data.attrs.get("settings", "{}"), scale) or found
                fail(
                    "results",
                    f"{path.name} must have {what.get(name, f'{name} {expected[name]}')}",
                    f"{found}",
                    "it is the file of something else: use another folder, or delete it and run again",
                )
        return data

    def _other_settings(self, stored: str, scale: str) -> str:
        """Return which settings of a file differ from those of a scale, with both values."""
        found, mine = {**self.former, **json.loads(stored)}, dict(self.settings[scale])
        return "; ".join(
            f"{key} = {found.get(key)!r} and not {mine.get(key)!r}"
            for key in dict.fromkeys([*mine, *found])
            if found.get(key) != mine.get(key)
        )

    def at(self, **changes: Any) -> Experiment:
        """Return a copy whose settings differ at every scale, for use from Python."""
        changed = {scale: {**values, **changes} for scale, values in self.settings.items()}
        return replace(self, settings=changed)
