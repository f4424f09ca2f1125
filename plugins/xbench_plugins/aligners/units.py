"""From the states of subwords to what is linked, and back from links to words.

n and m are the numbers of units (subwords, or words) of the source and of the target, D dimensions.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor

from xbench.api.aligner import Aligner, WordPair, WordSide

Unit = Literal["subword", "word"]


class StateAligner(Aligner):
    """What aligners have in common that compare the states of an encoder.

    ``unit`` is what is compared: subwords (two words are linked as soon as any subword of the one
    is linked with any of the other), or words, as the mean of their subwords. A unit whose state
    is zero has no direction: it is linked with nothing, like a word that has no subwords because
    its sentence was cut off. All is computed in float64.
    """

    needs = frozenset({"states"})

    @dataclass(frozen=True, config={"extra": "forbid"})
    class Config:
        """Which states are compared."""

        depth: Annotated[float, Field(ge=0, le=1)] = (
            2 / 3
        )  # 0 is the embedding output, 1 the last layer
        unit: Unit = "subword"

    sources: ClassVar[Mapping[str, str]] = {}

    config: Config

    def __init__(self, config: Any = None) -> None:
        super().__init__(config)

    def align(self, pair: WordPair) -> Sequence[tuple[int, int]]:
        """Links of words. Raises ``ValueError`` where a state is not finite."""
        source_nD, source_n = units(pair.source, self.config.unit)
        target_mD, target_m = units(pair.target, self.config.unit)
        if not len(source_n) or not len(target_m):
            return []
        linked_nm = self.linked(source_nD, target_mD)
        return word_links(linked_nm, source_n, target_m)

    def linked(self, source_nD: Tensor, target_mD: Tensor) -> Tensor:
        """[n, m] bool, true where two units are linked; both sides hold float64 and are not empty."""
        raise NotImplementedError


def units(side: WordSide, unit: Unit) -> tuple[Tensor, Tensor]:
    """([n, D] float64 states of the units that have a direction, [n] the word that each is of)."""
    if not bool(torch.isfinite(side.states).all()):
        raise ValueError(
            "a state is not finite: the encoder has diverged or its file is damaged; the sentence "
            f"begins {' '.join(side.words[:5])!r}"
        )
    states_nD, owner_n = side.states.double(), side.owner
    if unit == "word":
        owner_n, place = torch.unique(owner_n, return_inverse=True)
        sums = states_nD.new_zeros(len(owner_n), states_nD.shape[-1]).index_add(0, place, states_nD)
        states_nD = sums / torch.bincount(place, minlength=len(owner_n))[:, None]
    directed = states_nD.any(dim=-1)
    return states_nD[directed], owner_n[directed]


def word_links(linked_nm: Tensor, source_n: Tensor, target_m: Tensor) -> list[tuple[int, int]]:
    """The words whose units are linked, ascending, each pair once."""
    rows, columns = linked_nm.nonzero(as_tuple=True)
    return sorted(set(zip(source_n[rows].tolist(), target_m[columns].tolist(), strict=True)))
