"""A limit on test items takes a fixed random sample: the same items of every parallel language."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from xbench.plan.artefacts import PREDICTIONS
from xbench.stages.inputs.examples import sample
from xbench.store import Store

from ..command import compute, request

WANTED = 6
LANGUAGES = ["qac", "qad"]


def ids_by_language(folder: Path, **changes: object) -> dict[str, list[str]]:
    """The ids of the predicted items, evaluation by evaluation."""
    store = Store(folder)
    spec = request(arm=["none"], mode=["linear"], language=LANGUAGES, objective=None, **changes)
    session = compute(spec, store)
    found = {}
    for key in session.plan.of_kind("evaluate"):
        table = pq.read_table(store.folder("evaluate", key) / PREDICTIONS)
        found[session.plan.stages[key].spec.language] = table.column("id").to_pylist()
    return found


@pytest.mark.parametrize("task", ["topic", "sentence_retrieval"])
def test_the_same_items_in_every_language_and_not_the_first(task: str, tmp_path: Path) -> None:
    few = {"options": {"evaluate.max_items": WANTED}}
    whole = ids_by_language(tmp_path / "whole", task=[task], options={"evaluate.max_items": 9999})
    found = ids_by_language(tmp_path / "few", task=[task], **few)
    assert set(found) == set(LANGUAGES)
    assert len({tuple(ids) for ids in found.values()}) == 1
    assert ids_by_language(tmp_path / "again", task=[task], **few) == found
    for code, ids in found.items():
        assert len(set(ids)) == WANTED
        assert ids == [name for name in whole[code] if name in ids]
        assert ids != whole[code][:WANTED]


def test_a_sample_spreads_over_a_sorted_file() -> None:
    """51 of 204, as SIB-200's test file is sorted: seven topics, not one."""
    topics = [number * 7 // 204 for number in range(204)]
    taken = sample(topics, 51)
    assert set(taken) == set(range(7))
    assert taken == sorted(taken)
    assert sample(iter(topics), 51) == taken


@pytest.mark.parametrize("wanted", [None, 3, 99])
def test_no_more_than_there_is(wanted: int | None) -> None:
    assert sample("abc", wanted) == ["a", "b", "c"]
