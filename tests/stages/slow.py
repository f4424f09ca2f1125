"""One sentence at a time through transformers' models, to be obvious."""

from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModel, AutoTokenizer


class Slow:
    """The encoder of a folder, without any batch."""

    def __init__(self, folder: Path) -> None:
        self.model = AutoModel.from_pretrained(folder, add_pooling_layer=False).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)

    @torch.no_grad()
    def states(self, text: str, depth: float = 1.0, max_length: int = 512) -> Tensor:
        """[T, D] at a relative depth, the two special tokens included."""
        ids = self.tokenizer(text, truncation=True, max_length=max_length, return_tensors="pt")
        hidden = self.model(ids["input_ids"], output_hidden_states=True).hidden_states
        state: Tensor = hidden[round(depth * (len(hidden) - 1))][0]
        return state

    def tokens(self, text: str, depth: float = 1.0, max_length: int = 512) -> Tensor:
        """[n, D] without the special tokens."""
        return self.states(text, depth, max_length)[1:-1]

    def sentence(
        self, text: str, depth: float = 1.0, how: str = "mean", max_length: int = 512
    ) -> Tensor:
        """[D]."""
        states = self.states(text, depth, max_length)
        return states[0] if how == "cls" else states[1:-1].mean(0)

    def owners(self, text: str, max_length: int = 512) -> list[int]:
        """The word of each content token, counted in what white space parts."""
        words: list[int] = []
        for place, word in enumerate(text.split()):
            words += [place] * len(self.tokenizer(word)["input_ids"][1:-1])
        assert len(words) == len(self.tokenizer(text)["input_ids"]) - 2
        return words[: max_length - 2]
