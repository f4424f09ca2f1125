"""A clone language: the source language with some knobs turned."""

from dataclasses import dataclass
from typing import Any

from xbench.api import Language
from xbench_plugins.clones.scripts import SCRIPTS

WORD_ORDERS = ("SVO", "SOV", "VSO", "inverted")


@dataclass(frozen=True)
class CloneLanguage(Language):
    """A language derived from the source language by knobs; all neutral, it is the source.

    A new one is a few lines::

        QAK = CloneLanguage(
            "qak", "Clone K", script="Grek", word_order="SOV",
            shared_vocabulary=0.4, agglutination=0.5,
        )

    shared_vocabulary: share of stems, within each class of words, kept in common with the source.
    script: ISO 15924 code; a shared stem in another script is the same word in other symbols.
    word_order: SVO (the source's), SOV, VSO, or inverted (the source's, back to front).
    agglutination: share of adpositions, auxiliaries, determiners and negations that are suffixes.
    noise: share of words that are misspelt by one letter.

    A stem that is not shared comes from a lexicon of the language's own, decided by ``code``.
    The design follows K et al. 2020 (arXiv 1912.07840) and Dufter & Schütze 2020
    (arXiv 2005.00396), who clone English.

    Raises ``ValueError`` naming the knob that is out of range.
    """

    script: str = "Latn"
    word_order: str = "SVO"
    shared_vocabulary: float = 1.0
    agglutination: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for knob in ("shared_vocabulary", "agglutination", "noise"):
            value = getattr(self, knob)
            if not 0 <= value <= 1:
                raise ValueError(f"clone language {self.code}: {knob} is {value}, not in [0, 1]")
        if self.script not in SCRIPTS:
            raise ValueError(f"clone language {self.code}: script {self.script} not in {SCRIPTS}")
        if self.word_order not in WORD_ORDERS:
            raise ValueError(
                f"clone language {self.code}: word order {self.word_order} not in {WORD_ORDERS}"
            )

    def knobs(self) -> dict[str, Any]:
        """Everything that decides how the language looks, JSON-able."""
        return {
            "code": self.code,
            "script": self.script,
            "word_order": self.word_order,
            "shared_vocabulary": float(self.shared_vocabulary),
            "agglutination": float(self.agglutination),
            "noise": float(self.noise),
        }
