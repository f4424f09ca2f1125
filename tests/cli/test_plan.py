"""Plans of the whole study: counted without network, model or data; what is blocked; estimates."""

import importlib.resources
import json
import shutil
import socket
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from ..command import QUICK_OPTIONS, SMALL_OPTIONS, xbench
from ..engine.unruly import OBJECTIVES

STUDY = (
    "plan",
    "--suite",
    "paper",
    "--objective",
    "hictl",
    "--task",
    "pos,topic",
    "--device",
    "cpu",
)


@pytest.fixture
def cut_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No network, no data, an empty hub cache, and no weights that could be loaded."""

    def refuse(*arguments: object) -> None:
        raise AssertionError("a plan went to the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr("safetensors.torch.load_file", refuse)
    monkeypatch.delenv("XBENCH_DATA", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.usefixtures("cut_off")
@pytest.mark.parametrize(("steps", "tuned"), [((), 348), (("--align-step", "3000,6000"), 684)])
def test_the_study_is_counted_without_anything(
    steps: tuple[str, ...], tuned: int, tmp_path: Path
) -> None:
    outcome = xbench(*STUDY, *steps, "--store", tmp_path / "store", "--format", "json")
    assert outcome.code == 0, outcome.err
    shown = json.loads(outcome.out)
    assert shown["stages"]["align"]["total"] == shown["stages"]["align"]["todo"] == 28
    assert shown["stages"]["finetune"]["total"] == tuned
    assert list(shown["gaps"]) == ["pos: kas_Deva"]
    assert any("xlm-roberta-base" in what for what in shown["unresolved"])
    assert shown["estimate"]["seconds"] is None
    assert not (tmp_path / "store").exists()


@pytest.mark.usefixtures("cut_off")
def test_one_screen_says_what_is_lacking_and_the_two_ways_to_get_it(tmp_path: Path) -> None:
    outcome = xbench(*STUDY, "--store", tmp_path / "store")
    assert outcome.code == 0, outcome.err
    lines = outcome.out.splitlines()
    assert len(lines) < 25
    start, end = lines.index("Not on this machine:"), lines.index("Two ways to get it:")
    lacking = {line.split()[0]: line for line in lines[start + 1 : end]}
    assert "hub: FacebookAI/xlm-roberta-base" in lacking["xlm-roberta-base"]
    assert "pos " in lacking["universal-dependencies"]
    assert "a folder: https://universaldependencies.org" in lacking["universal-dependencies"]
    assert "topic " in lacking["sib200"]
    assert "hub: Davlan/sib200" in lacking["sib200"]
    assert "text to align on" in lacking["bitext"]
    for guard in ("flores200", "tatoeba"):
        assert "test sentences to keep out" in lacking[guard]
    assert "time, memory, disk: unknown until the model is here" in outcome.out
    assert "xbench fetch" in lines[end + 1]
    assert "--model DIR and --data DIR" in lines[end + 2]
    assert [line for line in lines if line.startswith("no data for")] == [
        "no data for pos in kas_Deva: universal-dependencies has no data for kas_Deva"
    ]


def test_gaps_are_one_line_for_each_kind(data: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(importlib.resources.files("xbench_plugins.clones") / "encoder", model)
    here = ("--data", data, "--model", model, "--pair", "deu-eng,eng-kaz", "--language")
    options = (*STUDY[:-3], "pos", *here, "deu,eng,kas_Deva,fra", "--store", tmp_path / "store")
    outcome = xbench(*options)
    assert outcome.code == 0, outcome.err
    assert "Not on this machine" not in outcome.out
    lines = [line for line in outcome.out.splitlines() if line.startswith(("no data", "not "))]
    heads = [line.split(": ")[0] + ": " + line.split(": ")[1] for line in lines[1:]]
    assert lines[0].startswith("no data for pos in kas_Deva, fra: ")
    assert "(--format json has the others)" in lines[0]
    assert heads == [
        f"not looked for in the alignment text: {source}"
        for source in (
            "sib200 in deu, eng, kaz",
            "flores200 in deu-eng, eng-kaz",
            "tatoeba in deu-eng, eng-kaz",
            "universal-dependencies in kaz",  # this run's own task
        )
    ]


@pytest.mark.usefixtures("cut_off")
def test_what_is_trained_as_one_program_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("plan", *SMALL_OPTIONS, *QUICK_OPTIONS, "--arm", "none", "--seed", "15,33,47")
    store = ("--store", tmp_path / "store")
    on_cpu = xbench(*asked, *store).out.splitlines()
    assert "stacks: none on a CPU; 3 full fine-tunings are trained one by one" in on_cpu
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("torch.cuda.device", lambda device: nullcontext())
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda including_emulation=True: True)
    gpu = ("--device", "cuda:0")
    outcome = xbench(*asked, *gpu, *store)
    assert outcome.code == 0, outcome.err
    on_gpu = outcome.out.splitlines()
    together = "up to 3 of them as one program, fewer where memory is short"
    assert f"stacks: 3 full fine-tunings, {together}" in on_gpu
    shown = json.loads(xbench(*asked, *gpu, *store, "--jobs", "2", "--format", "json").out)
    assert shown["stacks"] == [2, 1]


def test_kinds_of_stages_that_a_run_has_none_of_are_left_out(tmp_path: Path) -> None:
    options = (*SMALL_OPTIONS, *QUICK_OPTIONS, "--store", tmp_path / "store")
    lines = xbench("plan", *options).out.splitlines()
    end = next(n for n, line in enumerate(lines) if " cells, " in line)
    assert [line.split()[0] for line in lines[1:end]] == ["align", "finetune", "evaluate", "score"]
    stages = json.loads(xbench("plan", *options, "--format", "json").out)["stages"]
    assert stages["probe"] == {"total": 0, "cached": 0, "todo": 0, "blocked": 0}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--pair", "qaa-qac"), True),
        (("--pair", "qaa-qac", "--objective", "mean_center"), True),
        (("--pair", "qaa-qac", "--objective", "hictl", "--arm", "none"), True),
        (("--pair", "qaa-qac", "--objective", "hictl"), False),
        ((), False),
    ],
)
def test_pairs_that_nothing_reads_are_told(
    options: tuple[str, ...], told: bool, tmp_path: Path
) -> None:
    outcome = xbench("plan", *options, "--store", tmp_path / "store", "--format", "json")
    assert outcome.code == 0
    assert ("the pairs that were asked for change nothing" in outcome.err) is told
    assert json.loads(outcome.out)["cells"] > 0


@pytest.mark.usefixtures("cut_off")
def test_what_is_not_here_cannot_be_run(tmp_path: Path) -> None:
    outcome = xbench("run", *STUDY[1:], "--store", tmp_path / "store", "--offline")
    assert outcome.code == 2
    assert "--model DIR" in outcome.err


def test_stages_under_a_failed_one_are_blocked(
    install: Callable[..., Path], tmp_path: Path
) -> None:
    install("unruly", {"objectives": {"broken": "unruly:Broken"}}, {"unruly.py": OBJECTIVES})
    options = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--objective", "broken", "--store", tmp_path / "s"]
    assert xbench("run", *options, "--jobs", "1").code == 1
    stages = json.loads(xbench("plan", *options, "--format", "json").out)["stages"]
    assert stages["align"] == {"total": 1, "cached": 0, "todo": 1, "blocked": 0}
    assert stages["finetune"] == {"total": 4, "cached": 2, "todo": 0, "blocked": 2}
    assert stages["score"] == {"total": 8, "cached": 4, "todo": 0, "blocked": 4}


def test_a_measurement_gives_time_and_memory(tmp_path: Path) -> None:
    options = [*SMALL_OPTIONS, *QUICK_OPTIONS, "--store", tmp_path / "store", "--jobs", "1"]
    unknown = xbench("plan", *options)
    assert "time: unknown" in unknown.out
    outcome = xbench("plan", *options, "--calibrate", "--format", "json")
    assert outcome.code == 0, outcome.err
    said = outcome.err.split("Measuring ")[1:]  # it is not silent for minutes
    assert len(said) == 2
    for lines in map(str.splitlines, said):
        assert lines[1].startswith("  To compute: ")
        # how many lines come in between depends on how long it takes
        assert all(line.startswith("  [") for line in lines[2:])
        assert "fine-tune 4/4" in lines[-1]
    guess = json.loads(outcome.out)["estimate"]
    assert guess["seconds"] > 0
    assert guess["memory"] > 10**7
    assert guess["unmeasured"] == []
    assert guess["disk_kept"] > 10**6
    assert not (tmp_path / "store").exists()
