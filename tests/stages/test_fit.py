"""Fitted transforms: what they are fitted on, what is kept, and that heads and predictions use them."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor

from xbench.nn.random_streams import permutation
from xbench.plan import Plan
from xbench.stages import finetune
from xbench.stages.fit import EncodedText

from ..toys import TOPICS, Bitext, Centre, Tagged, Topical, World
from .slow import Slow

Worlds = Callable[..., World]
CODES = ("aaa", "bbb", "ccc")
TOPIC: dict[str, Any] = {
    "objective": ("centre",),
    "arm": ("aligned",),
    "task": ("topics",),
    "mode": ("linear",),
    "language": CODES,
}
TAGGING = {**TOPIC, "task": ("tags",)}


def texts(world: World, code: str, lacking: tuple[int, ...] = ()) -> list[str]:
    """The sentences that a transform is fitted on, in one language."""
    other = "bbb" if code == "aaa" else code
    languages = [world.catalogue.languages.get(each) for each in ("aaa", other)]
    options = {name: value for name, value in world.text.items() if name != "lacking"}
    pairs = Bitext(None, **options).read(languages, "train")
    found = [pair.source if code == "aaa" else pair.target for pair in pairs]
    return [text for number, text in enumerate(found) if number not in lacking]


def view_of(world: World, **spec: Any) -> EncodedText:
    stage = world.stage("fit", **spec)
    resources = world.resources()
    return EncodedText(stage, resources, resources.encoder(stage).eval())


class TestText:
    @pytest.mark.parametrize("how", ["mean", "cls"])
    def test_sentences_are_those_of_a_slow_encoding(
        self, how: str, new_world: Worlds, toy_model: Path
    ) -> None:
        world = new_world(text={"count": 150, "longest": 15})
        settings = {"sentence_pooling": how, "max_length": 20}
        view, slow = view_of(world, **TOPIC, finetune=settings), Slow(toy_model)
        assert (view.unit, view.source, view.languages) == ("sentence", "aaa", CODES)
        for code in CODES:
            expected = [slow.sentence(text, 1.0, how, 20) for text in texts(world, code)]
            found = view.vectors(code)
            assert found.dtype == torch.float32
            torch.testing.assert_close(found, torch.stack(expected), atol=1e-5, rtol=0)

    def test_tokens_are_content_in_the_order_of_the_text(
        self, new_world: Worlds, toy_model: Path
    ) -> None:
        world = new_world(text={"count": 100, "longest": 15})
        view, slow = view_of(world, **TAGGING, finetune={"max_length": 20}), Slow(toy_model)
        assert view.unit == "token"
        for code in CODES:
            expected = torch.cat([slow.tokens(text, 1.0, 20) for text in texts(world, code)])
            torch.testing.assert_close(view.vectors(code), expected, atol=1e-5, rtol=0)

    def test_either_unit_may_be_asked_for(self, world: World, toy_model: Path) -> None:
        view, slow = view_of(world, **TAGGING), Slow(toy_model)
        found = view.vectors("bbb", "sentence")
        expected = torch.stack([slow.sentence(text) for text in texts(world, "bbb")])
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
        assert len(view.vectors("bbb")) > len(found)

    def test_retrieval_fits_at_its_own_depth_and_pooling(
        self, world: World, toy_model: Path
    ) -> None:
        settings = {"retrieval_depth": 0.5, "retrieval_pooling": "cls"}
        view = view_of(world, **{**TOPIC, "task": ("finding",)}, evaluate=settings)
        expected = [Slow(toy_model).sentence(text, 0.5, "cls") for text in texts(world, "ccc")]
        torch.testing.assert_close(view.vectors("ccc"), torch.stack(expected), atol=1e-5, rtol=0)

    def test_a_sentence_that_one_language_lacks_is_left_out_of_all(
        self, new_world: Worlds, toy_model: Path
    ) -> None:
        """Row i says the same everywhere, although the files have different numbers of items."""
        world = new_world(text={"lacking": {"bbb": [0, 3], "ccc": [3, 7, 23]}})
        view, slow = view_of(world, **TOPIC), Slow(toy_model)
        assert view.count == 24 - 4
        for code in CODES:
            kept = texts(world, code, lacking=(0, 3, 7, 23))
            expected = torch.stack([slow.sentence(text) for text in kept])
            torch.testing.assert_close(view.vectors(code), expected, atol=1e-5, rtol=0)

    def test_the_limit_counts_what_is_shared(self, new_world: Worlds, toy_model: Path) -> None:
        world = new_world(text={"lacking": {"bbb": [0, 1, 2]}})
        view = view_of(world, **TOPIC, align={"fit_sentences": 4})
        expected = [Slow(toy_model).sentence(text) for text in texts(world, "ccc")[3:7]]
        torch.testing.assert_close(view.vectors("ccc"), torch.stack(expected), atol=1e-5, rtol=0)

    def test_text_without_ids_is_joined_by_place(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        read = Bitext.read
        monkeypatch.setattr(Bitext, "read", lambda *a: (replace(p, id="") for p in read(*a)))
        assert view_of(world, **TOPIC).count == 24

    def test_text_that_is_not_parallel_over_languages_is_no_text(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each language's file is parallel to the source, but they are of different sentences."""
        read = Bitext.read

        def own(self: Bitext, languages: Any, split: str) -> Any:
            for number, pair in enumerate(read(self, languages, split)):
                other = languages[1].code if number > 1 else "all"
                yield replace(pair, source=f"{pair.source} {other}", id="")

        monkeypatch.setattr(Bitext, "read", own)
        assert view_of(world, **TOPIC).count == 2
        monkeypatch.setattr(Bitext, "read", lambda *a: list(own(*a))[2:])
        with pytest.raises(
            ValueError, match="no sentence of aaa has a translation in all of bbb, c"
        ):
            view_of(world, **TOPIC)

    def test_vectors_are_encoded_once_and_may_be_changed(self, world: World) -> None:
        """They are no tensors of inference mode, which nobody may compute with afterwards."""
        view = view_of(world, **TOPIC)
        vectors = view.vectors("bbb")
        assert view.vectors("bbb") is vectors
        assert not vectors.is_inference()
        weight = torch.ones((), requires_grad=True)
        (vectors * weight).sum().backward()
        vectors += 1


