"""A few steps of every phase against a plain loop over transformers' models, written to be obvious."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

from xbench.nn.random_streams import generator, permutation

from ..toys import TAGS, TOPICS, Bitext, Tagged, Topical, World

Worlds = Callable[..., World]
STEPS = 3


def decayed(model: nn.Module, rate: float, decay: float) -> list[dict[str, object]]:
    """Two groups of parameters: biases and norms are not decayed."""
    groups: list[dict[str, object]] = []
    for wanted in (True, False):
        chosen = [
            parameter
            for name, parameter in model.named_parameters()
            if (name.endswith("bias") or "LayerNorm" in name) != wanted
        ]
        groups.append({"params": chosen, "weight_decay": decay if wanted else 0.0, "lr": rate})
    return groups


def close(model: nn.Module, saved: dict[str, Tensor]) -> None:
    """Every weight of transformers' model is what was saved, to float32's accuracy."""
    found = {name.removeprefix("roberta."): value for name, value in saved.items()}
    for name, value in model.state_dict().items():
        torch.testing.assert_close(found[name], value, atol=1e-5, rtol=0, msg=name)


def test_alignment_is_a_plain_loop(new_world: Worlds, calm_model: Path) -> None:
    """NT-Xent over mean-pooled states of the last layer, 6 of 24 pairs a step."""
    world = new_world(calm_model)
    sentence = {"sentence": 1, "word": 0, "mlm": 0, "depth": 1.0, "temperature": 0.2}
    settings = {"steps": STEPS, "weight_decay": 0.1, "clip": 1.0}
    stage = world.stage("align", objective={"hictl": {"mine": sentence}}, align=settings)
    folder = world.run(stage) / f"step-{STEPS}"

    model = AutoModel.from_pretrained(calm_model, add_pooling_layer=False).train()
    tokenizer = AutoTokenizer.from_pretrained(calm_model)
    languages = [world.catalogue.languages.get(code) for code in ("aaa", "bbb")]
    pairs = list(Bitext().read(languages, "train"))
    order = permutation(24, 42, "pairs", 0).tolist()
    adam = torch.optim.AdamW(decayed(model, 1e-3, 0.1))

    def vector(text: str) -> Tensor:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        return model(ids).last_hidden_state[0, 1:-1].mean(0)

    for step in range(STEPS):
        batch = [pairs[i] for i in order[6 * step : 6 * step + 6]]
        z = [vector(pair.source) for pair in batch] + [vector(pair.target) for pair in batch]
        loss = torch.zeros(())
        for i in range(12):
            similar = {k: F.cosine_similarity(z[i], z[k], dim=0) / 0.2 for k in range(12) if k != i}
            others = torch.stack(list(similar.values()))
            loss = loss - (similar[(i + 6) % 12] - others.logsumexp(0)) / 12
        adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in adam.param_groups:
            group["lr"] = 1e-3 * (1 - step / STEPS)
        adam.step()
    close(model, load_file(folder / "model.safetensors"))


@pytest.mark.parametrize("mode", ["full", "linear"])
@pytest.mark.parametrize("task", ["tags", "topics"])
def test_fine_tuning_is_a_plain_loop(
    task: str, mode: str, new_world: Worlds, calm_model: Path
) -> None:
    """First subwords or mean-pooled text, one linear layer, 4 of 24 items a step."""
    world = new_world(calm_model)
    settings = {"steps": STEPS, "weight_decay": 0.1, "clip": 1.0, "head_dropout": 0.0}
    asked = {"arm": ("none",), "task": (task,), "mode": (mode,), "finetune": settings}
    folder = world.run(world.stage("finetune", **asked))

    model = AutoModel.from_pretrained(calm_model, add_pooling_layer=False).train()
    tokenizer = AutoTokenizer.from_pretrained(calm_model)
    labels = TAGS if task == "tags" else TOPICS
    head = nn.Linear(16, len(labels))
    head.weight.data = 0.02 * torch.randn(len(labels), 16, generator=generator(15, task, "head"))
    head.bias.data.zero_()
    source = Tagged() if task == "tags" else Topical()
    records = list(source.read([world.catalogue.languages.get("aaa")], "train"))
    order = permutation(24, 15, "examples", 0).tolist()
    groups = [{"params": [head.weight], "weight_decay": 0.1, "lr": 1e-2}]
    groups.append({"params": [head.bias], "weight_decay": 0.0, "lr": 1e-2})
    if mode == "full":
        groups += decayed(model, 1e-3, 0.1)
    adam = torch.optim.AdamW(groups)
    rates = [group["lr"] for group in adam.param_groups]

    def losses(record: object) -> list[Tensor]:
        if task == "tags":
            words, gold = list(record.words), record.tags
            tokens = tokenizer(words, is_split_into_words=True, return_tensors="pt")
            owners = tokens.word_ids()
            starts = [owners.index(word) for word in range(len(words))]
            seen = model(tokens["input_ids"]).last_hidden_state[0, starts]
        else:
            ids, gold = tokenizer(record.text, return_tensors="pt")["input_ids"], [record.label]
            seen = model(ids).last_hidden_state[0, 1:-1].mean(0, keepdim=True)
        logits = head(seen)
        return [-row.log_softmax(0)[labels.index(g)] for row, g in zip(logits, gold, strict=True)]

    for step in range(STEPS):
        batch = [records[i] for i in order[4 * step : 4 * step + 4]]
        loss = torch.stack([one for record in batch for one in losses(record)]).mean()
        model.zero_grad()
        head.zero_grad()
        loss.backward()
        trained = [p for group in adam.param_groups for p in group["params"]]
        nn.utils.clip_grad_norm_(trained, 1.0)
        for group, rate in zip(adam.param_groups, rates, strict=True):
            group["lr"] = rate * (1 - step / STEPS)
        adam.step()
    saved = load_file(folder / "head.safetensors")
    torch.testing.assert_close(saved["weight"], head.weight.detach(), atol=1e-5, rtol=0)
    torch.testing.assert_close(saved["bias"], head.bias.detach(), atol=1e-5, rtol=0)
    if mode == "full":
        close(model, load_file(folder / "encoder" / "model.safetensors"))
