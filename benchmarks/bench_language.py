"""Cost of the token statistics beside a plain forward pass, and the memory of a large vocabulary.

    python benchmarks/bench_language.py [--rounds 7] [--memory]

Each round runs one batch through the plain model (all logits, nothing else), through the evaluation, and through
what a user would write with torch (log_softmax and its reductions), one after the other; ratios are medians of the
rounds' ratios. Models are untrained GPT-NeoX and Llama bodies of real shapes with few layers. --memory evaluates a
vocabulary of 128,256 in a process of its own and reports the peak beyond the loaded model.
"""

import argparse
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from _timing import timed
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, LlamaConfig, LlamaForCausalLM

from peakedtheory.validation.language.evaluation import SplitModel, evaluate_model

CASES = {  # kind, vocabulary, width, layers, documents, length
    "pythia-70m": ("neox", 50304, 512, 6, 2, 256),
    "pythia-410m, 4 of 24 layers": ("neox", 50304, 1024, 4, 2, 256),
    "128k vocabulary, width 1024, 2 layers": ("llama", 128_256, 1024, 2, 1, 256),
    "small, vocabulary 512": ("neox", 512, 96, 2, 64, 64),
}


def build(kind, vocabulary, width, layers):
    sizes = {
        "vocab_size": vocabulary,
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": max(1, width // 64),
        "intermediate_size": 4 * width,
        "bos_token_id": 0,
        "eos_token_id": 0,
    }
    torch.manual_seed(0)
    if kind == "neox":
        return GPTNeoXForCausalLM(GPTNeoXConfig(**sizes)).eval()
    return LlamaForCausalLM(LlamaConfig(tie_word_embeddings=True, **sizes)).eval()


@torch.inference_mode()
def plain(model, ids):
    return model(input_ids=ids, use_cache=False).logits


@torch.inference_mode()
def with_torch(model, ids):
    """Return the averages as a user would take them from the logits."""
    logits = model(input_ids=ids, use_cache=False).logits[:, :-1].flatten(0, 1)
    labels = ids[:, 1:].flatten()
    log_p = torch.log_softmax(logits, dim=-1)
    top = logits.topk(2, dim=-1).values
    mean = logits.mean(dim=-1)
    correct = logits.gather(1, labels[:, None])[:, 0]
    return [
        -log_p.gather(1, labels[:, None]).mean(),
        -(log_p.exp() * log_p).sum(dim=-1).mean(),
        logits.std(dim=-1).mean(),
        mean.mean(),
        (correct - mean).mean(),
        (top[:, 0] - mean).mean(),
        (top[:, 0] - logits.amin(dim=-1)).mean(),
        (top[:, 0] - top[:, 1]).mean(),
    ]


def speed(rounds):
    print(
        f"{'case':40} {'plain':>8} {'evaluate':>9} {'ratio':>6} {'torch':>6}   (seconds, then ratios to plain)"
    )
    for name, (kind, vocabulary, width, layers, documents, length) in CASES.items():
        model = build(kind, vocabulary, width, layers)
        split = SplitModel(model)
        ids = torch.from_numpy(np.random.default_rng(0).integers(0, vocabulary, (documents, length)))
        batch = list(ids.numpy())
        contenders = (
            lambda m=model, i=ids: plain(m, i),
            lambda s=split, b=batch: evaluate_model(s, b, batch=len(b)),
            lambda m=model, i=ids: with_torch(m, i),
        )
        for contender in contenders:
            contender()
        times = [[timed(contender) for contender in contenders] for _ in range(rounds)]
        ratio = statistics.median(t[1] / t[0] for t in times)
        peer = statistics.median(t[2] / t[0] for t in times)
        first, second = (statistics.median(t[k] for t in times) for k in (0, 1))
        print(f"{name:40} {first:8.3f} {second:9.3f} {ratio:6.2f} {peer:6.2f}", flush=True)


def resident(field):
    """Resident memory of this process in MB, now (VmRSS) or at its peak (VmHWM); Linux."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def memory():
    model = build("llama", 128_256, 1024, 2)
    split = SplitModel(model)
    rng = np.random.default_rng(0)
    evaluate_model(split, [rng.integers(0, 1000, 4)])  # compiled code is loaded
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    before = resident("VmRSS")
    totals = evaluate_model(split, (rng.integers(0, 128_256, 1024) for _ in range(2)), batch=2)
    after = resident("VmHWM")
    whole = 2 * 1024 * 128_256 * 4 / 2**20
    print(f"128,256 logits at {totals.tokens} positions: {after - before:.0f} MB beyond the loaded model")
    print(f"(all logits at once: {whole:.0f} MB)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    if options.memory:
        memory()
    else:
        print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
        speed(options.rounds)
        subprocess.run([sys.executable, __file__, "--memory"], check=True)
