"""Figures of an earlier report: taken again where what they are drawn from has not changed."""

import importlib.metadata
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from xbench import __version__
from xbench.files import dump_json, parse_json, write_atomic
from xbench.report.figures.gallery import Gallery, Picture
from xbench.report.figures.material import Lacking, Material

INDEX = "figures.json"


def gallery_key(material: Material) -> str:
    """What the figures of a material depend on: the material, the code that draws, matplotlib.

    Raises ``TypeError`` where the material holds something that cannot be told from others.
    """
    digest = sha256(_code())
    for part in _parts(material):
        digest.update(part.encode("utf-8"))
        digest.update(b"\0")
    return digest.hexdigest()


def read_gallery(folder: Path, key: str, formats: Collection[str]) -> Gallery | None:
    """The figures in a folder, if they are those of the key, in all ``formats``, and undamaged."""
    try:
        index = parse_json((folder / INDEX).read_text(encoding="utf-8"))
        if index["key"] != key:
            return None
        pictures = tuple(_read(folder, each, formats) for each in index["pictures"])
        lacking = tuple(Lacking(**each) for each in index["lacking"])
    except (OSError, ValueError, KeyError, TypeError):  # not there, or not what was written
        return None
    return Gallery(pictures, lacking)


def write_gallery(folder: Path, key: str, gallery: Gallery, formats: Collection[str]) -> None:
    """Write the figures, and last the index that says whose they are."""
    folder.mkdir(parents=True, exist_ok=True)
    gallery.write(folder, formats)
    pictures = [
        {
            "name": picture.name,
            "title": picture.title,
            "caption": picture.caption,
            "files": {suffix: sha256(data).hexdigest() for suffix, data in picture.files.items()},
        }
        for picture in gallery.pictures
    ]
    lacking = [asdict(each) for each in gallery.lacking]
    index = {"key": key, "pictures": pictures, "lacking": lacking}
    write_atomic(folder / INDEX, dump_json(index))


def _read(folder: Path, entry: Mapping[str, object], formats: Collection[str]) -> Picture:
    """Raises ``KeyError`` for a format that is not there, ``ValueError`` for another content."""
    name, files = str(entry["name"]), entry["files"]
    assert isinstance(files, dict)
    found = {}
    for suffix in formats:
        content = (folder / f"{name}.{suffix}").read_bytes()
        if sha256(content).hexdigest() != files[suffix]:
            raise ValueError(f"{name}.{suffix} is not what was drawn")
        found[suffix] = content
    return Picture(name, str(entry["title"]), str(entry["caption"]), found)


@cache
def _code() -> bytes:
    """Of everything in the report that can change a picture."""
    digest = sha256(f"{__version__} {importlib.metadata.version('matplotlib')}".encode())
    for path in sorted(Path(__file__).parent.parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.digest()


def _parts(value: object) -> Iterator[str]:
    """A value as a sequence of strings: another value gives another sequence."""
    if isinstance(value, str | int | float | bool | None):
        yield repr(value)
    elif is_dataclass(value) and not isinstance(value, type):
        yield type(value).__name__
        for field in fields(value):
            yield field.name
            yield from _parts(getattr(value, field.name))
    elif isinstance(value, Mapping):
        yield f"mapping of {len(value)}"
        for key, content in value.items():  # in its order: rows and columns follow it
            yield from _parts(key)
            yield from _parts(content)
    elif isinstance(value, Set):
        yield f"set of {len(value)}"
        yield from sorted("\1".join(_parts(each)) for each in value)
    elif isinstance(value, Sequence):
        yield f"sequence of {len(value)}"
        for each in value:
            yield from _parts(each)
    else:
        raise TypeError(f"{type(value).__name__} is nothing that a figure can be kept by")
