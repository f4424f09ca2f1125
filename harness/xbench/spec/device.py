"""Which device and precision a run uses; ``auto`` is made concrete before keys are formed."""

import os

from xbench.errors import UnknownName, XbenchError
from xbench.spec.request import ResolvedSpec

VISIBLE = "CUDA_VISIBLE_DEVICES"


def resolve_device(asked: str) -> str:
    """``auto``, ``cpu``, ``cuda`` or ``cuda:1`` -> a device that is really there."""
    kind, _, index = asked.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (index and not index.isdigit()):
        raise UnknownName("device", asked, ("auto", "cpu", "cuda", "cuda:0"))
    if kind == "cpu":
        return "cpu"
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if kind == "auto":
        return "cuda" if count else "cpu"
    if count == 0:
        build = (
            "is a CPU build"
            if torch.version.cuda is None
            else f"is built for CUDA {torch.version.cuda}"
        )
        raise XbenchError(
            f"--device {asked}: no CUDA device can be used (torch {torch.__version__} {build}). "
            f"Use --device cpu, or install a CUDA build of torch on a machine with a GPU."
        )
    if index and int(index) >= count:
        raise XbenchError(
            f"--device {asked}: there are {count} CUDA devices, cuda:0 to cuda:{count - 1}."
        )
    return asked


def resolve_device_elsewhere(asked: str, offered: str, launcher: str) -> str:
    """The device of a run whose jobs a launcher starts on machines that offer ``cpu`` or ``cuda``."""
    kind = "cpu" if asked == "cpu" else asked.partition(":")[0]
    if asked not in ("auto", "cpu", "cuda"):
        if kind in ("cpu", "cuda"):
            raise XbenchError(f"--device {asked}: {launcher} gives each job its GPU; say cuda.")
        raise UnknownName("device", asked, ("auto", "cpu", "cuda"))
    if kind == "cuda" and offered == "cpu":
        raise XbenchError(
            f"--device {asked}: jobs of the launcher {launcher} have no GPU as it is set; "
            f"-O launcher.gpus=1 asks for one."
        )
    return offered if asked == "auto" else asked


def resolve_precision(asked: str, device: str) -> str:
    """``auto`` is bf16 on a GPU that computes in it, float32 elsewhere.

    A GPU of another machine counts as one that does: see :func:`is_elsewhere`.
    """
    if asked != "auto":
        return asked
    if device == "cpu" or not (is_elsewhere(device) or computes_bf16(device)):
        return "fp32"
    return "bf16"


def assumes_bf16(spec: ResolvedSpec, device: str) -> bool:
    """Whether a run computes in bf16 because nobody said otherwise, on GPUs that are not here."""
    tuned = [each.precision for modes in spec.finetune.values() for each in modes.values()]
    every = [spec.align.precision, spec.evaluate.precision, spec.probing.precision, *tuned]
    return "auto" in every and is_elsewhere(device)


def is_elsewhere(device: str) -> bool:
    """Whether a device is a GPU and this machine has none: what it computes in cannot be asked here."""
    import torch

    return device != "cpu" and not torch.cuda.is_available()


def computes_bf16(device: str) -> bool:
    """Whether a GPU computes in bfloat16 itself: older ones emulate it, slower than float32."""
    import torch

    with torch.cuda.device(device):  # torch answers for the current one
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))


def visible_gpus() -> tuple[str, ...]:
    """The GPUs of this process, by the names that ``CUDA_VISIBLE_DEVICES`` may hold."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    # Names of a scheduler's, which may be numbers of other processes' devices, or UUIDs.
    named = [part.strip() for part in os.environ.get(VISIBLE, "").split(",") if part.strip()]
    return tuple(named[:count]) if named else tuple(map(str, range(count)))
