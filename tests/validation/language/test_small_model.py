import json

import numpy as np
import pytest
import torch

from peakedtheory.schedules.reading import parse_schedule
from peakedtheory.validation.language import corpus as corpus_module
from peakedtheory.validation.language.checkpoints import load_encoder, load_model, local_revisions
from peakedtheory.validation.language.corpus import Corpus, docstrings, load_corpus
from peakedtheory.validation.language.evaluation import evaluate_model
from peakedtheory.validation.language.small_model import RunSettings, batch_of, train
from peakedtheory.validation.language.totals import STATISTICS

SMALL = {"width": 16, "layers": 1, "heads": 2, "context": 12, "batch": 3, "evaluations": 6, "documents": 9}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return load_corpus(tmp_path_factory.mktemp("corpus"), ["xarray"], 300)


def settings(schedule="constant:peak=0.01,steps=12,warmup=2", **changes):
    return RunSettings(schedule, **(SMALL | changes))


def test_corpus_is_text_of_the_package(text):
    texts = set(docstrings(["xarray"]))
    assert text.record["documents"][0] + text.record["documents"][1] == len(texts)
    assert sum(text.record["characters"]) == sum(map(len, texts))
    assert text.record["tokens"] == [text.train.size, sum(d.size for d in text.held_out)]
    assert text.train.max() < text.vocabulary == 300
    decoded = text.tokenizer.decode(text.held_out[3][:-1].tolist())
    assert decoded in texts  # bytes lose nothing
    assert all(d[-1] == 0 and (d[:-1] != 0).all() for d in text.held_out)
    train_texts = text.tokenizer.decode(text.train.tolist(), skip_special_tokens=False)
    assert decoded not in train_texts.split(corpus_module.END_OF_TEXT)
    assert len(text.record["sha256"]) == 64


def test_corpus_is_read_again_or_refused(text, tmp_path, monkeypatch):
    made = load_corpus(tmp_path, ["peakedtheory"], 300)
    monkeypatch.setattr(corpus_module, "docstrings", None)  # not read a second time
    again = load_corpus(tmp_path, ["peakedtheory"], 300)
    np.testing.assert_array_equal(again.train, made.train)
    assert [d.tolist() for d in again.held_out] == [d.tolist() for d in made.held_out]
    with pytest.raises(ValueError, match="must hold the corpus asked for"):
        load_corpus(tmp_path, ["peakedtheory"], 301)
    with pytest.raises(ValueError, match="vocabulary"):
        load_corpus(tmp_path, ["peakedtheory"], 256)


def test_unknown_package():
    with pytest.raises(ValueError, match="must be installed"):
        list(docstrings(["no_such_package_here"]))


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_run_is_what_plain_torch_does(text, tmp_path, optimizer):
    """The same steps written out with the optimizers' own update rules."""
    run = settings(optimizer=optimizer, clip=0.0, weight_decay=0.1)
    curve = train(run, text, tmp_path)
    from peakedtheory.validation.language.small_model import build_model

    model = build_model(run, text.vocabulary)
    first = {p: torch.zeros_like(p) for p in model.parameters()}
    second = {p: torch.zeros_like(p) for p in model.parameters()}
    for step, rate in enumerate(parse_schedule(run.schedule).rates):
        ids = batch_of(run, text.train, step)
        loss = model(input_ids=ids, labels=ids).loss
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        with torch.no_grad():
            for p, g in zip(model.parameters(), gradients, strict=True):
                if optimizer == "sgd":
                    p -= rate * (g + 0.1 * p)
                    continue
                first[p] = 0.9 * first[p] + 0.1 * g
                second[p] = 0.95 * second[p] + 0.05 * g**2
                m, v = first[p] / (1 - 0.9 ** (step + 1)), second[p] / (1 - 0.95 ** (step + 1))
                p -= rate * (m / (v.sqrt() + 1e-8) + 0.1 * p)
    documents = [d[: run.context + 1] for d in text.held_out[: run.documents]]
    expected = evaluate_model(model, documents).means
    for name in STATISTICS:
        assert float(curve[name][-1]) == pytest.approx(expected[name], rel=2e-3, abs=1e-3), name


