"""Alphabets: a stem is transliterated symbol by symbol, so nothing is lost or merged."""

from xbench_plugins.clones.lexicon import CONSONANTS, VOWELS

_LETTERS = {
    "Latn": "bdfghjklmnprstvzaeiou",
    "Cyrl": "бдфгхйклмнпрствзаеиоу",
    "Grek": "βδφγχψκλμνπρστξζαεηοω",
    "Armn": "բդֆգհջկլմնպրստվզաեիոը",
    "Geor": "ბდფგჰჯკლმნპრსტვზაეიოუ",
    "Tfng": "ⴱⴷⴼⴳⵀⵊⴽⵍⵎⵏⵒⵔⵙⵜⵠⵣⴰⴻⵉⵓⵄ",
    "Glag": "ⰱⰴⱇⰳⱈⰼⰽⰾⰿⱀⱂⱃⱄⱅⰲⰸⰰⰵⰻⱁⱆ",
}
SCRIPTS = tuple(_LETTERS)
"""ISO 15924 codes of the scripts a clone language can be written in."""

_TABLES = {
    script: str.maketrans(CONSONANTS + VOWELS, letters) for script, letters in _LETTERS.items()
}


def letters(script: str) -> str:
    """The symbols that a script uses."""
    return _LETTERS[script]


def transliterate(stem: str, script: str) -> str:
    """``stem``, given in the source's Latin letters, in the symbols of ``script``."""
    return stem.translate(_TABLES[script])
