"""Draw images/architecture.svg, the picture of docs/architecture.md, from the imports in the code.

Run as `python docs/architecture_picture.py`; a second.
"""

from __future__ import annotations

import ast
import graphlib
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from peakedtheory._common.style import COLD, EXACT, EXTRA, FAINT, GUIDE, SHADE, WARM, new_figure

ROOT = Path(__file__).resolve().parent
FOLDERS = {
    "peakedtheory": "peakedtheory",
    "peakedtheory.kernels": "kernels",
    "peakedtheory.validation": "validation",
}
#: Files of the package itself, through which one enters.
DOORS = {"", "__main__"}
#: Where rooms stand on their floor; which floor follows from what they import.
COLUMNS = {
    "testing": 0.0, "figures": 1.1, "validation": 2.75, "curves": 2.05, "sampling": 1.05, "dynamics": 2.2,
    "exact": 0.75, "energies": 0.5, "schedules": 1.7, "kernels": 3.1,
}  # fmt: skip
#: Roof and ground: as wide as what they serve.
SLABS = {"cli": (-0.5, 3.55), "_common": (-0.5, 2.4)}
COLOURS = {"cli": WARM, "validation": WARM, "kernels": EXTRA, "_common": GUIDE}
HALF, TALL, BAR = 0.45, 0.3, 0.77


class Import(NamedTuple):
    """One import of a module of ours: what is imported, in which line, and whether inside a function."""

    module: str
    line: int
    in_function: bool


def module_files() -> dict[str, Path]:
    """Return every file of the three packages by the name under which it is imported."""
    files = {}
    for package, folder in FOLDERS.items():
        for path in sorted((ROOT.parent / folder).rglob("*.py")):
            parts = path.relative_to(ROOT.parent / folder).with_suffix("").parts
            files[".".join([package, *(part for part in parts if part != "__init__")])] = path
    return files


def imports(path: Path, known: dict[str, Path]) -> Iterator[Import]:
    """Yield the imports of modules of ours in a file, those in functions and for type checkers among them."""
    tree = ast.parse(path.read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    inside = {id(node) for function in functions for node in ast.walk(function)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in known else name.rpartition(".")[0] for name in whole]
        else:
            continue
        for name in names:
            if name.partition(".")[0] == "peakedtheory":
                yield Import(name, node.lineno, id(node) in inside)


class Rooms(NamedTuple):
    """Lines and files of every room, and how often one imports from another."""

    lines: Counter[str]
    files: Counter[str]
    arrows: Counter[tuple[str, str]]


def rooms() -> Rooms:
    """Count what the code holds; the package's own two files are the door, not a room."""
    known = module_files()
    found = Rooms(Counter(), Counter(), Counter())
    for name, path in known.items():
        room = [*name.split("."), ""][1]
        if room in DOORS:
            continue
        found.lines[room] += len(path.read_text().splitlines())
        found.files[room] += 1
        targets = [one.module.split(".")[1] for one in imports(path, known) if one.module.count(".")]
        found.arrows.update((room, target) for target in targets if target != room)
    return found


def floors(found: Rooms) -> dict[str, int]:
    """Return the floor of every room: one above the highest room that it imports from."""
    below: dict[str, set[str]] = {room: set() for room in found.lines}
    for room, target in found.arrows:
        below[room].add(target)
    floor: dict[str, int] = {}
    for room in graphlib.TopologicalSorter(below).static_order():  # raises CycleError on a circle
        floor[room] = max((floor[target] + 1 for target in below[room]), default=0)
    return floor


def essential(arrows: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return the arrows that no way over other rooms replaces."""
    reach: dict[str, set[str]] = {}

    def reached(room: str) -> set[str]:
        if room not in reach:
            targets = [target for source, target in arrows if source == room]
            reach[room] = set(targets).union(*map(reached, targets))
        return reach[room]

    over = {(a, c) for a, b in arrows for c in reached(b)}
    return set(arrows) - over


def draw_architecture(found: Rooms) -> Figure:
    """Draw rooms as boxes on floors, with bars for their lines, and every import between them as an arrow."""
    figure, ((axes,),) = new_figure(1, width=9.0, height=7.6)
    floor = floors(found)
    dark = essential(found.arrows.keys())
    for source, target in found.arrows:
        _arrow(axes, floor, source, target, (source, target) in dark)
    most = max(found.lines.values())
    for room, height in floor.items():
        _box(axes, room, height, found, most)
    axes.set(xlim=(-0.62, 3.62), ylim=(-0.5, max(floor.values()) + 0.5))
    axes.set_axis_off()
    return figure


def _span(room: str) -> tuple[float, float]:
    """Return where a room begins and ends from left to right."""
    return SLABS[room] if room in SLABS else (COLUMNS[room] - HALF, COLUMNS[room] + HALF)


def _box(axes: Axes, room: str, floor: int, found: Rooms, most: int) -> None:
    left, right = _span(room)
    color, middle = COLOURS.get(room, COLD), 0.5 * (left + right)
    shape = {"boxstyle": "round,pad=0,rounding_size=0.06", "fc": "white", "ec": color, "lw": 1.6}
    axes.add_patch(FancyBboxPatch((left, floor - TALL), right - left, 2 * TALL, zorder=3, **shape))
    text = {"ha": "center", "va": "center", "zorder": 4}
    axes.text(middle, floor + 0.1, room, weight="bold", size=12, **text)
    files = f"{found.files[room]} files, " if found.files[room] > 1 else ""
    axes.text(middle, floor - 0.06, f"{files}{found.lines[room]} lines", size=8.5, color=GUIDE, **text)
    start, bar = middle - BAR / 2, {"lw": 4, "solid_capstyle": "butt", "zorder": 4}
    axes.plot([start, start + BAR], 2 * [floor - 0.19], color=SHADE, **bar)
    axes.plot([start, start + BAR * found.lines[room] / most], 2 * [floor - 0.19], color=color, **bar)


def _end(room: str, other: str) -> float:
    """Return where an arrow leaves or enters a room: on the side of the other room."""
    left, right = _span(room)
    towards = min(max(0.5 * sum(_span(other)), left + 0.2), right - 0.2)
    return towards if room in SLABS else 0.5 * (towards + 0.5 * (left + right))


def _arrow(axes: Axes, floor: dict[str, int], source: str, target: str, dark: bool) -> None:
    """Draw an arrow from the foot of a room to the head of another; pale where others already imply it."""
    start = _end(source, target), floor[source] - TALL
    end = _end(target, source), floor[target] + TALL
    style = {"color": EXACT, "lw": 1.3, "zorder": 2} if dark else {"color": FAINT, "lw": 0.9, "zorder": 1}
    head = {"arrowstyle": "-|>", "mutation_scale": 11, "shrinkA": 0, "shrinkB": 1}
    axes.add_patch(FancyArrowPatch(start, end, **head, **style))


def main() -> None:
    """Write the picture."""
    figure = draw_architecture(rooms())
    with mpl.rc_context({"svg.hashsalt": "peakedtheory"}):
        figure.savefig(ROOT / "images" / "architecture.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
