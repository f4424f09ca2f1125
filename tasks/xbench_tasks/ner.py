"""Named entity recognition."""

from xbench.api.task import Task


class NamedEntities(Task):
    """Which words name a person, an organisation or a place: IOB2 tags, the classes of WikiANN.

    Examples are tagged sentences; the first subword of a word stands for it.
    """

    level = "span"
    labels = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC")
    metrics = ("span_f1",)
