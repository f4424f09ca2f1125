"""The model hub: what is fetched, at which revision, and what it costs. Safetensors and data only.

Nothing that comes from the hub is executed: no pickle, no loading script, no remote code.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, Literal

from xbench.errors import XbenchError

Kind = Literal["model", "dataset"]
TIMEOUT = 10.0  # seconds for a question; downloads have the library's own limits


class NotHere(XbenchError):
    """Something is not on this machine and could not be fetched."""


@dataclass(frozen=True)
class Wanted:
    """Files of a repository: those that match one of ``patterns`` at ``revision`` (or ``branch``)."""

    repository: str
    kind: Kind
    patterns: tuple[str, ...]
    revision: str | None = None
    branch: str = "main"


@dataclass(frozen=True)
class Cost:
    """The commit that a request resolves to, and its files with their sizes in bytes."""

    revision: str
    files: tuple[tuple[str, int], ...]

    @property
    def bytes(self) -> int:
        """The size of all files."""
        return sum(size for _, size in self.files)


def is_offline(offline: bool) -> bool:
    """Whether the network may not be touched: asked for, or by ``HF_HUB_OFFLINE``."""
    return offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "ON", "YES")


def look_up(wanted: Wanted) -> Cost:
    """Ask the hub what a request means today. Raises :class:`NotHere` with advice."""
    from huggingface_hub import HfApi

    try:
        info: Any = HfApi(endpoint=endpoint()).repo_info(
            wanted.repository,
            repo_type=wanted.kind,
            revision=wanted.revision or wanted.branch,
            files_metadata=True,
            timeout=TIMEOUT,
        )
    except Exception as error:  # the library raises a dozen kinds, some of other libraries
        raise NotHere(explain(wanted, error)) from error
    chosen = [
        (file.rfilename, int(file.size or 0))
        for file in info.siblings or ()
        if any(fnmatch(file.rfilename, pattern) for pattern in wanted.patterns)
    ]
    if not chosen:
        raise NotHere(
            f"The {wanted.kind} {wanted.repository} has no file like {', '.join(wanted.patterns)} at "
            f"{wanted.revision or wanted.branch}. {_advice(wanted)}"
        )
    return Cost(str(info.sha), tuple(sorted(chosen)))


def fetch(wanted: Wanted, offline: bool = False) -> Path:
    """The folder of the files, fetched where they are not here; complete or an error.

    What is here at the revision is used without asking. Interrupted downloads go on where they
    stopped. The folder's name is the commit. Raises :class:`NotHere` with advice.
    """
    from huggingface_hub import snapshot_download

    patterns = list(wanted.patterns)
    options: dict[str, Any] = {"repo_type": wanted.kind, "endpoint": endpoint()}
    revision = wanted.revision or wanted.branch
    try:
        if is_offline(offline):
            return Path(
                snapshot_download(
                    wanted.repository,
                    revision=revision,
                    allow_patterns=patterns,
                    local_files_only=True,
                    **options,
                )
            )
        cost = look_up(wanted)
        # By the branch's name, so that the cache knows what it stands for when there is no network.
        return Path(
            snapshot_download(
                wanted.repository,
                revision=revision,
                allow_patterns=[name for name, _ in cost.files],
                etag_timeout=TIMEOUT,
                **options,
            )
        )
    except NotHere as error:
        folder = cached(wanted)
        if folder is None:
            raise
        # A machine without network runs from what it has fetched before.
        del error
        return folder
    except Exception as error:
        raise NotHere(explain(wanted, error)) from error


def cached(wanted: Wanted) -> Path | None:
    """The folder of an earlier fetch of all that is wanted, without touching the network."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(
                wanted.repository,
                repo_type=wanted.kind,
                revision=wanted.revision or wanted.branch,
                allow_patterns=list(wanted.patterns),
                local_files_only=True,
            )
        )
    except Exception:  # not there, in whatever way the library says it
        return None
    return folder if holds(folder, wanted.patterns) else None


def complete(wanted: Wanted) -> Path | None:
    """As :func:`cached`, but None where another language or split of a data set is still to come.

    Of a model it is enough that some file is there: its patterns are of alternatives.
    """
    folder = cached(wanted)
    if folder is None or wanted.kind == "model":
        return folder
    return folder if all(holds(folder, [pattern]) for pattern in wanted.patterns) else None


def holds(folder: Path, patterns: Iterable[str]) -> bool:
    """Whether some file of the folder matches the patterns."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return any(fnmatch(name, pattern) for name in names for pattern in patterns)


def commit_of(folder: Path) -> str | None:
    """The commit that a fetched folder stands for; None for a folder of another origin."""
    return folder.name if folder.parent.name == "snapshots" else None


def endpoint() -> str:
    """Where the hub is: ``HF_ENDPOINT``, or the public one."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def explain(wanted: Wanted, error: Exception) -> str:
    """One message for whatever the library raised: what was wanted, why not, what to do."""
    name = type(error).__name__
    what = f"The {wanted.kind} {wanted.repository}"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if name == "GatedRepoError" or status in (401, 403):
        return (
            f"{what} is closed to strangers: accept its terms on the hub, then give a token (hf auth "
            f"login, or HF_TOKEN)."
        )
    if name == "RevisionNotFoundError":
        return f"{what} has no revision {wanted.revision or wanted.branch}."
    if name == "RepositoryNotFoundError":
        return f"{what} is not on the hub at {endpoint()} (or is private: give a token, HF_TOKEN)."
    if name == "LocalEntryNotFoundError" or name == "OfflineModeIsEnabled":
        return f"{what} is not on this machine, and this command fetched nothing. {_advice(wanted)}"
    return (
        f"{what} is not here and could not be fetched from the hub at {endpoint()} ({name}). "
        f"{_advice(wanted)}"
    )


def _advice(wanted: Wanted) -> str:
    folder = "--model DIR" if wanted.kind == "model" else "--data DIR"
    return (
        f"Ways out: xbench fetch where there is a network (the files stay in the cache), a local "
        f"folder ({folder}), or a mirror (HF_ENDPOINT)."
    )


def patterns_of(template: str, ids: Sequence[str], splits: Sequence[str]) -> tuple[str, ...]:
    """The files of some languages and splits, from a template with ``{id}`` and ``{split}``."""
    return tuple(
        dict.fromkeys(
            template.replace("{id}", one).replace("{split}", split)
            for one in ids
            for split in splits
        )
    )
