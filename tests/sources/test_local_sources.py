import gzip
import json
import os
from pathlib import Path

import pytest

from xbench.api import LabelledText, Language, MissingData, ParallelText, Source, TaggedSentence
from xbench.data.files import DataError
from xbench_plugins.sources.bitext import Bitext
from xbench_plugins.sources.sib200 import Sib200
from xbench_plugins.sources.universal_dependencies import UniversalDependencies

from .. import real


def language(code: str, iso639_1: str = "", **resources: str) -> Language:
    ids = {name.replace("_", "-"): value for name, value in resources.items()}
    return Language(code, f"Name of {code}", "Latn", iso639_1=iso639_1, resources=ids)


GERMAN = language("deu", "de", universal_dependencies="UD_German-GSD", sib200="deu_Latn")
ENGLISH = language("eng", "en", universal_dependencies="UD_English-EWT", sib200="eng_Latn")
KASHMIRI = language("kas_Deva", "ks", sib200="kas_Deva")
CONLLU = "# sent_id = 1\n1\tJa\tja\tINTJ\t_\t_\t_\t_\t_\t_\n\n"
SIB = "index_id\tcategory\ttext\n7\ttravel\tAb nach Rom!\n"
TABLE = "source\ten_words\tde\ten\nweb\t1\teins\tone\nweb\t9\tzwei\ttwo\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    write(tmp_path, "ud/UD_German-GSD/de_gsd-ud-test.conllu", CONLLU)
    write(tmp_path, "sib200/deu_Latn/test.tsv", SIB)
    write(tmp_path, "parallel/pairs/de-en.tsv", TABLE)
    write(tmp_path, "parallel/opus/eng-deu.eng", "one\ntwo\n")
    write(tmp_path, "parallel/opus/eng-deu.deu", "eins\nzwei\n")
    return tmp_path


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


def pack(path: Path) -> None:
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def test_treebank(place: Path) -> None:
    source = UniversalDependencies(place)
    assert list(source.read([GERMAN], "test")) == [TaggedSentence(("Ja",), ("INTJ",), "1")]


def test_topics(place: Path) -> None:
    assert list(Sib200(place).read([GERMAN], "test")) == [
        LabelledText("Ab nach Rom!", "travel", "7")
    ]


@pytest.mark.parametrize("options", [{}, {"folder": "parallel/opus"}])
def test_pairs_in_either_order(place: Path, options) -> None:
    source = Bitext(place, **options)
    german_first = [(pair.source, pair.target) for pair in source.read([GERMAN, ENGLISH], "train")]
    english_first = [(pair.source, pair.target) for pair in source.read([ENGLISH, GERMAN], "train")]
    assert german_first == [("eins", "one"), ("zwei", "two")]
    assert english_first == [("one", "eins"), ("two", "zwei")]


def test_pair_files_may_be_named_by_split(place: Path) -> None:
    for split, text in (("train", "eins\n"), ("dev", "zwei\n")):
        write(place, f"parallel/flat/{split}.de", text)
        write(place, f"parallel/flat/{split}.en", text.upper())
    source = Bitext(place, folder="parallel/flat", stem="{split}")
    assert list(source.read([ENGLISH, GERMAN], "dev")) == [ParallelText("ZWEI", "zwei", "1")]
    with pytest.raises(MissingData, match="test"):
        source.read([ENGLISH, GERMAN], "test")


def test_pairs_may_use_a_name_of_their_own_for_a_language(place: Path) -> None:
    write(place, "parallel/pairs/cmn-de.tsv", "cmn\tde\n一\teins\n")
    mandarin = language("zho", "zh", bitext="cmn")
    assert list(Bitext(place).read([GERMAN, mandarin], "train")) == [
        ParallelText("eins", "一", "2")
    ]


def test_two_scripts_of_a_language_are_not_paired_with_themselves(place: Path) -> None:
    write(place, "parallel/pairs/ks-ks.tsv", "ks\tkas_Arab\nx\ty\n")
    write(place, "parallel/pairs/kas_Arab-kas_Deva.tsv", "kas_Deva\tkas_Arab\na\tb\n")
    arabic = language("kas_Arab", "ks")
    assert list(Bitext(place).read([arabic, KASHMIRI], "train")) == [ParallelText("b", "a", "2")]


def test_minimum_drops_short_rows(place: Path) -> None:
    source = Bitext(place, minimum={"en_words": 2})
    assert [pair.source for pair in source.read([GERMAN, ENGLISH], "train")] == ["zwei"]
    plain = Bitext(place, folder="parallel/opus", minimum={"en_words": 2})
    with pytest.raises(ValueError, match="minimum needs a table"):
        plain.read([GERMAN, ENGLISH], "train")


