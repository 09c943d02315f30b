import shutil

import numpy as np
import pytest
import tiny_language_models as tiny
import torch
import xarray

from peakedtheory import thermodynamics
from peakedtheory.validation.language import evaluation as evaluation_module
from peakedtheory.validation.language.analysis import from_evaluations, loss_curves
from peakedtheory.validation.language.checkpoints import (
    load_encoder,
    load_model,
    local_revisions,
    resolve_revisions,
    step_of,
)
from peakedtheory.validation.language.evaluation import SplitModel, evaluate_model, onset
from peakedtheory.validation.language.published import (
    NAMES,
    OLMO2_REVISIONS,
    named_schedule,
    resolve_schedule,
)
from peakedtheory.validation.language.revisions import Evaluation, evaluate_revisions
from peakedtheory.validation.language.texts import TextSource


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {kind: str(tiny.write_model(root / kind, kind, (1, 2, 8))) for kind in ("neox", "llama")}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    return str(tiny.write_jsonl(tmp_path_factory.mktemp("text") / "documents.jsonl"))


def settings(model, text, **changes):
    options = {"tokens": 10_000, "max_length": tiny.CONTEXT, "batch": 5, "device": "cpu"} | changes
    return Evaluation(model, TextSource(text), **options)


@pytest.mark.parametrize("kind", ["neox", "llama"])
@pytest.mark.parametrize("step", [1, 8])
def test_every_statistic_against_plain_numpy(models, text, kind, step):
    revision = f"step{step}"
    result = evaluate_revisions(settings(models[kind], text), [revision]).isel(revision=0)
    encode = load_encoder(models[kind], revision)
    documents = [encode(t)[: tiny.CONTEXT] for t in tiny.DOCUMENTS]
    assert len({len(d) for d in documents}) > 3  # padding matters
    model = load_model(models[kind], revision, device="cpu")
    means, errors = tiny.naive_evaluation(model, documents, onset(300)[1])
    assert int(result.tokens) == sum(len(d) - 1 for d in documents)
    assert int(result.documents) == len(documents)
    assert int(result.not_finite) == 0
    for name in means:
        assert float(result[name]) == pytest.approx(means[name], rel=2e-5, abs=2e-6), name
        assert float(result[f"{name}_standard_error"]) == pytest.approx(errors[name], rel=1e-4, abs=2e-6), (
            name
        )


def test_loss_is_weighted_by_real_tokens(models, text):
    """The mean over padded batches would weigh a short batch's tokens more."""
    result = evaluate_revisions(settings(models["neox"], text, batch=2), ["step8"]).isel(revision=0)
    model, encode = load_model(models["neox"], "step8", device="cpu"), load_encoder(models["neox"], "step8")
    total = count = 0.0
    for t in tiny.DOCUMENTS:
        ids = torch.tensor([encode(t)[: tiny.CONTEXT]])
        with torch.no_grad():
            total += float(model(input_ids=ids, labels=ids).loss) * (ids.numel() - 1)
        count += ids.numel() - 1
    assert float(result.loss) == pytest.approx(total / count, rel=1e-5)