class TestFitting:
    def test_what_was_learnt_is_kept(self, world: World, toy_model: Path) -> None:
        folder = world.run(world.stage("fit", **TOPIC))
        slow = Slow(toy_model)
        means = {
            code: torch.stack([slow.sentence(text) for text in texts(world, code)]).mean(0)
            for code in CODES
        }
        fitted = load_file(folder / "fitted.safetensors")
        assert set(fitted) == set(CODES)
        for code in CODES:
            expected = means["aaa"] - means[code]
            torch.testing.assert_close(fitted[code], expected, atol=1e-5, rtol=0)
        result = json.loads((folder / "result.json").read_text())
        assert result == {"sentences": 24, "languages": list(CODES)}

    def test_parts_of_one_tensor_can_be_kept(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fit(self: Centre, view: EncodedText) -> None:
            every = torch.stack([view.vectors(code).mean(0) for code in view.languages])
            self.fitted = dict(zip(view.languages, every, strict=True)) | {"turned": every.T}

        monkeypatch.setattr(Centre, "fit", fit)
        found = load_file(world.run(world.stage("fit", **TOPIC)) / "fitted.safetensors")
        torch.testing.assert_close(found["turned"][:, 1], found["bbb"])

    def test_what_is_not_finite_is_refused(self, world: World) -> None:
        spoilt = {**TOPIC, "objective": {"centre": {"default": {"spoilt": True}}}}
        with pytest.raises(FloatingPointError, match="Centre: aaa is not finite"):
            world.run(world.stage("fit", **spoilt))

    def test_it_says_which_language_it_has_nothing_for(self, world: World) -> None:
        plan = world.plan(**TOPIC)
        world.finish(plan)
        resources = world.resources()
        evaluate = plan.stages[plan.of_kind("evaluate")[0]]
        transform = resources.transform(evaluate)
        assert transform is not None
        with pytest.raises(KeyError):
            transform.forward(torch.zeros(2, 16), "ddd")


def moved(world: World, plan: Plan, kind: int = 0) -> dict[str, Tensor]:
    folder = world.store.folder("fit", plan.of_kind("fit")[kind])
    return load_file(folder / "fitted.safetensors")


class TestLinear:
    """The head is trained on transformed features, and reads transformed features."""

    def test_a_head_is_a_plain_loop_over_transformed_features(
        self, new_world: Worlds, calm_model: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A transform that moves the source language too, or nothing would be seen of it."""
        monkeypatch.setattr(Centre, "forward", lambda self, x, code: 2 * x + 1 + self.fitted[code])
        world = new_world(calm_model)
        steps = {"steps": 3, "head_dropout": 0.0}
        plan = world.plan(**TOPIC, finetune=steps)
        world.finish(plan)
        slow, (key,) = Slow(calm_model), plan.of_kind("finetune")
        shift = moved(world, plan)
        language = world.catalogue.languages.get("aaa")
        records = list(Topical().read([language], "train"))
        features = torch.stack([slow.sentence(record.text) for record in records])
        features = 2 * features + 1 + shift["aaa"]
        gold = torch.tensor([TOPICS.index(record.label) for record in records])
        head = finetune.new_head(plan.stages[key], plan.stages[key].spec.settings, 16)
        weights = [p.detach().clone().requires_grad_(True) for p in head.parameters()]
        groups = [
            {"params": [p], "weight_decay": 0.01 if p.dim() == 2 else 0.0, "lr": 1e-2}
            for p in weights
        ]
        adam = torch.optim.AdamW(groups)
        order = permutation(24, 15, "examples", 0).tolist()
        for step in range(3):
            rows = order[4 * step : 4 * step + 4]
            weight = next(p for p in weights if p.dim() == 2)
            bias = next(p for p in weights if p.dim() == 1)
            loss = F.cross_entropy(features[rows] @ weight.T + bias, gold[rows])
            adam.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            for group in adam.param_groups:
                group["lr"] = 1e-2 * (3 - step) / 3
            adam.step()
        saved = load_file(world.store.folder("finetune", key) / "head.safetensors")
        named = dict(zip((n for n, _ in head.named_parameters()), weights, strict=True))
        for name, value in saved.items():
            torch.testing.assert_close(value, named[name].detach(), atol=1e-5, rtol=0)

    @pytest.mark.parametrize("spec", [TOPIC, TAGGING], ids=["sentence", "token"])
    def test_predictions_read_transformed_features(
        self, spec: dict[str, Any], world: World, toy_model: Path
    ) -> None:
        plan = world.plan(**spec)
        world.finish(plan)
        slow, shift = Slow(toy_model), moved(world, plan)
        (key,) = plan.of_kind("finetune")
        head = load_file(world.store.folder("finetune", key) / "head.safetensors")
        for cell in plan.cells:
            code = cell.coordinates["language"]
            expected = predictions(world, slow, spec["task"][0], code, head, shift[code])
            folder = world.store.folder("evaluate", str(cell.evaluate))
            found = pq.read_table(folder / "predictions.parquet").to_pydict()
            assert found["predicted"] == expected


def predictions(
    world: World,
    slow: Slow,
    task: str,
    code: str,
    head: dict[str, Tensor],
    shift: Tensor,
) -> list[list[int]]:
    """Class numbers per item, from one sentence at a time."""
    language = world.catalogue.languages.get(code)
    source = Tagged() if task == "tags" else Topical()
    found = []
    for record in source.read([language], "test"):
        if task == "tags":
            states, owners = (
                slow.tokens(" ".join(record.words)),
                slow.owners(" ".join(record.words)),
            )
            vectors = torch.stack([states[owners.index(n)] for n in range(len(record.words))])
        else:
            vectors = slow.sentence(record.text)[None]
        logits = (vectors + shift) @ head["weight"].T + head["bias"]
        found.append(logits.argmax(-1).tolist())
    return found


class TestFull:
    """The encoder is tuned as it is, and the transform is fitted on the result."""

    def test_it_is_refitted_on_the_fine_tuned_encoder(self, world: World) -> None:
        spec = {**TOPIC, "mode": ("full",), "arm": ("none", "aligned")}
        plan = world.plan(**spec)
        assert len(plan.of_kind("finetune")) == 1
        world.finish(plan, keep=True)
        (key,) = plan.of_kind("finetune")
        folder = world.store.folder("finetune", key)
        slow, head = Slow(folder / "encoder"), load_file(folder / "head.safetensors")
        means = {
            code: torch.stack([slow.sentence(text) for text in texts(world, code)]).mean(0)
            for code in CODES
        }
        shift = moved(world, plan)
        for code in CODES:
            expected = means["aaa"] - means[code]
            torch.testing.assert_close(shift[code], expected, atol=1e-4, rtol=0)
        for cell in plan.cells:
            code = cell.coordinates["language"]
            added = shift[code] if cell.coordinates["arm"] == "aligned" else torch.zeros(16)
            expected = predictions(world, slow, "topics", code, head, added)
            path = world.store.folder("evaluate", str(cell.evaluate)) / "predictions.parquet"
            assert pq.read_table(path).to_pydict()["predicted"] == expected

    def test_the_source_language_is_predicted_as_without_it(self, world: World) -> None:
        spec = {**TOPIC, "mode": ("full",), "arm": ("none", "aligned"), "language": ("aaa", "bbb")}
        plan = world.plan(**spec)
        world.finish(plan)
        found = [
            world.store.result("score", str(cell.score))
            for cell in plan.cells
            if cell.coordinates["language"] == "aaa"
        ]
        assert found[0] == found[1]


@pytest.mark.parametrize("mode", ["linear", "full"])
@pytest.mark.parametrize("task", ["topics", "finding"])
def test_a_transform_that_spoils_vectors_is_found_out(
    task: str, mode: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it learnt is finite, what it makes of it is not: no class may be predicted from that."""

    def spoil(self: Centre, states: Tensor, language: str) -> Tensor:
        return states * (torch.inf if language == "bbb" else 1)

    monkeypatch.setattr(Centre, "forward", spoil)
    plan = world.plan(**{**TOPIC, "task": (task,), "mode": (mode,), "language": ("bbb", "ccc")})
    heard = world.finish(plan)
    failed = [line for line in heard if "failed" in line]
    message = "NotFinite: Centre gives vectors of bbb that are not finite"
    assert failed == [f"evaluate failed {message}"]
    assert heard.count("score blocked") == heard.count("score done") == 1
