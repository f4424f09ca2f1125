"""Folders of real data and real encoders, where this machine has them."""

import os
from pathlib import Path

import pytest

WANTED = {
    "XBENCH_DATA": "a folder of real data, laid out as docs/data.md says",
    "XBENCH_MODELS": "a folder of real encoders in the Hugging Face format",
}


def folder(variable: str) -> Path:
    """The folder that an environment variable names; a test that lacks it is skipped, and says why."""
    found = os.environ.get(variable)
    if not found:
        pytest.skip(f"set {variable} to {WANTED[variable]}")
    return Path(found)
