"""WikiANN, MasakhaNER, KazNERD, XNLI and PAWS-X: layouts, the hub's tables, missing files, cuts."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbench.api import LabelledPair, Language, MissingData, TaggedSentence
from xbench.catalogue.registry import load_registry, registry_path
from xbench_plugins.sources.cut import Cut
from xbench_plugins.sources.kaznerd import KazNerd
from xbench_plugins.sources.masakhaner2 import MasakhaNer2
from xbench_plugins.sources.pawsx import PawsX
from xbench_plugins.sources.split_files import SplitFiles
from xbench_plugins.sources.wikiann import WikiAnn
from xbench_plugins.sources.xnli import Xnli

from .. import real

NAMES = ("wikiann", "xnli", "pawsx", "masakhaner2", "kaznerd")
GERMAN = Language("deu", "German", "Latn", resources=dict.fromkeys(NAMES, "de"))
ENGLISH = Language("eng", "English", "Latn", resources=dict.fromkeys(NAMES, "en"))
KASHMIRI = Language("kas_Deva", "Kashmiri", "Deva")
ADA = TaggedSentence(("Ada", "1815"), ("B-PER", "O"), "1")
INFERENCE = LabelledPair("Es regnet.", "Es ist nass.", "neutral", "1")
SAME = LabelledPair("Es regnet.", "Regen fällt.", "paraphrase", "1")
XNLI_ROW = "Es regnet.\tEs ist nass.\tneutral\n"
CASES: list[tuple[type[SplitFiles], str, str, Any]] = [
    (WikiAnn, "extra/panx/dev-de.tsv", "Ada\tB-PER\n1815\tO\n", ADA),
    (WikiAnn, "extra/panx/dev-de.first1000.tsv", "Ada\tB-PER\n1815\tO\n", ADA),
    (MasakhaNer2, "extra/masakhaner2/de.dev.txt", "Ada B-PER\n1815 B-DATE\n", ADA),
    (KazNerd, "extra/kaznerd/IOB2_valid.txt", "Ada B-PERSON\n1815 B-DATE\n", ADA),
    (Xnli, "extra/xnli/dev-de.tsv", XNLI_ROW, INFERENCE),
    (PawsX, "extra/pawsx/dev-de.tsv", "Es regnet.\tRegen fällt.\t1\n", SAME),
]
PARTS = {"train": 0.6, "dev": 0.1, "test": 0.3}


def write(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize(("kind", "name", "text", "record"), CASES)
def test_a_folder(
    tmp_path: Path, kind: type[SplitFiles], name: str, text: str, record: Any
) -> None:
    write(tmp_path, name, text)
    assert list(kind(tmp_path).read([GERMAN], "dev")) == [record]
    content = kind(tmp_path).fingerprint([GERMAN], "dev")
    assert json.loads(json.dumps(content)) == content
    assert [file["name"] for file in content["files"]] == [name]
    write(tmp_path, name, text * 2)
    assert kind(tmp_path).fingerprint([GERMAN], "dev") != content


@pytest.mark.parametrize(("kind", "name", "text", "record"), CASES)
@pytest.mark.parametrize("method", ["read", "fingerprint"])
def test_a_missing_split_says_what_is_there_and_what_to_do(
    tmp_path: Path, kind: type[SplitFiles], name: str, text: str, record: Any, method: str
) -> None:
    path = write(tmp_path, name, text)
    with pytest.raises(MissingData) as caught:
        getattr(kind(tmp_path), method)([GERMAN], "train")
    said = str(caught.value)
    assert f"{kind.name} has no train split for German" in said
    assert f"(there: {path.name})" in said
    assert "option cut" in said
    assert ("hub" in said) == kind.reads_hub
    with pytest.raises(MissingData, match="no data for Kashmiri"):
        getattr(kind(tmp_path), method)([KASHMIRI], "dev")


HUB_ROWS: list[tuple[type[SplitFiles], dict[str, Any], list[str] | None, Any]] = [
    (WikiAnn, {"tokens": ["Ada", "1815"], "ner_tags": [1, 0]}, ["O", "B-PER"], ADA),
    (Xnli, {"premise": "Es regnet.", "hypothesis": "Es ist nass.", "label": 1}, None, INFERENCE),
    (PawsX, {"id": 9, "sentence1": SAME.text, "sentence2": SAME.second, "label": 1}, None, SAME),
]


@pytest.mark.parametrize(("kind", "row", "names", "record"), HUB_ROWS)
def test_the_hubs_tables(
    tmp_path: Path, kind: type[SplitFiles], row: Any, names: list[str] | None, record: Any
) -> None:
    table = pa.Table.from_pylist([row])
    if names:
        features = {"ner_tags": {"feature": {"names": names}}}
        notes = json.dumps({"info": {"features": features}})
        table = table.replace_schema_metadata({"huggingface": notes})
    path = tmp_path / "de" / "validation-00000-of-00001.parquet"
    path.parent.mkdir()
    pq.write_table(table, path)
    source = kind(tmp_path)
    source.hub_files = load_registry(registry_path()).datasets[kind.name].files
    assert list(source.read([GERMAN], "dev")) == [record]
    with pytest.raises(MissingData, match="no train split for German among the files fetched"):
        source.read([GERMAN], "train")
    cut = kind(tmp_path, cut={"dev": PARTS})
    cut.hub_files = source.hub_files
    with pytest.raises(ValueError, match="leave it out"):
        cut.read([GERMAN], "train")


def test_two_files_for_one_split_are_refused(tmp_path: Path) -> None:
    for name in ("dev-de.tsv", "dev-de.first1000.tsv"):
        write(tmp_path, f"extra/panx/{name}", "Ada\tB-PER\n")
    with pytest.raises(ValueError, match="more than one file"):
        WikiAnn(tmp_path).read([GERMAN], "dev")


def test_a_cut_keeps_parallel_rows_and_rows_with_one_premise_together(tmp_path: Path) -> None:
    for code in ("de", "en"):
        rows = (f"{code} {n // 3}\t{code} {n}\tneutral\n" for n in range(1200))
        write(tmp_path, f"extra/xnli/dev-{code}.tsv", "".join(rows))
    source = Xnli(tmp_path, cut={"dev": PARTS})
    found = {split: list(source.read([GERMAN], split)) for split in PARTS}
    assert sorted(int(each.id) for part in found.values() for each in part) == [*range(1, 1201)]
    premises = [{each.text for each in part} for part in found.values()]
    assert sum(map(len, premises)) == len(set().union(*premises)) == 400
    for split, share in PARTS.items():
        assert len(found[split]) == pytest.approx(1200 * share, abs=120)
        english = source.read([ENGLISH], split)
        assert [each.id for each in english] == [each.id for each in found[split]]
    prints = [source.fingerprint([GERMAN], split) for split in PARTS]
    prints.append(Xnli(tmp_path, cut={"dev": {"test": 0.3}}).fingerprint([GERMAN], "test"))
    prints.append(Xnli(tmp_path).fingerprint([GERMAN], "dev"))
    assert len({json.dumps(each, sort_keys=True) for each in prints}) == len(prints)


def test_splits_that_are_not_cut_are_read_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, "extra/panx/train-en.tsv", "Ada\tB-PER\n\n" * 9)
    write(tmp_path, "extra/panx/dev-en.tsv", "Ada\tB-PER\n\n" * 50)
    source = WikiAnn(tmp_path, cut={"dev": {"dev": 0.3, "test": 0.7}})
    sizes = {split: len(list(source.read([ENGLISH], split))) for split in PARTS}
    assert sizes["train"] == 9
    assert sizes["dev"] + sizes["test"] == 50
    assert 0 < sizes["dev"] < sizes["test"]


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ({"dev": {"train": 0.8, "test": 0.3}}, "not more than 1 in all"),
        ({"dev": {"train": 0}}, "give a share"),
        ({"dev": {"train": "most"}}, "give a share"),
        ({"dev": {}}, "give a share"),
        ({"dev": 0.5}, "give a share"),
        ({"dev": {"train": 0.5}, "test": {"train": 0.5}}, "train would come from more than one"),
    ],
)
def test_what_is_no_cut_is_refused(shares: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Xnli(Path(), cut=shares)


def test_a_file_that_is_cut_up_is_not_read_whole() -> None:
    with pytest.raises(MissingData, match="leaves no dev"):
        Cut({"dev": {"train": 0.7, "test": 0.3}}).file_of("dev")


@given(st.integers(0, 10**9), st.floats(0.01, 0.99))
def test_a_larger_share_holds_the_smaller(group: int, share: float) -> None:
    small, large = Cut({"dev": {"train": share}}), Cut({"dev": {"train": min(1.0, share + 0.1)}})
    assert small.part("dev", group) in (None, "train")
    if small.part("dev", group) == "train":
        assert large.part("dev", group) == "train"


def test_parts_have_their_shares() -> None:
    cut = Cut({"dev": PARTS})
    parts = [cut.part("dev", group) for group in range(20000)]
    for split, share in PARTS.items():
        assert parts.count(split) / 20000 == pytest.approx(share, abs=0.01)


def test_real_data() -> None:
    place = real.folder("XBENCH_DATA")
    entries = load_registry(registry_path()).languages
    languages = {c: Language(c, **e.model_dump()) for c, e in entries.items()}

    def count(source: SplitFiles, code: str, split: str) -> int:
        return sum(1 for _ in source.read([languages[code]], split))

    assert count(WikiAnn(place), "eng", "train") == 20000
    assert count(WikiAnn(place), "kaz", "dev") == 1000
    assert count(MasakhaNer2(place), "yor", "test") == 1964
    assert count(KazNerd(place), "kaz", "dev") == 11167
    assert count(Xnli(place), "swh", "dev") == 2490
    assert count(PawsX(place), "kor", "dev") == 2000
    cut = Xnli(place, cut={"dev": PARTS})
    sizes = {sum(count(cut, code, split) for split in PARTS) for code in ("eng", "hin", "zho")}
    assert sizes == {2490}
