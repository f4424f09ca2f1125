"""Model name -> a folder in the Hugging Face format, and the identity of what lies in it."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xbench import files
from xbench.catalogue.hub import NotHere, Wanted, commit_of, fetch
from xbench.catalogue.registry import ModelEntry, Registry
from xbench.errors import UnknownName, XbenchError
from xbench.files import file_digest, is_hidden

WEIGHTS = "*.safetensors"
# One of these has to be there: the tokenizer itself, or a vocabulary of the older kinds.
VOCABULARIES = (files.TOKENIZER, *files.OLDER_VOCABULARIES)
TOKENIZER = (*VOCABULARIES, files.TOKENIZER_CONFIG, *files.BESIDE_VOCABULARIES)


@dataclass(frozen=True)
class Model:
    """An encoder on disk. ``identity`` holds content digests only, never paths.

    ``revision`` is the commit that it was fetched at, where it comes from the hub.
    """

    name: str
    folder: Path
    identity: Mapping[str, Any]
    revision: str | None = None


def find_model(name: str, registry: Registry, offline: bool = False) -> Model:
    """Resolve a registry name, a local folder or a hub id; raises with advice where none fits."""
    entry = registry.models.get(name)
    local = Path(name).expanduser()
    if entry is not None:
        folder = _packaged(entry) if entry.package is not None else _from_hub(entry, name, offline)
        return Model(name, folder, identity(folder), commit_of(folder))
    if local.is_dir():
        folder = local.resolve()
    elif local.exists():
        raise XbenchError(f"The model {name} is a file; give the folder that it lies in.")
    elif name.count("/") == 1 and not name.startswith((".", "~", "/")):
        folder = _from_hub(ModelEntry(hub_id=name), name, offline)
    elif "/" in name:
        raise XbenchError(f"The model folder {name} does not exist.")
    else:
        hint = "A local folder or a hub id (owner/name) will do as well."
        raise UnknownName("model", name, registry.models, hint)
    return Model(local.resolve().name, folder, identity(folder), commit_of(folder))


def identity(folder: Path) -> dict[str, Any]:
    """sha256 of configuration, weights and tokenizer files. Raises where one of them is missing."""
    weights = weight_files(folder)
    tokenizer = [folder / name for name in TOKENIZER if (folder / name).is_file()]
    _require(folder, "config.json", (folder / "config.json").is_file())
    _require(folder, "weights (model.safetensors)", bool(weights))
    _require(
        folder, "tokenizer (tokenizer.json)", any(path.name in VOCABULARIES for path in tokenizer)
    )
    return {
        "config": file_digest(folder / "config.json"),
        "weights": {path.name: file_digest(path) for path in weights},
        "tokenizer": {path.name: file_digest(path) for path in tokenizer},
    }


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder; hidden ones (``._model.safetensors``) are none."""
    return sorted(path for path in folder.glob(WEIGHTS) if not is_hidden(path))


def _require(folder: Path, what: str, found: bool) -> None:
    if found:
        return
    advice = "A model folder holds config.json, model.safetensors and tokenizer.json."
    inside = sorted(path.parent.name for path in folder.glob("*/config.json"))
    if (folder / "adapter_config.json").is_file():
        advice = (
            "It holds an adapter (LoRA, say), which is no encoder by itself: merge the adapter first, "
            "with peft: PeftModel.from_pretrained(base, folder).merge_and_unload()"
            ".save_pretrained(new_folder), and save the tokenizer there."
        )
    elif what == "config.json" and inside:
        shown = ", ".join(str(folder / name) for name in inside)
        advice = f"There is one below it; did you mean {shown}?"
    elif "weights" in what and list(folder.glob("*.bin")):
        advice = (
            "It has PyTorch .bin weights, which are pickles and are never read; convert them with "
            "transformers: AutoModelForMaskedLM.from_pretrained(...).save_pretrained(...)."
        )
    raise XbenchError(f"The model folder {folder} has no {what}. {advice}")


def _packaged(entry: ModelEntry) -> Path:
    assert entry.package is not None
    try:
        spec = importlib.util.find_spec(entry.package)
    except ModuleNotFoundError:  # of the package that holds the package
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise XbenchError(f"The package {entry.package} that holds the model is not installed.")
    return Path(next(iter(spec.submodule_search_locations))) / (entry.folder or "")


def model_files(entry: ModelEntry, name: str) -> Wanted:
    """What a model is on the hub: configuration, safetensors and tokenizer, and nothing else."""
    patterns = ("config.json", *TOKENIZER, WEIGHTS, "model.safetensors.index.json")
    return Wanted(entry.hub_id or name, "model", patterns, entry.revision)


def _from_hub(entry: ModelEntry, name: str, offline: bool) -> Path:
    folder = fetch(model_files(entry, name), offline)
    if not weight_files(folder):
        raise NotHere(
            f"The model {entry.hub_id or name} has no safetensors on the hub. Its other weights are "
            f"pickles and are never read; convert them once with transformers, "
            f"AutoModelForMaskedLM.from_pretrained(...).save_pretrained(DIR), and pass --model DIR."
        )
    return folder
