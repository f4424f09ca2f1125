"""A user's mistake is one clear message on stderr and exit code 2, before any work."""

import json
import shutil
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from xbench.store import FORMAT, MARKER

from ..command import QUICK_OPTIONS, SMALL_OPTIONS, Outcome, xbench
from ..conftest import Install

SCREEN = 24  # lines


def refused(outcome: Outcome, *parts: str) -> None:
    """One screen on stderr that says all this, no traceback, nothing on stdout."""
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    for part in parts:
        assert part in outcome.err
    assert "Traceback" not in outcome.err
    assert 0 < len(outcome.err.splitlines()) <= SCREEN


def run(*options: str | Path, store: Path) -> Outcome:
    return xbench("run", *SMALL_OPTIONS, *QUICK_OPTIONS, *options, "--store", store)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--objective", "hictk"], ["Unknown objective 'hictk'", "Did you mean 'hictl'?"]),
        (["--objective", "hictl:S1W0"], ["Unknown variant of hictl 'S1W0'", "'S1W0M0'"]),
        (["--task", "poss"], ["Unknown task 'poss'", "Did you mean 'pos'?"]),
        (["--language", "qaz"], ["Unknown language 'qaz'", "Did you mean"]),
        (["--pair", "qaa-qzz"], ["Unknown pair 'qaa-qzz'", "'qzz' is no language here"]),
        (["--pair", "qaa"], ["A pair is two languages"]),
        (["--suite", "minni"], ["Unknown suite 'minni'", "Did you mean 'mini'?"]),
        (["--arm", "shufled"], ["Unknown arm 'shufled'", "Did you mean 'shuffled'?"]),
        (["--mode", "linaer"], ["Unknown mode 'linaer'", "Did you mean 'linear'?"]),
        (["--model", "mini-encodre"], ["Unknown model", "Did you mean 'mini-encoder'?"]),
        (["--model", "./no-such"], ["The model folder ./no-such does not exist"]),
        (["--device", "gpu"], ["Unknown device 'gpu'", "Did you mean 'cpu'?"]),
        (["--seed", "one"], ["seed", "got 'one'"]),
        (["--align-step", "5"], ["--align-step 5: alignment runs for 4 steps"]),
        (["-O", "objective.temprature=1"], ["'temprature'", "Did you mean 'temperature'?"]),
        (["-O", "align.stesp=1"], ["'stesp'", "Did you mean 'steps'?"]),
        (["-O", "finetune.pos.ful.steps=1"], ["'ful'", "Did you mean 'full'?"]),
        (["-O", "finetunes.steps=1"], ["'finetunes'", "Did you mean 'finetune'?"]),
        (["-O", "align.steps"], ["expected NAME=VALUE"]),
        (["-O", "align.steps=many"], ["align: steps", "got 'many'"]),
        (["--epochs", "0"], ["epochs", "greater than 0"]),
        (["--data", "/no/such/folder"], ["The data folder /no/such/folder does not exist"]),
        (
            ["--suite", "paper", "--model", "mini-encoder"],
            ["is not here", "--data DIR", "XBENCH_DATA"],
        ),
        (["--objectiv", "hictl"], ["No such option", "--objective"]),
        (["--jobs", "0"], ["--jobs"]),
        (["no-such-spec.yaml"], ["The spec no-such-spec.yaml cannot be read: No such file"]),
        (["."], ["The spec . cannot be read: Is a directory"]),
    ],
    ids=lambda part: " ".join(part) if part and part[0].startswith("-") else "",
)
def test_names_and_values(
    options: list[str], parts: list[str], store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XBENCH_DATA", raising=False)
    refused(run(*options, store=store), *parts)
    assert not store.exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["rnu"], "Unknown command 'rnu'. Did you mean 'run'?"),
        (["list", "objectivs"], "Did you mean 'objectives'?"),
        (["show", "hictk"], "Did you mean 'hictl'?"),
        (["show"], "Missing argument 'NAME'"),
        (["results", "--format", "xml"], "'xml' is not one of"),
    ],
)
def test_commands_and_their_arguments(arguments: list[str], part: str) -> None:
    refused(xbench(*arguments), part)


