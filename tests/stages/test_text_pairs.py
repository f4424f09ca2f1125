"""Tasks on two texts, and tasks on spans: inputs as transformers makes them, heads, and mistakes."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoTokenizer

from xbench.api import TaggedSentence
from xbench.data.tokenise import tokenise_text_pairs
from xbench.data.tokenizer import Tokenizer
from xbench.stages import finetune
from xbench.stages.inputs.examples import load_examples

from ..nn import families
from ..toys import Paired, PairTask, Tagged, Tagging, Topical, TopicTask, World, tokenizer_folder

Worlds = Callable[..., World]
PAIRS: dict[str, Any] = {"task": ("pairs",), "arm": ("none",)}


@pytest.fixture(scope="module", params=["xlm-roberta", "bert"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp(request.param)
    if request.param == "bert":  # it has token types
        families.tokenizer(made, "bert")
    else:
        tokenizer_folder(made)
    return made


class TestInputs:
    @pytest.mark.parametrize("max_length", [6, 7, 8, 11, 20, 200])
    def test_they_are_cut_as_transformers_cuts_the_longest_first(
        self, max_length: int, folder: Path
    ) -> None:
        stream = random.Random(max_length)
        texts = [
            " ".join(stream.choices(["badi", "du", "kotu", "te"], k=stream.choice((0, 1, 2, 5, 9))))
            for _ in range(120)
        ]
        pairs = list(zip(texts, texts[::-1], strict=True))
        theirs = AutoTokenizer.from_pretrained(folder)
        expected = theirs(
            texts,
            texts[::-1],
            truncation="longest_first",
            max_length=max_length,
            return_token_type_ids=True,
        )
        found = list(tokenise_text_pairs(Tokenizer.from_folder(folder), pairs, max_length))
        assert [ids for ids, _ in found] == expected["input_ids"]
        assert [types for _, types in found] == expected["token_type_ids"]
        assert any(len(ids) == max_length for ids, _ in found) is (max_length < 200)

    def test_token_types_tell_the_texts_apart_where_the_family_has_them(self, folder: Path) -> None:
        ((_, types),) = tokenise_text_pairs(Tokenizer.from_folder(folder), [("da di", "ka")], 50)
        assert set(types) == ({0, 1} if "bert" in folder.name[:4] else {0})

    def test_no_room_for_two_texts(self, folder: Path) -> None:
        tokenizer = Tokenizer.from_folder(folder)
        enough = tokenizer.special_tokens_pair + 2
        assert len(list(tokenise_text_pairs(tokenizer, [("da", "ka")], enough))) == 1
        for max_length in range(1, enough):
            with pytest.raises(ValueError, match="leaves no room for two texts"):
                list(tokenise_text_pairs(tokenizer, [("da", "ka")], max_length))

    def test_more_pairs_than_are_encoded_at_once(self, folder: Path) -> None:
        tokenizer = Tokenizer.from_folder(folder)
        pairs = [("da " * (n % 5), "ka " * (n % 3)) for n in range(2500)]
        assert len(list(tokenise_text_pairs(tokenizer, iter(pairs), 20))) == 2500


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_head_reads_both_texts_as_one_input(pooling: str, world: World, toy_model: Path) -> None:
    plan = world.plan(**PAIRS, finetune={"sentence_pooling": pooling, "max_length": 12})
    world.finish(plan, keep=True)
    (evaluate,), (tuned,) = plan.of_kind("evaluate"), plan.of_kind("finetune")
    folder = world.store.folder("finetune", tuned)
    model = AutoModel.from_pretrained(folder / "encoder", add_pooling_layer=False).eval()
    tokenizer = AutoTokenizer.from_pretrained(toy_model)
    head = load_file(folder / "head.safetensors")
    expected, gold = [], []
    for record in Paired().read([world.catalogue.languages.get("bbb")], "test"):
        ids = tokenizer(
            record.text,
            record.second,
            truncation="longest_first",
            max_length=12,
            return_tensors="pt",
        )["input_ids"]
        with torch.no_grad():
            states = model(ids).last_hidden_state[0]
        content = [n for n, token in enumerate(ids[0].tolist()) if token not in (0, 2)]
        vector = states[0] if pooling == "cls" else states[content].mean(0)
        expected.append([int((vector @ head["weight"].T + head["bias"]).argmax())])
        gold.append([PairTask.labels.index(record.label)])
    table = pq.read_table(world.store.folder("evaluate", evaluate) / "predictions.parquet")
    assert table.to_pydict()["predicted"] == expected
    assert table.to_pydict()["gold"] == gold


def test_token_types_reach_the_encoder(tmp_path: Path, new_world: Worlds) -> None:
    folder = tmp_path / "bert"
    families.model_folder(folder, "bert")
    world = new_world(folder)
    stage = world.stage("finetune", **PAIRS)
    work = finetune.prepare(stage, world.resources())
    batch = work.examples.batch([0, 1], work.format.vocabulary.pad_id, "cpu")
    types = batch.text.token_types
    assert types is not None
    theirs = AutoTokenizer.from_pretrained(folder)
    records = list(Paired().read([world.catalogue.languages.get("aaa")], "train"))[:2]
    expected = theirs(
        [record.text for record in records],
        [record.second for record in records],
        padding=True,
        return_tensors="pt",
        return_token_type_ids=True,
    )
    assert torch.equal(batch.ids, expected["input_ids"])
    assert torch.equal(types, expected["token_type_ids"])


class TestOtherKindsOfData:
    """A task that is bound to a source of another kind says so, and what it reads."""

    @pytest.mark.parametrize(
        ("task", "source", "wanted"),
        [
            (
                "pairs",
                "topical",
                "'pair' and reads LabelledPair records; its data has LabelledText",
            ),
            ("pairs", "tagged", "reads LabelledPair records; its data has TaggedSentence"),
            ("tags", "topical", "'token' and reads TaggedSentence records; its data has Labelled"),
            ("topics", "tagged", "'sentence' and reads LabelledText records; its data has Tagged"),
        ],
    )
    def test_it_is_a_failure_with_a_reason(
        self,
        task: str,
        source: str,
        wanted: str,
        new_world: Worlds,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        labels = {"tagged": ("NAME", "VERB", "THING"), "topical": ("food", "sport")}[source]
        for kind in (PairTask, Tagging, TopicTask):
            monkeypatch.setattr(kind, "labels", labels)
        world = new_world(suite={"tasks": {task: {"source": source}}})
        heard = world.finish(world.plan(task=(task,), arm=("none",)))
        assert "finetune failed ValueError" in heard[0]
        assert wanted in heard[0]
        assert "bind it to another source" in heard[0]
        assert heard[1:] == ["evaluate blocked", "score blocked"]

    def test_the_sources_are_what_they_are_called(self, world: World) -> None:
        language = world.catalogue.languages.get("aaa")
        for source, field in ((Topical(), "text"), (Tagged(), "words"), (Paired(), "second")):
            assert all(hasattr(record, field) for record in source.read([language], "test"))


class TestSpans:
    def test_every_word_of_a_span_task_has_its_tag(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Tagging, "level", "span")
        plan = world.plan(task=("tags",), arm=("none",))
        world.finish(plan)
        (key,) = plan.of_kind("evaluate")
        table = pq.read_table(
            world.store.folder("evaluate", key) / "predictions.parquet"
        ).to_pydict()
        records: list[TaggedSentence] = list(
            Tagged().read([world.catalogue.languages.get("bbb")], "test")
        )
        assert table["gold"] == [[Tagging.labels.index(t) for t in r.tags] for r in records]
        assert [len(p) for p in table["predicted"]] == [len(r.words) for r in records]

    def test_it_reads_the_same_features_as_a_token_task(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        heads = []
        for level in ("token", "span"):
            monkeypatch.setattr(Tagging, "level", level)
            folder = world.run(world.stage("finetune", task=("tags",), arm=("none",)))
            heads.append((folder / "head.safetensors").read_bytes())
        assert heads[0] == heads[1]

    def test_retrieval_has_no_examples_to_learn(self, world: World) -> None:
        stage = world.stage("evaluate", task=("finding",), arm=("none",))
        resources = world.resources()
        limits = {"max_length": 20, "max_items": None}
        with pytest.raises(ValueError, match="level 'retrieval', which has no labels to learn"):
            load_examples(stage, resources, resources.tokenizer(stage), "test", limits)
