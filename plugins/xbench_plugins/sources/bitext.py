"""Parallel text in local files: a table for each pair, or two line-aligned files."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from xbench.api import Language, MissingData
from xbench.data.bitext import read_columns, read_line_aligned
from xbench.data.files import DataError, find, read_lines
from xbench_plugins.sources.folder import FolderSource


class Bitext(FolderSource):
    """Sentence pairs of two languages, from a table of columns or two line-aligned files.

    Reads whichever of these is there:

    - ``FOLDER/de-en.tsv``, with columns named ``de`` and ``en`` among others;
    - ``FOLDER/de-en.de`` and ``FOLDER/de-en.en``, line by line (as OPUS gives them).

    Languages may be named in ISO 639-1 or 639-3, or as their ``bitext`` resource says, and in
    either order; the first language asked for is always ``source``.

    Options: ``folder`` below the place; ``stem``, the name in place of the pair's, where ``{pair}``
    and ``{split}`` are filled in (without ``{split}`` there is only ``train``); ``minimum``, the
    least number in a column (``{"en_words": 4}``; tables only).
    """

    name = "bitext"
    languages_per_read = 2
    defaults = {"folder": "parallel/pairs", "stem": "{pair}", "minimum": {}}

    def files(self, root: Path, languages: Sequence[Language], split: str) -> list[Path]:
        folder = root / self.options["folder"]
        stem = self.options["stem"]
        asked = f"{languages[0].code}-{languages[1].code}"
        if split != "train" and "{split}" not in stem:
            raise MissingData(
                f"the {asked} bitext in {folder} is not divided: it has train only, not {split}; "
                "set the option stem to a name with {split} if yours is"
            )
        tried = []
        for first, second in product(*map(_names, languages)):
            if first == second:  # two scripts of a language share their short names
                continue
            for pair in (f"{first}-{second}", f"{second}-{first}"):
                name = stem.replace("{pair}", pair).replace("{split}", split)
                table = find(folder, f"{name}.tsv")
                sides = [find(folder, f"{name}.{side}") for side in (first, second)]
                if table:
                    return [table]
                if sides[0] and sides[1]:
                    return [sides[0], sides[1]]
                tried.append(name)
        raise MissingData(
            f"no parallel text for {asked}: {folder} holds neither NAME.tsv nor the two files "
            f"NAME.X and NAME.Y (plain or .gz) for NAME = {' or '.join(dict.fromkeys(tried))}; "
            "put them there, or set the options folder and stem"
        )

    def records(self, files: Sequence[Path], languages: Sequence[Language]) -> Iterator[Any]:
        minimum = self.options["minimum"]
        if len(files) == 1:
            source, target = _columns(files[0], languages)
            return read_columns(files[0], source, target, minimum)
        if minimum:
            raise ValueError(
                f"the option minimum needs a table with the columns {', '.join(minimum)}, "
                f"but {files[0]} is plain text"
            )
        return read_line_aligned(*files)


def _names(language: Language) -> list[str]:
    """How files and columns may call a language, the likeliest first."""
    given = language.resources.get(Bitext.name, "")
    names = (given, language.iso639_1, language.code, language.code.split("_")[0])
    return [name for name in dict.fromkeys(names) if name]


def _columns(path: Path, languages: Sequence[Language]) -> list[str]:
    header = next(read_lines(path), "").split("\t")
    columns = [name for language in languages for name in _names(language) if name in header]
    if len(set(columns)) != len(languages) or len(columns) != len(languages):
        wanted = " and ".join("/".join(_names(language)) for language in languages)
        raise DataError.at(
            path, 1, f"the header {header} does not name one column each for {wanted}"
        )
    return columns
