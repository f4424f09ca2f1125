"""A thousand workers on one store, by simulation: what they ask of its file system, and what gives first.

Threads do what workers do beside computing: take the lease of a stage, look whether it is there, write
it, free the lease; a thousand leases are held meanwhile, with their signs of life. Nothing is computed.
"""

import argparse
import multiprocessing
import os
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import xbench.store.lease as leases
from xbench.store import Store

COUNTED = (
    "open",
    "rename",
    "replace",
    "unlink",
    "mkdir",
    "rmdir",
    "utime",
    "stat",
    "scandir",
    "fsync",
)
STAGE_SECONDS = 10.0  # what a short stage takes a worker


def main() -> None:
    """Operations a stage, stages a second, and what that means for a thousand workers."""
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.place) as place:
        store = Store(Path(place))
        store.prepare()
        counts = _operations(store)
        total = sum(counts.values())
        print(
            f"a stage: {total} operations ({', '.join(f'{n} {k}' for k, n in counts.most_common())})"
        )
        rate = _rate(Path(place), options)
        print(
            f"{options.workers} workers that compute nothing: {rate:.0f} stages a second, "
            f"{rate * total:.0f} operations a second, {rate * counts['fsync']:.0f} of them fsync"
        )
        wanted = options.workers / STAGE_SECONDS
        beats = options.workers / leases.HEARTBEAT
        print(
            f"{options.workers} workers with stages of {STAGE_SECONDS:.0f} s: {wanted:.0f} stages and "
            f"{beats:.0f} signs of life a second, {wanted * total + 3 * beats:.0f} operations, "
            f"{wanted * counts['fsync']:.0f} of them fsync: {wanted / rate:.0%} of what this disk does"
        )


def _operations(store: Store) -> Counter[str]:
    """What one stage asks of the file system, by system call of Python's ``os``, and opens."""
    counts: Counter[str] = Counter()
    originals: dict[str, Any] = {name: getattr(os, name) for name in COUNTED}

    def counting(name: str) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            counts[name] += 1
            return originals[name](*arguments, **options)

        return call

    import builtins
    import io

    opened = io.open
    for name in COUNTED:
        setattr(os, name, counting(name))

    def count_open(*arguments: Any, **options: Any) -> Any:
        counts["open"] += 1
        return opened(*arguments, **options)

    io.open = builtins.open = count_open
    try:
        _stage(store, "00" * 32)
    finally:
        io.open = builtins.open = opened
        for name, original in originals.items():
            setattr(os, name, original)
    return counts


def _stage(store: Store, key: str) -> None:
    with store.lease(key):
        if store.has_file("score", key, "result.json"):
            return
        with store.write("score", key, {"of": key}) as entry:
            (entry.folder / "env.json").write_text('{"xbench": "0.1.0"}')
            entry.result = {"scores": {"accuracy": 0.5}, "n": 100}


def _rate(place: Path, options: argparse.Namespace) -> float:
    """Stages a second of all workers together."""
    processes = os.cpu_count() or 1
    done = multiprocessing.Value("l", 0)
    each = options.workers // processes
    started = [
        multiprocessing.Process(target=_work, args=(place, number, each, options.seconds, done))
        for number in range(processes)
    ]
    for process in started:
        process.start()
    for process in started:
        process.join()
    return float(done.value) / options.seconds


def _work(place: Path, number: int, threads: int, seconds: float, done: Any) -> None:
    store = Store(place)
    until = time.monotonic() + seconds

    def loop(thread: int) -> None:
        count = 0
        while time.monotonic() < until:
            _stage(store, f"{number:08x}{thread:08x}{count:048x}")
            count += 1
        with done.get_lock():
            done.value += count

    workers = [threading.Thread(target=loop, args=(thread,)) for thread in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--place", type=Path, help="a folder on the file system to ask")
    return parser.parse_args()


if __name__ == "__main__":
    main()
