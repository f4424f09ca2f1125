"""A language: what it is called, how it is written, and where its data lies."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Language:
    """One language of a suite.

    ``code`` is ISO 639-3, with the ISO 15924 script where the script matters (``kas_Deva``).
    ``resources`` maps a data source's name to this language's id there
    (``{"sib200": "deu_Latn"}``); a missing entry means that the source has no such data, and
    ``stand_in`` may say what is used in its place. ``distances`` are those to English, by kind
    (``syntactic``, ``geographic``), from 0 to 1; one that nobody knows is not there. They describe
    results and are part of no key.
    """

    code: str
    name: str
    script: str
    family: str = ""
    word_order: str = ""
    iso639_1: str = ""
    resources: Mapping[str, str] = field(default_factory=dict)
    stand_in: Mapping[str, str] = field(default_factory=dict)
    distances: Mapping[str, float] = field(default_factory=dict)

    def matches(self, typed: str) -> bool:
        """Whether ``typed`` (639-3, 639-1, or a code with its script) means this language."""
        plain = self.code.split("_")[0]
        return typed in {self.code, plain, self.iso639_1, f"{plain}_{self.script}"} - {""}
