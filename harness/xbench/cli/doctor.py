"""What this machine and installation offer, and what is wrong with them, with advice."""

import importlib.metadata
import os
import platform
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from xbench import __version__
from xbench.catalogue.check_imports import check
from xbench.catalogue.discovery import discovery
from xbench.catalogue.registry import load_registry
from xbench.errors import XbenchError
from xbench.spec.device import computes_bf16
from xbench.store import Store

Level = Literal["good", "note", "bad"]
LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "datasets", "numpy", "pandas")
LITTLE_DISK = 5e9  # bytes: less does not hold one XLM-R base with its training state
HUB_TIMEOUT = 3.0


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, how it is, and what to do about it."""

    topic: str
    level: Level
    text: str
    advice: str = ""


def examine(store: Store) -> Iterator[Finding]:
    """All findings, one after the other; nothing that is looked at can end the examination."""
    looks: tuple[Callable[[], Iterator[Finding]], ...] = (
        versions,
        devices,
        processors,
        lambda: disks(store),
        lambda: health(store),
        hub,
        data,
        tex,
        catalogue,
        plugins,
    )
    for look in looks:
        yield from look()


def versions() -> Iterator[Finding]:
    """Python and the libraries that results depend on."""
    python = platform.python_version()
    yield Finding(
        "versions", "good", f"xbench {__version__}, Python {python}, {platform.platform()}"
    )
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            yield Finding("versions", "bad", f"{name} is not installed", "Install xbench again.")
    yield Finding("versions", "good", ", ".join(found))


def devices() -> Iterator[Finding]:
    """GPUs with their memory, and which precisions are computed natively."""
    import torch

    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(number)
            memory = f"{card.total_memory / 1e9:.0f} GB"
            bf16 = "bf16" if computes_bf16(f"cuda:{number}") else "no bf16, so auto means fp32"
            yield Finding("device", "good", f"cuda:{number} {card.name}, {memory}, {bf16}, fp16")
        return
    if torch.version.cuda is None:
        why, advice = "torch is a CPU build", "On a machine with a GPU: make install TORCH=cuda."
    else:
        why = f"torch is built for CUDA {torch.version.cuda}, and finds no GPU"
        advice = "If there is one, its driver may be too old for this torch: nvidia-smi tells."
    yield Finding("device", "note", f"no GPU ({why}): --device auto means cpu, in fp32", advice)
    native = {"avx512_bf16", "amx_bf16", "avx_ne_convert"} & _processor_flags()
    speed = "computed natively" if native else "emulated, as far as can be told: slower than fp32"
    yield Finding("device", "good", f"bf16 on this CPU is {speed}")


def _processor_flags(path: Path = Path("/proc/cpuinfo")) -> set[str]:
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return set()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def processors() -> Iterator[Finding]:
    """Cores that may be used, and settings that make threads fight over them."""
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    limit = cgroup_cores()
    text = f"{mine} of {os.cpu_count()} cores"
    if limit is not None and limit < mine:
        advice = f"Ask for no more workers than that: --jobs {max(1, int(limit))}."
        yield Finding("cores", "note", f"{text}, limited to {limit:g} by a control group", advice)
    else:
        yield Finding("cores", "good", text)
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdigit() and int(threads) > mine:
        advice = "Workers set their own; unset it for anything else."
        yield Finding("cores", "note", f"OMP_NUM_THREADS={threads} is more than the cores", advice)


def cgroup_cores(path: Path = Path("/sys/fs/cgroup/cpu.max")) -> float | None:
    try:
        quota, period = path.read_text(encoding="ascii").split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return None


def disks(store: Store) -> Iterator[Finding]:
    """Free space where results, downloads and temporary files go."""
    cache = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    places = {
        "store": store.root,
        "hub cache": cache,
        "temporary files": Path(tempfile.gettempdir()),
    }
    for what, place in places.items():
        existing = next(p for p in (place.absolute(), *place.absolute().parents) if p.exists())
        free = shutil.disk_usage(existing).free
        text = f"{free / 1e9:.1f} GB free for {what} ({place})"
        if free < LITTLE_DISK:
            advice = "Name a larger disk: --store DIR, HF_HOME, TMPDIR. xbench plan says what a run needs."
            yield Finding("disk", "note", text, advice)
        else:
            yield Finding("disk", "good", text)


def health(store: Store) -> Iterator[Finding]:
    """Whether the store can be read and written."""
    if not store.root.exists():
        yield Finding("store", "good", f"{store} will be made by the first run")
        return
    try:
        store.check_format()
    except XbenchError as error:
        yield Finding("store", "bad", str(error))
        return
    aside = len(list((store.root / "aside").glob("*")))
    if not os.access(store.root, os.W_OK):
        advice = "Reports and status work from it; runs need --store DIR."
        yield Finding("store", "note", f"{store} is read-only", advice)
    else:
        yield Finding("store", "good", f"{store} can be read and written")
    if aside:
        advice = "They were computed again where needed; delete the folder when you have looked."
        yield Finding(
            "store", "note", f"{aside} damaged artefacts in {store.root / 'aside'}", advice
        )


def hub() -> Iterator[Finding]:
    """Whether the model hub answers; that it does not is no fault."""
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "ON", "YES"):
        yield Finding("hub", "note", "HF_HUB_OFFLINE is set: nothing is fetched")
        return
    address = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    host, port = address.hostname or "", address.port or (443 if address.scheme == "https" else 80)
    try:
        with socket.create_connection((host, port), timeout=HUB_TIMEOUT):
            yield Finding("hub", "good", f"{host} answers")
    except OSError as error:
        advice = (
            "The embedded suite needs no hub. For others: xbench fetch where there is a network, or "
            "--model DIR and --data DIR, or a mirror in HF_ENDPOINT."
        )
        yield Finding("hub", "note", f"{host} does not answer ({error})", advice)


def data() -> Iterator[Finding]:
    """The folder of data that the environment names."""
    named = os.environ.get("XBENCH_DATA")
    if named and not Path(named).is_dir():
        yield Finding(
            "data", "bad", f"XBENCH_DATA names {named}, which is no folder", "Correct it."
        )
    elif named:
        yield Finding("data", "good", f"XBENCH_DATA is {named}")


def tex() -> Iterator[Finding]:
    """A TeX to look at LaTeX reports with; they are written without one."""
    found = shutil.which("pdflatex") or shutil.which("tectonic")
    text = f"found {found}" if found else "none: LaTeX reports are written, and compiled elsewhere"
    yield Finding("TeX", "good" if found else "note", text)


def catalogue() -> Iterator[Finding]:
    """Whether the registry and the user's overlay can be read."""
    try:
        files = load_registry().files
        yield Finding("registry", "good", ", ".join(map(str, files)))
    except XbenchError as error:
        yield Finding("registry", "bad", str(error), "Mend that line.")


def plugins() -> Iterator[Finding]:
    """Whether every installed plugin imports, each distribution in a process of its own."""
    checked = check(discovery.table)
    broken = [one for one in checked if one.problem]
    sound = len(checked) - len(broken)
    makers = sorted({f"{c.plugin.distribution} {c.plugin.version}" for c in checked})
    yield Finding("plugins", "good", f"{sound} of {len(checked)} work ({', '.join(makers)})")
    for one in broken:
        advice = (
            f"Mend or uninstall {one.plugin.distribution}, or switch it off: "
            f"XBENCH_DISABLE_PLUGINS={one.plugin.distribution}"
        )
        yield Finding("plugins", "bad", one.problem, advice)
