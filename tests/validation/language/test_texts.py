"""Texts as sequences of tokens: formats, cutting, the budget, data sets that are streamed, bad files."""

import itertools
import json

import pytest
import tiny_language_models as tiny

from peakedtheory.validation.language.texts import TextSource, tokenised


def ids(text):
    return [ord(c) for c in text]


def pieces(name, length=10, tokens=10**6, **options):
    cut = options.pop("cut", None)
    return list(tokenised(TextSource(str(name), **options), ids, length, tokens, cut=cut))


def test_formats_hold_the_same_documents(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    texts = ["ab", "a longer document", "", "x", "the end"]
    jsonl = tiny.write_jsonl(tmp_path / "a.jsonl", texts, "content")
    pq.write_table(pa.table({"content": texts, "id": range(5)}), tmp_path / "a.parquet")
    expected = [ids(t)[:10] for t in texts if len(t) > 1]
    assert pieces(jsonl, field="content") == expected
    assert pieces(tmp_path / "a.parquet", field="content") == expected
    folder = tmp_path / "folder"
    folder.mkdir()
    for i, t in enumerate(texts):
        (folder / f"{i}.txt").write_text(t)
    assert pieces(folder) == expected


def test_cutting_and_the_budget_of_tokens(tmp_path):
    (tmp_path / "a.txt").write_text("abcdefghijklmnopqrstu")
    assert pieces(tmp_path / "a.txt") == [
        ids("abcdefghij"),
        ids("klmnopqrst"),
    ]  # a last lone token is dropped
    assert pieces(tmp_path / "a.txt", cut=False) == [ids("abcdefghij")]
    assert pieces(tmp_path / "a.txt", tokens=9) == [ids("abcdefghij")]
    assert pieces(tmp_path / "a.txt", tokens=12) == [ids("abcdefghij"), ids("klmn")]
    for tokens, length in itertools.product(range(1, 19), (2, 3, 10)):
        spent = sum(len(p) - 1 for p in pieces(tmp_path / "a.txt", length, tokens))
        assert spent <= tokens
        assert (
            spent == tokens
            or (length, tokens) == (2, 11)
            or spent == len("abcdefghijklmnopqrstu") // length * (length - 1)
        )
    assert pieces(tiny.write_jsonl(tmp_path / "b.jsonl", ["abcdef"]), length=4, cut=True) == [
        ids("abcd"),
        ids("ef"),
    ]


@pytest.mark.parametrize(
    ("content", "name", "options", "message"),
    [
        ("x", "a.txt", {}, "at least two tokens"),
        ("", "a.jsonl", {}, "at least two tokens, got no document"),
        ('{"text": 1', "a.jsonl", {}, "a.jsonl line 1"),
        ('{"body": "long enough"}', "a.jsonl", {}, "'text' not among body"),
        ("a,b", "a.csv", {}, r"must end in \.txt"),
        ("long enough", "a.txt", {"length": 1}, "max_length"),
        ("long enough", "a.txt", {"tokens": 0}, "tokens"),
        (None, "absent.txt", {}, "must be an existing"),
        (None, "a/b/c", {}, "must be an existing"),
    ],
)
def test_bad_texts(tmp_path, content, name, options, message):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=message):
        pieces(path, **options)


def test_parquet_without_the_field_and_empty_folder(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"body": ["abc"]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"must be a column of .*body"):
        pieces(tmp_path / "a.parquet")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="must hold files"):
        pieces(tmp_path / "empty")


def test_hub_dataset_streams(monkeypatch):
    import datasets

    asked = {}

    def stream(name, configuration, **options):
        asked.update(options, name=name, configuration=configuration)
        return ({"text": f"document {i}"} for i in range(1000))

    monkeypatch.setattr(datasets, "load_dataset", stream)
    found = pieces("owner/name:sample", tokens=20)
    assert found[0] == ids("document 0")[:10]
    assert asked == {"name": "owner/name", "configuration": "sample", "split": "train", "streaming": True}
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *a, **k: (_ for _ in ()).throw(ConnectionError("no route"))
    )
    with pytest.raises(ValueError, match=r"owner/name: no route; .*download a \.parquet"):
        pieces("owner/name")


def test_jsonl_keeps_the_text(tmp_path):
    path = tiny.write_jsonl(tmp_path / "a.jsonl", ["größe β", "x y"])
    assert [json.loads(line)["text"] for line in path.read_text().splitlines()] == list(
        TextSource(str(path)).documents()
    )