class TestSpecs:
    @pytest.mark.parametrize(
        ("content", "parts"),
        [
            ("task: pos\nseed: 1\ntask: topic\n", ["mine.yaml:3: 'task' is there twice", "line 1"]),
            ("align:\n  steps: 1\n  steps: 2\n", ["mine.yaml:3: 'steps' is there twice"]),
            ("language: [deu, no]\n", ["mine.yaml:1: language.1", "YAML reads no, off", '"no"']),
            (
                "objective: 3\n",
                ["mine.yaml:1: objective.0: Input should be a valid string (got 3)"],
            ),
            ("objective: {hictl: 3}\n", ["objective.hictl: expected a mapping", "(got 3)"]),
            ("suite: mini\nseed: [1, x]\n", ["mine.yaml:2: seed.1", "(got 'x')"]),
            ("suite: mini\nobjctive: hictl\n", ["mine.yaml:2:", "Did you mean 'objective'?"]),
            ("align: 3\n", ["mine.yaml:1: align: expected a mapping"]),
        ],
    )
    def test_fields_are_named_as_they_were_written(
        self, content: str, parts: list[str], tmp_path: Path, store: Path
    ) -> None:
        """With their line, and never by the types that they are kept in."""
        spec = tmp_path / "mine.yaml"
        spec.write_text(content)
        outcome = xbench("run", spec, "--store", store)
        refused(outcome, *parts)
        for word in ("function-before", "_as_list", "dict[", "tuple["):
            assert word not in outcome.err
        assert len(outcome.err.splitlines()) == 1

    @pytest.mark.parametrize("begin", ["\ufeff", "# a comment\r\n"])
    def test_marks_of_other_systems_are_no_fault(
        self, begin: str, tmp_path: Path, store: Path
    ) -> None:
        spec = tmp_path / "mine.yaml"
        spec.write_text(begin + "task: poss\r\n", encoding="utf-8", newline="")
        refused(xbench("run", spec, "--store", store), "Unknown task 'poss'")

    @pytest.mark.parametrize(
        ("content", "part"),
        [
            ("suite: [mini\n", "not valid YAML"),
            ("objctive: hictl\n", "Did you mean 'objective'?"),
            ("- mini\n", "a spec is a mapping"),
            ("align:\n  stesp: 3\n", "Did you mean 'steps'?"),
            ("finetune:\n  pos: {ful: {}}\n", "Did you mean 'full'?"),
            ("seed: many\n", "got 'many'"),
            ("objective: {hictl: {S1W0M0: {temprature: 1}}}\n", "Did you mean 'temperature'?"),
            ("objective: {hictl: 3}\n", "objective"),
            ("\x00", "not valid YAML"),
        ],
    )
    def test_damaged_ones(self, content: str, part: str, tmp_path: Path, store: Path) -> None:
        spec = tmp_path / "mine.yaml"
        spec.write_text(content)
        refused(xbench("run", spec, "--store", store), part)
        assert not store.exists()


