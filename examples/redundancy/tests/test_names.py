"""The task's labels, and that a clone language keeps them."""

import pytest
from xbench_redundancy.language import QAK
from xbench_redundancy.task import Names, label_of

from xbench.api import TaggedSentence
from xbench_plugins.clones.languages import QAA
from xbench_plugins.clones.sources import CloneTreebank


@pytest.mark.parametrize(
    ("tags", "label"),
    [
        (("VERB",), "none"),
        (("PROPN", "VERB"), "one"),
        (("PROPN", "VERB", "PROPN"), "several"),
        (("PROPN",) * 5, "several"),
        ((), "none"),
    ],
)
def test_label(tags: tuple[str, ...], label: str) -> None:
    assert label_of(TaggedSentence(("x",) * len(tags), tags)) == label


def test_translations_have_the_same_label() -> None:
    treebank = CloneTreebank(test=60)
    first, second = (list(Names().examples(treebank, each, "test")) for each in (QAA, QAK))
    assert [example.label for example in first] == [example.label for example in second]
    assert {example.label for example in first} == set(Names.labels)
    assert all(a.text != b.text for a, b in zip(first, second, strict=True))
