"""Fixtures that several folders share."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

from xbench.catalogue.discovery import discovery

from .command import QUICK_OPTIONS, SMALL_OPTIONS, Outcome, fake_distribution
from .command import with_figures as xbench

Install = Callable[..., Path]

# How long an example takes says nothing on a machine that does other things as well.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

# Tests die with their machine, and nobody goes on with their stores: nothing needs to reach the disk.
os.fsync = lambda file: None  # type: ignore[assignment]

# Sums depend on the number of threads, and tests run beside each other on few cores.
torch.set_num_threads(1)


@pytest.fixture
def only_new_garbage() -> Iterator[None]:
    """Within the test, ``gc`` looks at what the test makes alone: all that is imported takes a second."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def fresh_discovery() -> Iterator[Callable[[], None]]:
    """Call it after a change of what is installed; afterwards all is as it was."""

    def forget() -> None:
        discovery.__dict__.clear()

    yield forget
    forget()


@pytest.fixture
def install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fresh_discovery: Callable[[], None]
) -> Iterator[Install]:
    """Install a fake distribution for the length of a test, here and in workers."""
    made: list[str] = []

    def install(name: str, *arguments: object, **options: object) -> Path:
        folder = fake_distribution(tmp_path / "installed" / name, name, *arguments, **options)  # type: ignore[arg-type]
        monkeypatch.syspath_prepend(folder)
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
        for module in (path.stem for path in folder.glob("*.py")):
            made.append(module)
        fresh_discovery()
        return folder

    yield install
    for module in made:  # another test's module of this name is another
        sys.modules.pop(module, None)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """The store of a small run that has ended well, and what the command said. Read only."""
    store = tmp_path_factory.mktemp("finished") / "store"
    outcome = xbench("run", *SMALL_OPTIONS, *QUICK_OPTIONS, "--store", store, "--jobs", "1")
    assert outcome.code == 0, outcome.err
    return store, outcome


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The least data of the suite `paper`: two treebanks and two corpora, of two sentences each."""
    root = tmp_path / "data"
    for treebank, language in (("UD_English-EWT", "en"), ("UD_German-GSD", "de")):
        for split in ("train", "test"):
            path = root / "ud" / treebank / f"{language}-ud-{split}.conllu"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"# {treebank} {split}\n1\tx\tx\tNOUN" + "\t_" * 6 + "\n\n")
    for first, second in (("de", "en"), ("en", "kk")):
        path = root / "parallel" / "pairs" / f"{first}-{second}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{first}\t{second}\nx\ty\nu\tv\n")
    return root
