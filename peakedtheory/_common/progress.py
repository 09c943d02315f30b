"""Progress of long computations: a bar on a terminal, or the caller's own function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Report = Callable[[int, int | None], None]


@contextmanager
def reporter(progress: bool | Report | None, title: str = "sampling") -> Iterator[Report]:
    """Yield a function (done, planned) that shows progress, or does nothing.

    Parameters
    ----------
    progress : bool, callable or None
        True draws a bar with the time left where standard error is a terminal, and nothing elsewhere.
    title : str
        What the bar says.
    """
    if callable(progress):
        yield progress
        return
    if not progress:
        yield _ignore
        return
    from rich.console import Console  # slow to import, as is what follows
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _ignore
        return
    columns: tuple[Any, ...] = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[done]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=None, done="")

        def show(done: int, planned: int | None) -> None:
            bar.update(task, completed=done, total=planned, done=f"{done:,}")

        yield show


def _ignore(done: int, planned: int | None) -> None:
    """Show nothing."""
