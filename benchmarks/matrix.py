"""A whole matrix on a CPU beside one script a cell over transformers' Trainer. For Linux.

The embedded suite: seven variants of HiCTL, the untouched encoder and the arm on wrong pairs, two tasks,
two modes, three seeds, ten languages. xbench runs all of it, on an empty store, tables included. Of the
scripts one of each kind of cell is run and counted for all of them; their alignments are given to them
for nothing. Prints CPU seconds, one thread each.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
from itertools import islice
from pathlib import Path

import torch
from processes import cpu_seconds

from xbench.catalogue.catalogue import Catalogue
from xbench_plugins import clones

HERE = Path(__file__).parent
SOURCES = {"pos": "clone-treebank", "topic": "clone-topics"}
ENCODERS, SEEDS, TRAIN, TEST = 9, 3, 2000, 128


def write_data(task: str, folder: Path) -> None:
    """The task's text as files: English's stand-in to learn from, all languages to be tested on."""
    catalogue = Catalogue.installed()
    suite = catalogue.registry.suites["mini"]
    source = catalogue.load("sources", SOURCES[task])()
    folder.mkdir()
    for code in suite.languages:
        language = [catalogue.languages.get(code)]
        splits = {f"test-{code}": ("test", TEST)}
        if code == suite.source_language:
            splits["train"] = ("train", TRAIN)
        for name, (split, count) in splits.items():
            records = islice(source.read(language, split), count)
            lines = [json.dumps(record_of(record), ensure_ascii=False) for record in records]
            (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")


def record_of(record: object) -> dict[str, object]:
    """A record as the scripts read it."""
    if hasattr(record, "words"):
        return {"words": [*record.words], "labels": [*record.tags]}  # type: ignore[attr-defined]
    return {"text": record.text, "label": record.label}  # type: ignore[attr-defined]


def main() -> None:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}, one thread")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model = Path(clones.__file__).parent / "encoder"
        scripts = 0.0
        for task in SOURCES:
            write_data(task, folder / task)
            for mode in ("full", "linear"):
                script = [HERE / "peer_cell.py", "--model", model, "--data", folder / task]
                frozen = ["--frozen"] if mode == "linear" else []
                taken, said = cpu_seconds([sys.executable, *map(str, script), *frozen], folder)
                scripts += ENCODERS * SEEDS * taken
                mean = sum(json.loads(said.splitlines()[-1]).values()) / 10
                print(
                    f"a script, {task} {mode}: {taken:.1f} s, mean accuracy {mean:.2f}", flush=True
                )
        matrix = ["run", "--objective", "hictl", "--task", "pos,topic"]
        for options in (["--no-report"], []):
            store = ["--store", str(folder / f"store{len(options)}")]
            taken, _ = cpu_seconds(
                [sys.executable, "-m", "xbench", *matrix, *options, *store], folder
            )
            what = f"xbench, all {4 * ENCODERS * SEEDS} cells{'' if options else ', with figures'}"
            print(f"{what}: {taken:.0f} s; scripts: {scripts:.0f} s, {scripts / taken:.1f} times")


if __name__ == "__main__":
    main()
