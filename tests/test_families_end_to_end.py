"""Encoders of every family go the whole way: aligned, fine-tuned, evaluated, read by transformers."""

import json
from pathlib import Path

import pytest
import torch
import transformers

from .command import QUICK_OPTIONS, xbench
from .nn.families import model_folder

OPTIONS = [
    "--objective",
    "hictl:S1W1M1",
    "--task",
    "pos,topic",
    "--seed",
    "15",
    "--language",
    "qac",
]
OPTIONS += ["--arm", "none,aligned", "--mode", "full,linear", "--device", "cpu", "--keep", "all"]


@pytest.mark.parametrize("kind", ["bert", "roberta", "deberta-v2", "modernbert"])
def test_a_family_goes_the_whole_way(kind: str, tmp_path: Path) -> None:
    model = model_folder(tmp_path / kind, kind)
    store = tmp_path / "store"
    outcome = xbench(
        "run", "--model", model, *OPTIONS, *QUICK_OPTIONS, "--store", store, "--jobs", "1"
    )
    assert outcome.code == 0, outcome.err
    rows = json.loads(xbench("results", "--store", store, "--format", "json").out)
    assert {row["status"] for row in rows} == {"done"}
    assert {(row["arm"], row["task"], row["mode"]) for row in rows} == {
        (arm, task, mode)
        for arm in ("none", "aligned")
        for task in ("pos", "topic")
        for mode in ("full", "linear")
    }
    before = transformers.AutoModel.from_pretrained(model)
    for folder in (*store.glob("align/*/step-4"), *store.glob("finetune/*/encoder")):
        after = transformers.AutoModel.from_pretrained(folder)
        assert type(after) is type(before)
        moved = [
            name
            for name, value in after.named_parameters()
            if not torch.equal(value, dict(before.named_parameters())[name])
        ]
        assert any("layer" in name for name in moved)
        tokens = transformers.AutoTokenizer.from_pretrained(folder)("piko bala")["input_ids"]
        assert tokens[0] == 2
        assert tokens[-1] == 3
