"""Case-steps per second of stacked training against a plain PyTorch loop, one case after the other.

    python benchmarks/bench_training.py [--device cpu] [--threads 2] [--clock cpu] [--scan] [--json FILE]

Adam, n = 128 classes, m = 32 inputs, batch 1024, cases β* x rate as in the paper's scan. Every round runs each
contender once, one after the other; ratios are medians of the rounds' ratios. The plain loop (nn.Linear,
cross_entropy with probabilities, autograd, torch.optim.Adam, inputs drawn by torch) runs in a process of its own
with as many threads; subnormal numbers, which slow it down by half at some temperatures, are switched off there.
With --clock cpu times are processor seconds of the process over the
number of threads, which other programs on the machine disturb less; with one thread they are exact. With --scan
the whole scan of 2,000 steps is timed too. The limit is that of the two matrix products
(student and gradient), measured on this machine with data in the cache; on CUDA that of torch.bmm.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

PLAIN = """
import sys, time, torch
import torch.nn.functional as F
device, threads, n, m, batch = sys.argv[1], int(sys.argv[2]), 128, 32, 1024
clock = (lambda: time.process_time() / threads) if sys.argv[3] == "cpu" else time.perf_counter
torch.set_num_threads(threads)
torch.set_flush_denormal(True)
teacher = torch.nn.Linear(m, n, bias=False, device=device)
student = torch.nn.Linear(m, n, bias=False, device=device)
torch.nn.init.zeros_(student.weight)
with torch.no_grad():
    teacher.weight.mul_(100.0)
optimizer = torch.optim.Adam(student.parameters(), lr=1e-2)
def step():
    x = torch.randn(batch, m, device=device)
    x = x * (m / x.square().sum(1, keepdim=True)).sqrt()
    with torch.no_grad():
        q = F.softmax(teacher(x), dim=1)
    loss = F.cross_entropy(student(x), q)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
def run(steps):
    start = clock()
    for _ in range(steps):
        step()
    if device != "cpu":
        torch.cuda.synchronize()
    return (clock() - start) / steps
run(20)
print("ready", torch.__version__, flush=True)
for line in sys.stdin:
    print(run(int(line)), flush=True)
"""


class PlainLoop:
    def __init__(self, device, threads, clock):
        command = [sys.executable, "-c", PLAIN, device, str(threads), clock]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.version = self.process.stdout.readline().split()[-1]

    def rate(self, steps):
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        return 1.0 / float(self.process.stdout.readline())


def product_limit(threads, clock):
    """Case-steps per second if nothing but the student's two matrix products were done."""
    import concurrent.futures

    import numpy as np
    from numba import njit

    from peakedtheory.kernels.products import product

    @njit(nogil=True)
    def products(w, xt, y, x, g, repeats):
        for _ in range(repeats):
            product(w, 0, 32, 1, xt, 0, 64, y, 0, 64, 128, 64, 32, False)
            product(y, 0, 64, 1, x, 0, 32, g, 0, 32, 128, 32, 64, True)

    def one(repeats):
        arrays = [np.zeros(size, np.float32) for size in (4096, 2048, 8192, 2048, 4096)]
        products(*arrays, repeats)

    one(1)
    repeats = 1000
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        start = clock()
        list(pool.map(one, [repeats] * threads))
    return threads * repeats / 16 / (clock() - start)


def cuda_limit(cases, repeats=50):
    """Case-steps per second of torch's two batched products alone."""
    import torch

    x = torch.randn(cases, 1024, 32, device="cuda")
    w = torch.randn(cases, 128, 32, device="cuda")
    for _ in range(2):
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(repeats):
            torch.bmm(torch.bmm(x, w.mT).mT, x)
        torch.cuda.synchronize()
    return cases * repeats / (time.perf_counter() - start)


def engine_rates(cases, device, threads, clock):
    """Functions (steps) -> case-steps per second, one for each engine."""
    from concurrent.futures import ThreadPoolExecutor

    from peakedtheory.validation.training.compiled_engine import CompiledEngine
    from peakedtheory.validation.training.stacks import build_stacks
    from peakedtheory.validation.training.torch_engine import TorchEngine

    pool = ThreadPoolExecutor(threads)
    (stack,) = build_stacks(
        cases,
        range(len(cases)),
        10**5,
        128,
        seed=0,
        common_inputs=True,
        normalise=True,
        test_samples=1024,
    )
    engines = {"torch, stacked": TorchEngine(stack, device, "float32", pool)}
    if device == "cpu":
        engines["compiled"] = CompiledEngine(stack, pool, threads)

    def timed(engine):
        def rate(steps):
            start = clock()
            engine.advance(0, steps)
            engine.state()
            return len(cases) * steps / (clock() - start)

        rate(2)
        return rate

    return {name: timed(engine) for name, engine in engines.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--cases", type=int, default=96)
    parser.add_argument("--steps", type=int, help="stacked steps in a round (default 20; CUDA 500)")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--scan", action="store_true")
    parser.add_argument("--json")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = str(options.threads)
    import numpy as np

    from peakedtheory import Adam
    from peakedtheory.validation import grid, train

    rates = np.geomspace(1e-3, 1.0, 12)
    stars = 1 / (np.sqrt(3) * np.geomspace(1e-3, 1, 8))
    scan = grid(beta_star=stars, optimizer=[Adam(rate) for rate in rates])
    cases = (scan * (options.cases // len(scan) + 1))[: options.cases]
    steps = options.steps or (20 if options.device == "cpu" else 500)
    clock = time.perf_counter
    if options.clock == "cpu":
        clock = lambda: time.process_time() / options.threads  # noqa: E731
    plain = PlainLoop(options.device, options.threads, options.clock)
    engines = engine_rates(cases, options.device, options.threads, clock)
    rounds = []
    for _ in range(options.rounds):
        cpu, wall = time.process_time(), time.perf_counter()
        values = {"plain loop": plain.rate(max(steps * 10, 200))}
        values |= {name: rate(steps) for name, rate in engines.items()}
        on_cpu = options.device == "cpu"
        limit = product_limit(options.threads, clock) if on_cpu else cuda_limit(options.cases)
        values["limit of the products"] = limit
        values["cpu/wall"] = (time.process_time() - cpu) / (time.perf_counter() - wall)
        rounds.append(values)
    print(f"torch {plain.version}, {options.threads} threads, {options.cases} cases, {options.rounds} rounds")
    result = {}
    for name in rounds[0]:
        value = statistics.median(r[name] for r in rounds)
        ratio = statistics.median(r[name] / r["plain loop"] for r in rounds)
        result[name] = {"median": value, "best": max(r[name] for r in rounds), "over plain loop": ratio}
        if name == "cpu/wall":
            print(f"{name:24s}{value:10.2f}")
        else:
            print(f"{name:24s}{value:10.0f} case-steps/s  {ratio:7.2f} x plain loop")
    if options.scan:
        start = time.perf_counter()
        train(scan, 2000, device=options.device)
        result["scan seconds"] = time.perf_counter() - start
        print(f"96 cases, 2000 steps, 60 records: {result['scan seconds']:.1f} s")
    if options.json:
        from pathlib import Path

        Path(options.json).write_text(json.dumps({"options": vars(options), "result": result}, indent=1))


if __name__ == "__main__":
    main()
