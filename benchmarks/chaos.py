"""A run that is hit by everything at once ends as an undisturbed one, bit for bit.

Four workers compute a matrix of 162 cells while this program kills them and their driver at random
moments, fills the disk, damages an artefact, and leaves the lease of a dead host. Then ten runs of
overlapping matrices start at once on one store: each stage is computed once. Linux; the disk is filled
where this is root, which can mount one of its own.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from outcomes import digests_of, rows_of

MATRIX = """\
objective: [hictl:S1W0M0, hictl:S1W1M1, hictl:S0W1M0, hictl:S0W0M1]
task: pos
arm: [none, aligned, shuffled]
mode: [full, linear]
seed: [15, 33, 42]
language: [qaa, qac, qae]
pair: qaa-qac
shuffled_variants: all
device: cpu
options:
  align.steps: 60
  align.batch_size: 8
  finetune.steps: 40
  finetune.batch_size: 8
  finetune.max_train: 96
  evaluate.max_items: 40
"""
TOGETHER = ("hictl:S1W0M0", "hictl:S1W0M0,hictl:S0W1M0", "hictl:S0W1M0")
HOOK = """\
from xbench.api import hookimpl

@hookimpl
def xbench_stage_finished(stage, details):
    if details["computed"]:
        with open("computed", "a") as file:
            file.write(f"{stage.kind} {stage.key}\\n")
"""
ROOM = 400  # MB of the disk that is filled
QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def main() -> None:
    """Undisturbed, disturbed, compared; then ten at once."""
    options = _options()
    stream = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "spec.yaml").write_text(MATRIX)
        began = time.monotonic()
        _end(_driver(folder, "undisturbed"))
        print(f"undisturbed: {time.monotonic() - began:.0f} s", flush=True)
        with _disk(folder / "disturbed") as full:
            began = time.monotonic()
            seen = Chaos(folder, stream, options.kills, full).run()
            print(f"disturbed: {time.monotonic() - began:.0f} s; {dict(seen)}", flush=True)
            equal = _compare(folder / "undisturbed", folder / "disturbed")
        once = _together(folder, options.together)
    sys.exit(0 if equal and once else 1)


class Chaos:
    """Kills drivers and workers of one run until there were enough; then lets it end."""

    def __init__(self, folder: Path, stream: random.Random, kills: int, full: bool) -> None:
        self._folder, self._store = folder, folder / "disturbed"
        self._stream = stream
        self._kills = kills
        self._full = full
        self.seen: Counter[str] = Counter()

    def run(self) -> Counter[str]:
        """What was done to it, counted."""
        driver = _driver(self._folder, "disturbed")
        while self.seen["kills"] < self._kills:
            time.sleep(self._stream.uniform(1.0, 7.0))
            if driver.poll() is not None:
                self.seen["drivers that ended by themselves"] += 1
                if driver.returncode == 0:
                    print(f"complete after {self.seen['kills']} kills: the matrix is too small")
                    break
                driver = _driver(self._folder, "disturbed")
                continue
            self._strike(driver)
            self._mischief()
        while _end(driver) != 0:  # cells that failed are tried again
            self.seen["repeats at the end"] += 1
            driver = _driver(self._folder, "disturbed")
        return self.seen

    def _strike(self, driver: subprocess.Popen[bytes]) -> None:
        """Kill the driver, or one of its workers."""
        workers = _children(driver.pid)
        victims = [driver.pid, *workers]
        victim = self._stream.choice(victims) if self._stream.random() < 0.8 else driver.pid
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.seen["kills"] += 1
        self.seen["of drivers" if victim == driver.pid else "of workers"] += 1
        if victim == driver.pid:
            driver.wait()

    def _mischief(self) -> None:
        kills = self.seen["kills"]
        if kills >= self._kills * 0.3 and not self.seen["artefacts damaged"]:
            self._damage()
        if kills >= self._kills * 0.5 and not self.seen["leases of a dead host"]:
            self._dead_lease()
        if kills >= self._kills * 0.7 and self._full and not self.seen["disks filled"]:
            self._fill()

    def _damage(self) -> None:
        """Turn a byte of a finished stage's file over."""
        found = sorted(self._store.glob("align/[0-9a-f]*/step-*/model.safetensors"))
        if found:
            path = self._stream.choice(found)
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 0xFF
            path.write_bytes(content)
            self.seen["artefacts damaged"] += 1

    def _dead_lease(self) -> None:
        """Somebody on a host that is gone was at a stage that is still to be computed."""
        (plan,) = self._store.glob("runs/*/plan.json")
        for cell in json.loads(plan.read_text())["cells"]:
            key = cell["score"]
            if key and not (self._store / "score" / key).exists():
                lease = self._store / "leases" / f"{key}.json"
                lease.write_text(json.dumps({"host": "gone", "pid": 1, "token": "of the dead"}))
                self.seen["leases of a dead host"] += 1
                return

    def _fill(self) -> None:
        """No byte is free for some seconds."""
        ballast = self._store / "ballast"
        with ballast.open("wb") as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
                    file.flush()
            except OSError:
                pass
        time.sleep(8)
        ballast.unlink()
        self.seen["disks filled"] += 1


def _together(folder: Path, count: int) -> bool:
    """So many runs of overlapping matrices at once: each stage computed once, all end well."""
    (folder / "xbenchfile.py").write_text(HOOK)
    runs = [
        _driver(folder, "shared", "--objective", TOGETHER[number % len(TOGETHER)], jobs=1)
        for number in range(count)
    ]
    codes = [_end(run) for run in runs]
    computed = Counter((folder / "computed").read_text().splitlines())
    twice = [line for line, times in computed.items() if times > 1]
    print(
        f"{count} runs at once: exit codes {sorted(set(codes))}, {len(computed)} stages computed, "
        f"{len(twice)} of them more than once"
    )
    return set(codes) == {0} and not twice


def _driver(folder: Path, store: str, *options: str, jobs: int = 4) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "xbench", "run", "spec.yaml", "--store", store, "--no-report"]
    command += ["--jobs", str(jobs), "--save-state", "0.5", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=folder, env=environment, **QUIET)


def _end(driver: subprocess.Popen[bytes]) -> int:
    return driver.wait(1800)


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    try:
        return [int(number) for number in path.read_text().split()]
    except FileNotFoundError:
        return []


@contextmanager
def _disk(place: Path) -> Iterator[bool]:
    """A small disk of its own for a store; whether there is one."""
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={ROOM}m", "tmpfs", str(place)]
    there = os.geteuid() == 0 and subprocess.run(command, **QUIET).returncode == 0
    try:
        yield there
    finally:
        if there:
            subprocess.run(["umount", str(place)], check=False)


def _compare(one: Path, other: Path) -> bool:
    """Whether two stores hold the same rows and the same files."""
    rows, files = rows_of(one) == rows_of(other), digests_of(one) == digests_of(other)
    print(f"rows ({len(rows_of(one))}): {'equal' if rows else 'DIFFERENT'}")
    print(f"files of stages ({len(digests_of(one))}): {'equal' if files else 'DIFFERENT'}")
    return rows and files


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--together", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
