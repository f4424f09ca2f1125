"""The whole path on a GPU: alignment, fine-tuning, evaluation. Skipped where there is none."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from .command import QUICK_OPTIONS, SMALL_OPTIONS
from .command import with_workers as xbench

if not torch.cuda.is_available():
    pytest.skip("needs a CUDA device", allow_module_level=True)

# What comes later on a command line counts: the device of the small options is the CPU.
GPU = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--device", "cuda", "--objective", "hictl:S1W1M1"]
PRECISIONS = pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])


def run(store: Path, precision: str, *more: str) -> list[dict[str, Any]]:
    """The rows of the run."""
    exact = [f"{phase}.precision={precision}" for phase in ("align", "finetune")]
    options = [part for option in exact for part in ("-O", option)]
    outcome = xbench("run", *GPU, *options, "--store", store, *more)
    assert outcome.code == 0, outcome.err
    found = xbench("results", "--store", store, "--format", "json")
    rows: list[dict[str, Any]] = json.loads(found.out)
    return rows


def digests(store: Path) -> dict[str, str]:
    """Of everything that was computed: weights, predictions, results."""
    names = ("result.json", "predictions.parquet", "model.safetensors", "head.safetensors")
    return {
        str(path.relative_to(store)): hashlib.sha256(path.read_bytes()).hexdigest()
        for kind in ("align", "finetune", "evaluate", "score")
        for path in sorted((store / kind).rglob("*"))
        if path.name in names
    }


@PRECISIONS
@pytest.mark.parametrize("chunks", [1, 2])
def test_every_cell_has_its_value(precision: str, chunks: int, tmp_path: Path) -> None:
    parts = [("-O", f"{phase}.accumulate={chunks}") for phase in ("align", "finetune")]
    rows = run(tmp_path / "store", precision, *parts[0], *parts[1])
    assert {(row["arm"], row["mode"]) for row in rows} == {
        (arm, mode) for arm in ("none", "aligned") for mode in ("full", "linear")
    }
    assert {row["status"] for row in rows} == {"done"}
    assert all(0 <= row["value"] <= 1 for row in rows)
    for path in tmp_path.glob("store/*/*/env.json"):
        environment = json.loads(path.read_text())
        assert environment["device"] == "cuda"
        assert environment["gpu"] == torch.cuda.get_device_name()
    for path in tmp_path.glob("store/align/*/status.json"):
        assert json.loads(path.read_text())["measured"]["memory"] > 0


@PRECISIONS
def test_with_deterministic_a_run_repeats_bit_for_bit(precision: str, tmp_path: Path) -> None:
    stores = [tmp_path / "first", tmp_path / "second"]
    options = ("--deterministic", "--keep", "all", "--seed", "15,33")
    first, second = (run(store, precision, *options) for store in stores)
    assert first == second
    assert digests(stores[0]) == digests(stores[1])
    assert len(digests(stores[0])) > 20


def test_workers_share_a_gpu(tmp_path: Path) -> None:
    alone = run(tmp_path / "alone", "fp32", "--deterministic")
    assert run(tmp_path / "shared", "fp32", "--deterministic", "--jobs", "3") == alone


def test_a_frozen_encoder_and_its_head_are_those_of_the_cpu(tmp_path: Path) -> None:
    """Features are in evaluation mode; without its dropout nothing of a linear probe is random."""
    probe = ("--arm", "none", "--mode", "linear", "-O", "finetune.head_dropout=0")
    heads = []
    for device in ("cpu", "cuda"):
        store = tmp_path / device
        rows = run(store, "fp32", *probe, "--device", device)
        assert {row["status"] for row in rows} == {"done"}
        (path,) = store.glob("finetune/*/head.safetensors")
        heads.append(load_file(path))
    for name, value in heads[0].items():
        torch.testing.assert_close(value, heads[1][name], atol=1e-4, rtol=1e-3)
