"""Consoles in the style of many trainers, each with the curve of `log_files` in it."""

import json
import math

from log_files import COUNT, HELD_OUT, ROWS, STEP, Style, jsonl, lines


def bar(s):
    return f"{s // 2:3d}%|{'█' * (s // 40):5s}| {s}/200 [00:{s % 60:02d}<01:00,  3.25s/it"


CONSOLES = {
    "megatron": Style(
        lines(
            lambda s, v, r: (
                f" [2031-01-02 03:04:05] iteration {s:8d}/     200 | consumed samples: {64 * s:12d} | elapsed time per iteration (ms): 826.6 | learning rate: {r:.6E} | global batch size:    64 | lm loss: {v:.8E} | loss scale: 1.0 | grad norm: 2.456 | number of skipped iterations:   0 | number of nan iterations:   0 |"
            ),
            lambda s, v: (
                f"{'-' * 80}\n validation loss at iteration {s} | lm loss value: {v:.8E} | lm loss PPL: {math.exp(v):.6E} |\n{'-' * 80}"
            ),
        ),
        held_out=HELD_OUT,
    ),
    "megatron with ranks": Style(
        lines(
            lambda s, v, r: (
                f"3:  iteration {s:8d}/     200 | learning rate: {r:.6E} | lm loss: {v:.8E} | sop loss: 2.9E-01 | grad norm: 2.6 |"
            ),
            first=["0: [Rank 0] (after 100 iterations) memory (MB) | allocated: 2793.5 | reserved: 24738.0"],
        )
    ),
    "megatron golden values": Style(
        json.dumps(
            {
                "lm loss": {"start_step": 1, "step_interval": 10, "values": {str(s): v for s, v, _ in ROWS}},
                "num-zeros": {"start_step": 1, "values": {str(s): 9.0 for s, _, _ in ROWS}},
            }
        ),
        rates=False,
    ),
    "torchtitan": Style(
        lines(
            lambda s, v, r: (
                f"[rank0]:[titan] 2031-01-02 03:04:05,678 - root - INFO - step: {s:2d}  loss: {v:.8f}  grad_norm:  3.6453  memory:  3.18GiB(1.70%)  tps: 31,371  mfu: 0.68%"
            ),
            lambda s, v: (
                f"[rank0]:[titan] 2031-01-02 03:04:05,678 - root - INFO - validate step: {s}  loss: {v:.8f}  memory: 3.2GiB"
            ),
        ),
        rates=False,
        held_out=HELD_OUT,
    ),
    "olmo": Style(
        lines(
            lambda s, v, r: (
                f"[2031-01-02 03:04:05] INFO     [trainer:816, rank=0] [step={s}/200,epoch=1]\n    train/CrossEntropyLoss={v:.8f}\n    train/Perplexity={math.exp(v):,.3f}\n    throughput/total_tokens={4194304 * s:,}\n    optim/LR (group 0)={r}"
            )
        )
    ),
    "composer": Style(
        lines(
            lambda s, v, r: (
                f"[epoch=1][batch={s}/200]:\n\t Train time/sample: {256 * s}\n\t Train metrics/train/LanguageCrossEntropy: {v:.8f}\n\t Train Perplexity: {math.exp(v):.6f}\n\t Train lr-AdamW/group0: {r}"
            ),
            lambda s, v: (
                f"[Eval batch=10/10] Eval on eval data:\n\t Eval metrics/eval/LanguageCrossEntropy: {v:.8f}"
            ),
        ),
        held_out=HELD_OUT,
    ),
    "nanotron": Style(
        lines(
            lambda s, v, r: (
                f"01/02/2031 03:04:05 [INFO|DP=0|PP=0|TP=0]: iteration: {s} / 200 | consumed_tokens: 1.05M | elapsed_time_per_iteration_ms: 4.71K | lm_loss: {v:.8f} | lr: {r} | grad_norm: 2.96"
            )
        )
    ),
    "maxtext": Style(
        lines(
            lambda s, v, r: f"completed step: {s}, seconds: 9.120, Tokens/s/device: 1802.724, loss: {v:.8f}"
        ),
        rates=False,
    ),
    "fairseq": Style(
        lines(
            lambda s, v, r: (
                "2031-01-02 03:04:05 | INFO | train_inner | "
                + json.dumps(
                    {
                        "epoch": 1,
                        "update": s / 3000,
                        "loss": f"{v / math.log(2):.8f}",
                        "ppl": f"{2 ** (v / math.log(2)):.5g}",
                        "wps": "16606.5",
                        "ups": "0.25",
                        "wpb": "65536",
                        "bsz": "32",
                        "num_updates": str(s),
                        "lr": str(r),
                    }
                )
            ),
            first=[
                "2031-01-02 03:04:05 | INFO | fairseq.trainer | NOTE: overflow detected, setting loss scale to: 16.0"
            ],
        )
    ),
    "fairseq in words": Style(
        lines(
            lambda s, v, r: (
                f"2031-01-02 03:04:05 | INFO | train_inner | epoch 001:    {s} / 3002 loss={v / math.log(2):.8f}, nll_loss={v / math.log(2) - 0.1:.3f}, wps=12345.6, ups=1.2, wpb=3456, bsz=12, num_updates={s}, lr={r}, gnorm=1.2"
            )
        )
    ),
    "mlx": Style(
        lines(
            lambda s, v, r: (
                f"Iter {s}: Train loss {v:.8f}, Learning Rate {r:.3e}, It/sec 1.809, Tokens/sec 484.562\nIter {s}: Saved adapter weights to adapters.safetensors"
            ),
            lambda s, v: f"Iter {s}: Val loss {v:.8f}, Val took 1.153s",
            first=["Starting training..., iters: 200"],
        ),
        held_out=HELD_OUT,
    ),
    "mingpt": Style(
        lines(
            lambda s, v, r: f"iter_dt 19.00ms; iter {s}: train loss {v:.8f}", first=["running on device cpu"]
        ),
        rates=False,
    ),
    "n of N": Style(
        lines(
            lambda s, v, r: f"{s}/200 train_loss: {v:.8f} lr: {r} train_time: 0.8m tok/s: 7991951",
            lambda s, v: f"{s}/200 val_loss: {v:.8f} val_bpb: 1.1053",
        ),
        held_out=HELD_OUT,
    ),
    "nanogpt": Style(
        lines(
            lambda s, v, r: f"iter {s}: loss {v:.8f}, time 245.12ms, mfu 41.20%",
            lambda s, v: f"step {s}: train loss {v - 0.05:.4f}, val loss {v:.8f}",
            first=["tokens per iteration will be: 491,520", "number of parameters: 123.59M"],
        ),
        rates=False,
        held_out=HELD_OUT,
    ),
    "llm.c": Style(
        lines(
            lambda s, v, r: (
                f"step {s:4d}/200 | loss {v:.8f} (+nanz)| norm 15.1 (+nanz)| lr {r:.2e} | 2500.10 ms | 54.7% bf16 MFU"
            ),
            lambda s, v: f"val loss {v:.8f}",
        ),
        held_out=HELD_OUT,
    ),
    "rate multiplier": Style(
        lines(
            lambda s, v, r: (
                f"step {s:05d} ({s / 2:.1f}%) | loss: {v:.8f} | lrm: {r} | dt: 811ms | tok/sec: 646,467 | epoch: {1 + s // 150} | remaining: 268s    "
            )
        )
    ),
    "hugging face": Style(
        lines(
            lambda s, v, r: (
                f"{bar(s)}]\n{{'loss': {v:.8f}, 'grad_norm': 0.5, 'learning_rate': {r}, 'epoch': {s / 1000}}}"
            )
        )
        + "{'train_runtime': 90.0, 'epoch': 1.0}\n"
    ),
    "hugging face, bar after": Style(
        lines(
            lambda s, v, r: f"{{'loss': '{v:.8f}', 'learning_rate': '{r}', 'epoch': '{s / 1000}'}}\r{bar(s)}]"
        )
    ),
    "hugging face without a bar": Style(
        lines(
            lambda s, v, r: f"{{'loss': {v:.8f}, 'learning_rate': {r}, 'epoch': {s / 1000}}}",
            lambda s, v: f"{{'eval_loss': {v:.8f}, 'eval_runtime': 1.2, 'epoch': {s / 1000}}}",
        ),
        options={"every": 10},
        held_out=HELD_OUT,
    ),
    "progress bar": Style("\r".join(f"train: {bar(s)}, loss={v:.8f}, lr={r:.2e}]" for s, v, r in ROWS)),
    "deepspeed": Style(
        lines(
            lambda s, v, r: (
                f"[2031-01-02 03:04:05,678] [INFO] [logging.py:96:log_dist] [Rank 0] step={s}, skipped=0, lr=[{r}, {r}], mom=[(0.9, 0.95)]\nsteps: {s} loss: {v:.8f} iter time (s): 1.234 samples/sec: 12.962"
            )
        )
    ),
    "nemo": Style(
        lines(
            lambda s, v, r: (
                f"Training epoch 0, iteration {s}/200 | lr: {r} | global_batch_size: 256 | global_step: {s} | reduced_train_loss: {v:.8f} | train_step_timing in s: 7.5"
            )
        )
    ),
    "llama-factory": Style(
        jsonl(
            lambda s, v, r: {
                "current_steps": s,
                "total_steps": 200,
                "loss": v,
                "eval_loss": None,
                "learning_rate": r,
                "epoch": 0.01,
                "elapsed_time": "0:03:29",
            }
        )
    ),
    "litgpt": Style(
        lines(
            lambda s, v, r: (
                f"Epoch 1 | iter {8 * s} step {s} | loss train: {v:.8f}, val: n/a | iter time: 310.20 ms (step) remaining time: 1:02:03"
            )
        ),
        rates=False,
    ),
    "jax": Style(
        lines(
            lambda s, v, r: (
                f"I0102 03:04:05.678 140 logging_writer.py:48] [{s}] accuracy=0.1, loss={v:.8f}, learning_rate={r}"
            )
        )
    ),
    "paddle": Style(
        lines(
            lambda s, v, r: (
                f"[2031-01-02 03:04:05,678] [    INFO] - loss: {v:.8f}, learning_rate: {r:.3e}, global_step: {s}, interval_runtime: 1.2"
            )
        )
    ),
    "keras": Style(
        "\n".join(
            f"Epoch {i}/20\n 5/10 ━━━━━━━━━━ 2s 1ms/step - accuracy: 0.1 - loss: 9.9\r10/10 ━━━━━━━━━━ 3s 1ms/step - accuracy: 0.9 - loss: {v:.8f} - val_loss: {v + 0.1:.8f}"
            for i, (_, v, _) in enumerate(ROWS, 1)
        ),
        rates=False,
        held_out=tuple(STEP),
    ),
    "epochs": Style(
        "\n".join(f"Epoch {i}/20: train loss = {v:.8f}, lr = {r}" for i, (_, v, r) in enumerate(ROWS, 1)),
        step=COUNT,
        rates=False,
    ),
    "steps within epochs": Style(
        "\n".join(
            f"Epoch [{1 + i // 5}/4], Step [{10 * (1 + i % 5)}/50], Loss: {v:.8f}"
            for i, (_, v, _) in enumerate(ROWS)
        ),
        rates=False,
    ),
    "fastai": Style(
        "epoch     train_loss  valid_loss  accuracy  time\n"
        + "\n".join(
            f"{i}         {v:.8f}    {v + 0.1:.8f}    0.31      00:12" for i, (_, v, _) in enumerate(ROWS)
        ),
        step=COUNT - 1,
        rates=False,
        held_out=tuple(COUNT - 1),
    ),
    "marian": Style(
        lines(
            lambda s, v, r: (
                f"[2031-01-02 03:04:05] Ep. 1 : Up. {s} : Sen. {100 * s:,} : Cost {v:.8f} : Time 10.05s : 12345.67 words/s"
            )
        ),
        rates=False,
    ),
    "opennmt": Style(
        lines(
            lambda s, v, r: (
                f"[2031-01-02 03:04:05,678 INFO] Step {s}/  200; acc: 10.1; ppl: {math.exp(v):.2f}; xent: {v:.8f}; lr: {r:.5f}; 2345/3456 tok/s; 12 sec;"
            )
        )
    ),
    "tensorflow": Style(
        lines(
            lambda s, v, r: (
                f"INFO:tensorflow:global_step/sec: 12.3\nINFO:tensorflow:loss = {v:.8f}, step = {s} (3.210 sec)"
            )
        ),
        rates=False,
    ),
    "caffe": Style(
        lines(
            lambda s, v, r: (
                f"I0102 03:04:05.678 12 solver.cpp:228] Iteration {s}, loss = {v:.8f}\nI0102 03:04:05.678 12 sgd_solver.cpp:106] Iteration {s}, lr = {r}"
            )
        )
    ),
    "internlm": Style(
        lines(
            lambda s, v, r: (
                f"2031-01-02 03:04:05,678\tINFO train.py:318 in record -- tflops=188.1,step={s},loss={v:.8f},tgs (tokens/gpu/second)=4252.0,lr={r},loss_scale=65536.0"
            )
        )
    ),
    "imagenet": Style(
        lines(
            lambda s, v, r: (
                f"Epoch: [0][{s:>4}/200]\tTime  0.313 ( 0.500)\tLoss {v:.8e} ({v + 0.1:.4e})\tAcc@1   0.39 (  0.20)"
            )
        ),
        rates=False,
    ),
    "mmengine": Style(
        lines(
            lambda s, v, r: (
                f"2031/01/02 03:04:05 - mmengine - INFO - Iter(train) [{s:>4}/200]  lr: {r:.4e}  eta: 1:02:03  time: 0.5  loss: {v:.8f}"
            )
        )
    ),
    "detectron": Style(
        lines(
            lambda s, v, r: (
                f"[01/02 03:04:05 d2.utils.events]:  eta: 1:02:03  iter: {s}  total_loss: {v:.8f}  loss_cls: 0.3  loss_box: 0.2  lr: {r:.5f}  max_mem: 1234M"
            )
        )
    ),
    "wrapped numbers": Style(
        lines(
            lambda s, v, r: (
                f"step {s}: loss: tensor({v:.8f}, device='cuda:0', grad_fn=<Nll>) lr: [np.float64({r})]"
            )
        )
    ),
    "the step last": Style(lines(lambda s, v, r: f"ce={v:.8f} lr={r} @ iteration number {s}")),
    "boosting": Style(
        lines(
            lambda s, v, r: (
                f"[{s}]\ttraining's binary_logloss: {v:.8f}\tvalid_1's binary_logloss: {v + 0.1:.8f}"
            )
        ),
        rates=False,
        held_out=tuple(STEP),
    ),
    "counts with a unit": Style(
        lines(
            lambda s, v, r: f"Progress on:train {s}it/10.0kit rate:1.2it/s elapsed:01:40 postfix:loss={v:.8f}"
        ),
        rates=False,
    ),
    "test sets after epochs": Style(
        "\n".join(
            f"Train Epoch: {i} [10/10 (100%)]\tLoss: {v:.8f}\n\nTest set: Average loss: {v + 0.1:.8f}, Accuracy: 9/10 (92%)\n"
            for i, (_, v, _) in enumerate(ROWS, 1)
        ),
        rates=False,
        held_out=tuple(STEP),
    ),
    "upright tables": Style(
        lines(
            lambda s, v, r: (
                f"{'-' * 30}\n| time/fps      | 120 |\n| step          | {s} |\n| train/loss    | {v:.8f} |\n| lr            | {r} |\n{'-' * 30}"
            )
        )
    ),
    "entries by line": Style(
        lines(
            lambda s, v, r: f"step: {s}\nloss: {v:.8f}\nlr: {r}\n---",
            first=["max_steps: 200", "loss: cross_entropy"],
        )
    ),
    "objects over lines": Style(lines(lambda s, v, r: json.dumps({"loss": v, "lr": r, "step": s}, indent=2))),
    "thousands of steps": Style(
        lines(lambda s, v, r: f"step {s / 1000:.2f}k | loss {v:.8f} | lr {r} | 1.2k tok/s")
    ),
    "colours": Style(
        lines(
            lambda s, v, r: (
                f"\x1b[32m03:04:05\x1b[0m STEP: \x1b[33m{s}\x1b[0m  Loss: \x1b[33m{v:.8f}\x1b[0m  LR: {r}"
            )
        )
    ),
    "key=value": Style(
        lines(
            lambda s, v, r: f'time="2031-01-02T03:04:05Z" level=info msg="train" step={s} loss={v:.8f} lr={r}'
        )
    ),
    "brackets": Style(
        lines(
            lambda s, v, r: f"[train] step {s} loss {v:.8f} lr {r}",
            lambda s, v: f"[eval] step {s} loss {v:.8f}",
        ),
        held_out=HELD_OUT,
    ),
}
