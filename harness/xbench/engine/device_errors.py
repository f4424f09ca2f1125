"""What an error of a GPU means: memory ran out, or the GPU refuses all further work."""

import gc


def release_memory() -> None:
    """Give back GPU memory that torch keeps for later, so that other processes can have it."""
    import torch

    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        gc.collect()  # what failed may be held by cycles
        torch.cuda.empty_cache()


def is_lost(error: BaseException) -> bool:
    """Whether a GPU will refuse whatever this process asks of it from now on.

    After a CUDA error (an assertion in a kernel, an illegal address) every later call fails with
    the same error, so that stages would fail which have nothing to do with it. The same holds for
    an error that says so of itself (``spoils_process``).
    """
    if getattr(error, "spoils_process", False):
        return True
    return isinstance(error, RuntimeError) and "CUDA error" in str(error)


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on a GPU or of the machine, in whatever words the library says it."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error)
    signs = ("out of memory", "ALLOC_FAILED", "can't allocate memory")
    return isinstance(error, RuntimeError) and any(sign in text for sign in signs)
