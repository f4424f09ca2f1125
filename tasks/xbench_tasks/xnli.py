"""Natural language inference."""

from xbench.api.task import Task


class Inference(Task):
    """Whether a premise entails a hypothesis, contradicts it, or neither (Conneau et al. 2018, XNLI)."""

    level = "pair"
    labels = ("entailment", "neutral", "contradiction")
    metrics = ("accuracy",)
