"""Files as people really have them: other names, other words, other white space."""

from pathlib import Path
from typing import Any

import pytest

from xbench.api import Language, Source
from xbench.data.files import DataError, read_lines
from xbench.data.iob2 import read_iob2
from xbench_plugins.sources.bitext import Bitext
from xbench_plugins.sources.kaznerd import KazNerd
from xbench_plugins.sources.muse import Muse, word_pairs
from xbench_plugins.sources.opus import Opus
from xbench_plugins.sources.parallel_sentences import Tatoeba
from xbench_plugins.sources.sib200 import Sib200
from xbench_plugins.sources.universal_dependencies import UniversalDependencies
from xbench_plugins.sources.wikiann import WikiAnn
from xbench_plugins.sources.xnli import Xnli

IDS = dict.fromkeys(("wikiann", "xnli", "muse", "kaznerd"), "de")
GERMAN = Language(
    "deu",
    "German",
    "Latn",
    iso639_1="de",
    resources={**IDS, "universal-dependencies": "UD_German-HDT", "sib200": "deu", "tatoeba": "deu"},
)
ENGLISH = Language(
    "eng", "English", "Latn", iso639_1="en", resources={"muse": "en", "tatoeba": "eng"}
)


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


def words(source: Source, split: str = "train") -> list[str]:
    return [word for sentence in source.read([GERMAN], split) for word in sentence.words]


def conllu(word: str) -> str:
    return f"1\t{word}\t_\tNOUN" + "\t_" * 6 + "\n\n"


class TestTreebanks:
    def test_a_split_in_several_files_is_read_in_the_order_of_names(self, tmp_path: Path) -> None:
        for part in ("b-1", "a-2", "a-1"):
            name = f"ud/UD_German-HDT/de_hdt-ud-train-{part}.conllu"
            write(tmp_path, name, conllu(part))
        source = UniversalDependencies(tmp_path)
        assert words(source) == ["a-1", "a-2", "b-1"]
        files = [file["name"] for file in source.fingerprint([GERMAN], "train")["files"]]
        assert [name[-10:-7] for name in files] == ["a-1", "a-2", "b-1"]

    def test_a_whole_split_and_its_parts_are_refused(self, tmp_path: Path) -> None:
        for part in ("train", "train-a-1"):
            write(tmp_path, f"ud/UD_German-HDT/de_hdt-ud-{part}.conllu", conllu("x"))
        with pytest.raises(DataError, match="holds the train split more than once"):
            words(UniversalDependencies(tmp_path))

    def test_all_malformed_rows_are_listed_and_none_twice(self, tmp_path: Path) -> None:
        rows = "1\ta\t_\tNOUN" + "\t_" * 6 + "\n2\tb\t_\tWHAT" + "\t_" * 6 + "\n"
        rows += "3\tc\t_\tNOUN" + "\t_" * 6 + "\n\n" + "1\td\n\n"
        write(tmp_path, "ud/UD_German-HDT/de_hdt-ud-train.conllu", rows)
        with pytest.raises(DataError) as caught:
            words(UniversalDependencies(tmp_path))
        _, *lines = str(caught.value).splitlines()
        assert [line.split(":")[0] for line in lines] == ["  line 2", "  line 5"]


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        (UniversalDependencies, "ud/UD_German-HDT/{}de_hdt-ud-train.conllu", conllu("x")),
        (WikiAnn, "extra/panx/{}train-de.first10.tsv", "x\tO\n"),
        (Sib200, "sib200/deu/{}train.tsv", "index_id\tcategory\ttext\n1\ttravel\tx\n"),
    ],
)
@pytest.mark.parametrize("hidden", ["._", ".", ".~lock."])
def test_hidden_files_are_never_data(
    hidden: str, kind: type[Source], name: str, text: str, tmp_path: Path
) -> None:
    source = kind(tmp_path)
    write(tmp_path, name.format(""), text)
    before = source.fingerprint([GERMAN], "train")
    write(tmp_path, name.format(hidden), "\0\5 left by a system")
    assert source.fingerprint([GERMAN], "train") == before
    assert len(list(source.read([GERMAN], "train"))) == 1


