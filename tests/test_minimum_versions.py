"""Nothing is installed that is older than the fix of a hole that was published.

The list is for machines that do not reach the index: ``make audit`` asks it for all there is.
"""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# distribution -> first version without the hole, and its name
FIXED = {
    "aiohttp": ("3.12.14", "CVE-2025-53643"),
    "certifi": ("2024.7.4", "CVE-2024-39689"),
    "filelock": ("3.20.1", "CVE-2025-68146"),
    "idna": ("3.7", "CVE-2024-3651"),
    "jinja2": ("3.1.6", "CVE-2025-27516"),
    "numpy": ("1.22", "CVE-2021-41496"),
    "pillow": ("10.3.0", "CVE-2024-28219"),
    "protobuf": ("5.29.5", "CVE-2025-4565"),
    "pyarrow": ("14.0.1", "CVE-2023-47248"),
    "pyyaml": ("5.4", "CVE-2020-14343"),
    "requests": ("2.32.4", "CVE-2024-47081"),
    "scikit-learn": ("1.5.0", "CVE-2024-5206"),
    "torch": ("2.6.0", "CVE-2025-32434"),
    "tqdm": ("4.66.3", "CVE-2024-34062"),
    "transformers": ("4.48.0", "CVE-2024-11394"),
    "urllib3": ("2.5.0", "CVE-2025-50181"),
}


def numbers(version: str) -> tuple[int, ...]:
    found = [int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3]]
    return (*found, 0, 0)[:3]


@pytest.mark.parametrize("name", FIXED)
def test_what_is_installed(name: str) -> None:
    first, hole = FIXED[name]
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"{name} is not installed")
    assert numbers(version) >= numbers(first), f"{name} {version} has {hole}"


def test_what_may_be_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for requirement in project["dependencies"]:
        name, _, least = requirement.partition(">=")
        first, hole = FIXED.get(name, ("0", ""))
        assert numbers(least) >= numbers(first), f"{requirement} admits {hole}"
