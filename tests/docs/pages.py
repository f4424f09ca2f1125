"""The project's documents, and the fenced blocks in them.

The word after a block's language says what it needs: ``sh data``, ``sh hub``, ``sh slurm``,
``sh ray``, ``yaml registry``,
``text files``, and in the guides ``sh guide``, ``text said``, ``python file``; CONTRIBUTING.md
explains them. ``{toctree}`` and its like are for Sphinx.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "reports/README.md",
    "benchmarks/README.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")),
]
FENCE = re.compile(r"^```(\w*|\{[\w-]+\})(?: (\w+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, what it needs, and what is in it."""

    document: str
    language: str
    needs: str
    text: str


def read(document: str) -> str:
    """The text of a document."""
    return (ROOT / document).read_text(encoding="utf-8")


def blocks_of(document: str) -> list[Block]:
    """All blocks of one document."""
    return [Block(document, *found.groups(default="")) for found in FENCE.finditer(read(document))]


def blocks(language: str, needs: str = "", *documents: str) -> list[Block]:
    """The blocks of some documents (of all, if none is named) with this language and need."""
    found = [block for document in documents or DOCUMENTS for block in blocks_of(document)]
    return [block for block in found if (block.language, block.needs) == (language, needs)]


def commands(needs: str, *documents: str) -> list[str]:
    """The lines of all shell blocks with this need, without what follows a ``#``."""
    return list(dict.fromkeys(_lines(blocks("sh", needs, *documents))))


def _lines(found: list[Block]) -> Iterator[str]:
    for block in found:
        for line in block.text.replace("\\\n", " ").splitlines():
            yield line.partition(" #")[0].strip()


def sections(document: str) -> dict[str, str]:
    """The parts of a document below headings of the third level, by heading."""
    _, *parts = re.split(r"^### ", read(document), flags=re.MULTILINE)
    split = (re.split(r"^## ", part, flags=re.MULTILINE)[0].partition("\n") for part in parts)
    return {heading: text for heading, _, text in split}
