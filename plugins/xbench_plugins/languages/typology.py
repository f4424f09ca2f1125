"""Distances of the registry's languages to English, as URIEL+ gives them.

``python -m xbench_plugins.languages.typology`` prints the lines that registry.yaml holds; it needs
``pip install urielplus==1.3.2``, which nothing else does. Source: Khan et al. 2025 (URIEL+, COLING,
https://aclanthology.org/2025.coling-main.463), data under CC BY-SA 4.0. Each is the angle between
two vectors of features, from 0 (equal) to 1 (nothing in common).
"""

import logging
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

VERSION = "1.3.2"
DATABASES = ("UPDATED_SAPHON", "BDPROTO", "GRAMBANK", "GLOTTOLOG")
"""All that URIEL+ knows but two collections that describe Englishes and creoles only."""

PREFIXES = {"syntactic": "S_", "phonological": "P_", "inventory": "INV_", "morphological": "M_"}
DISTANCES = ("genetic", "geographic", *PREFIXES)

FEWEST_FEATURES = 10
"""A distance that rests on fewer features known of both languages is left out (Kazakh syntax: 9)."""

ENGLISH = "stan1293"
GLOTTOCODES = {
    "amh": "amha1245", "arb": "stan1318", "azj": "nort2697", "ben": "beng1280",
    "bul": "bulg1262", "deu": "stan1295", "ell": "mode1248", "eng": "stan1293",
    "est": "esto1258", "fin": "finn1318", "fra": "stan1290", "heb": "hebr1245",
    "hin": "hind1269", "hun": "hung1274", "ind": "indo1316", "jpn": "nucl1643",
    "kas": "kash1277", "kat": "nucl1302", "kaz": "kaza1248", "kir": "kirg1245",
    "kor": "kore1280", "lit": "lith1251", "mya": "nucl1310", "pes": "west2369",
    "quy": "ayac1239", "rus": "russ1263", "spa": "stan1288", "swh": "swah1253",
    "tam": "tami1289", "tat": "tata1255", "tha": "thai1261", "tur": "nucl1301",
    "urd": "urdu1245", "uzn": "nort2690", "vie": "viet1252", "yor": "yoru1245",
    "zho": "mand1415",
}  # fmt: skip
"""ISO 639-3 to Glottolog, with the standard variety of the macrolanguages ``est`` and ``zho``."""


def to_english(codes: Mapping[str, str]) -> Iterator[tuple[str, dict[str, float]]]:
    """(code, its distances by kind) for ``codes``, a mapping of ISO 639-3 to Glottolog.

    Raises ``ImportError`` where ``urielplus`` is not installed.
    """
    database = import_module("urielplus.urielplus").URIELPlus()
    logging.disable(logging.INFO)
    database.integrate_custom_databases(*DATABASES)
    for code, glottocode in codes.items():
        kinds = [kind for kind in DISTANCES if _is_known(database, kind, glottocode)]
        found = {kind: database.new_distance(kind, ENGLISH, glottocode) for kind in kinds}
        yield code, {kind: round(float(distance), 4) for kind, distance in found.items()}


def _is_known(database: Any, kind: str, glottocode: str) -> bool:
    if kind not in PREFIXES:
        return True
    english, other = (_features(database, kind, code) for code in (ENGLISH, glottocode))
    return len(english & other) >= FEWEST_FEATURES


def _features(database: Any, kind: str, glottocode: str) -> set[int]:
    """The places of the features of a kind that some collection knows of a language."""
    row = list(database.langs[1]).index(glottocode)
    return {
        place
        for place, name in enumerate(database.feats[1])
        if name.startswith(PREFIXES[kind]) and (database.data[1][row][place] != -1).any()
    }


def main() -> None:
    """Print one line of YAML for each language."""
    for code, distances in to_english(GLOTTOCODES):
        values = ", ".join(f"{kind}: {value}" for kind, value in distances.items())
        print(f"  {code}: {{{values}}}")


if __name__ == "__main__":
    main()
