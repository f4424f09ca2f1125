"""What a tokenizer's folder says: its definition, and which tokens are special.

Several files of a folder may say different things (``tokenizer.json`` that nothing is lower-cased,
``tokenizer_config.json`` that all is). transformers' AutoTokenizer decides, since that is what the
encoder was trained with, and it is asked wherever it would not take ``tokenizer.json`` as it stands.
"""

import importlib.metadata
import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from xbench.files import (
    BESIDE_VOCABULARIES,
    OLDER_VOCABULARIES,
    file_digest,
    parse_json,
    write_atomic,
)
from xbench.files import TOKENIZER as DEFINITION_FILE
from xbench.files import TOKENIZER_CONFIG as CONFIG_FILE

# Files that AutoTokenizer reads beside the definition and the configuration.
OTHER_FILES = (*OLDER_VOCABULARIES, *BESIDE_VOCABULARIES)
# Classes of transformers that take tokenizer.json as it is; all others make a tokenizer of their own.
_PLAIN_CLASSES = ("PreTrainedTokenizerFast", "TokenizersBackend")
# Settings of tokenizer_config.json that change no id: names of special tokens are looked up.
_HARMLESS = (
    "backend",
    "clean_up_tokenization_spaces",
    "is_local",
    "local_files_only",
    "model_input_names",
    "model_max_length",
    "name_or_path",
    "padding_side",
    "tokenizer_class",
    "truncation_side",
)

_NAME_FILES = ("special_tokens_map.json", CONFIG_FILE)  # the later one wins
_ROLES = ("pad", "mask", "unk", "bos", "eos", "cls", "sep")
_USUAL_NAMES = {
    "pad": ("<pad>", "[PAD]"),
    "mask": ("<mask>", "[MASK]"),
    "unk": ("<unk>", "[UNK]"),
}
_OLDER_VOCABULARIES = ("*.model", "vocab.txt", "vocab.json")
_ROLE_NAMES = tuple(f"{role}_token" for role in _ROLES)


class TokenizerFolderError(ValueError):
    """The folder holds no usable tokenizer; the message says what is missing and what to do."""


@dataclass(frozen=True)
class TokenizerFiles:
    """``definition`` is the content of tokenizer.json; ``names`` maps roles to special tokens."""

    folder: Path
    definition: dict[str, Any]
    names: dict[str, str]


def read_tokenizer_files(folder: Path, cache: Path | None = None) -> TokenizerFiles:
    """What AutoTokenizer makes of the folder; ``cache`` is a folder that remembers it.

    Importing transformers takes seconds, and is left out where it would take tokenizer.json as it
    stands. Raises :class:`TokenizerFolderError` where there is no tokenizer.
    """
    has_definition = (folder / DEFINITION_FILE).is_file()
    if not has_definition and not any(any(folder.glob(name)) for name in _OLDER_VOCABULARIES):
        raise TokenizerFolderError(
            f"{folder} holds no tokenizer: neither {DEFINITION_FILE} nor a vocabulary "
            f"({', '.join(_OLDER_VOCABULARIES)}); save one there with "
            "AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)"
        )
    if has_definition:
        definition = _read_json(folder / DEFINITION_FILE)
        if is_plain(folder, definition):
            return TokenizerFiles(folder, definition, _named_tokens(folder))
    if cache is None:
        return convert(folder)
    kept = cache / "tokenizers" / f"{_digest(folder)}.json"
    if kept.is_file():
        return TokenizerFiles(folder, **_read_json(kept))
    made = convert(folder)
    kept.parent.mkdir(parents=True, exist_ok=True)
    content = {"definition": made.definition, "names": made.names}
    write_atomic(kept, json.dumps(content, ensure_ascii=False))
    return made


def is_plain(folder: Path, definition: dict[str, Any]) -> bool:
    """Whether AutoTokenizer would take tokenizer.json as it stands."""
    if any((folder / name).is_file() for name in OTHER_FILES):
        return False
    if not (folder / CONFIG_FILE).is_file():
        return not (folder / "config.json").is_file()  # whose model_type chooses a class
    settings = _read_json(folder / CONFIG_FILE)
    added = {token["content"] for token in definition.get("added_tokens", [])}
    named = [settings[name] for name in _ROLE_NAMES if name in settings]
    return (
        settings.get("tokenizer_class") in _PLAIN_CLASSES
        and settings.keys() <= {*_HARMLESS, *_ROLE_NAMES}
        and all(isinstance(name, str) and name in added for name in named)
    )


def _digest(folder: Path) -> str:
    """Of all files that AutoTokenizer looks at, and of transformers' version."""
    names = (DEFINITION_FILE, CONFIG_FILE, *OTHER_FILES, "config.json")
    found = {name: file_digest(folder / name) for name in names if (folder / name).is_file()}
    found["transformers"] = importlib.metadata.version("transformers")
    return sha256(json.dumps(found, sort_keys=True).encode("utf-8")).hexdigest()


def special_ids_by_role(files: TokenizerFiles) -> tuple[dict[str, int], tuple[int, ...]]:
    """Ids of the special tokens by role, and the ids of all special tokens in ascending order.

    A role that no file names is filled by a token marked special that has a usual name for it:
    some published folders hold nothing but tokenizer.json.
    """
    added = {token["content"]: token for token in files.definition.get("added_tokens", [])}
    marked = {text: token["id"] for text, token in added.items() if token["special"]}
    roles = {}
    for role in _ROLES:
        usual = next((text for text in _USUAL_NAMES.get(role, ()) if text in marked), None)
        name = files.names.get(role, usual)
        if name in marked:
            roles[role] = marked[name]
        elif name is not None:
            raise TokenizerFolderError(
                f"{files.folder}: the {role} token {name!r} is named, but it is not "
                f"among the special tokens of {DEFINITION_FILE}; save the tokenizer again"
            )
    for role in ("pad", "unk"):
        if role not in roles:
            raise TokenizerFolderError(
                f"{files.folder} names no {role} token; set {role}_token in tokenizer_config.json"
            )
    return roles, tuple(sorted(marked.values()))


def _named_tokens(folder: Path) -> dict[str, str]:
    named: dict[str, Any] = {}
    for file_name in _NAME_FILES:
        if (folder / file_name).is_file():
            content = _read_json(folder / file_name)
            named |= {
                role: content[f"{role}_token"] for role in _ROLES if content.get(f"{role}_token")
            }
    return {role: t["content"] if isinstance(t, dict) else t for role, t in named.items()}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TokenizerFolderError(f"{path} is not JSON ({error}); fetch it again") from None
    if not isinstance(content, dict):
        raise TokenizerFolderError(f"{path} does not hold a JSON object; fetch it again")
    return content


def convert(folder: Path) -> TokenizerFiles:
    import transformers

    transformers.logging.set_verbosity_error()
    try:
        loaded = transformers.AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
        definition = json.loads(loaded.backend_tokenizer.to_str())
    except Exception as error:
        raise TokenizerFolderError(
            f"transformers cannot make a tokenizer of {folder} ({type(error).__name__}: {error}); "
            f"save it there as {DEFINITION_FILE}, with "
            f"AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)"
        ) from error
    names = {role: getattr(loaded, f"{role}_token", None) for role in _ROLES}
    return TokenizerFiles(folder, definition, {r: str(t) for r, t in names.items() if t})
