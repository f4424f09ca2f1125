"""The tensors in a model folder's safetensors files: what is there, and whether it is whole.

Read without torch, and without loading: shapes come from the files' headers, numbers are mapped.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from xbench.files import parse_json
from xbench.nn.encoders.encoder_config import EncoderConfig, EncoderFolderError
from xbench.nn.encoders.hf_names import PREFIXES, WORDS, NameTable, modern, name_table

# What torch.compile and DataParallel put before the names of the module that they wrap.
WRAPPERS = r"^(module\.|_orig_mod\.)+|(?<=\.)_orig_mod\."
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_BF16_EXPONENT = 0x7F80  # all of its bits set: an infinity or a NaN
_BLOCK = 1 << 22  # numbers that are looked at in one go


@dataclass(frozen=True)
class StoredTensor:
    """A tensor in a file; ``start`` is where its bytes begin."""

    path: Path
    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int

    @property
    def is_float(self) -> bool:
        """Whether it holds numbers that an encoder can compute with."""
        return self.dtype in _FLOATS

    def rows_not_finite(self) -> list[int]:
        """The rows (of the first axis) that hold a NaN or an infinity."""
        count, width = math.prod(self.shape), math.prod(self.shape[1:])
        if not count:
            return []
        numbers = np.memmap(self.path, _FLOATS[self.dtype], "r", self.start, (count,))
        step = max(1, _BLOCK // width)
        found: list[int] = []
        for first in range(0, count // width, step):
            block = numbers[first * width : (first + step) * width].reshape(-1, width)
            found += (first + np.flatnonzero(~_finite(block, self.dtype).all(1))).tolist()
        return found


def _finite(numbers: np.ndarray, dtype: str) -> np.ndarray:
    is_bf16 = dtype == "BF16"  # numpy has no such type
    fine: np.ndarray = (
        (numbers & _BF16_EXPONENT) != _BF16_EXPONENT if is_bf16 else np.isfinite(numbers)
    )
    return fine


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """The tensors of one file or of shards, by today's names and without the names of wrappers.

    Raises :class:`EncoderFolderError` where files are missing or damaged, or hold a name twice.
    """
    found: dict[str, StoredTensor] = {}
    for path in _files(folder):
        for tensor in _header(path):
            name = modern(re.sub(WRAPPERS, "", tensor.name))
            if name in found:
                raise EncoderFolderError(
                    f"{folder}: {found[name].name} and {tensor.name} are two tensors of one name; "
                    f"save the model again"
                )
            found[name] = tensor
    return found


def check_shapes(
    stored: Mapping[str, StoredTensor], config: EncoderConfig, names: NameTable, folder: Path
) -> None:
    """Raises :class:`EncoderFolderError` listing what is missing, of another shape, or not known."""
    problems = []
    for ours, expected in names.shapes(config).items():
        name = names.of[ours]
        if name not in stored:
            problems.append(f"{name}: missing, expected {list(expected)}")
            continue
        tensor = stored[name]
        if tensor.shape != expected:
            shapes = f"{list(tensor.shape)}, expected {list(expected)}"
            problems.append(f"{tensor.path.name}: {name} is {shapes}")
        elif not tensor.is_float:
            kind = f"of type {tensor.dtype}, expected a float type"
            problems.append(f"{tensor.path.name}: {name} is {kind}")
    unknown = (tensor for name, tensor in stored.items() if not names.knows(name))
    problems += [f"{tensor.path.name}: {tensor.name} is not known" for tensor in unknown]
    if problems:
        raise EncoderFolderError(
            f"{folder}: {len(problems)} tensors do not fit config.json "
            f"({config.model_type}, {config.num_layers} layers of {config.hidden_size}): "
            f"{some(problems, '; ')}"
        )


def names_in(stored: Mapping[str, StoredTensor], config: EncoderConfig, folder: Path) -> NameTable:
    """What the tensors are called. Raises :class:`EncoderFolderError` where they are no encoder's."""
    names = name_table(config, stored)
    if names is None:
        raise EncoderFolderError(
            f"{folder}: no tensor {WORDS!r}, with or without one of the prefixes "
            f"{', '.join(PREFIXES[1:])}; the files hold {some(stored) or 'no tensors'}"
        )
    return names


def _files(folder: Path) -> list[Path]:
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if index.is_file():
        return _shards(index)
    if any(folder.glob("pytorch_model*.bin")):
        raise EncoderFolderError(
            f"{folder}: only pytorch_model.bin, which is pickle and is not read; convert it on a "
            "machine where you trust the file: AutoModelForMaskedLM.from_pretrained(folder)"
            ".save_pretrained(new_folder)"
        )
    raise EncoderFolderError(f"{folder}: no model.safetensors")


def _shards(index: Path) -> list[Path]:
    try:
        shards = sorted(set(parse_json(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EncoderFolderError(
            f"{index}: not an index of shards, expected a JSON object with a weight_map"
        ) from error
    for shard in shards:
        if not isinstance(shard, str) or Path(shard).name != shard:
            raise EncoderFolderError(f"{index}: {shard!r} is not a file name")
        if not (index.parent / shard).is_file():
            raise EncoderFolderError(f"{index}: the shard {shard} is missing")
    return [index.parent / shard for shard in shards]


def read_header(path: Path) -> tuple[dict[str, Any], int]:
    """Tensor name -> what a safetensors file says of it, and where the tensors' bytes begin.

    Of a file that is cut off too. Raises ``OSError`` or ``ValueError`` where there is no header.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header: dict[str, Any] = parse_json(file.read(length))
    header.pop("__metadata__", None)
    return header, 8 + length


def _header(path: Path) -> Iterator[StoredTensor]:
    """The library checks that the file is whole; where in it a tensor begins, it does not tell."""
    try:
        with safe_open(path, framework="numpy"):
            pass
        header, begin = read_header(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise EncoderFolderError(
            f"{path}: not a complete safetensors file ({error}); fetch or write it again"
        ) from error
    for name, tensor in header.items():
        shape, (start, _) = tuple(tensor["shape"]), tensor["data_offsets"]
        yield StoredTensor(path, name, tensor["dtype"], shape, begin + start)


def some(items: Iterable[object], separator: str = ", ", limit: int = 10) -> str:
    """The first items, and how many more there are."""
    shown = [str(item) for item in items]
    rest = [f"and {len(shown) - limit} more"] if len(shown) > limit else []
    return separator.join(shown[:limit] + rest)
