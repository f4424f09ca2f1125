"""Files that were damaged by anything: they are read whole, or refused with an error that names them.

Never a traceback of another kind, never an item lost without a word.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xbench.catalogue.registry.reading import read_registry
from xbench.catalogue.registry_files import registry_path
from xbench.data.bitext import read_line_aligned
from xbench.data.conllu import read_conllu
from xbench.data.files import DataError
from xbench.data.iob2 import read_iob2
from xbench.data.labelled_pairs import read_pairs
from xbench.data.tsv import read_sib200, read_tsv
from xbench.engine.cluster.files import DiaryReader, submissions
from xbench.errors import XbenchError
from xbench.spec.request import read_spec
from xbench.store import STATUS, DamagedArtefact, Store
from xbench.store.runs import read_notes, read_record
from xbench_plugins.sources.muse import word_pairs

FEW = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
NASTY = [
    *(b"\t", b"\n", b"\n\n", b"\r", b"\r\n", b'"', b"'", b"#", b" ", b"\x00", b"\x1c", b"\x85"),
    *(b"\xff", b"\xc3", b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\x1f\x8b\x08", b"1-2", b"I-", b"{"),
    *(b"[" * 3000, b": ", b"- ", b"&a [*a]", b"!!python/object:os.system", b"1e999", b"9" * 5000),
]


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    """Bytes turned over, cut out, put in, repeated."""
    content = good
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(content)))
        to = min(len(content), at + draw(st.integers(0, 12)))
        what = draw(st.sampled_from(["put", "cut", "repeat", "turn", "end"]))
        if what == "put":
            content = content[:at] + draw(st.sampled_from(NASTY)) + content[at:]
        elif what == "cut":
            content = content[:at] + content[to:]
        elif what == "repeat":
            content = content[:to] + content[at:]
        elif what == "turn":
            content = content[:at] + draw(st.binary(max_size=3)) + content[to:]
        else:
            content = content[:at]
    return content


def lines_of(content: bytes) -> list[str]:
    """As an editor shows them: parted by line feeds, the last one ended or not."""
    text = content.decode("utf-8").removeprefix("\ufeff")
    parts = text.split("\n")
    return [part.removesuffix("\r") for part in (parts[:-1] if parts[-1] == "" else parts)]


def blocks_of(content: bytes, is_item: Callable[[str], bool]) -> int:
    """How many groups of lines there are, parted by empty ones, with an item in them."""
    groups: list[list[str]] = [[]]
    for line in lines_of(content):
        if line:
            groups[-1].append(line)
        else:
            groups.append([])
    return sum(any(is_item(line) for line in group) for group in groups)


CONLLU = (
    "# sent_id = a\n# text = Das Haus\n1\tDas\t_\tDET\t_\t_\t_\t_\t_\t_\n"
    "2-3\tzum\t_\t_\t_\t_\t_\t_\t_\t_\n2\tHaus\t_\tNOUN\t_\t_\t_\t_\t_\t_\n\n"
    "# sent_id = b\n1\tJa\t_\tINTJ\t_\t_\t_\t_\t_\t_\n\n"
)
IOB2 = "Anton\tB-PER\nist\tO\nda\tO\n\nIn\tO\nBerlin\tB-LOC\n\n"
SIB = 'index_id\tcategory\ttext\n1\ttravel\t"Ein ""Text"", so"\n2\tsports\tZwei\n3\thealth\tDrei\n'
TSV = "id\ttext\tlabel\n1\teins\ta\n2\tzwei\tb\n"
XNLI = "one\ttwo\tentailment\nthree\tfour\tneutral\n"
MUSE = "haus house\nbaum\ttree\n\nkatze cat\n"


def words_in(line: str) -> bool:
    return not line.startswith("#") and line.split("\t")[0].isdigit()


LABELS = {"entailment": "entailment", "neutral": "neutral"}
READERS: dict[str, tuple[str, Callable[[Path], Iterable[Any]], Callable[[bytes], int] | None]] = {
    "conllu": (CONLLU, read_conllu, lambda c: blocks_of(c, words_in)),
    "iob2": (
        IOB2,
        read_iob2,
        lambda c: blocks_of(c, lambda line: not line.startswith("-DOCSTART-")),
    ),
    "sib200": (SIB, read_sib200, lambda c: len(lines_of(c)) - 1),
    "tsv": (TSV, lambda p: read_tsv(p, ["text", "label"]), lambda c: len(lines_of(c)) - 1),
    "dictionary": (MUSE, lambda p: _with_skipped(word_pairs(p)), lambda c: len(lines_of(c))),
    "labelled pairs": (XNLI, lambda p: read_pairs(p, LABELS), lambda c: len(lines_of(c))),
}


def _with_skipped(pairs: Any) -> list[object]:
    found: list[object] = list(pairs)
    return found + [None] * pairs.skipped


@pytest.mark.parametrize(("good", "read", "count"), READERS.values(), ids=READERS.keys())
@FEW
@given(data=st.data())
def test_readers(
    good: str,
    read: Callable[[Path], Iterable[Any]],
    count: Callable[[bytes], int] | None,
    data: st.DataObject,
    tmp_path: Path,
) -> None:
    content = data.draw(damaged(good.encode()))
    path = tmp_path / "file.txt"
    path.write_bytes(content)
    try:
        items = list(read(path))
    except DataError as error:
        assert "file.txt" in str(error)  # noqa: PT017
        return
    if count is not None:
        assert len(items) == count(content)


@FEW
@given(data=st.data())
def test_bitext(data: st.DataObject, tmp_path: Path) -> None:
    contents = [data.draw(damaged(b"eins\nzwei\n\nvier\n")) for _ in range(2)]
    paths = [tmp_path / name for name in ("a.txt", "b.txt")]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    try:
        pairs = read_line_aligned(*paths)
        found = list(pairs)
    except DataError as error:
        assert "a.txt" in str(error) or "b.txt" in str(error)  # noqa: PT017
        return
    assert {len(found) + pairs.skipped} == {len(lines_of(content)) for content in contents}


SPEC = b"suite: mini\nobjective: [hictl:S1W0M1]\ntask: pos\nseed: [1, 2]\nalign: {steps: 5}\n"
OVERLAY = b"models:\n  mine:\n    hub_id: me/mine\n    description: Mine\n"


@FEW
@given(content=damaged(SPEC))
def test_specs(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_bytes(content)
    try:
        read_spec(path)
    except XbenchError as error:
        assert "spec.yaml" in str(error)  # noqa: PT017


@settings(FEW, max_examples=25)
@given(content=damaged(OVERLAY))
def test_registries(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    try:
        read_registry(registry_path(), [path])
    except XbenchError as error:
        assert "mine.yaml" in str(error)  # noqa: PT017


@FEW
@given(data=st.data())
def test_files_of_a_store(data: st.DataObject, tmp_path: Path) -> None:
    """A damaged status or result counts as absent, or is set aside with a word; nothing else happens."""
    store = Store(tmp_path / str(len(list(tmp_path.iterdir()))))
    store.prepare()
    with (
        patch("xbench.store.store.time.time", return_value=1e9),
        store.write("score", "ab" * 32, {}) as entry,
    ):
        entry.result = {"scores": {"accuracy": 0.5}, "n": 3}
    name = data.draw(st.sampled_from([STATUS, "result.json"]))
    path = store.folder("score", "ab" * 32) / name
    good = path.read_bytes()
    content = data.draw(damaged(good))
    path.write_bytes(content)
    try:
        result = store.result("score", "ab" * 32)
    except DamagedArtefact:
        assert content != good
    except XbenchError as error:
        assert "is not in the store" in str(error)  # noqa: PT017
    else:
        assert result == {"scores": {"accuracy": 0.5}, "n": 3}


PLAN = {
    "cells": [{"coordinates": {"task": "pos", "suite": "mini"}, "score": "ab", "evaluate": "cd"}],
    "metrics": {"pos": ["accuracy"]},
}
SUBMISSION = {
    "launcher": "slurm",
    "config": {"partition": "main"},
    "jobs": {"1-0000": {"name": "7_0", "about": "align", "keys": ["ab"]}},
}


@FEW
@given(plan=damaged(json.dumps(PLAN).encode()), notes=damaged(b'["a note"]'))
def test_records_of_runs(plan: bytes, notes: bytes, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(plan)
    (tmp_path / "notes.json").write_bytes(notes)
    try:
        read_record(tmp_path)
    except XbenchError as error:
        assert "plan.json" in str(error)  # noqa: PT017
    read_notes(tmp_path)


@FEW
@given(
    record=damaged(json.dumps(SUBMISSION).encode()),
    events=damaged(b'{"event": "begun"}\n{"event": "done", "key": "ab"}\n{"event": "ended"}\n'),
)
def test_files_of_jobs(record: bytes, events: bytes, tmp_path: Path) -> None:
    folder = tmp_path / "submissions" / "1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "submission.json").write_bytes(record)
    try:
        submissions(tmp_path)
    except XbenchError as error:
        assert "submission.json" in str(error)  # noqa: PT017
    (tmp_path / "events.jsonl").write_bytes(events)
    assert all("event" in event for event in DiaryReader(tmp_path / "events.jsonl").news())