class TestModels:
    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        source = Path(str(files("xbench_plugins.clones") / "encoder"))
        return Path(shutil.copytree(source, tmp_path / "my-model"))

    @pytest.mark.parametrize(
        ("gone", "parts"),
        [
            ("tokenizer.json", ["my-model has no tokenizer", "A model folder holds"]),
            ("model.safetensors", ["my-model has no weights"]),
            ("config.json", ["my-model has no config.json"]),
        ],
    )
    def test_a_folder_that_lacks_something(
        self, gone: str, parts: list[str], model: Path, store: Path
    ) -> None:
        (model / gone).unlink()
        refused(run("--model", model, store=store), *parts)
        assert not store.exists()

    def test_a_map_of_special_tokens_is_no_tokenizer(self, model: Path, store: Path) -> None:
        (model / "tokenizer.json").rename(model / "special_tokens_map.json")
        refused(run("--model", model, store=store), "has no tokenizer")

    def test_pickles_are_never_read(self, model: Path, store: Path) -> None:
        (model / "model.safetensors").rename(model / "pytorch_model.bin")
        parts = [".bin weights, which are pickles and are never read", "convert them"]
        refused(run("--model", model, store=store), *parts)

    @pytest.mark.parametrize(
        ("name", "content", "part"),
        [
            ("config.json", "{", "config.json"),
            ("config.json", '{"model_type": "t5"}', "model_type 't5' is not supported"),
            ("tokenizer.json", "{", "tokenizer.json is not JSON"),
        ],
    )
    def test_damaged_ones_are_noticed_before_any_work(
        self, name: str, content: str, part: str, model: Path, store: Path
    ) -> None:
        (model / name).write_text(content)
        refused(run("--model", model, store=store), part)
        assert not (store / "runs").exists()

    def test_a_file_is_no_folder(self, model: Path, store: Path) -> None:
        refused(run("--model", model / "model.safetensors", store=store), "is a file")

    def test_the_hub_is_not_asked_offline(self, store: Path) -> None:
        outcome = run("--model", "no-such-owner/no-such-model", "--offline", store=store)
        refused(outcome, "this command fetched nothing", "--model DIR")


class TestNothingToCompute:
    def test_languages_without_any_data_are_named_with_the_reason(self, store: Path) -> None:
        outcome = run("--language", "deu,kaz", "--task", "pos,topic", store=store)
        for task in ("pos", "topic"):
            refused(outcome, f"  {task} in deu, kaz: clone-", "choose a clone language")
        refused(outcome, "Nothing of this run can be computed")
        assert not store.exists()

    def test_one_language_with_data_is_enough(self, store: Path) -> None:
        outcome = run("--language", "deu,qaa", "--arm", "none", "--mode", "linear", store=store)
        assert outcome.code == 0, outcome.err
        status = xbench("status", "--store", store).out
        assert "1 cells done" in status
        assert "1 cells unavailable" in status
        assert "unavailable: pos in deu: clone-treebank generates clone languages only" in status

    def test_a_matrix_without_a_cell_is_explained(self, store: Path) -> None:
        """Retrieval trains nothing, so there is no fine-tuning to act during."""
        options = ("--objective", "mlm", "--phase", "during", "--arm", "aligned", "--mode", "full")
        outcome = run(*options, "--task", "sentence_retrieval", store=store)
        refused(outcome, "This run has no cell")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_device_that_is_not_there(device: str, store: Path) -> None:
    parts = [f"--device {device}: no CUDA device can be used", torch.__version__, "--device cpu"]
    refused(run("--device", device, store=store), *parts)


class TestData:
    def paper(self, data: Path, store: Path, *options: str) -> Outcome:
        return xbench(
            *("run", "--suite", "paper", "--model", "mini-encoder", "--data", data),
            *("--objective", "hictl:S1W0M0", "--task", "pos", "--pair", "de-en"),
            *("--language", "deu", "--store", store, "--device", "cpu", *options),
        )

    def test_a_folder_without_the_data(self, tmp_path: Path, store: Path) -> None:
        parts = ["No training data for task 'pos'", "UD_English-EWT", str(tmp_path)]
        refused(self.paper(tmp_path, store), *parts)

    @pytest.mark.parametrize(
        ("path", "content", "parts"),
        [
            (
                "ud/UD_English-EWT/en-ud-train.conllu",
                "1\tx\tx\tNOUN" + "\t_" * 6 + "\n3\ty\ty\tNOUN" + "\t_" * 6 + "\n\n",
                ["en-ud-train.conllu:2:", "word id '3'"],
            ),
            (
                "ud/UD_German-GSD/de-ud-test.conllu",
                "1\tx\tx\tNOUM" + "\t_" * 6 + "\n\n",
                ["de-ud-test.conllu:1:", "'NOUM'"],
            ),
            ("ud/UD_German-GSD/de-ud-test.conllu", "", ["The test data of pos deu is empty"]),
            ("parallel/pairs/de-en.tsv", "de\ten\nx\ty\nz\n", ["de-en.tsv:3:"]),
            ("parallel/pairs/de-en.tsv", "de\tfr\nx\ty\n", ["de-en.tsv:1:", "header"]),
            ("parallel/pairs/de-en.tsv", b"de\ten\n\xff\ty\n", ["de-en.tsv:2:", "not UTF-8"]),
            ("parallel/pairs/de-en.tsv.gz", b"\x1f\x8bcut", ["de-en.tsv.gz", "fetch the file"]),
        ],
    )
    def test_malformed_files_are_told_with_file_and_line(
        self, path: str, content: str | bytes, parts: list[str], data: Path, store: Path
    ) -> None:
        if path.endswith(".gz"):
            (data / path.removesuffix(".gz")).unlink()
        raw = content.encode() if isinstance(content, str) else content
        (data / path).write_bytes(raw)
        refused(self.paper(data, store), *parts)
        assert not (store / "runs").exists()

    def test_sides_of_unequal_length(self, data: Path, store: Path) -> None:
        folder = data / "parallel" / "pairs"
        (folder / "de-en.tsv").unlink()
        (folder / "de-en.de").write_text("a\nb\nc\n")
        (folder / "de-en.en").write_text("a\nb\n")
        refused(self.paper(data, store), "de-en.de", "de-en.en", "3", "2")


