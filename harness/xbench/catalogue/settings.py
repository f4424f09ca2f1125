"""The settings of each phase: validated, complete, and part of every key they influence."""

from dataclasses import fields
from typing import Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.dataclasses import dataclass

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Schedule = Literal["linear", "constant"]


@dataclass(frozen=True, config=_STRICT)
class AlignSettings:
    """Phase I: how the encoder is tuned on parallel text.

    Lengths are in tokens, specials included; ``warmup`` is a share of the steps; ``clip`` is the
    largest gradient norm (0: none). ``batch_size`` is the effective batch in pairs, processed in
    ``accumulate`` chunks. ``exclude_overlap`` leaves out pairs with a sentence of the test sets that
    the suite guards. ``aligner`` finds word links for objectives that need them, with
    ``aligner_options``; ``fit_sentences`` is how many sentences of each language a transform is
    fitted on.
    """

    steps: int = Field(gt=0)
    checkpoints: tuple[int, ...] = ()
    batch_size: int = Field(default=32, gt=1)
    accumulate: int = Field(default=1, gt=0)
    learning_rate: float = Field(default=2e-5, gt=0)
    schedule: Schedule = "linear"
    warmup: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float = Field(default=1.0, ge=0)
    max_length: int = Field(default=128, gt=4)
    max_pairs: int | None = Field(default=None, gt=1)
    mlm_probability: float = Field(default=0.15, gt=0, lt=1)
    exclude_overlap: bool = False
    aligner: str = "argmax"
    aligner_options: dict[str, Any] = Field(default_factory=dict)
    fit_sentences: int = Field(default=2000, gt=1)
    precision: Precision = "auto"


@dataclass(frozen=True, config=_STRICT)
class FinetuneSettings:
    """Phase II: how a task is learnt in the source language.

    Either ``epochs`` or ``steps`` gives the budget; with both, ``steps`` wins. ``sentence_pooling``
    is what a sentence-level head sees. ``selection`` says whose weights are kept: the ``last``
    step's, or those that did ``best`` on the source language's dev split, which is scored every
    ``selection_every`` steps (once an epoch, if that is not given). In mode ``linear`` the encoder
    is frozen and in evaluation mode, its features are computed once and the encoder's learning
    rate and dropout play no part. ``joint_weight`` is the weight of an objective that acts beside
    the task's loss (phase ``during``).
    """

    epochs: int | None = Field(default=None, gt=0)
    steps: int | None = Field(default=None, gt=0)
    batch_size: int = Field(default=16, gt=0)
    accumulate: int = Field(default=1, gt=0)
    encoder_learning_rate: float = Field(default=2e-5, gt=0)
    head_learning_rate: float = Field(default=1e-3, gt=0)
    schedule: Schedule = "linear"
    warmup: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    clip: float = Field(default=1.0, ge=0)
    head_dropout: float = Field(default=0.1, ge=0, lt=1)
    sentence_pooling: Literal["mean", "cls"] = "mean"
    max_length: int = Field(default=256, gt=4)
    max_train: int | None = Field(default=None, gt=0)
    selection: Literal["last", "best"] = "last"
    selection_every: int | None = Field(default=None, gt=0)
    joint_weight: float = Field(default=1.0, gt=0)
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        if self.epochs is None and self.steps is None:
            raise ValueError("give epochs or steps")


@dataclass(frozen=True, config=_STRICT)
class EvaluateSettings:
    """Phase III: the split, how many of its items, and the batch for inference.

    ``max_items`` takes a fixed random sample, the same items in all languages of a parallel data
    set, since files may be sorted: SIB-200's are, by topic.

    The others are of retrieval tasks, for which nothing is trained; a fine-tuned model is evaluated
    at the length, precision and pooling that it was fine-tuned with. A retrieval task reads texts
    cut at ``max_length`` tokens, specials included (an encoder that takes fewer cuts them there), in
    ``precision``, and compares sentences ``retrieval_pooling`` (``mean`` or ``cls``) at the relative
    depth ``retrieval_depth`` (1 is the last layer) by ``retrieval_similarity``: ``cosine``,
    ``csls`` (Conneau et al. 2018) or the ratio ``margin`` (Artetxe and Schwenk 2019).
    """

    split: str = "test"
    max_items: int | None = Field(default=None, gt=0)
    batch_size: int = Field(default=64, gt=0)
    max_length: int = Field(default=512, gt=4)
    precision: Precision = "auto"
    retrieval_depth: float = Field(default=1.0, ge=0, le=1)
    retrieval_pooling: Literal["mean", "cls"] = "mean"
    retrieval_similarity: Literal["cosine", "csls", "margin"] = "cosine"


@dataclass(frozen=True, config=_STRICT)
class ProbingSettings:
    """How checkpoints are probed: how many sentences and dictionary entries of a language at most
    (the first), and what a gradient is taken over.

    ``gradient_batches`` is how many batches of ``gradient_batch_size`` items (labelled items or
    sentences) make up all the parts of a gradient together. An objective's gradient is over as many
    batches of the alignment's own size (``align.batch_size``, cut at ``align.max_length``), since its
    loss may depend on the others of a batch. Gradients are taken in float32, whatever ``precision``
    says of states.
    """

    sentences: int | None = Field(default=None, gt=1)
    entries: int = Field(default=1000, gt=0)
    max_length: int = Field(default=128, gt=4)
    batch_size: int = Field(default=64, gt=0)
    gradient_batches: int = Field(default=32, gt=0)
    gradient_batch_size: int = Field(default=16, gt=1)
    precision: Precision = "auto"


Settings = AlignSettings | FinetuneSettings | EvaluateSettings | ProbingSettings

PHASES: dict[str, type[Any]] = {
    "align": AlignSettings,
    "finetune": FinetuneSettings,
    "evaluate": EvaluateSettings,
    "probing": ProbingSettings,
}


def known_fields(phase: str) -> list[str]:
    """The names of a phase's settings."""
    return [f.name for f in fields(PHASES[phase])]


def as_json(settings: Any) -> dict[str, Any]:
    """A settings or config dataclass as plain JSON values (tuples become lists)."""
    plain: dict[str, Any] = TypeAdapter(type(settings)).dump_python(settings, mode="json")
    return plain