def test_nor_are_they_corpora(tmp_path: Path) -> None:
    for side in ("de", "en"):
        write(tmp_path, f"parallel/opus/GNOME.de-en.{side}", "x\n")
        write(tmp_path, f"parallel/opus/._GNOME.de-en.{side}", "\0\n\0\n")
    found = list(Opus(tmp_path).read([GERMAN, ENGLISH], "train"))
    assert [pair.id for pair in found] == ["GNOME:1"]


class TestCarriageReturns:
    def test_a_file_of_an_old_macintosh_is_refused_with_its_path(self, tmp_path: Path) -> None:
        path = write(tmp_path, "x.tsv", "a\tb\rc\td\re\tf\r")
        with pytest.raises(DataError, match=r"x\.tsv:1: a carriage return.*tr"):
            list(read_lines(path))

    def test_that_of_a_windows_file_is_no_fault(self, tmp_path: Path) -> None:
        assert list(read_lines(write(tmp_path, "x.tsv", "a\r\nb\r\n"))) == ["a", "b"]


class TestWikiAnn:
    RAW = "de:Anton\tB-PER\nde:in\tO\nde:Ulm\tB-LOC\n\nde::\tO\n\n"

    def test_a_language_before_every_word_is_taken_off_and_told(self, tmp_path: Path) -> None:
        write(tmp_path, "extra/panx/test-de.tsv", self.RAW)
        source = WikiAnn(tmp_path)
        assert words(source, "test") == ["Anton", "in", "Ulm", ":"]
        (note,) = source.notes([GERMAN], "test")
        assert note == "test-de.tsv: every word begins with 'de:', which was taken off"

    @pytest.mark.parametrize(
        "text",
        [
            "de:Anton\tB-PER\nin\tO\n",  # not every word
            "de:Anton\tB-PER\nen:in\tO\n",  # not the same
            "de:\tO\nde:\tO\n",  # nothing would be left
            "http://a\tO\n\nin\tO\n",
        ],
    )
    def test_otherwise_words_stay(self, text: str, tmp_path: Path) -> None:
        write(tmp_path, "extra/panx/test-de.tsv", text)
        source = WikiAnn(tmp_path)
        assert words(source, "test") == [line.split("\t")[0] for line in text.split("\n") if line]
        assert source.notes([GERMAN], "test") == []

    def test_document_lines_are_no_sentences(self, tmp_path: Path) -> None:
        path = write(
            tmp_path, "x.txt", "-DOCSTART- -X- O O\n\nAda B-PER\n\n-DOCSTART- O\n\nist O\n"
        )
        assert [s.words for s in read_iob2(path, " ")] == [("Ada",), ("ist",)]
        assert [s.id for s in read_iob2(path, " ")] == ["1", "2"]

    def test_a_header_is_suspected(self, tmp_path: Path) -> None:
        path = write(tmp_path, "x.tsv", "word\ttag\nAda\tB-PER\n")
        with pytest.raises(
            DataError, match=r"x\.tsv:1:.*if the first line is a header, take it out"
        ):
            list(read_iob2(path))


class TestLabels:
    def test_a_type_that_the_task_lacks_can_be_read_as_o(self, tmp_path: Path) -> None:
        text = "Oskar\tB-MISC\nPreis\tI-MISC\nin\tO\nUlm\tB-GPE\n"
        write(tmp_path, "extra/panx/test-de.tsv", text)
        source = WikiAnn(tmp_path, labels={"MISC": "O", "GPE": "LOC"})
        (sentence,) = source.read([GERMAN], "test")
        assert sentence.tags == ("O", "O", "O", "B-LOC")

    def test_labels_of_texts_and_pairs(self, tmp_path: Path) -> None:
        write(tmp_path, "sib200/deu/test.tsv", "index_id\tcategory\ttext\n1\tjourneys\tx\n")
        (text,) = Sib200(tmp_path, labels={"journeys": "travel"}).read([GERMAN], "test")
        assert text.label == "travel"
        write(tmp_path, "extra/xnli/test-de.tsv", "a\tb\tcontradictory\nc\td\tja\n")
        first, second = Xnli(tmp_path, labels={"ja": "entailment"}).read([GERMAN], "test")
        assert (first.label, second.label) == ("contradiction", "entailment")

    def test_they_are_part_of_the_data_only_where_they_are_set(self, tmp_path: Path) -> None:
        write(tmp_path, "extra/panx/test-de.tsv", "x\tO\n")
        plain = WikiAnn(tmp_path).fingerprint([GERMAN], "test")
        assert "labels" not in plain["options"]
        mapped = WikiAnn(tmp_path, labels={"MISC": "O"}).fingerprint([GERMAN], "test")
        assert mapped["options"]["labels"] == {"MISC": "O"}

    def test_kaznerd_has_the_option_too(self, tmp_path: Path) -> None:
        write(tmp_path, "extra/kaznerd/IOB2_test.txt", "x B-PERSON\n")
        (sentence,) = KazNerd(tmp_path, labels={"PER": "O"}).read([GERMAN], "test")
        assert sentence.tags == ("O",)


