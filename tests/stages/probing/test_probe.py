"""Probes of checkpoints in runs: when they are computed, on which sentences, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from xbench.catalogue.catalogue import Catalogue
from xbench.data.overlap import digest
from xbench.nn.encoders.loading import load_encoder
from xbench.stages.probing.probe_text import ProbedText
from xbench.stages.resources import Resources
from xbench.store import Entry, Store

from ...command import compute, kinds, plan_of
from .asking import asked, probe_stage, rows_of


def test_a_run_probes_every_encoder_once_and_never_again(store: Store) -> None:
    session = compute(asked("look", "steep"), store)
    assert kinds(session)["probe"] == 4  # two probes, untouched and aligned
    for row in rows_of(session, store, "look"):
        if row["metric"] == "mean":
            assert row["value"] == pytest.approx(sum(row["items"]) / len(row["items"]), abs=1e-6)
            assert row["n"] == 20
        else:
            assert (row["value"], row["reason"]) == (None, "nobody knows")
    assert kinds(compute(asked("look", "steep"), store)) == {}
    assert kinds(compute(asked("look", "steep", options={"probing.sentences": 19}), store)) == {
        "probe": 4
    }


def test_a_probe_changes_no_other_key_and_only_its_own_settings_change_its_own() -> None:
    def keys(**changes: Any) -> dict[str, set[str]]:
        plan = plan_of(asked(*changes.pop("probes", ()), **changes))
        return {kind: set(plan.of_kind(kind)) for kind in ("align", "finetune", "score", "probe")}

    without, one, both = keys(), keys(probes=["look"]), keys(probes=["look", "steep"])
    for kind in ("align", "finetune", "score"):
        assert without[kind] == one[kind] == both[kind]
    assert one["probe"] < both["probe"]
    deeper = keys(probes=["look", "steep"], options={"probe.look.depths": [1.0]})
    assert len(both["probe"] & deeper["probe"]) == 2  # those of steep
    more = keys(probes=["look", "steep"], options={"probing.gradient_batches": 6})
    assert more["probe"] & one["probe"] == one["probe"]  # it takes no gradients
    assert len(more["probe"] & both["probe"]) == 2


def test_rows_stand_in_the_results_table(store: Store) -> None:
    from xbench.report.run.stored import StoredRun
    from xbench.store.runs import record_run

    session = compute(asked("look", arm=["none"]), store)
    frame = StoredRun(record_run(session.plan, store)).rows
    probed = frame[frame["probe"] == "look"]
    assert set(probed["metric"]) == {"mean", "undefined"}
    undefined = probed[probed["metric"] == "undefined"].iloc[0]
    assert (undefined["status"], undefined["reason"]) == ("unavailable", "nobody knows")
    assert probed["task"].isna().all()
    assert set(probed["arm"]) == {"none"}


def test_what_is_no_number_is_refused_and_costs_nothing_else(store: Store) -> None:
    session = compute(asked("look", "broken", arm=["none"]), store)
    stage = probe_stage(session, "broken")
    assert "a measure that is undefined is None" in str(store.error("probe", stage.key))
    assert rows_of(session, store, "look")


def test_sentences_of_the_training_data_are_left_out(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from xbench_plugins.clones.sources import CloneBitext

    request_ = asked("look", arm=["none"], mode=["full"], probe_at=["finetuned"])
    session = compute(request_, store)
    stage = probe_stage(session, "look")
    assert stage.parents == (stage.spec.finetune,)
    resources = Resources(store, Catalogue.installed())
    (where,), split = stage.places.seen, stage.spec.seen[0].split
    language = Catalogue.installed().languages.get("qaa")
    known = [" ".join(s.words) for s in resources.source_at(where).read([language], split)][:3]
    plain = CloneBitext.read

    def leaked(self: CloneBitext, languages: Any, split: str) -> Any:
        from dataclasses import replace

        for number, pair in enumerate(plain(self, languages, split)):
            yield replace(pair, source=known[number]) if number < 3 else pair

    monkeypatch.setattr(CloneBitext, "read", leaked)
    text = ProbedText(stage, Resources(store, Catalogue.installed()))
    long_enough = [t for t in known if digest(t) is not None]
    assert text.excluded == len(long_enough) > 0
    assert not set(long_enough) & set(text.sentences("qaa").values())


def test_before_and_after_fine_tuning_are_of_the_same_sentences() -> None:
    """Retrieval among fewer sentences is easier: a pool of another size would pass for a change."""
    tasks = {"task": ["pos", "topic"], "mode": ["full"]}
    both = plan_of(asked("look", probe_at=["encoder", "finetuned"], **tasks))
    seen = [
        (
            cell.coordinates["arm"],
            cell.coordinates.get("task"),
            both.stages[cell.probe].spec.seen,
        )
        for cell in both.cells
        if cell.probe
    ]
    assert {place[:2] for place in seen} == {
        (arm, task) for arm in ("none", "aligned") for task in (None, "pos", "topic")
    }
    assert all(left_out == seen[0][2] for _, _, left_out in seen)
    sources = [data.source.name for data in seen[0][2]]
    assert sources == ["clone-treebank", "clone-topics"]
    assert {data.split for data in seen[0][2]} == {"train"}
    alone = plan_of(asked("look", **tasks))
    assert not any(getattr(stage.spec, "seen", None) for stage in alone.stages.values())


def test_weights_that_are_no_numbers_are_refused(store: Store, tmp_path: Path) -> None:
    from xbench.stages import probe

    session = compute(asked("look", arm=["none"]), store)
    stage = probe_stage(session, "look")
    resources = Resources(store, Catalogue.installed())
    encoder = load_encoder(resources.encoder_folder(stage))
    with torch.no_grad():
        next(iter(encoder.parameters())).fill_(float("nan"))
    resources.keep(("encoder", resources.encoder_folder(stage)), lambda: encoder)
    with pytest.raises(ValueError, match="not finite"):
        probe.run(stage, resources, Entry(tmp_path))
