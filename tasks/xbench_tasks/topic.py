"""Topic classification."""

from xbench.api.task import Task


class Topic(Task):
    """Which of seven topics a sentence is about: the classes of SIB-200 (Adelani et al. 2024)."""

    level = "sentence"
    labels = (
        "science/technology", "travel", "politics", "sports", "health", "entertainment",
        "geography",
    )  # fmt: skip
    metrics = ("accuracy", "macro_f1")
