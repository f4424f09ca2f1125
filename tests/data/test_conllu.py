import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xbench.api import TaggedSentence
from xbench.data.conllu import UPOS, read_conllu
from xbench.data.files import DataError

# (treebank, split): sentences, words; as counted by the keepers of the files
PUBLISHED = {
    ("UD_English-EWT", "train"): (12544, 204577),
    ("UD_English-EWT", "dev"): (2001, 25147),
    ("UD_English-EWT", "test"): (2077, 25094),
    ("UD_German-GSD", "test"): (977, 16499),
    ("UD_Kazakh-KTB", "train"): (31, 529),
    ("UD_Kazakh-KTB", "test"): (1047, 10007),
    ("UD_Korean-GSD", "test"): (989, 11677),
    ("UD_Japanese-GSD", "test"): (543, 13034),
    ("UD_Hindi-PUD", "test"): (1000, 23829),
    ("UD_Chinese-GSD", "test"): (500, 12010),
    ("UD_Chinese-GSDSimp", "test"): (500, 12012),
    ("UD_Spanish-GSD", "test"): (427, 12002),
    ("UD_Russian-GSD", "test"): (601, 11385),
    ("UD_Lithuanian-ALKSNIS", "test"): (684, 10846),
    ("UD_French-GSD", "test"): (416, 10018),
    ("UD_Bulgarian-BTB", "test"): (1116, 15724),
    ("UD_Hebrew-HTB", "test"): (491, 12282),
    ("UD_Turkish-IMST", "test"): (1100, 10032),
    ("UD_Finnish-TDT", "test"): (1555, 21070),
    ("UD_Arabic-PUD", "test"): (1000, 20747),
    ("UD_Yoruba-YTB", "test"): (317, 8243),
    ("UD_Tamil-TTB", "test"): (120, 1989),
}


def row(word_id: str, form: str, tag: str) -> str:
    return "\t".join([word_id, form, "_", tag, *["_"] * 6])


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8", newline="")
    return path


def slow_reader(path: Path) -> list[TaggedSentence]:
    """The whole text at once, block by block, without any check."""
    text = gzip.decompress(path.read_bytes()).decode("utf-8")
    sentences = []
    for block in text.split("\n\n")[:-1]:
        lines = [line for line in block.split("\n") if line]
        ids = [line[len("# sent_id = ") :] for line in lines if line.startswith("# sent_id = ")]
        rows = [line.split("\t") for line in lines if not line.startswith("#")]
        words = [cells for cells in rows if "-" not in cells[0] and "." not in cells[0]]
        sentences.append(
            TaggedSentence(
                tuple(cells[1] for cells in words), tuple(cells[3] for cells in words), ids[0]
            )
        )
    return sentences


def test_real_treebanks(real_data: Path) -> None:
    for (treebank, split), published in PUBLISHED.items():
        (path,) = (real_data / "ud" / treebank).glob(f"*-ud-{split}.conllu.gz")
        sentences = list(read_conllu(path))
        counts = len(sentences), sum(len(sentence.words) for sentence in sentences)
        assert counts == published, (treebank, split)
        assert sentences == slow_reader(path), (treebank, split)
        assert len({sentence.id for sentence in sentences}) == len(sentences), treebank


def test_only_syntactic_words_are_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.conllu",
        "# sent_id = s1",
        "# text = vámonos al mar",
        row("1-2", "vámonos", "_"),
        row("1", "vamos", "VERB"),
        row("2", "nos", "PRON"),
        row("3-4", "al", "_"),
        row("3", "a", "ADP"),
        row("4", "el", "DET"),
        row("4.1", "gran", "ADJ"),
        row("5", "mar abierto", "NOUN"),
        "",
        row("1", "Sí", "INTJ"),
    )
    assert list(read_conllu(path)) == [
        TaggedSentence(
            ("vamos", "nos", "a", "el", "mar abierto"),
            ("VERB", "PRON", "ADP", "DET", "NOUN"),
            "s1",
        ),
        TaggedSentence(("Sí",), ("INTJ",), ""),
    ]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("2\tb\t_\tNOUN", "4 columns instead of 10"),
        (row("3", "b", "NOUN"), "word id '3' where 2 comes next"),
        (row("1", "b", "NOUN"), "word id '1' where 2 comes next"),
        (row("two", "b", "NOUN"), "word id 'two' where 2"),
        (row("²", "b", "NOUN"), "word id '²' where 2"),
        (row("2", "", "NOUN"), "word 2 has no form"),
        (row("2", "b", "_"), "'_' .* is not a universal part of speech"),
        (row("2", "b", "NN"), "'NN' .* is not a universal part of speech"),
    ],
)
def test_malformed_rows_name_file_and_line(tmp_path: Path, bad: str, problem: str) -> None:
    path = write(tmp_path / "x.conllu", "# sent_id = s1", row("1", "a", "NOUN"), bad, "")
    with pytest.raises(DataError, match=rf"x\.conllu:3: {problem}"):
        list(read_conllu(path))


FORMS = st.text(st.characters(codec="utf-8", exclude_characters="\t\n\r"), min_size=1, max_size=8)
SENTENCES = st.lists(
    st.lists(st.tuples(FORMS, st.sampled_from(UPOS)), min_size=1, max_size=6), max_size=5
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sentences=SENTENCES, extra=st.booleans(), line_end=st.sampled_from(["\n", "\r\n"]))
def test_reads_back_what_was_written(tmp_path: Path, sentences, extra: bool, line_end: str) -> None:
    lines = []
    for number, sentence in enumerate(sentences):
        lines.append(f"# sent_id = {number}")
        for position, (form, tag) in enumerate(sentence, start=1):
            if extra:
                lines.append(row(f"{position}-{position + 1}", "fused", "_"))
            lines.append(row(str(position), form, tag))
            if extra:
                lines.append(row(f"{position}.1", "elided", "_"))
        lines.append("")
    path = tmp_path / "x.conllu"
    path.write_bytes("".join(line + line_end for line in lines).encode("utf-8"))
    assert list(read_conllu(path)) == [
        TaggedSentence(tuple(f for f, _ in sentence), tuple(t for _, t in sentence), str(number))
        for number, sentence in enumerate(sentences)
    ]