def test_a_table_that_does_not_name_the_languages(place: Path) -> None:
    write(place, "parallel/pairs/de-en.tsv", "a\tb\n1\t2\n")
    with pytest.raises(DataError, match="does not name one column each for de/deu and en/eng"):
        Bitext(place).read([GERMAN, ENGLISH], "train")


SOURCES = [
    (UniversalDependencies, [GERMAN], "test", "ud/UD_German-GSD/de_gsd-ud-test.conllu"),
    (Sib200, [GERMAN], "test", "sib200/deu_Latn/test.tsv"),
    (Bitext, [GERMAN, ENGLISH], "train", "parallel/pairs/de-en.tsv"),
]


@pytest.mark.parametrize(("kind", "languages", "split", "name"), SOURCES)
def test_fingerprint_follows_content_and_nothing_else(
    place: Path,
    tmp_path_factory: pytest.TempPathFactory,
    kind: type[Source],
    languages,
    split,
    name,
) -> None:
    before = kind(place).fingerprint(languages, split)
    assert json.loads(json.dumps(before)) == before
    assert str(place) not in json.dumps(before)
    assert [file["name"] for file in before["files"]] == [name]
    moved = tmp_path_factory.mktemp("elsewhere") / "data"
    os.rename(place, moved)
    pack(moved / name)
    assert kind(moved).fingerprint(languages, split) == before
    write(moved, name, (gzip.decompress((moved / f"{name}.gz").read_bytes()) + b"\n").decode())
    assert kind(moved).fingerprint(languages, split) != before


def test_pair_fingerprint_follows_direction_and_options(place: Path) -> None:
    prints = [
        Bitext(place).fingerprint([GERMAN, ENGLISH], "train"),
        Bitext(place).fingerprint([ENGLISH, GERMAN], "train"),
        Bitext(place, minimum={"en_words": 2}).fingerprint([GERMAN, ENGLISH], "train"),
        Bitext(place, folder="parallel/opus").fingerprint([GERMAN, ENGLISH], "train"),
    ]
    assert len({json.dumps(found, sort_keys=True) for found in prints}) == 4


@pytest.mark.parametrize("method", ["read", "fingerprint"])
@pytest.mark.parametrize(
    ("kind", "languages", "split", "said"),
    [
        (
            UniversalDependencies,
            [GERMAN],
            "train",
            r"no train split.*there: de_gsd-ud-test\.conllu",
        ),
        (UniversalDependencies, [ENGLISH], "test", r"UD_English-EWT.*there: nothing"),
        (UniversalDependencies, [KASHMIRI], "test", "no data for Name of kas_Deva"),
        (Sib200, [GERMAN], "dev", r"no dev split.*dev\.tsv\.gz in .*deu_Latn"),
        (Sib200, [KASHMIRI], "test", "no test split"),
        (Bitext, [GERMAN, ENGLISH], "dev", "it has train only, not dev"),
        (Bitext, [KASHMIRI, ENGLISH], "train", "no parallel text for kas_Deva-eng.*ks-en or en-ks"),
    ],
)
def test_missing_data_says_what_and_where(
    place: Path, method: str, kind: type[Source], languages, split: str, said: str
) -> None:
    with pytest.raises(MissingData, match=said):
        getattr(kind(place), method)(languages, split)


@pytest.mark.parametrize("kind", [UniversalDependencies, Sib200, Bitext])
def test_no_place_no_data_and_no_unknown_options(kind: type[Source]) -> None:
    with pytest.raises(MissingData, match="--data DIR"):
        kind(None).read([GERMAN, ENGLISH], "test")
    with pytest.raises(ValueError, match="has no option colour"):
        kind(Path(), colour="blue")


def test_wrong_number_of_languages(place: Path) -> None:
    with pytest.raises(ValueError, match="reads 1 language"):
        Sib200(place).read([GERMAN, ENGLISH], "test")
    with pytest.raises(ValueError, match="reads 2 language"):
        Bitext(place).read([GERMAN], "train")


def test_real_data() -> None:
    place = real.folder("XBENCH_DATA")
    assert sum(1 for _ in UniversalDependencies(place).read([GERMAN], "test")) == 977
    assert sum(1 for _ in Sib200(place).read([KASHMIRI], "train")) == 701
    assert sum(1 for _ in Bitext(place).read([ENGLISH, GERMAN], "train")) == 9979
    tatoeba = Bitext(place, folder="tatoeba/v1", stem="tatoeba.{pair}")
    assert sum(1 for _ in tatoeba.read([language("kaz"), ENGLISH], "train")) == 575
