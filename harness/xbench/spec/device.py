"""Which device and precision a run uses; ``auto`` is made concrete before keys are formed."""

from xbench.errors import UnknownName, XbenchError


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


def resolve_precision(asked: str, device: str) -> str:
    """``auto`` is bf16 on a GPU that computes in it, float32 elsewhere."""
    if asked != "auto":
        return asked
    return "bf16" if device != "cpu" and computes_bf16(device) else "fp32"


def computes_bf16(device: str) -> bool:
    """Whether a GPU computes in bfloat16 itself: older ones emulate it, slower than float32."""
    import torch

    with torch.cuda.device(device):  # torch answers for the current one
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