class TestDictionaries:
    def test_a_tab_parts_where_there_is_one_else_a_space(self, tmp_path: Path) -> None:
        nbsp, wide = "\u00a0", "\u3000"
        lines = [
            "Haus house",
            "Baum\ttree",
            f"New{nbsp}York York",
            f"a{wide}b\tc",
            "x  y",
            "Öl oil ",
        ]
        found = word_pairs(write(tmp_path, "x.txt", "\n".join(lines) + "\n"))
        assert [(pair.source, pair.target) for pair in found] == [
            ("Haus", "house"),
            ("Baum", "tree"),
            (f"New{nbsp}York", "York"),
            (f"a{wide}b", "c"),
            ("x", "y"),
            ("Öl", "oil"),
        ]

    def test_blank_and_many_worded_entries_are_left_out_and_counted(self, tmp_path: Path) -> None:
        text = "Haus house\n\n   \nim Haus\tinside\nBaum a tree\nallein\nOhr ear\n"
        found = word_pairs(write(tmp_path, "x.txt", text))
        assert [pair.id for pair in found] == ["1", "7"]
        assert found.skipped == 5

    def test_muse_reads_them_so(self, tmp_path: Path) -> None:
        write(tmp_path, "muse/de-en.0-5000.txt", "Haus house\n\nBaum\ttree\n")
        found: Any = Muse(tmp_path).read([GERMAN, ENGLISH], "train")
        assert [pair.target for pair in found] == ["house", "tree"]
        assert found.skipped == 1


class TestParallelText:
    def test_what_is_blank_is_counted_in_training(self, tmp_path: Path) -> None:
        write(tmp_path, "parallel/pairs/de-en.tsv", "de\ten\na\tb\n\tb\nc\t \n")
        write(tmp_path, "parallel/opus/X.de-en.de", "a\n\n")
        write(tmp_path, "parallel/opus/X.de-en.en", "b\nc\n")
        for source, skipped in ((Bitext(tmp_path), 2), (Opus(tmp_path), 1)):
            found: Any = source.read([GERMAN, ENGLISH], "train")
            assert len(list(found)) == 1
            assert found.skipped == skipped

    def test_and_refused_in_a_test_set(self, tmp_path: Path) -> None:
        write(tmp_path, "tatoeba/v1/tatoeba.deu-eng.deu", "a\n\nc\n")
        write(tmp_path, "tatoeba/v1/tatoeba.deu-eng.eng", "a\nb\nc\n")
        with pytest.raises(DataError, match=r"tatoeba\.deu-eng\.deu:2: no text"):
            list(Tatoeba(tmp_path).read([GERMAN, ENGLISH], "test"))


def test_a_file_that_has_changed_is_looked_at_again(tmp_path: Path) -> None:
    """Its prefix is not remembered from before: words would keep it, or lose letters."""
    path = write(tmp_path, "x.tsv", "de:Anton\tB-PER\n")
    assert [s.words for s in read_iob2(path)] == [("Anton",)]
    write(tmp_path, "x.tsv", "de:Anton\tB-PER\n\nUlm\tB-LOC\n")
    assert [s.words for s in read_iob2(path)] == [("de:Anton",), ("Ulm",)]
