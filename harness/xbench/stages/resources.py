"""What a stage works with: the store, the plugins, the device, and what neighbours have computed.

One :class:`Resources` serves the stages of a job, which share an encoder; it keeps the encoder's
features so that three seeds of a linear probe encode the data once.
"""

import importlib.metadata
import os
import platform
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from safetensors.torch import load_file

from xbench import __version__
from xbench.api.metric import Metric
from xbench.api.source import Source
from xbench.api.task import Task
from xbench.api.transform import Transform
from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.configs import make_component
from xbench.catalogue.models import TOKENIZER, identity
from xbench.data.tokenizer import Tokenizer
from xbench.errors import XbenchError
from xbench.files import dump_json
from xbench.keys import key_of, to_json
from xbench.nn.encoders.encoder_config import read_config
from xbench.nn.encoders.loading import AnyEncoder, load_encoder
from xbench.nn.text import TextFormat
from xbench.plan import Stage, open_at
from xbench.plan.artefacts import FITTED, checkpoint
from xbench.plan.records import DataId, DataPlace
from xbench.store import Entry, Store

if TYPE_CHECKING:
    from xbench.plan.kinds.task import FinetuneStage
    from xbench.stages.training.tuning import Tuned

LIBRARIES = ("transformers", "tokenizers", "safetensors", "numpy")
T = TypeVar("T")
Progress = Callable[[int, int, Mapping[str, float]], None]


