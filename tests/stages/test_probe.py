"""Probes of checkpoints: the text, the states and the gradients that they see."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F

from xbench.api import MissingData
from xbench.catalogue.catalogue import Catalogue
from xbench.cli.session import Session
from xbench.data.overlap import digest
from xbench.data.tokenizer import Tokenizer
from xbench.data.words import owners, word_spans
from xbench.engine.job import JobRunner
from xbench.nn.encoders.loading import load_encoder
from xbench.nn.text import Text, pad
from xbench.nn.text_view import TextView
from xbench.plan import Stage
from xbench.plan.artefacts import ROWS
from xbench.stages.inputs.encoding import Encoding, find_entries
from xbench.stages.probing.gradients import EncoderGradients
from xbench.stages.probing.probe_text import ProbedText
from xbench.stages.probing.probe_view import CheckpointView
from xbench.stages.resources import Resources
from xbench.store import Entry, Store

from ..command import compute, kinds, plan_of, request

PROBES = '''
import torch
from dataclasses import dataclass
from xbench.api import Probe, Row


class Look(Probe):
    """The mean of pooled vectors at half depth."""

    @dataclass(frozen=True)
    class Config:
        depths: tuple[float, ...] = (0.5,)

    def measure(self, view):
        for language in view.languages:
            vectors = view.pooled(language, self.config.depths[0])
            yield Row("mean", float(vectors.mean()), language, view.layer(0.5), len(vectors),
                      items=vectors.mean(1))
        yield Row("undefined", None, reason="nobody knows")


class Steep(Probe):
    """The norm of the task's gradient."""

    needs = frozenset({"gradients", "dictionary"})

    def measure(self, view):
        gradient = view.gradients.of_task(view.source, 0, 2)
        yield Row("norm", float(sum(g.square().sum() for g in gradient.values())))
        first, second = view.words(("qab", "qaa"), 1.0)
        yield Row("words", float((first - second).norm()), "qab-qaa", n=len(first))


class Broken(Probe):
    """Not a number."""

    def measure(self, view):
        yield Row("nan", float("nan"))
