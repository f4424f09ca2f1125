"""What a tokenizer's folder says: its definition, and which tokens are special."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFINITION_FILE = "tokenizer.json"

_NAME_FILES = ("special_tokens_map.json", "tokenizer_config.json")  # the later one wins
_ROLES = ("pad", "mask", "unk", "bos", "eos", "cls", "sep")
_USUAL_NAMES = {
    "pad": ("<pad>", "[PAD]"),
    "mask": ("<mask>", "[MASK]"),
    "unk": ("<unk>", "[UNK]"),
}
_OLDER_VOCABULARIES = ("*.model", "vocab.txt", "vocab.json")


class TokenizerFolderError(ValueError):
    """The folder holds no usable tokenizer; the message says what is missing and what to do."""


@dataclass(frozen=True)
class TokenizerFiles:
    """``definition`` is the content of tokenizer.json; ``names`` maps roles to special tokens."""

    folder: Path
    definition: dict[str, Any]
    names: dict[str, str]


def read_tokenizer_files(folder: Path) -> TokenizerFiles:
    """Reads tokenizer.json, or has transformers convert an older vocabulary.

    Raises :class:`TokenizerFolderError` where there is neither.
    """
    if (folder / DEFINITION_FILE).is_file():
        definition, names = _read_json(folder / DEFINITION_FILE), _named_tokens(folder)
    elif any(any(folder.glob(pattern)) for pattern in _OLDER_VOCABULARIES):
        definition, names = _convert(folder)
    else:
        raise TokenizerFolderError(
            f"{folder} holds no tokenizer: neither {DEFINITION_FILE} nor a vocabulary "
            f"({', '.join(_OLDER_VOCABULARIES)}); save one there with "
            "AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)"
        )
    return TokenizerFiles(folder, definition, names)


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
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TokenizerFolderError(f"{path} is not JSON ({error}); fetch it again") from None
    if not isinstance(content, dict):
        raise TokenizerFolderError(f"{path} does not hold a JSON object; fetch it again")
    return content


def _convert(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    from transformers import AutoTokenizer

    try:
        loaded = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
        definition = json.loads(loaded.backend_tokenizer.to_str())
    except Exception as error:
        raise TokenizerFolderError(
            f"{folder} holds no {DEFINITION_FILE}, and its vocabulary could not be converted "
            f"({type(error).__name__}: {error}); save the tokenizer there as {DEFINITION_FILE}"
        ) from error
    names = {role: getattr(loaded, f"{role}_token", None) for role in _ROLES}
    return definition, {role: str(token) for role, token in names.items() if token}