class TestStores:
    @pytest.mark.parametrize("command", ["run", "plan", "status", "results", "report"])
    def test_of_a_newer_version(self, command: str, store: Path) -> None:
        store.mkdir()
        (store / MARKER).write_text(json.dumps({"format": FORMAT + 1}))
        options = SMALL_OPTIONS if command in ("run", "plan") else []
        refused(xbench(command, *options, "--store", store), "has format 2", "Update xbench")

    @pytest.mark.parametrize("command", ["status", "results", "report"])
    def test_that_are_empty_or_not_there(self, command: str, store: Path) -> None:
        refused(xbench(command, "--store", store), "does not exist", "--store DIR")
        store.mkdir()
        refused(xbench(command, "--store", store), "holds no run", "xbench run")

    @pytest.mark.parametrize("command", ["status", "results", "report"])
    def test_without_the_run(self, command: str, finished: tuple[Path, Outcome]) -> None:
        refused(xbench(command, "--store", finished[0], "--run", "zzz"), "Unknown run", "'zzz'")

    def test_that_are_files(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        refused(run(store=tmp_path / "file"), "is no folder")
        refused(xbench("status", "--store", tmp_path / "file"), "is no folder")
        refused(run(store=tmp_path / "file" / "below"), "cannot be written", "Not a directory")

    def test_an_output_that_cannot_be_written(self, finished: tuple[Path, Outcome]) -> None:
        outcome = xbench("results", "--store", finished[0], "--out", "/no/such/folder/rows.csv")
        refused(outcome, "/no/such/folder", "No such file or directory")


class TestPlugins:
    def test_two_distributions_with_one_name(self, install: Install, store: Path) -> None:
        install("acme", {"objectives": {"hictl": "acme_x:X"}}, {})
        parts = ["'hictl' is claimed by", "xbench 0.1.0", "acme 1.2", "XBENCH_DISABLE_PLUGINS"]
        refused(run(store=store), *parts)
        refused_not = xbench("list", "objectives")
        assert refused_not.code == 0

    def test_one_that_fails_to_import(self, install: Install, store: Path) -> None:
        install("acme", {"objectives": {"bad": "acme_bad:X"}}, {"acme_bad.py": "import no_such"})
        parts = ["Objective 'bad' (acme_bad:X) of acme 1.2 cannot be imported", "no_such"]
        refused(run("--objective", "bad", store=store), *parts)
        refused(xbench("show", "bad"), *parts)
        assert xbench("plan", *SMALL_OPTIONS, "--store", store).code == 0

    def test_one_that_was_switched_off(
        self, store: Path, monkeypatch: pytest.MonkeyPatch, fresh_discovery: Callable[[], None]
    ) -> None:
        monkeypatch.setenv("XBENCH_DISABLE_PLUGINS", "hictl")
        fresh_discovery()
        refused(run(store=store), "Unknown objective 'hictl'", "switched off")
