"""A fitted transform: it moves the states of every language into one space, and is not trained."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

from torch import Tensor

Unit = Literal["token", "sentence"]


class FitView(Protocol):
    """The text that a transform is fitted on, as vectors of the encoder below it.

    The text says the same in every language: row i of ``vectors(language, "sentence")`` is a
    translation of row i in every other language.
    """

    @property
    def languages(self) -> tuple[str, ...]:
        """Codes of the languages that there is text of, the source language among them."""
        ...

    @property
    def source(self) -> str:
        """The language that the task is learnt in."""
        ...

    @property
    def unit(self) -> Unit:
        """What the transform will be applied to: the states of tokens, or pooled sentences."""
        ...

    def vectors(self, language: str, unit: Unit | None = None) -> Tensor:
        """[N, D] float32 pooled sentences or [M, D] content tokens; by default of ``unit``."""
        ...


class Transform:
    """Fitted once for an encoder, then applied to states of any language that it was fitted on.

    ``forward`` maps states into the space of the *source language's untransformed states*, so that
    a head that was trained on those can read them: a method that removes the mean of a language
    adds that of the source language. In mode ``linear`` the head is trained on transformed source
    states; in mode ``full`` the encoder is fine-tuned as it is and the transform is refitted on it.

    ``fitted`` holds what ``fit`` learnt, as named tensors; it is all that is saved.
    ``Config``, ``variants``, ``sources`` and ``version`` are as for an objective.
    """

    version: ClassVar[int] = 1
    variants: ClassVar[Mapping[str, Any]] = {}
    sources: ClassVar[Mapping[str, str]] = {}

    @dataclass(frozen=True)
    class Config:
        """No settings."""

    def __init__(self, config: Any = None) -> None:
        self.config: Any = config if config is not None else self.Config()
        self.fitted: dict[str, Tensor] = {}

    def fit(self, view: FitView) -> None:
        """Learn from text and put the result into ``fitted``."""
        raise NotImplementedError

    def forward(self, states: Tensor, language: str) -> Tensor:
        """[..., D] -> [..., D]. Raises ``KeyError`` for a language that it was not fitted on."""
        raise NotImplementedError
