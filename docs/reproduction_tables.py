"""Rewrite the tables of reproduction.md from the results that come with the package.

Run as `python docs/reproduction_tables.py [EXPERIMENT]...` after results or theory have changed; without
names all tables are made afresh, which takes some minutes. The tests compare the page with the results.
"""

import re
import sys
from pathlib import Path

from peakedtheory.validation.experiments.registry import experiment
from peakedtheory.validation.report import claims_table

ROOT = Path(__file__).resolve().parent
PAGE = ROOT / "reproduction.md"
DATA = ROOT.parent / "validation" / "data"
SECTION = re.compile(
    r"^### (?P<title>.+) \(`(?P<name>[a-z-]+)`, \w+\)\n\n(?P<table>(?:\|.*\n)+)", re.MULTILINE
)


def section(match: re.Match, wanted: set[str]) -> str:
    """Return the section of one experiment, afresh if it is wanted."""
    name = match["name"]
    if wanted and name not in wanted:
        return match[0]
    spec = experiment(name)
    scale = next(s for s in ("paper", "part", "quick") if (DATA / f"{name}-{s}.nc").exists())
    data = spec.load(DATA, scale)
    lines = claims_table(spec.judge(data, spec.predict(data)))
    return f"### {match['title']} (`{name}`, {scale})\n\n" + "\n".join(lines) + "\n"


def main() -> None:
    """Rewrite the page."""
    wanted = set(sys.argv[1:])
    text = PAGE.read_text("utf-8")
    unknown = wanted - {match["name"] for match in SECTION.finditer(text)}
    if unknown:
        sys.exit(f"EXPERIMENT: must have a table on the page, got {', '.join(sorted(unknown))}")
    PAGE.write_text(SECTION.sub(lambda match: section(match, wanted), text), "utf-8")


if __name__ == "__main__":
    main()
