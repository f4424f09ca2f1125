"""Files: written so that a reader never sees half of one, digested, and the names of a tokenizer's.

A file is written to a temporary sibling, flushed to the disk and renamed.
"""

import hashlib
import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
# What a tokenizer was kept in before there was tokenizer.json.
OLDER_VOCABULARIES = (
    "sentencepiece.bpe.model",
    "spm.model",
    "spiece.model",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
)
BESIDE_VOCABULARIES = ("special_tokens_map.json", "added_tokens.json", "merges.txt")


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace a file as one step; a crash leaves the old or the new content, nothing between."""
    data = content.encode("utf-8") if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        write_synced(temporary, data)
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def is_hidden(path: Path) -> bool:
    """Whether the file's name begins with a dot: systems and editors leave such files beside others."""
    return path.name.startswith(".")


def write_synced(path: Path, data: bytes) -> None:
    """Write and force to disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_file(path: Path) -> None:
    """Force an already written file to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Force a folder's entries to disk, where the file system can."""
    with suppress(OSError):  # some network file systems refuse to sync a folder
        sync_file(path)


def dump_json(value: Any) -> str:
    """Readable JSON; NaN and infinities are refused."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def parse_json(text: str | bytes) -> Any:
    """The value of JSON that anybody may have written. Raises ``ValueError`` where it is none."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def documentation(page: str) -> Path:
    """Where a page of the documentation lies: in the installed package, or in a source checkout."""
    package = Path(__file__).parent
    installed, checkout = package / "docs" / page, package.parent.parent / "docs" / page
    return installed if installed.is_file() else checkout


def file_digest(path: Path) -> str:
    """sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
