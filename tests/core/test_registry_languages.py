"""The registry's languages: codes, ids that the data sets really have, distances to English."""

from collections import Counter
from importlib.util import find_spec

import pytest

from xbench.catalogue.registry import load_registry, registry_path
from xbench_plugins.languages.typology import DISTANCES, GLOTTOCODES, to_english

from .. import real

REGISTRY = load_registry(registry_path())
LANGUAGES = REGISTRY.languages
# Data sets that a folder holds in part only: what is there must be listed, not the other way round.
LISTED = {
    "sib200": ("sib200/{id}", "sib200/*_*"),
    "flores200": ("flores200/devtest/{id}.devtest.gz", "flores200/devtest/*"),
    "ntrex128": ("ntrex128/newstest2019-*.{id}.txt.gz", "ntrex128/newstest*"),
    "universal-dependencies": ("ud/{id}", "ud/*"),
    "wikiann": ("extra/panx/dev-{id}.first1000.tsv.gz", "extra/panx/dev-*"),
    "xnli": ("extra/xnli/dev-{id}.tsv.gz", "extra/xnli/*"),
    "pawsx": ("extra/pawsx/dev-{id}.tsv.gz", "extra/pawsx/*"),
    "muse": ("muse/{id}-en.0-5000.txt.gz", "muse/??-en.0-5000.txt.gz"),
}
COMPLETE = ("sib200", "flores200")


def plain(code: str) -> str:
    return code.split("_")[0]


def test_there_are_39_with_sib200_and_flores() -> None:
    assert len(LANGUAGES) == 39
    for code, entry in LANGUAGES.items():
        assert entry.resources["sib200"] == entry.resources["flores200"]
        # est and zho are macrolanguages in SIB-200 as well.
        assert entry.resources["sib200"] == f"{plain(code)}_{entry.script}"
        assert entry.family
        assert entry.word_order in ("SVO", "SOV", "VSO", "no dominant order")
        assert len(entry.iso639_1) == 2


def test_two_scripts_of_a_language_are_two_codes_that_name_the_second() -> None:
    several = {plain(c) for c, n in Counter(map(plain, LANGUAGES)).items() if n > 1}
    assert several == {"kas", "zho"}
    assert {c for c in LANGUAGES if plain(c) in several} == {
        *("kas_Deva", "kas_Arab"),
        *("zho", "zho_Hant"),
    }


@pytest.mark.parametrize("data_set", sorted(REGISTRY.datasets))
def test_an_id_is_given_to_one_language_only(data_set: str) -> None:
    given = [entry.resources.get(data_set) for entry in LANGUAGES.values()]
    assert max(Counter(filter(None, given)).values(), default=1) == 1


def test_distances_to_english() -> None:
    for code, entry in LANGUAGES.items():
        assert {"genetic", "geographic"} <= set(entry.distances) <= set(DISTANCES), code
        assert all(0 <= value <= 1 for value in entry.distances.values())
        if code != "eng":
            # Unrelated in the family tree, and only then, is as far away as can be.
            related = entry.family.startswith("Indo-European")
            assert (entry.distances["genetic"] < 1) == related, code
    assert set(LANGUAGES["eng"].distances.values()) == {0.0}
    genetic = {code: entry.distances["genetic"] for code, entry in LANGUAGES.items()}
    assert sorted(genetic, key=genetic.__getitem__)[:2] == ["eng", "deu"]
    assert {plain(code) for code in LANGUAGES} == set(GLOTTOCODES)


def test_distances_are_those_of_uriel_plus() -> None:
    if find_spec("urielplus") is None:
        pytest.skip("urielplus is not installed: pip install urielplus==1.3.2")
    some = {code: GLOTTOCODES[code] for code in ("deu", "kaz", "jpn")}
    for code, distances in to_english(some):
        assert LANGUAGES[code].distances == distances


@pytest.mark.parametrize("data_set", sorted(LISTED))
def test_what_a_folder_holds_is_listed(data_set: str) -> None:
    place = real.folder("XBENCH_DATA")
    template, everything = LISTED[data_set]
    there = set(place.glob(everything))
    ids = [e.resources[data_set] for e in LANGUAGES.values() if data_set in e.resources]
    reached = {path for one in ids for path in place.glob(template.replace("{id}", one))}
    assert reached == there
    if data_set in COMPLETE:
        assert len(ids) == len(there)


def test_tatoeba_ids_are_there() -> None:
    folder = real.folder("XBENCH_DATA") / "tatoeba" / "v1"
    ids = {e.resources["tatoeba"] for e in LANGUAGES.values() if "tatoeba" in e.resources}
    assert all((folder / f"tatoeba.{one}-eng.{one}.gz").is_file() for one in ids - {"eng"})
