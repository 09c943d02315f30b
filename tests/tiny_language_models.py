"""Tiny checkpoints written to disk from their configurations, and plain NumPy twins of every statistic."""

import json

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

CONTEXT = 32
SENTENCES = [
    "the free energy of a peaked distribution falls as one over beta",
    "a softmax of many logits, most of them small",
    "energy and entropy; temperature and time; loss and learning rate",
    "0 1 1 2 3 5 8 13 21 34 55 89 144 233 377 610 987",
    "short",
    "the loss of a student follows the cube root of time, or so they say, until the teacher is near",
]
DOCUMENTS = [SENTENCES[i % 6][: 5 + 6 * i] for i in range(17)]


def write_model(root, kind, steps, vocabulary=300):
    """Write `root/step<N>` for several N, with heads that grow with N, and the tokenizer into `root`."""
    for step in steps:
        torch.manual_seed(step)
        model = {"neox": neox, "llama": llama}[kind](vocabulary)
        with torch.no_grad():
            model.get_output_embeddings().weight.mul_(2.0 + step)
        model.save_pretrained(root / f"step{step}")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(root)  # no token of padding
    return root


def neox(vocabulary):
    config = GPTNeoXConfig(
        vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=CONTEXT, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return GPTNeoXForCausalLM(config)


def llama(vocabulary):
    config = LlamaConfig(
        vocab_size=vocabulary, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=64, max_position_embeddings=CONTEXT, tie_word_embeddings=True, bos_token_id=0,
        eos_token_id=0,
    )  # fmt: skip
    return LlamaForCausalLM(config)


def write_jsonl(path, texts=DOCUMENTS, field="text"):
    path.write_text("".join(json.dumps({field: text}) + "\n" for text in texts))
    return path


def naive_tokens(logits, labels):
    """Every statistic of every token, one at a time, in double precision."""
    rows = []
    for y, label in zip(np.asarray(logits, dtype=float), labels, strict=True):
        p = np.exp(y - y.max())
        p /= p.sum()
        largest = np.sort(y)[::-1]
        rows.append(
            {
                "loss": -np.log(p[label]) if p[label] > 0 else y.max() - y[label],
                "entropy": -sum(q * np.log(q) for q in p if q > 0),
                "logit_std": np.sqrt(sum((v - y.mean()) ** 2 for v in y) / (y.size - 1)),
                "logit_mean": y.mean(),
                "correct_margin": y[label] - y.mean(),
                "top_margin": y.max() - y.mean(),
                "logit_range": y.max() - y.min(),
                "top_gap": largest[0] - largest[1],
                "accuracy": float(y[label] >= y.max()),
            }
        )
    return rows


def naive_evaluation(model, documents, peaked_entropy):
    """Documents one by one through the whole model; means over tokens, errors over documents by the formula."""
    rows, owner = [], []
    for d, ids in enumerate(documents):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([ids])).logits[0, :-1].numpy()
        for row in naive_tokens(logits, ids[1:]):
            u = row["top_gap"] / row["logit_std"]
            row["peaked_fraction"] = float(row["entropy"] < peaked_entropy)
            row["gap_density"] = (4 - 6 * u / 0.1) / 0.1 if u < 0.1 else 0.0
            row["gap_density_narrow"] = (4 - 6 * u / 0.05) / 0.05 if u < 0.05 else 0.0
            rows.append(row)
            owner.append(d)
    means, errors = {}, {}
    owner = np.array(owner)
    for name in rows[0]:
        values = np.array([row[name] for row in rows])
        means[name] = values.mean()
        residual = np.array([(values[owner == d] - means[name]).sum() for d in range(len(documents))])
        errors[name] = np.sqrt((residual**2).sum() * len(documents) / (len(documents) - 1)) / values.size
    return means, errors