def test_batch_and_chunks_of_the_head_do_not_matter(models, text, monkeypatch):
    reference = evaluate_revisions(settings(models["llama"], text), ["step2"])
    monkeypatch.setattr(evaluation_module, "CHUNK_BYTES", 7 * 4 * 300)
    other = evaluate_revisions(settings(models["llama"], text, batch=3), ["step2"])
    for name in reference.data_vars:
        np.testing.assert_allclose(other[name], reference[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_half_precision_model(models, text):
    single = evaluate_revisions(settings(models["neox"], text), ["step2"])
    half = evaluate_revisions(settings(models["neox"], text, dtype="bfloat16"), ["step2"])
    assert float(half.loss[0]) == pytest.approx(float(single.loss[0]), rel=0.02)
    assert float(half.logit_std[0]) == pytest.approx(float(single.logit_std[0]), rel=0.02)


def test_beta_star_and_its_error(models, text):
    one = evaluate_revisions(settings(models["neox"], text), ["step8"]).isel(revision=0)
    n = 300
    assert thermodynamics(float(one.beta_star), n).entropy == pytest.approx(float(one.entropy), rel=1e-9)
    step = 1e-4
    slope = (
        thermodynamics(float(one.beta_star) + step, n).entropy
        - thermodynamics(float(one.beta_star) - step, n).entropy
    ) / (2 * step)
    expected = float(one.entropy_standard_error) / abs(slope)
    assert float(one.beta_star_standard_error) == pytest.approx(expected, rel=1e-6)
    assert one.attrs["c0"] == pytest.approx(onset(n)[0])


def test_revisions_are_resumed_and_ordered(models, text, tmp_path, monkeypatch):
    file = tmp_path / "run.nc"
    evaluation = settings(models["neox"], text)
    schedule = resolve_schedule("constant:peak=0.5,steps=10", "")
    first = evaluate_revisions(evaluation, ["step8", "step1"], output=file, schedule=schedule)
    assert first.tau.values.tolist() == [4.0, 0.5]
    calls = []
    run = Evaluation.run
    monkeypatch.setattr(Evaluation, "run", lambda self, r, p=None: calls.append(r) or run(self, r, p))
    names = ["step1", "step2", "step8"]
    resumed = evaluate_revisions(evaluation, names, output=file, schedule=schedule)
    assert calls == ["step2"]
    whole = evaluate_revisions(evaluation, names, schedule=schedule)
    for name in whole.variables:
        np.testing.assert_array_equal(resumed[name].values, whole[name].values, err_msg=name)
    with xarray.open_dataset(file, engine="h5netcdf") as stored:
        assert stored.revision.values.tolist() == names
        np.testing.assert_array_equal(stored.loss, whole.loss)
        assert stored.attrs["option_max_length"] == str(tiny.CONTEXT)
    with pytest.raises(ValueError, match="same settings, got max_length=32"):
        evaluate_revisions(settings(models["neox"], text, max_length=16), names, output=file)
    other = tmp_path / "other.nc"
    other.write_text("no file of that kind")
    with pytest.raises(ValueError, match="must be a NetCDF file"):
        evaluate_revisions(evaluation, names, output=other)


@pytest.mark.parametrize("name", ["result.csv", "no/such/folder.nc"])
def test_output_is_checked_before_anything_is_evaluated(models, text, tmp_path, name, monkeypatch):
    monkeypatch.setattr(Evaluation, "run", None)
    with pytest.raises(ValueError, match=r"output: must be a \.nc file in an existing folder"):
        evaluate_revisions(settings(models["neox"], text), ["step1"], output=tmp_path / name)


def test_it_feeds_the_fit(models, text):
    schedule = resolve_schedule("constant:peak=0.5,steps=10", "")
    result = evaluate_revisions(
        settings(models["neox"], text), ["step8", "step1", "step2"], schedule=schedule
    )
    curve = loss_curves(from_evaluations({"tiny": (result, schedule)}))["tiny"]
    assert curve.step.tolist() == [1, 2, 8]
    assert curve.tau.tolist() == [0.5, 1.0, 4.0]
    np.testing.assert_array_equal(curve.loss, result.sel(revision=["step1", "step2", "step8"]).loss)


def test_memory_does_not_grow_with_documents(models):
    model = SplitModel(load_model(models["neox"], "step1", device="cpu"))
    rng = np.random.default_rng(0)
    drawn = []

    def documents(count):
        for i in range(count):
            drawn.append(i)
            yield rng.integers(0, 300, 9)

    one, many = (evaluate_model(model, documents(count), batch=4) for count in (8, 64))
    assert many.tokens == 8 * one.tokens
    assert all(np.size(a) == np.size(b) for a, b in zip(vars(one).values(), vars(many).values(), strict=True))


def test_logits_of_a_large_vocabulary_never_exist_at_once(monkeypatch):
    seen = []
    original = evaluation_module.logit_statistics
    monkeypatch.setattr(evaluation_module, "CHUNK_BYTES", 2**20)
    monkeypatch.setattr(
        evaluation_module, "logit_statistics", lambda y, c: seen.append(y.numel()) or original(y, c)
    )
    torch.manual_seed(0)
    evaluate_model(tiny.llama(20_000), [np.arange(20), np.arange(30)])
    assert max(seen) * 4 <= 2**20
    assert sum(seen) == 48 * 20_000


def test_nan_logits_are_counted(models, text):
    model = load_model(models["llama"], "step2", device="cpu")
    with torch.no_grad():
        model.get_input_embeddings().weight[65] = torch.nan  # positions that have seen token 65
    encode = load_encoder(models["llama"], "step2")
    documents = [encode(t)[: tiny.CONTEXT] for t in tiny.DOCUMENTS]
    totals = evaluate_model(SplitModel(model), documents)
    assert totals.tokens + totals.not_finite == sum(len(d) - 1 for d in documents)
    assert totals.not_finite > 0
    assert all(np.isfinite(list(totals.means.values())))


def test_models_that_change_logits_after_the_head(models):
    model = load_model(models["llama"], "step2", device="cpu")
    forward = type(model).forward

    class Scaled(type(model)):
        def forward(self, *arguments, **options):
            out = forward(self, *arguments, **options)
            out.logits = 0.5 * out.logits
            return out

    model.__class__ = Scaled
    with pytest.raises(ValueError, match="Scaled, whose logits differ"):
        SplitModel(model)
    model.config.logits_scaling = 2.0
    SplitModel(model)


# revisions on disk


def test_revisions_of_a_folder(models, tmp_path):
    assert list(local_revisions(models["neox"])) == ["step1", "step2", "step8"]
    assert resolve_revisions(models["neox"], "step8, step1,step8") == ["step8", "step1"]
    hub = tmp_path / "models--owner--name"
    (hub / "refs" / "pr").mkdir(parents=True)
    for name, commit in (("main", "c0ffee"), ("step1000-tokens4B", "beef"), ("pr/1", "beef")):
        shutil.copytree(f"{models['neox']}/step1", hub / "snapshots" / commit, dirs_exist_ok=True)
        (hub / "refs" / name).write_text(commit + "\n")
    found = local_revisions(str(hub))
    assert list(found) == ["step1000-tokens4B", "main", "pr/1"]
    assert found["main"].name == "c0ffee"
    assert list(local_revisions(f"{models['neox']}/step1")) == ["main"]
    assert [step_of(name) for name in found] == [1000, None, None]
    assert resolve_revisions("owner/name", None) == ["main"]
    assert resolve_revisions("owner/name", "step5,step6") == ["step5", "step6"]


@pytest.mark.parametrize(
    ("revisions", "message"),
    [("step3", "must be among those of .*step1, step2, step8, got step3"), (" ,", "at least one")],
)
def test_missing_revision(models, revisions, message):
    with pytest.raises(ValueError, match=message):
        resolve_revisions(models["neox"], revisions)


def test_empty_folder(tmp_path):
    with pytest.raises(ValueError, match=r"must hold config\.json"):
        resolve_revisions(str(tmp_path), None)


def test_without_a_network_the_wanted_file_is_named(monkeypatch):
    import transformers

    def unreachable(*arguments, **options):
        raise OSError("We could not connect\nmore lines")

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", unreachable)
    with pytest.raises(ValueError) as caught:
        load_model("EleutherAI/pythia-70m", "step128", device="cpu")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("model.safetensors", "step128", "EleutherAI/pythia-70m", "hf download", "pass FOLDER"):
        assert part in message


def test_unreadable_local_model(models, tmp_path):
    shutil.copytree(models["neox"], tmp_path / "m")
    (tmp_path / "m" / "step1" / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"readable model\.safetensors for revision step1"):
        load_model(str(tmp_path / "m"), "step1", device="cpu")
    with pytest.raises(ValueError, match="dtype"):
        load_model(str(tmp_path / "m"), "step2", dtype="int8", device="cpu")


def test_context_of_the_model(models, text):
    with pytest.raises(ValueError, match="at most the model's context of 32"):
        evaluate_revisions(settings(models["neox"], text, max_length=33), ["step1"])


# schedules


def test_published_schedules():
    pythia = named_schedule("EleutherAI/pythia-70m-deduped")
    assert pythia.steps == 143_000
    assert int(np.argmax(pythia.rates)) + 1 == 1430
    assert pythia.rates[-1] == pytest.approx(1e-4)
    # the mean of a cosine from 1 to 0.1 is 0.55; warmup is a ramp
    assert pythia.tau[-1] == pytest.approx(1e-3 * (0.55 * (143_000 - 1430) + 0.5 * 1430), rel=1e-4)
    assert named_schedule("allenai/OLMo-1B-hf").rates.max() == pytest.approx(4e-4)
    assert named_schedule("olmo-7b").rates[-1] == pytest.approx(3e-5, rel=1e-3)
    olmo = named_schedule("allenai/OLMo-2-1124-13B")
    # 5·10¹² tokens in steps of 2048 × 4096
    assert olmo.steps * 2048 * 4096 == pytest.approx(5e12, rel=1e-4)
    assert (olmo.rates[999], olmo.rates[-1]) == pytest.approx((9e-4, 9e-5))
    assert [name for name in OLMO2_REVISIONS if "step1100-" in name] == ["stage1-step1100-tokens10B"]
    assert OLMO2_REVISIONS[-1] == "stage1-step596057-tokens5001B"
    assert [step_of(name) for name in OLMO2_REVISIONS][-2:] == [358_000, olmo.steps]
    assert len(OLMO2_REVISIONS) == 13
    assert all(named_schedule(name) is not None for name in NAMES)
    assert named_schedule("someone/else") is None
    assert resolve_schedule(None, "someone/else") is None
    assert resolve_schedule("pythia-12b", "x").rates.max() == pytest.approx(1.2e-4)
    with pytest.raises(ValueError, match="schedule: must be one of pythia-14m"):
        resolve_schedule("pythia-13b", "x")
