"""Paraphrase identification."""

from xbench.api.task import Task


class Paraphrase(Task):
    """Whether two sentences of much the same words say the same (Yang et al. 2019, PAWS-X)."""

    level = "pair"
    labels = ("different", "paraphrase")
    metrics = ("accuracy",)
