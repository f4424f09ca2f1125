"""What a run reads, worked out without looking: it is what the plan asks for when all is there."""

import pytest

from xbench.catalogue.catalogue import Catalogue
from xbench.plan import Need, build_plan, data_needs
from xbench.spec.request import make_spec
from xbench.spec.resolve import resolve


def needs(**request: object) -> dict[str, Need]:
    here = Catalogue.installed()
    spec = resolve(make_spec({"suite": "paper", "seed": [15], **request}, "the test"), here)
    return {need.binding.source: need for need in data_needs(spec, here)}


def test_splits_and_languages_are_those_that_are_read() -> None:
    found = needs(arm=["none"], task=["topic"], language=["eng", "deu", "kaz"])
    assert set(found) == {"sib200"}
    assert found["sib200"].reads == {"train": ["eng"], "test": ["eng", "deu", "kaz"]}
    assert found["sib200"].required
    best = {"finetune.selection": "best"}
    found = needs(arm=["none"], task=["topic"], language=["deu"], options=best)
    assert found["sib200"].reads == {"train": ["eng"], "dev": ["eng"], "test": ["deu"]}


def test_the_guard_is_read_in_the_languages_of_the_pairs_and_not_required() -> None:
    request = {"objective": ["hictl:S1W0M0"], "arm": ["aligned"], "pair": ["eng-kaz"]}
    found = needs(**request, task=["pos"], language=["deu"])
    assert set(found) == {"universal-dependencies", "bitext", "sib200", "flores200", "tatoeba"}
    assert found["sib200"].reads == {"test": ["eng", "kaz"]}
    assert found["bitext"].reads == {"train": ["eng", "kaz"]}
    required = {name for name, need in found.items() if need.required}
    assert required == {"universal-dependencies", "bitext"}
    both = needs(**request, task=["topic"], language=["deu"])["sib200"]
    assert both.required
    assert both.reads == {"test": ["eng", "kaz", "deu"], "train": ["eng"]}
    assert both.roles == ["test sentences to keep out", "task topic"]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (
            {"objective": ["mean_center"], "language": ["deu"]},
            {"ntrex128": {"test": ["eng", "deu"]}},
        ),
        (
            {
                "objective": ["word_contrastive"],
                "pair": ["deu-eng", "eng-kaz"],
                "options": {"align.aligner": "dictionary"},
            },
            {"muse": {"train": ["deu", "eng"]}, "apertium": {"train": ["eng", "kaz"]}},
        ),
        ({"objective": ["hictl:S1W0M0"], "task": ["flores_retrieval"], "language": ["deu"]}, {}),
    ],
)
def test_methods_bring_needs_of_their_own(
    request_: dict[str, object], expected: dict[str, dict[str, list[str]]]
) -> None:
    found = needs(arm=["aligned"], **{"task": ["pos"], **request_})
    for name in ("ntrex128", "muse", "apertium"):
        assert (found[name].reads if name in found else None) == expected.get(name), name


def test_what_a_generator_gives_is_asked_for_as_the_plan_does() -> None:
    here = Catalogue.installed()
    request = {"objective": ["hictl:S1W0M0", "procrustes"], "task": ["pos", "ner"], "seed": [15]}
    spec = resolve(make_spec(request, "the test"), here)
    plan = build_plan(spec, here, offline=True)
    sources = {reading.place.source for stage in plan.stages.values() for reading in stage.reads()}
    assert sources <= {need.binding.source for need in data_needs(spec, here)}