class Resources:
    """The surroundings of the stages of one job.

    ``lanes`` is how many batches that have nothing to do with each other may be computed at once,
    ``ranks`` the processes that share one alignment;
    ``model`` gives the fine-tuned model of a key, and ``companions`` the fine-tunings, its own first,
    that are to be computed with it as one program: who runs the job knows. ``shares`` are seconds
    that a stage took beside its own time, or that its neighbours took of it. ``leaving`` is set where
    the process was told to leave: a training saves its state then and stops.
    """

    def __init__(
        self,
        store: Store,
        catalogue: Catalogue,
        progress: Progress = lambda step, steps, values: None,
        state_interval: float = 60.0,
        lanes: int = 1,
        ranks: int = 1,
    ) -> None:
        self.lanes = lanes
        self.ranks = ranks
        self.model: Callable[[str], Tuned] = _no_models
        self.companions: Callable[[str], list[FinetuneStage]] = lambda key: []
        self.shares: dict[str, float] = {}
        self.store = store
        self.catalogue = catalogue
        self.progress = progress
        self.state_interval = state_interval
        self.leaving = Event()
        self._kept: dict[Hashable, Any] = {}
        self._latest: dict[str, tuple[str, Any]] = {}
        self._tokenizers: dict[Path, Tokenizer] = {}

    def keep(self, name: Hashable, make: Callable[[], T]) -> T:
        """Compute once per job and keep."""
        if name not in self._kept:
            self._kept[name] = make()
        value: T = self._kept[name]
        return value

    def keep_latest(self, name: str, key: str, make: Callable[[], T]) -> T:
        """Compute once and keep for later jobs too, until the name is asked for by another key."""
        if name not in self._latest or self._latest[name][0] != key:
            self._latest.pop(name, None)  # two of them need not stand in memory
            self._latest[name] = key, make()
        value: T = self._latest[name][1]
        return value

    def forget(self) -> None:
        """Drop what was kept for one job, at its end."""
        self._kept.clear()

    def tokenizer(self, stage: Stage) -> Tokenizer:
        """The tokenizer of the stage's model."""
        folder = Path(stage.places.model_folder)
        if folder not in self._tokenizers:  # large vocabularies take seconds to load
            _check_unchanged(folder, stage.places.model_digest)
            self._tokenizers[folder] = Tokenizer.from_folder(folder, self.cache_folder())
        return self._tokenizers[folder]

    def encoder(self, stage: Stage) -> AnyEncoder:
        """A fresh copy, on the device, of the encoder that a fine-tuning starts from."""
        return load_encoder(self.encoder_folder(stage)).to(stage.places.device)

    def encoder_folder(self, stage: Stage) -> Path:
        """Where the weights that the stage starts from lie, verified."""
        start = getattr(stage.spec, "encoder", None)
        if start is None or start.align is None:  # the untouched encoder
            return Path(stage.places.model_folder)
        return self.store.file("align", start.align, checkpoint(start.step)).parent

    def max_length(self, stage: Stage, wanted: int) -> int:
        """The wanted length of inputs, in tokens, or what the stage's encoder takes at most."""
        config, _ = read_config(Path(stage.places.model_folder))
        return min(wanted, config.max_positions)

    def source(self, stage: Stage) -> Source:
        """The data source that the suite binds to the stage."""
        return self.source_at(stage.places.data)

    def source_at(self, place: DataPlace) -> Source:
        """The data source of that place."""
        return open_at(place, self.catalogue)

    def task(self, stage: Stage) -> Task:
        """The stage's task."""
        task: Task = self.catalogue.load("tasks", stage.places.task)()
        return task

    def transform(self, stage: Stage) -> Transform | None:
        """The fitted transform that a stage puts its encoder's states through, if it has one."""
        key = stage.spec.transform
        if key is None:
            return None
        path = self.store.file("fit", key, FITTED)
        asked = stage.places.transform

        def load() -> Transform:
            transform: Transform = make_component("objectives", asked, self.catalogue)
            device = stage.places.device
            transform.fitted = {n: t.to(device) for n, t in load_file(path).items()}
            return transform

        return self.keep(("transform", key), load)

    def metric(self, name: str, labels: Sequence[str]) -> Metric:
        """A metric of that name for those labels."""
        metric: Metric = self.catalogue.load("metrics", name)(labels)
        return metric

    def cache_folder(self) -> Path:
        """Where tokenised text is kept between runs."""
        return self.store.root / "cache"

    def copy_tokenizer(self, stage: Stage, folder: Path) -> None:
        """Put the tokenizer beside saved weights, so that the folder loads by itself."""
        for name in TOKENIZER:
            path = Path(stage.places.model_folder) / name
            if path.is_file():
                (folder / name).write_bytes(path.read_bytes())

    def describe(self, entry: Entry, stage: Stage) -> None:
        """Record what does not belong to the key: versions, device, threads."""
        environment = {
            "xbench": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            **_library_versions(),
            "platform": platform.platform(),
            "device": stage.places.device,
            "threads": torch.get_num_threads(),
            "processors": os.cpu_count(),
        }
        if stage.places.device != "cpu":
            environment["gpu"] = torch.cuda.get_device_name(stage.places.device)
        (entry.folder / "env.json").write_text(dump_json(environment), encoding="utf-8")


def _no_models(key: str) -> "Tuned":
    raise XbenchError(f"no fine-tuned models are at hand here, and finetune {key[:12]} is one")


@cache
def _library_versions() -> dict[str, str]:
    """Of the libraries, beside torch, whose code results pass through."""
    return {name: importlib.metadata.version(name) for name in LIBRARIES}


def _check_unchanged(folder: Path, planned: str) -> None:
    """Raises where the model is not the one that the keys were made for."""
    if key_of(identity(folder)) != planned:
        raise XbenchError(
            f"The model folder {folder} has changed since this run was planned. Run again: what was "
            f"computed with the old files keeps its keys."
        )


def text_format(tokenizer: Tokenizer, mlm_probability: float = 0.15) -> TextFormat:
    """How the tokenizer frames one text and a pair."""
    frame = {*tokenizer.build_single([]), *tokenizer.build_pair([], [])[0]}
    return TextFormat(
        tokenizer.vocabulary, tuple(sorted(frame)), mlm_probability, tokenizer.build_single
    )


def data_identity(data: DataId, tokenizer: Tokenizer, **extra: Any) -> dict[str, Any]:
    """What identifies a tokenised corpus: the data, the tokenizer, and how it was cut."""
    common = {"xbench": __version__, "data": key_of(data), "tokenizer": tokenizer.digest}
    whole: dict[str, Any] = to_json({**common, **extra})
    return whole