'''
Install = Callable[..., Path]


@pytest.fixture(autouse=True)
def probes(install: Install) -> None:
    names = {"look": "looks:Look", "steep": "looks:Steep", "broken": "looks:Broken"}
    install("looks", {"probes": names}, {"looks.py": PROBES})


def asked(*probes: str, **changes: Any) -> Any:
    """A request of probes on the untouched and one aligned encoder."""
    options = {"probing.sentences": 20, "probing.gradient_batches": 4} | changes.pop("options", {})
    options["probing.gradient_batch_size"] = 4
    given = {"mode": ["linear"], "language": ["qab", "qac"], **changes}
    return request(probe=list(probes), options=options, **given)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def rows_of(session: Session, store: Store, name: str) -> list[dict[str, Any]]:
    """The rows of a probe of the untouched encoder."""
    (cell,) = [
        cell
        for cell in session.plan.cells
        if cell.coordinates.get("probe") == name and cell.coordinates["arm"] == "none"
    ]
    assert cell.probe is not None
    rows: list[dict[str, Any]] = pq.read_table(store.file("probe", cell.probe, ROWS)).to_pylist()
    return rows


def probe_stage(session: Session, name: str, arm: str = "none") -> Stage:
    return next(
        session.plan.stages[cell.probe]
        for cell in session.plan.cells
        if cell.probe and cell.coordinates["probe"] == name and cell.coordinates["arm"] == arm
    )


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


# --- what a probe sees ------------------------------------------------------------------------------


@pytest.fixture
def view(store: Store) -> CheckpointView:
    session = compute(asked("steep", arm=["none"]), store)
    return view_of(session, store)


def view_of(session: Session, store: Store, name: str = "steep") -> CheckpointView:
    stage = probe_stage(session, name)
    resources = Resources(store, Catalogue.installed())
    encoder = resources.encoder(stage).eval()
    text = ProbedText(stage, resources)
    head = session.plan.stages.get(stage.spec.head)
    from xbench.stages import finetune

    tuned = finetune.load(head, resources) if head else None
    gradients = EncoderGradients(stage, resources, encoder, text, tuned)
    return CheckpointView(stage, resources, encoder, text, gradients)


def slowly(view: CheckpointView, text: str, depth: float) -> torch.Tensor:
    """One sentence at a time, without views, batches or packing."""
    tokenizer = Tokenizer.from_folder(Path(view._stage.places.model_folder))
    encoder = view._encoder
    ((ids),) = tokenizer.encode_texts([text])
    whole = torch.tensor([[tokenizer.build_single(ids)]])
    bias = encoder.attention_bias(torch.ones_like(whole, dtype=torch.bool))
    states = encoder.embed(whole, None)
    for layer in range(encoder.layer_at(depth)):
        states = encoder.layer(layer, states, bias)
    start = tokenizer.content_start
    vector: torch.Tensor = states[0, 0, start : start + len(ids)].mean(0)
    return vector.detach()


@pytest.mark.parametrize("depth", [0.0, 0.5, 1.0])
def test_pooled_states_are_those_of_single_sentences(view: CheckpointView, depth: float) -> None:
    texts = list(view._text.sentences("qac").values())
    vectors = view.pooled("qac", depth)
    assert vectors.shape == (20, view._encoder.config.hidden_size)
    for text, vector in zip(texts, vectors, strict=True):
        torch.testing.assert_close(vector, slowly(view, text, depth), atol=2e-5, rtol=0)


def test_states_do_not_depend_on_how_many_batches_are_computed_at_once(
    view: CheckpointView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view._encoding, "_batch_size", 3)
    texts = list(view._text.sentences("qac").values())
    alone = view._encoding._all(texts, [1, 2])
    monkeypatch.setattr(view._resources, "lanes", 4)
    together = view._encoding._all(texts, [1, 2])
    assert all(torch.equal(alone[layer], together[layer]) for layer in (1, 2))
    assert not together[1].is_inference()


def test_the_two_sides_of_a_pair_are_translations(view: CheckpointView) -> None:
    first, second = view.pair(("qab", "qac"), 1.0)
    torch.testing.assert_close(first, view.pooled("qab", 1.0))
    torch.testing.assert_close(second, view.pooled("qac", 1.0))
    assert view.ids("qab") == view.ids("qac") == view.ids("qaa")
    assert view.languages[0] == view.source == "qaa"
    with pytest.raises(MissingData, match="xyz"):
        view.pooled("xyz", 1.0)


def test_languages_that_lack_sentences_are_joined_by_item(
    view: CheckpointView, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = view._text._known[0]
    first, *_, last = text["qab"]
    monkeypatch.setitem(text, "qab", {k: v for k, v in reversed(text["qab"].items()) if k != first})
    ours, theirs = view.pair(("qab", "qac"), 0.5)
    assert len(ours) == len(theirs) == 19
    torch.testing.assert_close(theirs[0], slowly(view, text["qac"][last], 0.5), atol=2e-5, rtol=0)


def test_states_are_computed_once_for_all_probes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    plain = Encoding._all

    def counted(self: Encoding, texts: Any, layers: Any) -> Any:
        seen.append(len(texts))
        return plain(self, texts, layers)

    monkeypatch.setattr(Encoding, "_all", counted)
    session = compute(asked("look", arm=["none"]), store)
    once = len(seen)
    assert once == len(session.plan.stages[probe_stage(session, "look").key].spec.texts) + 1
    session = compute(asked("look", arm=["none"], options={"probe.look.depths": [1.0]}), store)
    stages = session.plan.stages
    resources = Resources(store, Catalogue.installed())
    keys = [key for key, stage in stages.items() if stage.kind == "probe"]
    runner = JobRunner(stages, resources, lambda *_: None, False)
    seen.clear()
    for key in keys * 2:
        store.set_aside("probe", key, "the test")
    runner.run(keys)
    assert len(seen) == once


def test_entries_are_found_once_per_sentence_and_entry() -> None:
    sentences = [("The dog, sees", "der Hund! sieht"), ("dog dog cat", "Hund Katze"), ("x", "y")]
    entries = [("dog", "hund"), ("cat", "katze"), ("sees", "sieht")]
    assert find_entries(sentences, entries) == [(0, (1, 2), (1, 2)), (1, (2, 3), (1, 2))]
    assert find_entries(sentences, []) == []


def test_entries_of_several_words_or_characters_stand_where_these_follow_each_other() -> None:
    sentences = [
        ("我看见小狗了。", "I see a puppy."),
        ("小狗和猫", "a cat in New York"),
        ("狗小", "a puppy"),
    ]
    entries = [("小狗", "puppy"), ("猫", "cat"), ("小", "small"), ("和", "New York"), ("...", "a")]
    assert find_entries(sentences, entries) == [(0, (3, 5), (3, 4)), (1, (2, 3), (3, 5))]
    assert find_entries(sentences[2:], entries) == []


def test_words_in_a_row_are_the_mean_of_all_their_subwords(view: CheckpointView) -> None:
    text = next(iter(view._text.sentences("qac").values()))
    layer = view.layer(1.0)
    spans = [(0, 1), (1, 2), (0, 2)]
    vectors = view._encoding._word_vectors([(text, span) for span in spans], [layer])[layer]
    tokenizer = Tokenizer.from_folder(Path(view._stage.places.model_folder))
    ((_, offsets),) = tokenizer.encode_with_offsets([text])
    owned = owners(offsets, word_spans(text))
    sizes = torch.tensor([[float(owned.count(0))], [float(owned.count(1))]])
    assert not torch.allclose(vectors[0], vectors[1])
    torch.testing.assert_close(
        vectors[2], (vectors[:2] * sizes).sum(0) / sizes.sum(), atol=1e-5, rtol=0
    )


def test_words_in_context_are_means_of_their_subwords(view: CheckpointView) -> None:
    first, second = view.words(("qab", "qaa"), 1.0, "context")
    assert len(first) == len(second) > 3
    alone, _ = view.words(("qab", "qaa"), 1.0)
    entries = view._entries(("qab", "qaa"))
    torch.testing.assert_close(alone[0], slowly(view, entries[0][0], 1.0), atol=2e-5, rtol=0)
    assert not torch.allclose(first[0], alone[0])


def test_a_dictionary_that_the_text_has_no_word_of_is_said(
    view: CheckpointView, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "_entries", lambda pair: [("\u72d7\u732b", "dog")])
    with pytest.raises(MissingData, match="none of 1 dictionary entries"):
        view.words(("qab", "qaa"), 1.0, "context")


# --- gradients ---------------------------------------------------------------------------------------


def dot(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> float:
    return float(sum((a[name].double() * b[name].double()).sum() for name in a if name in b))


def test_a_gradient_is_that_of_the_mean_loss_of_its_part(view: CheckpointView) -> None:
    gradients = view.gradients
    assert gradients.task == "pos"
    found = gradients.of_task("qaa", 1, 2)
    examples = gradients._examples("qaa")
    batches = gradients._part(range(len(examples)), 1, 2, "task")
    rows = [row for batch in batches for row in batch]
    assert len(rows) == 8
    encoder = view._encoder.requires_grad_(True)
    assert gradients._tuned is not None
    from xbench.stages.training.features import features

    batch = examples.batch(rows, gradients._format.vocabulary.pad_id, "cpu")
    vectors = features(encoder, batch, gradients._format, examples.level, "mean", "other")
    F.cross_entropy(gradients._tuned.head(vectors), batch.labels).backward()
    expected = {n: p.grad for n, p in encoder.named_parameters() if p.grad is not None}
    assert set(found) == set(expected)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-6, rtol=1e-4)


def test_parts_are_disjoint_and_the_same_each_time(view: CheckpointView) -> None:
    parts = [view.gradients._part(range(100), part, 4, "task") for part in range(4)]
    flat = [{n for batch in part for n in batch} for part in parts]
    assert sum(map(len, flat)) == len(set().union(*flat)) == 16
    first, again = (view.gradients.of_masked_lm("qab", 0, 2) for _ in range(2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = view.gradients.of_masked_lm("qab", 1, 2)
    assert dot(first, other) < 0.99 * (dot(first, first) * dot(other, other)) ** 0.5


def test_the_head_of_the_language_model_is_no_part_of_the_encoder(view: CheckpointView) -> None:
    gradient = view.gradients.of_masked_lm("qab", 0, 2)
    assert not any("mlm_head" in name for name in gradient)
    places = {view.gradients.module_of(name) for name in gradient}
    layers = {layer for layer, _ in places}
    assert layers == {None, *range(1, view._encoder.config.num_layers + 1)}
    assert {kind for _, kind in places} == {"embeddings", "attention", "feed_forward", "norm"}


def test_an_aligned_encoder_has_the_gradient_of_its_objective(store: Store) -> None:
    session = compute(asked("steep", arm=["aligned"], pair=["qaa-qac"]), store)
    stage = probe_stage(session, "steep", "aligned")
    resources = Resources(store, Catalogue.installed())
    encoder = resources.encoder(stage).eval()
    gradients = EncoderGradients(stage, resources, encoder, ProbedText(stage, resources), None)
    assert gradients.objective == "hictl"
    found = gradients.of_objective(0, 2)
    assert 0 < dot(found, found) < float("inf")
    assert gradients.task is None
    with pytest.raises(MissingData, match="labelled text"):
        gradients.of_task("qaa", 0, 2)


def aligned_gradients(store: Store, **options: Any) -> EncoderGradients:
    """Gradients of the aligned encoder, whose alignment had ``align.`` options."""
    given = {f"align.{name}": value for name, value in options.items()}
    session = compute(asked("steep", arm=["aligned"], task=[], options=given), store)
    stage = probe_stage(session, "steep", "aligned")
    resources = Resources(store, Catalogue.installed())
    encoder = resources.encoder(stage).eval()
    return EncoderGradients(stage, resources, encoder, ProbedText(stage, resources), None)


def test_gradients_are_float32_whatever_the_precision_of_the_run(view: CheckpointView) -> None:
    """In bfloat16 a small cosine moves by a third of itself."""
    gradients, stage = view.gradients, view._stage
    kinds: set[torch.dtype] = set()
    for module in view._encoder.modules():
        module.register_forward_hook(
            lambda module, given, output: (
                kinds.add(output.dtype) if isinstance(output, torch.Tensor) else None
            )
        )
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        with torch.autocast("cpu", torch.bfloat16):
            found = gradients.of_masked_lm("qab", 0, 2)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    plain = gradients.of_masked_lm("qab", 0, 2)
    assert kinds == {torch.float32}
    for name, value in plain.items():
        torch.testing.assert_close(found[name], value)
    assert stage.spec.settings.precision == "fp32"


def test_the_precision_of_a_run_is_not_that_of_its_gradients() -> None:
    """The stage says what is used, and states keep the precision that was asked for."""
    plan = plan_of(asked("steep", "look", options={"probing.precision": "bf16"}))
    found = {
        cell.coordinates["probe"]: plan.stages[cell.probe].spec.settings.precision
        for cell in plan.cells
        if cell.probe
    }
    assert found == {"steep": "fp32", "look": "bf16"}


def test_the_objectives_gradient_is_of_the_batches_that_were_trained(store: Store) -> None:
    """Of another number of pairs a contrast has another number of negatives."""
    gradients = aligned_gradients(store, batch_size=10, max_length=9)
    assert gradients._settings.gradient_batch_size == 4  # of tasks and sentences
    pairs = gradients._pairs()
    assert len(pairs) == 20
    room = 9 - gradients._tokenizer.special_tokens_single
    assert max(len(row.source) for row in pairs) == room
    (batch,) = gradients._part(pairs, 1, 2, "objective")
    assert len(batch) == 10
    found = gradients.of_objective(1, 2)

    encoder = gradients._encoder.requires_grad_(True)
    encoder.zero_grad(set_to_none=True)
    sides = []
    for texts in ([row.source for row in batch], [row.target for row in batch]):
        rows = [gradients._tokenizer.build_single(ids.tolist()) for ids in texts]
        view = TextView(
            encoder, Text(pad(rows, gradients._format.vocabulary.pad_id)), gradients._format, ("x",)
        )
        sides.append(view)
    from xbench_plugins.objectives.hictl import HiCTL

    assert gradients._stage.spec.objective.config["sentence"] == 1  # S1W0M0: NTX alone
    config = HiCTL.variants["S1W0M0"]
    u_BD, v_BD = (view.pooled(config.depth, "mean") for view in sides)
    both_D = F.normalize(torch.cat([u_BD, v_BD]), dim=1)
    logits = both_D @ both_D.T / config.temperature
    logits.fill_diagonal_(-torch.inf)
    partner = torch.arange(20).roll(10)
    F.cross_entropy(logits, partner).backward()
    for name, parameter in encoder.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(found[name], parameter.grad, atol=1e-5, rtol=1e-3)
    encoder.zero_grad(set_to_none=True)


def test_a_batch_in_chunks_has_the_gradient_of_the_whole(store: Store) -> None:
    """S1W0M0 draws nothing at random, so that chunks change nothing but sums."""
    whole = aligned_gradients(store, batch_size=8)
    chunked = aligned_gradients(store, batch_size=8, accumulate=3)
    chunked._encoder.load_state_dict(whole._encoder.state_dict())
    one, other = (each.of_objective(0, 2) for each in (whole, chunked))
    assert dot(one, one) > 0
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("mode", [["full"], ["linear"], ["full", "linear"]])
def test_gradients_of_each_task_are_those_of_a_head_fitted_on_the_frozen_encoder(
    mode: list[str],
) -> None:
    """Whether or not the run asks for linear fine-tuning."""
    plan = plan_of(asked("steep", "look", task=["pos", "topic"], mode=mode, seed=[15, 33]))
    cells = [cell for cell in plan.cells if cell.probe]
    places = {
        (c.coordinates["arm"], c.coordinates["probe"], c.coordinates.get("task")) for c in cells
    }
    assert len(cells) == len(places)
    for arm in ("none", "aligned"):
        own = {place[1:] for place in places if place[0] == arm}
        assert own == {("steep", "pos"), ("steep", "topic"), ("look", None)}
    for cell in cells:
        stage = plan.stages[str(cell.probe)]
        if cell.coordinates["probe"] == "look":
            assert stage.spec.head is None
            continue
        head = plan.stages[stage.spec.head]
        assert stage.spec.head in stage.parents
        assert (head.spec.mode, head.spec.seed) == ("linear", 15)
        assert head.places.task == cell.coordinates["task"]
        assert head.spec.encoder == stage.spec.encoder


def test_without_a_task_gradients_are_of_the_language_model_alone() -> None:
    plan = plan_of(asked("steep", task=[], arm=["none"]))
    (cell,) = plan.cells
    assert plan.stages[str(cell.probe)].spec.head is None


def test_an_objective_that_compares_with_a_queue_has_one(store: Store) -> None:
    """It is empty in an objective that was just set up: nothing would be learnt from."""
    few = {"objective.xlco.queue": 64}
    session = compute(asked("steep", objective=["xlco"], arm=["aligned"], options=few), store)
    stage = probe_stage(session, "steep", "aligned")
    resources = Resources(store, Catalogue.installed())
    text = ProbedText(stage, resources)
    gradients = EncoderGradients(stage, resources, resources.encoder(stage).eval(), text, None)
    found, again, other = (gradients.of_objective(part, 2) for part in (0, 0, 1))
    assert dot(found, found) > 0
    assert dot(found, again) == dot(found, found) != dot(other, other)
    items = list(range(100))
    unused = [n for batch in gradients._unused(items, 0, 2, "objective") for n in batch]
    for part in (0, 1):
        taken = [n for batch in gradients._part(items, part, 2, "objective") for n in batch]
        assert not set(taken) & set(unused)
    few = [n for batch in gradients._unused(items[:16], 0, 2, "objective") for n in batch]
    assert set(few) == {n for b in gradients._part(items[:16], 1, 2, "objective") for n in b}


def test_an_objective_that_needs_more_than_pairs_says_so(store: Store) -> None:
    session = compute(asked("steep", objective=["word_contrastive"], arm=["aligned"]), store)
    stage = probe_stage(session, "steep", "aligned")
    resources = Resources(store, Catalogue.installed())
    text = ProbedText(stage, resources)
    gradients = EncoderGradients(stage, resources, resources.encoder(stage).eval(), text, None)
    with pytest.raises(MissingData, match="word_contrastive learns from links"):
        gradients.of_objective(0, 2)


def test_too_little_text_is_said(view: CheckpointView) -> None:
    with pytest.raises(MissingData, match="too few for 4 sets"):
        view.gradients._part(range(10), 0, 4, "task")


# --- fine-tuned models ----------------------------------------------------------------------------


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
