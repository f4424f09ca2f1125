"""The processes that compute one alignment together: who leads starts the others, and outlives them.

A helper is ``python -m xbench.stages.training.team``. It is told on its standard input what to do, does
what the leader does with the chunks that are its own, and writes nothing.
"""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from xbench.nn.data_parallel import Team
from xbench.plan import Stage, read_stage
from xbench.spec.device import VISIBLE, visible_gpus

if TYPE_CHECKING:
    from xbench.stages.resources import Resources

PATIENCE = timedelta(minutes=30)  # of a process that waits for another one
LOCAL = "127.0.0.1"
_DEVICE = "lo0" if sys.platform == "darwin" else "lo"
LOOPBACK = {"GLOO_SOCKET_IFNAME": _DEVICE, "NCCL_SOCKET_IFNAME": _DEVICE}
GRACE = 10.0  # seconds that this process has to fail by itself when another one has


@contextmanager
def team_of(stage: Stage, resources: "Resources") -> Iterator[Team | None]:
    """The team that computes a stage, led by this process; None where it is alone."""
    if resources.ranks == 1:
        yield None
        return
    os.environ.update(LOOPBACK)
    meeting = _meeting_place()
    helpers: list[subprocess.Popen[str]] = []
    leaving = threading.Event()
    try:
        for rank in range(1, resources.ranks):
            helpers.append(_start(rank, meeting.port, stage, resources))
        threading.Thread(target=_watch, args=(helpers, leaving), daemon=True).start()
        with _joined(meeting, 0, resources.ranks, stage.places.device) as team:
            try:
                yield team
            finally:
                leaving.set()
    finally:
        leaving.set()
        for helper in helpers:
            helper.kill()
            helper.wait()


def _meeting_place() -> TCPStore:
    """Where the processes find each other: on the loopback address alone, which torch would not keep to."""
    with socket.socket() as listening:
        listening.bind((LOCAL, 0))
        listening.listen(64)
        port = listening.getsockname()[1]
        return TCPStore(
            LOCAL,
            port,
            is_master=True,
            wait_for_workers=False,
            use_libuv=False,
            master_listen_fd=os.dup(listening.fileno()),
        )


def _start(rank: int, port: int, stage: Stage, resources: "Resources") -> "subprocess.Popen[str]":
    environment = dict(os.environ)
    if stage.places.device != "cpu":  # before torch starts; its own is the first that it sees
        seen = visible_gpus()
        environment[VISIBLE] = seen[rank % len(seen)]
    process = subprocess.Popen(
        [sys.executable, "-m", "xbench.stages.training.team"],
        stdin=subprocess.PIPE,
        stdout=2,  # the worker's own stdout is for its driver
        env=environment,
        text=True,
    )
    assert process.stdin is not None
    task = {
        "rank": rank,
        "size": resources.ranks,
        "port": port,
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "store": resources.store.address,
        "stage": stage.to_json(),
    }
    process.stdin.write(json.dumps(task) + "\n")
    process.stdin.flush()  # and stays open: the helper ends when it is closed
    return process


def _watch(helpers: "list[subprocess.Popen[str]]", leaving: threading.Event) -> None:
    """End with a helper that dies: whoever waits for its part would wait for half an hour."""
    while not leaving.wait(0.5):
        for helper in helpers:
            # Where all fail alike, as from a loss that is not finite, this process says so itself.
            if helper.poll() and not leaving.wait(GRACE):
                print(f"A process of the alignment ended with {helper.returncode}", file=sys.stderr)
                sys.stderr.flush()
                os._exit(1)


@contextmanager
def _joined(meeting: TCPStore, rank: int, size: int, device: str) -> Iterator[Team]:
    backend = "gloo" if device == "cpu" else "nccl"
    dist.init_process_group(backend, store=meeting, rank=rank, world_size=size, timeout=PATIENCE)
    try:
        yield Team(rank, size, torch.device(device))
    except BaseException as error:
        if backend == "gloo":
            dist.destroy_process_group()
        else:  # NCCL would wait for the others, which wait for us: another process has to go on
            error.spoils_process = True  # type: ignore[attr-defined]
        raise
    dist.destroy_process_group()


def main() -> None:
    """Help with one alignment."""
    task: dict[str, Any] = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_leader, daemon=True).start()
    from xbench.catalogue.catalogue import Catalogue
    from xbench.nn.optimise import prepare_process
    from xbench.plan.kinds.pairs import AlignStage
    from xbench.stages.align import align
    from xbench.stages.resources import Resources
    from xbench.store import open_store

    torch.set_num_threads(task["threads"])
    prepare_process()
    if task["deterministic"]:
        torch.use_deterministic_algorithms(True)
    stage = read_stage(task["stage"])
    assert isinstance(stage, AlignStage)
    resources = Resources(open_store(task["store"]), Catalogue.installed())
    meeting = TCPStore(LOCAL, task["port"], is_master=False, use_libuv=False)
    with _joined(meeting, task["rank"], task["size"], stage.places.device) as team:
        align(stage, resources, team)
        dist.barrier()  # the leader ends its helpers when it has written what is to be written


def _end_with_leader() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    main()
