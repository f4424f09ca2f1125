"""What a run costs beside its computing, as the matrix grows: seconds and memory of each command.

No cell is computed: a store is filled with results as stages leave them, and each command is timed in a
process of its own. Linux.
"""

import argparse
import hashlib
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CELLS_A_SEED = 160  # of the matrix below: 8 encoders, 2 modes, 10 languages
MATRIX = ["--objective", "hictl", "--arm", "none,aligned", "--task", "pos", "--device", "cpu"]
LIMITS = ["-O", "align.steps=4", "-O", "finetune.steps=4", "-O", "finetune.batch_size=4"]
LIMITS += ["--max-train", "24", "--max-test", "8"]


def main() -> None:
    """A row for each size, or one measurement where this is a child."""
    options = _options()
    if options.measure:
        print(json.dumps(_measured(options.measure, options.cells, options.store)))
        return
    with tempfile.TemporaryDirectory(dir=options.place) as place:
        sample = _sample(Path(place))
        names = [*COMMANDS]
        print("| cells | stages | " + " | ".join(f"{n}, s | MiB" for n in names) + " |")
        print("| --- " * (2 + 2 * len(names)) + "|")
        for cells in map(int, options.sizes.split(",")):
            store = Path(place) / str(cells)
            figures = {"plan": _child("plan", cells, store)}
            stages = _fill(cells, store, sample)
            for name in names[1:]:
                figures[name] = _child(name, cells, store)
            row = [f"{figures[n]['seconds']:.1f} | {figures[n]['MiB']:.0f}" for n in names]
            print(f"| {cells} | {stages} | " + " | ".join(row) + " |", flush=True)


def _request(cells: int) -> list[str]:
    seeds = ",".join(map(str, range(1, 1 + round(cells / CELLS_A_SEED) or 2)))
    return [*MATRIX, *LIMITS, "--seed", seeds]


def _session(cells: int, store: Path) -> Any:
    """As xbench run makes it."""
    from xbench.cli.commands.run import command
    from xbench.cli.options import COMPUTE, spec_from
    from xbench.cli.session import open_session
    from xbench.store import Store

    values = dict(command.make_context("run", _request(cells)).params)
    others = (*COMPUTE, "store", "report", "dry_run")
    spec = spec_from({name: value for name, value in values.items() if name not in others})
    return open_session(spec, Store(store), offline=True)


def _plan(cells: int, store: Path) -> None:
    _session(cells, store)


def _nothing_to_do(cells: int, store: Path) -> None:
    """All of xbench run, where everything is there, but its report."""
    _command("run", *_request(cells), "--no-report", "--store", str(store))


def _status(cells: int, store: Path) -> None:
    _command("status", "--store", str(store))


def _results(cells: int, store: Path) -> None:
    out = str(store / "rows.parquet")
    _command("results", "--format", "parquet", "--out", out, "--store", str(store))


def _report(cells: int, store: Path) -> None:
    out = str(store / "report")
    _command("report", "--format", "markdown", "--out", out, "--store", str(store))


COMMANDS: dict[str, Callable[[int, Path], None]] = {
    "plan": _plan,
    "run with nothing to do": _nothing_to_do,
    "status": _status,
    "results": _results,
    "report": _report,
}


def _command(*arguments: str) -> None:
    from xbench.cli import main as xbench

    sys.argv = ["xbench", *arguments]
    try:
        xbench()
    except SystemExit as end:
        if end.code:
            raise


def _measured(name: str, cells: int, store: Path) -> dict[str, float]:
    out = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    began = time.monotonic()
    COMMANDS[name](cells, store)
    seconds = time.monotonic() - began
    sys.stdout.flush()
    os.dup2(out, 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "MiB": peak}


def _child(name: str, cells: int, store: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", name, "--cells", str(cells)]
    done = subprocess.run([*command, "--store", str(store)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{name}: {done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def _sample(place: Path) -> Path:
    """Predictions as an evaluation leaves them."""
    store = place / "sample"
    small = ["--arm", "none", "--mode", "linear", "--seed", "1", "--language", "qaa"]
    command = [sys.executable, "-m", "xbench", "run", *MATRIX, *LIMITS, *small, "--no-report"]
    subprocess.run([*command, "--store", str(store)], check=True, capture_output=True)
    return next(store.glob("evaluate/*/predictions.parquet"))


def _fill(cells: int, store: Path, sample: Path) -> int:
    """Every stage as if it were done; how many there are. Written without a store's care, for speed."""
    from xbench.store import Store
    from xbench.store.runs import record_run

    place, session = Store(store), _session(cells, store)
    place.prepare()
    stream = random.Random(cells)
    predictions = sample.read_bytes()
    for key, stage in session.plan.stages.items():
        files = {"env.json": b'{"xbench": "0.1.0", "device": "cpu"}', "spec.json": b"{}"}
        result: dict[str, Any] = {"curve": [{"step": 0, "loss": 1.0}]}
        if stage.kind == "score":
            scores = {metric.name: stream.uniform(0.2, 0.9) for metric in stage.spec.metrics}
            result = {"scores": scores, "n": 8}
        elif stage.kind == "evaluate":
            result = {"items": 8, "labels": 80, "overlap": 0}
            files[sample.name] = predictions
        files |= dict.fromkeys(stage.leaves(), b"") | files
        files["result.json"] = json.dumps(result).encode()
        _write_stage(place.folder(stage.kind, key), files)
    record_run(session.plan, place)
    return len(session.plan.stages)


def _write_stage(folder: Path, files: dict[str, bytes]) -> None:
    stated = {}
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        stated[name] = {"sha256": digest, "bytes": len(content)}
    status = {"state": "done", "started": 0.0, "finished": 1.0, "measured": {}, "files": stated}
    (folder / "status.json").write_text(json.dumps(status))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="1000,10000,100000", help="cells, comma-separated")
    parser.add_argument(
        "--place", type=Path, help="folder for the stores (default: a temporary one)"
    )
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--cells", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
