"""Random streams that depend on names, not on history.

Every draw comes from a generator seeded by (seed, purpose, step, ...). Nothing is consumed across
steps, so a resumed run needs no saved random state, and a cell's numbers do not depend on its
neighbours.
"""

import hashlib
import json

import torch

StreamPart = str | int


def stream_seed(*parts: StreamPart) -> int:
    """A 63-bit seed from the parts, the same on every platform and Python version.

    Raises ``TypeError`` for parts that are no JSON values (a numpy integer, say).
    """
    text = json.dumps(parts)  # quotes and brackets keep ("a", "b") and ("ab",), 1 and "1" apart
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*parts: StreamPart) -> torch.Generator:
    """A CPU generator of its own for the stream that the parts name."""
    return torch.Generator().manual_seed(stream_seed(*parts))


def permutation(size: int, *parts: StreamPart) -> torch.Tensor:
    """[size] int64, a random order drawn from the stream."""
    return torch.randperm(size, generator=generator(*parts))


def seed_dropout(*parts: StreamPart) -> None:
    """Point torch's global generators, from which dropout draws, at the stream."""
    seed = stream_seed(*parts)
    torch.default_generator.manual_seed(seed)
    # torch.manual_seed does the same, but where no GPU is in use it keeps a stack trace of every
    # call for later, which takes longer than a small layer.
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)
