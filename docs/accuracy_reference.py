"""Write accuracy_reference.csv: thermodynamics of normal energies by multi-precision sums.

Run as `python docs/accuracy_reference.py`. Rows that the file already has are kept; the others take some
minutes each up to beta = 10, and seconds beyond. The page on accuracy compares the engine with them.
"""

import csv
import math
import sys
from pathlib import Path

import mpmath as mp
import numpy as np
from scipy.special import gammaln

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT.parent / "tests"))
from naive import gaussian_in_mpmath  # noqa: E402

FILE = ROOT / "accuracy_reference.csv"
FIELDS = ("n", "beta", "log_partition", "minus_internal_energy", "energy_variance", "entropy")
GRID = [(n, beta) for beta in (0.01, 0.1, 1, 3, 10, 30, 100, 1000) for n in (2, 128, 50304, 10**12)]
#: From here on the sum over one energy is taken where the kernel is neither zero nor one.
COLD = 30


def cold_sums(beta, n, digits=16, fineness=1):
    """(Φ, Φ', Φ'', S) of standard normal energies at large beta, by two nested trapezoidal sums.

    The sums are those of `gaussian_in_mpmath`, with the lattice of s on that of v = s + βx, so that kernels
    and densities are tabulated once. At large beta all varies over β/√(2 ln n) in s, and the outer step may
    grow accordingly; `fineness` divides both steps, for a check.
    """
    with mp.workdps(digits + 12 + int(math.log10(n))):  # 1 - g is raised to the power n
        size = digits * math.log(10)
        step = mp.mpf(math.pi**2 / size) * mp.mpf("0.9") / fineness
        stride = max(1, int(0.15 * beta / (1 + math.sqrt(2 * math.log(n))) / float(step) / fineness))
        theta = np.geomspace(1e-5, 0.99, 400)
        low = np.max((-size - math.log(n) - theta**2 * beta**2 / 2 - gammaln(1 - theta)) / theta)
        theta = np.geomspace(1e-3, 1e3, 400)
        high = np.min((size / n + theta**2 * beta**2 / 2 + gammaln(1 + theta)) / theta)
        rows = range(int(low / float(step)) - 1, int(high / float(step)) + stride + 1, stride)
        gumbel, below, entropy = _kernels(step, size + math.log(n))
        first, last = min(gumbel), max(gumbel)
        reach = int((math.sqrt(2 * (size + math.log(n))) + 1) * beta / float(step))
        scale = step / beta
        mass = {
            j: mp.exp(-((scale * j) ** 2) / 2) * scale / mp.sqrt(2 * mp.pi) for j in range(-reach, reach + 1)
        }
        above, running = {}, mp.mpf(0)
        for j in range(reach, -reach - 1, -1):
            running += mass[j]
            above[j] = running
        total = [mp.mpf(0)] * 4
        for i in rows:
            inside = range(max(first - i, -reach), min(last - i, reach) + 1)
            # Beyond the last kernel value 1 - exp(-e^v) is one.
            saturated = last + 1 - i
            g = above[max(saturated, -reach)] if saturated <= reach else mp.mpf(0)
            g += mp.fdot((mass[j], below[i + j]) for j in inside)
            m = mp.fdot((mass[j], gumbel[i + j]) for j in inside)
            moment = mp.fdot((mass[j], (i + j) * gumbel[i + j]) for j in inside) * step
            second = mp.fdot((mass[j], (i + j) ** 2 * gumbel[i + j]) for j in inside) * step**2
            w = mp.fdot((mass[j], entropy[i + j]) for j in inside)
            phi = 1 - g
            pair = phi ** (n - 2) * n * (n - 1) * m if phi > 0 else mp.mpf(0)
            rise = 1 - phi**n if phi > 0 else mp.mpf(1)
            total[0] += rise / (2 if i == rows[-1] else 1)
            total[1] += n * phi ** (n - 1) * (moment - step * i * m) / beta if phi > 0 else 0
            total[2] += pair * (second - moment**2 / m) / beta**2 if m else 0
            total[3] += pair * w
        total = [t * step * stride for t in total]
        total[0] -= step * rows[-1] + mp.euler
        return total


def _kernels(step, depth):
    """Gumbel density, 1 - exp(-e^v) and entropy kernel at multiples of the step, where none is trivial."""
    numbers = range(int(-(depth + 8) / float(step)), int(5 / float(step)) + 1)
    with mp.workdps(mp.mp.dps + int(depth)):  # the closed form of the entropy kernel cancels at small t
        v = {k: step * k for k in numbers}
        t = {k: mp.exp(v[k]) for k in numbers}
        gumbel = {k: t[k] * mp.exp(-t[k]) for k in numbers}
        below = {k: -mp.expm1(-t[k]) for k in numbers}
        entropy = {k: mp.exp(-t[k]) * (v[k] + mp.euler) + mp.e1(t[k]) for k in numbers}
    return tuple({k: +value for k, value in table.items()} for table in (gumbel, below, entropy))


def main() -> None:
    """Compute what is missing, one row at a time."""
    if not FILE.exists():
        FILE.write_text(",".join(FIELDS) + "\n")
    with FILE.open(newline="") as file:
        done = {(int(row["n"]), float(row["beta"])) for row in csv.DictReader(file)}
    for n, beta in GRID:
        if (n, beta) in done:
            continue
        sums = cold_sums(beta, n, 20) if beta >= COLD else gaussian_in_mpmath(beta, n, 16)
        row = [mp.nstr(value, 20) for value in sums]
        with FILE.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([n, beta, *row])
        print(n, beta, row, flush=True)


if __name__ == "__main__":
    main()
