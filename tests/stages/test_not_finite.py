"""Numbers that are none fail the cell of their language, and no other; the message says where."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from xbench.nn.encoders.encoder import Encoder
from xbench.nn.finite import NotFinite, check_logits, check_vectors
from xbench.nn.heads import Head

from ..toys import World

BROKEN, SOUND = "bbb", "ccc"


def tokens_of(world: World, code: str) -> set[int]:
    """The ids of the language's test sentences."""
    plan = world.plan(arm=("none",))
    (key,) = plan.of_kind("finetune")
    tokenizer = world.resources().tokenizer(plan.stages[key])
    task = world.catalogue.load("tasks", "tags")()
    source = world.resources().source(plan.stages[key])
    language = world.catalogue.languages.get(code)
    records = list(task.examples(source, language, "test"))
    return {i for r in records for word in tokenizer.encode_words(r.words) for i in word}


@pytest.fixture
def broken_world(new_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch) -> World:
    """A world whose encoder gives NaN where it reads a subword that only one language has."""
    world = new_world()
    spoilt = tokens_of(world, BROKEN) - tokens_of(world, SOUND) - tokens_of(world, "aaa")
    assert spoilt
    embed = Encoder.embed

    def broken(self: Encoder, ids: torch.Tensor, types: torch.Tensor | None = None) -> torch.Tensor:
        bad = torch.isin(ids, torch.tensor(sorted(spoilt)))
        return embed(self, ids, types).masked_fill(bad.unsqueeze(-1), torch.nan)

    monkeypatch.setattr(Encoder, "embed", broken)
    return world


@pytest.mark.parametrize("mode", ["full", "linear"])
@pytest.mark.parametrize("task", ["tags", "topics", "pairs"])
def test_only_the_language_at_fault_fails(task: str, mode: str, broken_world: World) -> None:
    plan = broken_world.plan(arm=("none",), task=(task,), mode=(mode,), language=(BROKEN, SOUND))
    heard = broken_world.finish(plan)
    failed = [line for line in heard if "failed" in line]
    assert len(failed) == 1
    assert failed[0].startswith(
        f"evaluate failed NotFinite: {task} in {BROKEN}, test: the encoder gives vectors that are "
        "not finite for "
    )
    assert " of 24 texts" in failed[0]
    assert "learning rate" not in failed[0]
    assert heard.count("score blocked") == heard.count("score done") == 1


def test_so_does_retrieval(broken_world: World) -> None:
    plan = broken_world.plan(arm=("none",), task=("finding",), language=(BROKEN, SOUND))
    heard = broken_world.finish(plan)
    (failed,) = [line for line in heard if "failed" in line]
    assert "NotFinite" in failed
    assert f"the text in {BROKEN}" in failed
    assert heard.count("score done") == 1


def test_scores_of_a_head_that_overflows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Features may be finite, and what the head makes of them not."""
    forward = Head.forward

    def large(self: Head, features: torch.Tensor) -> torch.Tensor:
        found = forward(self, features)
        return found if self.training else found * torch.inf

    monkeypatch.setattr(Head, "forward", large)
    heard = world.finish(world.plan(arm=("none",), mode=("linear",)))
    (failed,) = [line for line in heard if "failed" in line]
    assert "tags in bbb, test: the head gives scores that are not finite for" in failed


class TestWhatIsAtFault:
    def vectors(self) -> list[torch.Tensor]:
        return [torch.ones(2, 3), torch.tensor([[1.0, torch.inf, 0.0]]), torch.ones(1, 3)]

    def check(self, encoder: torch.nn.Module, precision: str) -> str:
        with pytest.raises(NotFinite) as caught:
            check_vectors(self.vectors(), "pos in kaz, test", encoder, precision)
        return str(caught.value)

    def test_the_weights(self) -> None:
        encoder = torch.nn.Linear(3, 3)
        with torch.no_grad():
            encoder.weight[1, 2] = torch.nan
        message = self.check(encoder, "bf16")
        assert "its weights weight are not finite in 1 rows: the checkpoint is at fault" in message
        assert "pos in kaz, test" in message
        assert "1 of 3 texts (the first is number 2)" in message

    @pytest.mark.parametrize("precision", ["fp16", "bf16"])
    def test_half_precision(self, precision: str) -> None:
        message = self.check(torch.nn.Linear(3, 3), precision)
        assert f"{precision} overflows where float32 may not: try precision fp32" in message

    def test_weights_that_are_too_large(self) -> None:
        assert "finite but too large" in self.check(torch.nn.Linear(3, 3), "fp32")

    def test_what_is_finite_passes(self) -> None:
        check_vectors([torch.ones(2, 3), torch.zeros(0, 3)], "x", torch.nn.Linear(3, 3), "fp32")
        check_vectors([], "x", torch.nn.Linear(3, 3), "fp32")
        check_logits(torch.full((2, 3), -1e30), "x")


def test_real_half_precision_that_overflows(toy_model: Path) -> None:
    """In float16 a sum above 65,504 is infinite; the same weights are sound in float32."""
    layer = torch.nn.Linear(4, 4, bias=False)
    with torch.no_grad():
        layer.weight.fill_(300.0)
    inputs = torch.full((1, 4), 300.0)
    check_vectors([layer(inputs)], "x", layer, "fp32")
    with pytest.raises(NotFinite, match="fp16 overflows"):
        check_vectors([layer.half()(inputs.half())], "x", layer, "fp16")
