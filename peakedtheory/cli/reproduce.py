"""`peakedtheory reproduce`: the figures of the papers and more, with theory and published values beside."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import peakedtheory.validation
from peakedtheory._common.checks import fail
from peakedtheory._common.progress import reporter
from peakedtheory.cli._common import JsonFlag, print_json, print_table
from peakedtheory.validation.experiments.base import SCALES

if TYPE_CHECKING:
    from peakedtheory.validation.experiments.claims import Claim

_FORMATS = ("png", "svg", "pdf")


def command(
    figures: Annotated[
        list[str] | None,
        typer.Argument(
            help="Figures by number (4, 5a, 17) or name, or whole experiments (sgd-scan).",
            metavar="[FIGURE]...",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
    list_them: Annotated[bool, typer.Option("--list", help="List experiments and figures.")] = False,
    scale: Annotated[
        str,
        typer.Option(
            "--scale",
            help="quick, paper, part of it where that is stored, or tiny to check an installation.",
            metavar="SCALE",
        ),
    ] = "quick",
    device: Annotated[
        str | None,
        typer.Option("--device", help="cpu, cuda or cuda:1; CUDA where there is one.", metavar="NAME"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the results and checkpoints in the output folder.")
    ] = False,
    from_data: Annotated[
        bool,
        typer.Option("--from-data", help="Draw from the results that come with the package; train nothing."),
    ] = False,
    output: Annotated[
        Path, typer.Option("--output", help="Folder for results, figures and report.", metavar="DIR")
    ] = Path("reproduction"),
    plot_format: Annotated[
        str,
        typer.Option("--plot-format", help="png, svg or pdf, of the figures' own files.", metavar="FORMAT"),
    ] = "png",
    json: JsonFlag = False,
) -> None:
    """Train, predict, compare and draw: one report with figures and a verdict on every claim."""
    from peakedtheory.validation.experiments.registry import EXPERIMENTS, find  # loads matplotlib

    if list_them:
        _list(json)
        return
    if plot_format not in _FORMATS:
        fail("plot_format", f"must be one of {', '.join(_FORMATS)}", repr(plot_format), "choose one of them")
    if scale not in SCALES:
        fail("scale", f"must be one of {', '.join(SCALES)}", repr(scale), "choose one of them")
    _check_device(device)
    if not figures and not everything:
        fail("figure", "must be named, or --all given", "neither", "see `peakedtheory reproduce --list`")
    if figures and everything:
        fail("figure", "must not be named with --all", " ".join(figures), "leave out one of the two")
    wanted = {name: tuple(f.key for f in e.figures) for name, e in EXPERIMENTS.items()}
    if figures:
        wanted = find(figures)
    if from_data and figures is None:
        wanted = {name: keys for name, keys in wanted.items() if _stored(name) is not None}
    if output.exists() and not output.is_dir():
        fail("output", "must be a folder", str(output), "name another")
    if not from_data:
        wanted = _possible(wanted, scale, output if resume else None, everything=not figures)
    output.mkdir(parents=True, exist_ok=True)
    _reproduce(wanted, scale, device, resume, from_data, output, plot_format, json)


def _possible(
    wanted: dict[str, tuple[str, ...]], scale: str, finished: Path | None, *, everything: bool
) -> dict[str, tuple[str, ...]]:
    """Leave out of everything what needs a package that is missing, and say so; refuse it of a choice."""
    from peakedtheory.validation.experiments.registry import EXPERIMENTS  # loads matplotlib

    kept = {}
    for name, keys in wanted.items():
        if finished is None or not EXPERIMENTS[name].path(finished, scale).exists():
            try:
                EXPERIMENTS[name].require(scale)
            except ValueError as error:
                if not everything:
                    raise
                typer.echo(f"warning: left out: {error}", err=True)
                continue
        kept[name] = keys
    return kept


def _reproduce(
    wanted: dict[str, tuple[str, ...]],
    scale: str,
    device: str | None,
    resume: bool,
    from_data: bool,
    output: Path,
    plot_format: str,
    json: bool,
) -> None:
    from peakedtheory.validation.experiments.registry import EXPERIMENTS  # loads matplotlib
    from peakedtheory.validation.report import as_dict, make_section, verdicts, write_report

    sections = []
    for count, (name, keys) in enumerate(wanted.items(), start=1):
        experiment = EXPERIMENTS[name]
        typer.echo(f"[{count}/{len(wanted)}] {name}: {experiment.title}", err=True)
        if from_data:
            stored = _stored(name)
            if stored is None:
                fail("figure", "must have results in the package with --from-data", name, "run it without")
            data = experiment.load(data_folder(), stored)
        else:
            data = experiment.run(scale, device=device, output=output, resume=resume, progress=True)
        with reporter(True, "theory, claims and figures"):
            section = make_section(experiment, data, keys=keys, folder=output, plot_format=plot_format)
        sections.append(section)
    paths = write_report(output, sections, plot_format)
    if json:
        print_json(as_dict(sections))
    else:
        for section in sections:
            rows = [_lines(claim) for claim in section.claims]
            print_table(
                section.experiment.title,
                ["claim, and its band", "measured", "±", "theory", "published", "verdict"],
                rows,
            )
        typer.echo(", ".join(f"{count} {verdict}" for verdict, count in verdicts(sections).items()))
    typer.echo(f"report written to {paths['html']}", err=True)


def data_folder() -> Path:
    """Return the folder of the results that come with the package."""
    return Path(peakedtheory.validation.__path__[0]) / "data"


def _stored(name: str) -> str | None:
    """Return the largest scale at which an experiment's results come with the package."""
    from peakedtheory.validation.experiments.registry import EXPERIMENTS  # loads matplotlib

    for scale in ("paper", "part", "quick"):
        if EXPERIMENTS[name].path(data_folder(), scale).is_file():
            return scale
    return None


def _check_device(device: str | None) -> None:
    if device is None:
        return
    from peakedtheory.validation.training.train import resolve_machine  # loads numba

    resolve_machine("auto", device, "float32")


def _list(json: bool) -> None:
    from peakedtheory.validation.experiments.registry import EXPERIMENTS  # loads matplotlib

    if json:
        print_json(
            {
                "experiments": [
                    {
                        "name": e.name,
                        "title": e.title,
                        "source": e.source,
                        "stored": _stored(e.name),
                        "figures": [{"key": f.key, "title": f.title} for f in e.figures],
                    }
                    for e in EXPERIMENTS.values()
                ]
            }
        )
        return
    rows = [
        [e.name, f.key, f.title, e.source, _stored(e.name) or "–"]
        for e in EXPERIMENTS.values()
        for f in e.figures
    ]
    print_table(
        "Experiments and their figures", ["experiment", "figure", "title", "source", "stored results"], rows
    )


def _lines(claim: Claim) -> list[str]:
    """Return the cells of a claim: below it stands its band, below the verdict how far its target lies."""
    from peakedtheory.validation.report import number  # loads matplotlib

    return [
        f"{_short(claim.text)}\n  {_short(claim.rule)}",
        number(claim.measured),
        number(claim.error),
        number(claim.predicted),
        number(claim.published),
        claim.statement.replace(" within the band, ", "\n"),
    ]


def _short(text: str) -> str:
    return text if len(text) <= 96 else text[:95] + "…"
