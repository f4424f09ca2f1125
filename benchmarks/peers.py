"""xbench on a CPU beside one script a cell, over transformers' Trainer and sentence-transformers. Linux.

Real data: part-of-speech tags of Universal Dependencies (1,000 English sentences, 100 of each test
language), parallel text for alignment. Every peer is a process of its own, with one thread; so is every
stage of xbench. Prints CPU seconds of whole commands, start, reading and evaluation included, and ratios.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

import torch
from processes import cpu_seconds

HERE = Path(__file__).parent
LANGUAGES = {
    "deu": "German-GSD",
    "eng": "English-EWT",
    "kaz": "Kazakh-KTB",
    "kor": "Korean-GSD",
    "jpn": "Japanese-GSD",
    "hin": "Hindi-PUD",
    "zho": "Chinese-GSD",
    "spa": "Spanish-GSD",
    "rus": "Russian-GSD",
    "lit": "Lithuanian-ALKSNIS",
    "fra": "French-GSD",
    "bul": "Bulgarian-BTB",
    "heb": "Hebrew-HTB",
}
EPOCHS, SEEDS = 15, 3  # of linear fine-tuning


class Measured:
    """The cases, on one encoder and one folder of data."""

    def __init__(self, data: Path, model: Path) -> None:
        self._data, self._model = data, model
        self._runs = 0

    def trainer(self, *options: str, tests: int = len(LANGUAGES)) -> float:
        """CPU seconds of the script over Trainer."""
        files = {
            code: next((self._data / "ud" / f"UD_{name}").glob("*-ud-test.conllu*"))
            for code, name in LANGUAGES.items()
        }
        (train,) = (self._data / "ud" / "UD_English-EWT").glob("*-ud-train.conllu*")
        given = ["--model", self._model, "--train", train, "--test", *[*files.values()][:tests]]
        script = [sys.executable, HERE / "peer_trainer.py", *given, *options]
        return cpu_seconds([str(part) for part in script], WORK)[0]

    def xbench(self, *options: str) -> tuple[float, dict[str, float]]:
        """CPU seconds of a run on an empty store, and seconds of its stages by kind."""
        self._runs += 1
        store = WORK / f"store-{self._runs}"
        run = ["run", "--suite", "paper", "--data", str(self._data), "--model", str(self._model)]
        limits = ["--language", ",".join(LANGUAGES), "--max-train", "1000", "--max-test", "100"]
        limits.append("--no-report")  # the peers draw nothing
        command = [sys.executable, "-m", "xbench", *run, *limits, *options, "--store", str(store)]
        taken, _ = cpu_seconds(command, WORK)
        stages: dict[str, float] = {}
        for path in store.glob("*/*/status.json"):
            seconds = json.loads(path.read_text())["measured"]["seconds"]
            stages[path.parts[-3]] = stages.get(path.parts[-3], 0.0) + seconds
        return taken, stages

    def sentence_transformers(self, *options: str) -> float:
        """CPU seconds of a step of sentence-transformers."""
        sides = [self._data / "parallel" / "multi30k" / f"train.{code}.gz" for code in ("en", "de")]
        script = [HERE / "peer_sentence_transformers.py", "--model", self._model]
        given = [*script, "--source", sides[0], "--target", sides[1], *options]
        _, text = cpu_seconds([sys.executable, *map(str, given)], WORK)
        seconds: float = json.loads(text.splitlines()[-1])["seconds"]
        return seconds


def show(case: str, default: float, best: float, ours: float, half: float | None) -> None:
    """A line: seconds, and how many times xbench is quicker than each peer in the same precision."""
    of_half = "" if half is None else f"{half:>9.2f}"
    against = best / (ours if half is None else half)
    numbers = f"{default:>10.2f}{best:>9.2f}{ours:>9.2f}{of_half:>9}"
    print(f"{case:<44}{numbers}{default / ours:>9.1f}x{against:>8.1f}x", flush=True)


def main() -> None:
    """Measure every case and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("XBENCH_DATA"))
    parser.add_argument("--model", type=Path, required=True)
    options = parser.parse_args()
    case = Measured(Path(options.data).resolve(), options.model.resolve())
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, one thread each"
    )
    print(
        f"{'CPU seconds':<44}{'default':>10}{'best':>9}{'xbench':>9}{'bf16':>9}{'default':>10}{'best':>9}"
    )
    common = ("--arm", "none", "--task", "pos", "--epochs")
    half = ("-O", "finetune.precision=bf16", "-O", "evaluate.precision=bf16")
    plain, best = case.trainer(), case.trainer("--best")
    ours, stages = case.xbench(*common, "1", "--mode", "full", "--seed", "15")
    ours_half, _ = case.xbench(*common, "1", "--mode", "full", "--seed", "15", *half)
    show("full fine-tuning, 13 languages, one seed", plain, best, ours, ours_half)
    three, _ = case.xbench(*common, "1", "--mode", "full", "--seed", "15,33,47")
    three_half, _ = case.xbench(*common, "1", "--mode", "full", "--seed", "15,33,47", *half)
    show("three seeds", 3 * plain, 3 * best, three, three_half)
    small = ("--train-items", "16")
    starts = [case.trainer(*small, *best_, tests=1) for best_ in ((), ("--best",))]
    evaluates = [case.trainer(*small, *best_) for best_ in ((), ("--best",))]
    per_language = [(all_ - one) / 12 * 13 for all_, one in zip(evaluates, starts, strict=True)]
    show("of it evaluation in 13 languages", *per_language, stages["evaluate"], None)
    frozen = [
        [case.trainer("--frozen", "--epochs", n, *b) for n in "12"] for b in ((), ("--best",))
    ]
    linear = [SEEDS * (one + (EPOCHS - 1) * (two - one)) for one, two in frozen]
    seeds = ("--mode", "linear", "--seed", "15,33,47")
    ours, _ = case.xbench(*common, str(EPOCHS), *seeds)
    show("linear, 15 epochs, three seeds *", *linear, ours, None)
    aligned = ("--objective", "hictl:S1W0M0", "--arm", "aligned", "--task", "flores_retrieval")
    pair = ("--pair", "deu-eng", "-O", "align.steps=40", "-O", "align.batch_size=32")
    steps = []
    for precision in ("fp32", "bf16"):
        _, stages = case.xbench(*aligned, *pair, "-O", f"align.precision={precision}")
        steps.append(stages["align"] / 40)
    peers = [case.sentence_transformers(*b) for b in ((), ("--best",))]
    show("alignment, sentence loss, a step of 32 pairs", *peers, *steps)
    print("* of the peers extrapolated from one and two epochs")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        WORK = Path(folder)
        main()
