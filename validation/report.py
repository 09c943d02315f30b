"""The report of reproduced experiments: one self-contained HTML page, Markdown, and JSON of all numbers."""

from __future__ import annotations

import base64
import html
import io
import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from peakedtheory._common.output import atomic_path
from peakedtheory._common.style import VERDICTS
from peakedtheory.validation.experiments.base import Experiment
from peakedtheory.validation.experiments.claims import FAILS, HOLDS, OPEN, Claim
from peakedtheory.validation.experiments.drawing import tidy

if TYPE_CHECKING:
    import xarray

_DPI, _FILE_DPI = 96, 144
#: Attributes of a results file that the report repeats.
_MADE = (
    "command", "device", "engine", "dtype", "seed", "peakedtheory_version", "numpy_version", "scipy_version",
    "python_version", "platform", "threads", "run_seconds",
)  # fmt: skip
_COLOURS = 64  # of an embedded picture: lines, their edges and white
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1180px; margin: 0 auto; padding: 1em; color: #222; }
h1, h2 { line-height: 1.2; } section { border-top: 1px solid #ccc; margin-top: 2em; }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px; width: 100%; }
th, td { border-bottom: 1px solid #ddd; padding: .25em .6em; text-align: left; vertical-align: top; }
figure { margin: 1em 0; } figure img { max-width: 100%; height: auto; }
figcaption, .differences, details { color: #555; font-size: 13px; overflow-wrap: anywhere; }
.fails { font-weight: 600; } nav li { margin: .2em 0; }
@media (max-width: 700px) {
  th { display: none; } table, tbody, tr, td { display: block; border: 0; padding: .1em 0; }
  tr { border-bottom: 1px solid #ccc; padding: .5em 0; } td:first-child { font-weight: 600; }
  td:not(:first-child)::before { content: attr(data-label) ": "; color: #555; }
}
""" + " ".join(f".{verdict} {{ color: {colour}; }}" for verdict, colour in VERDICTS.items())


@dataclass(frozen=True)
class Section:
    """One experiment in the report.

    Attributes
    ----------
    experiment : Experiment
    attributes : dict
        Attributes of its results: how they were made.
    claims : tuple of Claim
    figures : tuple of (key, title, caption, PNG bytes)
    """

    experiment: Experiment
    attributes: dict[str, Any]
    claims: tuple[Claim, ...]
    figures: tuple[tuple[str, str, str, bytes], ...]


def make_section(
    experiment: Experiment,
    data: xarray.Dataset,
    *,
    keys: Sequence[str] | None = None,
    folder: Path | None = None,
    plot_format: str = "png",
) -> Section:
    """Predict, judge and draw one experiment; figures also go to `folder` in the format wanted."""
    prediction = experiment.predict(data)
    figures = []
    for spec in experiment.figures:
        if keys is not None and spec.key not in keys:
            continue
        figure = spec.draw(data, prediction)
        tidy(figure)
        picture = io.BytesIO()
        figure.savefig(picture, dpi=_FILE_DPI, format="png")
        figures.append((spec.key, spec.title, spec.caption, _embedded(picture)))
        if folder is not None:
            with atomic_path(folder / f"{file_name(spec.key)}.{plot_format}") as path:
                if plot_format == "png":
                    path.write_bytes(picture.getvalue())
                else:
                    figure.set_layout_engine("none")  # it stays as it has just been laid out
                    figure.savefig(path, format=plot_format)
    claims = tuple(experiment.judge(data, prediction))
    return Section(experiment, dict(data.attrs), claims, tuple(figures))


def _embedded(picture: io.BytesIO) -> bytes:
    """Return a picture as the page holds it: smaller, and in a palette, which takes a third of the bytes."""
    from PIL import Image  # comes with matplotlib, and is needed here alone

    small = io.BytesIO()
    image = Image.open(picture).convert("RGB")
    width, height = (round(side * _DPI / _FILE_DPI) for side in image.size)
    image = image.resize((width, height), Image.Resampling.LANCZOS).quantize(
        _COLOURS, dither=Image.Dither.NONE
    )
    image.save(small, format="png", optimize=True)
    return small.getvalue()


def file_name(key: str) -> str:
    """Return the name of a figure's file, without its suffix."""
    return f"figure-{key}" if key[:1].isdigit() else key


def verdicts(sections: Sequence[Section]) -> dict[str, int]:
    """Return how many claims hold, fail, cannot be told and, where there are any, are not tested."""
    counts = Counter(claim.verdict for section in sections for claim in section.claims)
    return {verdict: counts[verdict] for verdict in dict.fromkeys((HOLDS, FAILS, OPEN, *counts))}


def write_report(folder: Path, sections: Sequence[Section], plot_format: str = "png") -> dict[str, Path]:
    """Write report.html, report.md and report.json into `folder` and return their paths."""
    contents = {
        "html": as_html(sections),
        "md": as_markdown(sections, plot_format),
        "json": json.dumps(as_dict(sections), indent=2, ensure_ascii=False, allow_nan=False) + "\n",
    }
    paths = {}
    for suffix, text in contents.items():
        paths[suffix] = folder / f"report.{suffix}"
        with atomic_path(paths[suffix]) as path:
            path.write_text(text, encoding="utf-8")
    return paths


def as_dict(sections: Sequence[Section]) -> dict[str, Any]:
    """Return all numbers: settings, how they were made, claims."""
    return {
        "verdicts": verdicts(sections),
        "experiments": [
            {
                "name": section.experiment.name,
                "title": section.experiment.title,
                "source": section.experiment.source,
                "differences": list(section.experiment.differences),
                "scale": str(section.attributes["scale"]),
                "settings": json.loads(section.attributes["settings"]),
                "made_by": _made(section),
                "figures": [
                    {"key": key, "title": title, "caption": text} for key, title, text, _ in section.figures
                ],
                "claims": [claim.as_dict() for claim in section.claims],
            }
            for section in sections
        ],
    }


def _made(section: Section) -> dict[str, Any]:
    """Attributes of the results in plain types."""
    plain = {}
    for name in _MADE:
        value = section.attributes.get(name)
        if value is not None:
            plain[name] = value.item() if hasattr(value, "item") else value
    return plain


def number(value: float | None, error: float | None = None) -> str:
    """Return a number for people, with as many digits as its error leaves."""
    if value is None or not math.isfinite(value):
        return "–"
    if error is None or not math.isfinite(error):
        return f"{value:.4g}"
    if error < 1e-6 * max(abs(value), 1e-12):
        return f"{value:.5g}"
    digits = max(0, min(6, 1 - math.floor(math.log10(error)))) if error > 0 else 4
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def _row(claim: Claim) -> list[str]:
    return [
        claim.text,
        number(claim.measured, claim.error),
        number(claim.predicted),
        number(claim.published, claim.published_error),
        claim.rule,
        claim.statement,
    ]


_COLUMNS = ("Claim", "Measured", "Theory", "Published", "Band", "Verdict")
_LEGEND = (
    "A claim holds if the measured value with two standard errors lies inside its band, fails if it lies "
    "outside, and cannot be told otherwise, or where the run is too short for the claim to apply; it is not "
    "tested where the set-up is not the published one. Theory is evaluated as the measurement was, at the "
    "same points; nothing is fitted unless the claim says so."
)


def as_markdown(sections: Sequence[Section], plot_format: str = "png") -> str:
    """Return the report in Markdown; figures are linked by name."""
    counts = verdicts(sections)
    lines = ["# Reproduction report", "", _LEGEND, ""]
    lines += [", ".join(f"{count} {verdict}" for verdict, count in counts.items()) + ".", ""]
    for section in sections:
        lines += [f"## {section.experiment.title}", ""]
        lines += [
            f"`{section.experiment.name}`, scale {section.attributes['scale']}; {section.experiment.source}.",
            "",
        ]
        lines += [line for text in (_remarks(section), _differences(section)) if text for line in (text, "")]
        for key, title, caption, _ in section.figures:
            shown = "" if plot_format == "pdf" else "!"  # a page cannot show a PDF, but link to it
            lines += [f"{shown}[{title}]({file_name(key)}.{plot_format})", ""]
            lines += [f"**{_label(key)}. {title}.** {caption}", ""]
        lines += claims_table(section.claims)
        made = ", ".join(f"{name} {value}" for name, value in _made(section).items())
        lines += ["", f"Made by: {made}.", ""]
    return "\n".join(lines)


def claims_table(claims: Sequence[Claim]) -> list[str]:
    """Return the lines of a Markdown table of claims and verdicts."""
    rows = [[cell.replace("|", "\\|") for cell in _row(claim)] for claim in claims]
    lines = ["| " + " | ".join(row) + " |" for row in (_COLUMNS, *rows)]
    return [lines[0], "|" + "---|" * len(_COLUMNS), *lines[1:]]


def _differences(section: Section) -> str:
    """Return what is not as in the authors' code, as one sentence, or nothing."""
    listed = section.experiment.differences
    return f"Differences from the authors' code: {' '.join(listed)}" if listed else ""


def _remarks(section: Section) -> str:
    """Return the experiment's notes, and those on these results of it."""
    return " ".join(filter(None, (section.experiment.notes, section.attributes.get("remarks"))))


def _label(key: str) -> str:
    return f"Figure {key}" if key[:1].isdigit() else key.replace("-", " ").capitalize()


def as_html(sections: Sequence[Section]) -> str:
    """Return the report as one page without external parts, for a phone as for a desk."""
    e = html.escape
    counts = verdicts(sections)
    parts = [
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>Reproduction report</title>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<style>{_STYLE}</style></head><body><h1 id='top'>Reproduction report</h1><p>{e(_LEGEND)}</p><p>",
        ", ".join(f"<span class='{_class(v)}'>{count} {e(v)}</span>" for v, count in counts.items()),
        ".</p><nav><h2>Contents</h2><ol>",
        *(_entry(section) for section in sections),
        "</ol></nav>",
        *(_section(section) for section in sections),
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _entry(section: Section) -> str:
    """Return a line of the contents: the experiment, its figures, its verdicts."""
    e = html.escape
    keys = ", ".join(_label(key).removeprefix("Figure ") for key, *_ in section.figures)
    counts = ", ".join(f"{count} {e(v)}" for v, count in verdicts([section]).items() if count)
    link = f"<a href='#{e(section.experiment.name)}'>{e(section.experiment.title)}</a>"
    return f"<li>{link} ({e(keys)}): {counts}</li>"


def _section(section: Section) -> str:
    """Return one experiment: what it is, its claims, its figures, and how it was made."""
    e = html.escape
    scale, source = e(str(section.attributes["scale"])), e(section.experiment.source)
    parts = [
        f"<section id='{e(section.experiment.name)}'><h2>{e(section.experiment.title)}</h2>",
        f"<p><code>{e(section.experiment.name)}</code>, scale {scale}; {source}. {e(_remarks(section))}</p>",
    ]
    if _differences(section):
        parts.append(f"<p class='differences'>{e(_differences(section))}</p>")
    parts.append("<table><tbody><tr>" + "".join(f"<th>{e(c)}</th>" for c in _COLUMNS) + "</tr>")
    for claim in section.claims:
        kinds = [""] * (len(_COLUMNS) - 1) + [f" class='{_class(claim.verdict)}'"]
        cells = zip(_COLUMNS, kinds, _row(claim), strict=True)
        parts.append(
            "<tr>" + "".join(f"<td data-label='{c}'{k}>{e(cell)}</td>" for c, k, cell in cells) + "</tr>"
        )
    parts.append("</tbody></table>")
    for key, title, caption, picture in section.figures:
        data = base64.b64encode(picture).decode()
        parts.append(
            f"<figure><img loading='lazy' alt='{e(title)}' src='data:image/png;base64,{data}'>"
            f"<figcaption><b>{e(_label(key))}. {e(title)}.</b> {e(caption)}</figcaption></figure>"
        )
    made = e(json.dumps(_made(section), ensure_ascii=False))
    settings = e(str(section.attributes["settings"]))
    parts.append(f"<details><summary>How it was made</summary><p>{made}</p><p>{settings}</p></details>")
    return "\n".join([*parts, "<p><a href='#top'>Contents</a></p></section>"])


def _class(verdict: str) -> str:
    return {HOLDS: "holds", FAILS: "fails"}.get(verdict, "open")
