"""Part-of-speech tagging."""

from xbench.api.task import Task


class PartOfSpeech(Task):
    """Which of the 17 universal parts of speech a word is (universaldependencies.org, UPOS).

    Examples are tagged sentences; the first subword of a word stands for it.
    """

    level = "token"
    labels = (
        "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON",
        "PROPN", "PUNCT", "SCONJ", "SYM", "VERB", "X",
    )  # fmt: skip
    metrics = ("accuracy", "udpos_f1_xtreme")
