"""Train the toy model of the example loss curves and write one CSV file per run.

A softmax student (n = 128 classes, width m = 32, batch 256) learns the most likely class of a random teacher
by plain SGD: three constant rates and a cosine. Losses are means over 4,096 held-out inputs, in nats.
It takes about a minute:

    python examples/loss_curves/make.py
"""

from pathlib import Path

import numpy as np

from peakedtheory import parse_schedule

CLASSES, WIDTH, BATCH, HELD_OUT, SEED = 128, 32, 256, 4096, 1
SCHEDULES = {
    "sgd_rate_1": "constant:peak=1,steps=20000",
    "sgd_rate_2": "constant:peak=2,steps=20000",
    "sgd_rate_4": "constant:peak=4,steps=20000",
    "sgd_cosine": "cosine:peak=4,steps=20000,warmup=200,final=0.4",
}


def sphere(generator, count):
    """Return inputs with |x|² = m, as a normalisation layer makes them."""
    x = generator.standard_normal((count, WIDTH), dtype=np.float32)
    return x * np.sqrt(WIDTH / (x**2).sum(axis=1, keepdims=True))


def log_softmax(y):
    """Return ln p of the logits y, over the classes."""
    y = y - y.max(axis=1, keepdims=True)
    return y - np.log(np.exp(y).sum(axis=1, keepdims=True))


def train(rates):
    """Return rows (step, learning rate, loss, deviation of the logits, entropy of the predictions)."""
    teacher = np.random.default_rng([SEED, 0]).standard_normal((WIDTH, CLASSES), dtype=np.float32)
    held_out = sphere(np.random.default_rng([SEED, 1]), HELD_OUT)
    held_out_labels = (held_out @ teacher).argmax(axis=1)
    generator = np.random.default_rng([SEED, 2])
    recorded = set(np.unique(np.geomspace(10, rates.size, 160).round().astype(int)).tolist())
    weights, rows = np.zeros_like(teacher), []
    for step, rate in enumerate(rates, start=1):
        x = sphere(generator, BATCH)
        error = np.exp(log_softmax(x @ weights))
        error[np.arange(BATCH), (x @ teacher).argmax(axis=1)] -= 1.0
        weights -= np.float32(rate / BATCH) * (x.T @ error)
        if step in recorded:
            y = held_out @ weights
            log_p = log_softmax(y)
            loss = -log_p[np.arange(HELD_OUT), held_out_labels].mean()
            entropy = -(np.exp(log_p) * log_p).sum(axis=1).mean()
            rows.append((step, rate, loss, y.std(axis=1).mean(), entropy))
    return rows


if __name__ == "__main__":
    for name, text in SCHEDULES.items():
        lines = [f"# {text}, n={CLASSES}, m={WIDTH}, batch={BATCH}, hard labels, made by make.py"]
        lines += ["step,lr,val_loss,logit_std,entropy"]
        lines += [
            "{:d},{:.7g},{:.6f},{:.5f},{:.5f}".format(*row) for row in train(parse_schedule(text).rates)
        ]
        Path(__file__).with_name(f"{name}.csv").write_text("\n".join(lines) + "\n")
