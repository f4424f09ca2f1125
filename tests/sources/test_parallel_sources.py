"""Parallel test sets and OPUS files: small folders of our own, and the real ones where they are."""

import gzip
import os
from pathlib import Path

import pytest

from xbench.api import Language, MissingData
from xbench.catalogue.discovery import discovery
from xbench.catalogue.languages import Languages
from xbench.catalogue.registry import load_registry
from xbench_plugins.sources.opus import Opus
from xbench_plugins.sources.parallel_sentences import Flores200, Ntrex128, Tatoeba

LANGUAGES = Languages(load_registry(), discovery)
DEU, ENG, KAZ, ZHO, KAS = (LANGUAGES.get(code) for code in ("deu", "eng", "kaz", "zho", "kas_Deva"))


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{line}\n" for line in lines)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    flores, ntrex = tmp_path / "flores200" / "devtest", tmp_path / "ntrex128"
    write(flores / "deu_Latn.devtest", "eins", "zwei")
    write(flores / "eng_Latn.devtest.gz", "one", "two")
    write(ntrex / "newstest2019-src.eng.txt", "one", "two")
    write(ntrex / "newstest2019-ref.deu.txt", "eins\r", "zwei\r")
    write(tmp_path / "tatoeba" / "v1" / "tatoeba.deu-eng.deu", "drei")
    write(tmp_path / "tatoeba" / "v1" / "tatoeba.deu-eng.eng", "three")
    opus = tmp_path / "parallel" / "opus"
    write(opus / "GNOME.de-en.de", "Datei")
    write(opus / "GNOME.de-en.en", "File")
    write(opus / "Books.de-en.de.gz", "Buch", "Band")
    write(opus / "Books.de-en.en.gz", "Book", "Volume")
    write(opus / "README", "nothing")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Flores200, [("eins", "one"), ("zwei", "two")]),
        (Ntrex128, [("eins", "one"), ("zwei", "two")]),
        (Tatoeba, [("drei", "three")]),
    ],
)
def test_pairs_are_read_in_the_order_asked_for(source: type, expected: list, place: Path) -> None:
    pairs = [(p.source, p.target) for p in source(place).read([DEU, ENG], "test")]
    assert pairs == expected
    turned = [(p.target, p.source) for p in source(place).read([ENG, DEU], "test")]
    assert turned == expected


def test_opus_reads_all_corpora_of_a_pair_by_name_or_those_chosen(place: Path) -> None:
    pairs = [(p.id, p.source, p.target) for p in Opus(place).read([ENG, DEU], "train")]
    assert pairs == [
        ("Books:1", "Book", "Buch"),
        ("Books:2", "Volume", "Band"),
        ("GNOME:1", "File", "Datei"),
    ]
    chosen = Opus(place, corpora=["GNOME"]).read([DEU, ENG], "train")
    assert [p.source for p in chosen] == ["Datei"]
    assert Opus(place).fingerprint([DEU, ENG], "train") != Opus(
        place, corpora=["GNOME"]
    ).fingerprint([DEU, ENG], "train")


@pytest.mark.parametrize(
    ("source", "languages", "split", "part"),
    [
        (Flores200, [KAZ, ENG], "test", "kaz_Cyrl.devtest"),
        (Flores200, [DEU, ENG], "train", "no train split"),
        (Tatoeba, [DEU, KAZ], "test", "with English only"),
        (Tatoeba, [KAS, ENG], "test", "no id there"),
        (Opus, [KAZ, ENG], "train", "no corpus for kk-en"),
        (Opus, [DEU, ENG], "test", "training only"),
    ],
)
def test_gaps_say_what_and_where(
    source: type, languages: list[Language], split: str, part: str, place: Path
) -> None:
    with pytest.raises(MissingData, match=part):
        source(place).fingerprint(languages, split)


def test_a_corpus_that_is_not_there_is_named(place: Path) -> None:
    with pytest.raises(MissingData, match="Europarl"):
        Opus(place, corpora=["Europarl"]).fingerprint([DEU, ENG], "train")


def test_what_stands_in_is_said() -> None:
    from xbench_plugins.sources.folder import FolderSource

    class Muse(FolderSource):
        name = "muse"

    with pytest.raises(MissingData, match="in its place stands apertium"):
        Muse(Path()).resource(KAZ)


@pytest.mark.skipif(
    "XBENCH_DATA" not in os.environ,
    reason="set XBENCH_DATA to a folder of real data, laid out as docs/data.md says",
)
@pytest.mark.parametrize(
    ("source", "first", "second", "count"),
    [
        (Flores200, DEU, KAS, 1012),
        (Ntrex128, KAZ, ENG, 1997),
        (Tatoeba, KAZ, ENG, 575),
        (Tatoeba, ZHO, ENG, 1000),
    ],
)
def test_the_real_ones_are_whole(
    source: type, first: Language, second: Language, count: int
) -> None:
    pairs = list(source(Path(os.environ["XBENCH_DATA"])).read([first, second], "test"))
    assert len(pairs) == count
    assert all(pair.source and pair.target for pair in pairs)
