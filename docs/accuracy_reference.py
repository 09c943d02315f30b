"""Write accuracy_reference.csv: thermodynamics of normal energies by multi-precision sums.

Run as `python docs/accuracy_reference.py`; some minutes a row at large beta. Rows that the file already
has are kept. The page on accuracy compares the engine with them.
"""

import csv
import sys
from pathlib import Path

import mpmath as mp

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent / "tests"))
from naive import gaussian_in_mpmath  # noqa: E402

FILE = ROOT / "accuracy_reference.csv"
FIELDS = ("n", "beta", "log_partition", "minus_internal_energy", "energy_variance", "entropy")
GRID = [(n, beta) for beta in (0.01, 0.1, 1, 3, 10, 30, 100, 1000) for n in (2, 128, 50304, 10**12)]


def main() -> None:
    """Compute what is missing, one row at a time."""
    if not FILE.exists():
        FILE.write_text(",".join(FIELDS) + "\n")
    with FILE.open(newline="") as file:
        done = {(int(row["n"]), float(row["beta"])) for row in csv.DictReader(file)}
    for n, beta in GRID:
        if (n, beta) in done:
            continue
        row = [mp.nstr(value, 20) for value in gaussian_in_mpmath(beta, n, 16)]
        with FILE.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([n, beta, *row])
        print(n, beta, row, flush=True)


if __name__ == "__main__":
    main()
