"""What a probe sees: sentences, words and their states in a checkpoint."""

from pathlib import Path
from typing import Any

import pytest
import torch

from xbench.api import MissingData
from xbench.catalogue.catalogue import Catalogue
from xbench.data.tokenizer import Tokenizer
from xbench.data.words import owners, word_spans
from xbench.engine.job import JobRunner
from xbench.stages.inputs.encoding import Encoding, find_entries
from xbench.stages.probing import probe_view
from xbench.stages.probing.probe_view import first_translations
from xbench.stages.resources import Resources
from xbench.store import Store

from ...command import compute
from .asking import Seen, asked, probe_stage, see


def slowly(seen: Seen, text: str, depth: float) -> torch.Tensor:
    """One sentence at a time, without views, batches or packing."""
    tokenizer = Tokenizer.from_folder(Path(seen.stage.places.model_folder))
    encoder = seen.encoder
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
def test_pooled_states_are_those_of_single_sentences(seen: Seen, depth: float) -> None:
    texts = list(seen.text.sentences("qac").values())
    vectors = seen.view.pooled("qac", depth)
    assert vectors.shape == (20, seen.encoder.config.hidden_size)
    for text, vector in zip(texts, vectors, strict=True):
        torch.testing.assert_close(vector, slowly(seen, text, depth), atol=2e-5, rtol=0)


def test_states_do_not_depend_on_how_many_batches_are_computed_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = see(compute(asked("steep", arm=["none"]), store), store, batch_size=3)
    encoding = Encoding(seen.stage, seen.resources, seen.encoder)
    texts = list(seen.text.sentences("qac").values())
    alone = encoding.states(texts, [1, 2])
    monkeypatch.setattr(seen.resources, "lanes", 4)
    together = encoding.states(texts, [1, 2])
    assert all(torch.equal(alone[layer], together[layer]) for layer in (1, 2))
    assert not together[1].is_inference()


def test_the_two_sides_of_a_pair_are_translations(seen: Seen) -> None:
    first, second = seen.view.pair(("qab", "qac"), 1.0)
    torch.testing.assert_close(first, seen.view.pooled("qab", 1.0))
    torch.testing.assert_close(second, seen.view.pooled("qac", 1.0))
    assert seen.view.ids("qab") == seen.view.ids("qac") == seen.view.ids("qaa")
    assert seen.view.languages[0] == seen.view.source == "qaa"
    with pytest.raises(MissingData, match="xyz"):
        seen.view.pooled("xyz", 1.0)


def test_languages_that_lack_sentences_are_joined_by_item(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = {code: dict(seen.text.sentences(code)) for code in ("qaa", "qab", "qac")}
    first, *_, last = known["qab"]
    known["qab"] = {k: v for k, v in reversed(known["qab"].items()) if k != first}
    monkeypatch.setattr(seen.text, "sentences", known.__getitem__)
    view = seen.view
    ours, theirs = view.pair(("qab", "qac"), 0.5)
    assert len(ours) == len(theirs) == 19
    torch.testing.assert_close(theirs[0], slowly(seen, known["qac"][last], 0.5), atol=2e-5, rtol=0)


def test_states_are_computed_once_for_all_probes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    plain = Encoding.states

    def counted(self: Encoding, texts: Any, layers: Any) -> Any:
        seen.append(len(texts))
        return plain(self, texts, layers)

    monkeypatch.setattr(Encoding, "states", counted)
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


def test_words_in_a_row_are_the_mean_of_all_their_subwords(seen: Seen) -> None:
    text = next(iter(seen.text.sentences("qac").values()))
    layer = seen.view.layer(1.0)
    encoding = Encoding(seen.stage, seen.resources, seen.encoder)
    spans = [(0, 1), (1, 2), (0, 2)]
    vectors = encoding.word_vectors([(text, span) for span in spans], [layer])[layer]
    tokenizer = Tokenizer.from_folder(Path(seen.stage.places.model_folder))
    ((_, offsets),) = tokenizer.encode_with_offsets([text])
    owned = owners(offsets, word_spans(text))
    sizes = torch.tensor([[float(owned.count(0))], [float(owned.count(1))]])
    assert not torch.allclose(vectors[0], vectors[1])
    torch.testing.assert_close(
        vectors[2], (vectors[:2] * sizes).sum(0) / sizes.sum(), atol=1e-5, rtol=0
    )


def test_words_in_context_are_means_of_their_subwords(seen: Seen) -> None:
    first, second = seen.view.words(("qab", "qaa"), 1.0, "context")
    assert len(first) == len(second) > 3
    alone, _ = seen.view.words(("qab", "qaa"), 1.0)
    entries = first_translations(("qab", "qaa"), seen.stage, seen.resources)
    torch.testing.assert_close(alone[0], slowly(seen, entries[0][0], 1.0), atol=2e-5, rtol=0)
    assert not torch.allclose(first[0], alone[0])


def test_a_dictionary_that_the_text_has_no_word_of_is_said(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_view, "first_translations", lambda *_: [("\u72d7\u732b", "dog")])
    with pytest.raises(MissingData, match="none of 1 dictionary entries"):
        seen.view.words(("qab", "qaa"), 1.0, "context")
