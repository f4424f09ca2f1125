"""A worker process: jobs come in as JSON lines, events go out as JSON lines.

Started by :mod:`xbench.engine.launcher` as ``python -m xbench.engine.worker``. When its driver goes
away, by whatever death, its standard input closes and it ends at once. SIGUSR1 tells it to save what
it is at, and to leave.
"""

import json
import os
import queue
import signal
import threading
from collections.abc import Mapping
from typing import Any, TextIO


def main() -> None:
    """Serve jobs until standard input closes."""
    source, channel = _private_channels()
    jobs: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(source, jobs), daemon=True).start()
    settings = jobs.get()

    from xbench.nn.memory import keep_memory_flat

    keep_memory_flat()
    import torch

    from xbench.nn.optimise import prepare_process

    torch.set_num_threads(settings["threads"])
    prepare_process()
    if settings["deterministic"]:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)

    serve(settings, jobs, channel)


def serve(
    settings: Mapping[str, Any], jobs: "queue.Queue[dict[str, Any]]", channel: TextIO
) -> None:
    """Run one job after the other, telling the driver of every step."""
    from xbench.catalogue.catalogue import Catalogue
    from xbench.engine.job import DeviceLost, JobRunner
    from xbench.nn.training_state import Leaving
    from xbench.plan import Stage, read_stage
    from xbench.stages.resources import Resources
    from xbench.store import open_store

    current: list[Stage] = []

    def send(event: str, **details: Any) -> None:
        try:
            channel.write(json.dumps({"event": event, **details}) + "\n")
            channel.flush()
        except BrokenPipeError:  # the driver is gone; an exception would count as a failed stage
            os._exit(0)

    def report(event: str, stage: Stage, details: Mapping[str, Any]) -> None:
        current[:] = [stage]
        send(event, key=stage.key, **details)

    def progress(step: int, steps: int, values: Mapping[str, float]) -> None:
        send("progress", key=current[0].key, step=step, steps=steps, values=dict(values))

    resources = Resources(
        open_store(settings["store"]),
        Catalogue.installed(),
        progress,
        settings["state_interval"],
        settings.get("lanes", 1),
        settings.get("ranks", 1),
    )
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGUSR1, lambda number, frame: resources.leaving.set())
    while True:
        send("idle")
        job = jobs.get()
        stages = {key: read_stage(content) for key, content in job["stages"].items()}
        try:
            stack = settings.get("stack", 0)
            JobRunner(stages, resources, report, settings["keep"], stack).run(job["keys"])
        except Leaving:
            send("left")
            os._exit(0)
        except DeviceLost:
            send("leaving")
            os._exit(0)  # without the clean-up of a device that answers no more


def _private_channels() -> tuple[TextIO, TextIO]:
    """Keep the real stdin and stdout for jobs and events, out of the reach of plugins.

    What they print goes to stderr instead, and they read an empty input.
    """
    source = os.fdopen(os.dup(0), encoding="utf-8")
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return source, channel


def _listen(source: TextIO, jobs: "queue.Queue[dict[str, Any]]") -> None:
    for line in source:
        jobs.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main()