def test_resumed_run_is_the_same_to_the_bit(text, tmp_path):
    whole = train(settings(), text, tmp_path / "whole")
    train(settings(), text, tmp_path / "parts", stop=5)
    parts = train(settings(), text, tmp_path / "parts")
    for name in whole.variables:
        np.testing.assert_array_equal(parts[name].values, whole[name].values, err_msg=name)
    other = train(settings(seed=1), text, tmp_path / "seed")
    assert float(other.loss[-1]) != float(whole.loss[-1])


def test_curve_of_a_run(text, tmp_path):
    run = settings("wsd:peak=0.02,steps=20,warmup=2,decay=5")
    curve = train(run, text, tmp_path, checkpoints=True)
    assert curve.step.values.tolist() == run.evaluated_steps.tolist()
    assert curve.step.values[[0, -1]].tolist() == [0, 20]
    tau = parse_schedule(run.schedule).tau
    np.testing.assert_allclose(curve.tau, tau[curve.step.values])
    assert float(curve.loss[0]) == pytest.approx(np.log(300), rel=0.02)
    assert float(curve.loss[-1]) < float(curve.loss[0])
    assert float(curve.learning_rate[-1]) == 0.0
    assert curve.attrs["setting_schedule"] == run.schedule
    assert json.loads(curve.attrs["corpus"])["licences"] == {"xarray": "see the package"}
    assert (curve.entropy_histogram.sum("entropy_bin") == curve.tokens).all()
    # the checkpoints are revisions that can be evaluated, and give the logged numbers
    assert list(local_revisions(str(tmp_path))) == ["step1", "step2", "step4", "step8", "step16", "step20"]
    documents = [d[: run.context + 1] for d in text.held_out[: run.documents]]
    means = evaluate_model(load_model(str(tmp_path), "step20", device="cpu"), documents).means
    assert means["loss"] == pytest.approx(float(curve.loss[-1]), rel=1e-6)
    assert load_encoder(str(tmp_path), "step20")("beta") == text.tokenizer.encode("beta").ids


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "lion"}, "optimizer"),
        ({"width": 15}, "multiple of heads=2"),
        ({"layers": 0}, "layers"),
        ({"schedule": "constant:peak=1"}, "how many steps"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_divergence_other_folders_and_short_text(text, tmp_path):
    with pytest.raises(ValueError, match="must keep the logits finite"):
        train(settings("constant:peak=1e20,steps=6", optimizer="sgd", clip=0.0), text, tmp_path / "a")
    train(settings(), text, tmp_path / "b", stop=0)
    with pytest.raises(ValueError, match="differs in seed"):
        train(settings(seed=3), text, tmp_path / "b")
    short = Corpus(text.train[:12], text.held_out, text.tokenizer, text.record)
    with pytest.raises(ValueError, match="longer than a window"):
        train(settings(), short, tmp_path / "c")


def test_command(text, tmp_path, monkeypatch, capsys):
    from peakedtheory.validation.language import train as command_module

    arguments = [
        "train",
        str(tmp_path / "run"),
        "--schedule",
        "constant:peak=0.01,steps=3",
        "--packages",
        "xarray",
    ]
    sizes = ["--width", "16", "--layers", "1", "--heads", "2", "--context", "8", "--evaluations", "3"]
    monkeypatch.setattr("peakedtheory.validation.language.train.load_corpus", lambda *a: text)
    (tmp_path / "run").mkdir()
    monkeypatch.setattr("sys.argv", [*arguments, *sizes, "--documents", "4"])
    with pytest.raises(SystemExit) as left:
        command_module.main()
    assert left.value.code == 0
    assert "after 3 steps" in capsys.readouterr().out
    assert (tmp_path / "run" / "curve.nc").exists()
    monkeypatch.setattr("sys.argv", [*arguments, "--optimizer", "lion"])
    with pytest.raises(SystemExit) as left:
        command_module.main()
    assert left.value.code == 2
    assert "error: optimizer" in capsys.readouterr().err
