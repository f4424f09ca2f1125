"""What a command prints must not end it: the numbers are in the store, and reports are in files."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO


class Tolerant:
    """A text stream that goes on where nobody reads it any more (``xbench results | head``).

    Everything but ``write`` and ``flush`` is the stream's own.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, or discard what nobody reads."""
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            self._discard()
            return len(text)

    def flush(self) -> None:
        """Flush, or discard what nobody reads."""
        try:
            self._stream.flush()
        except BrokenPipeError:
            self._discard()

    def _discard(self) -> None:
        """What is still buffered, and all that follows, goes nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def tolerant_output() -> Iterator[None]:
    """For the length of a command: characters that the terminal's encoding lacks become ``?``."""
    before = sys.stdout, sys.stderr
    for stream in before:
        with suppress(OSError):  # it may be closed
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
    tolerant: Any = [Tolerant(stream) for stream in before]
    sys.stdout, sys.stderr = tolerant
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stdout, sys.stderr = before


def write_data(text: str) -> None:
    """Print what another program reads: UTF-8, whatever the encoding of the terminal."""
    sys.stdout.flush()
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None:  # a stream of text alone
        sys.stdout.write(text)
        return
    with suppress(BrokenPipeError):
        buffer.write(text.encode("utf-8"))
    sys.stdout.flush()
