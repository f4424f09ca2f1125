"""Training with the rows of the word embeddings that the training text reads, and no others.

XLM-R's embeddings are 192 of its 278 million parameters, and a task's training text reads a few
thousand of their 250,002 rows. A row that is not read has no gradient, so AdamW's moments of it stay
zero and all that happens to it is weight decay: the same factor for all such rows, applied at the end.
"""

import torch
from torch import Tensor, nn

from xbench.nn.encoders.encoder import Encoder
from xbench.nn.encoders.replica_layers import ReplicaEmbedding


class TrimmedEmbedding(ReplicaEmbedding):
    """Some rows of a table, looked up by their ids in the whole one: ``[R, B, T] -> [R, B, T, D]``.

    Parameters start uninitialised. ``rows`` is how many the whole table has.
    """

    def __init__(
        self, replicas: int, rows: int, ids: Tensor, size: int, padding_row: int | None
    ) -> None:
        row_of = torch.full((rows,), -1, device=ids.device)
        row_of[ids] = torch.arange(len(ids), device=ids.device)
        padding = None if padding_row is None else int(row_of[padding_row])
        super().__init__(replicas, len(ids), size, padding)
        self.row_of: Tensor
        self.register_buffer("row_of", row_of, persistent=False)

    @classmethod
    def of(cls, whole: ReplicaEmbedding, ids: Tensor) -> "TrimmedEmbedding":
        """Those rows of a table, with their values."""
        replicas, rows, size = whole.weight.shape
        trimmed = cls(replicas, rows, ids, size, whole.padding_row)
        trimmed.weight = nn.Parameter(whole.weight.detach()[:, ids])
        return trimmed

    def forward(self, ids_RBT: Tensor) -> Tensor:
        return super().forward(self.row_of[ids_RBT])


class TrimmedVocabulary:
    """Leaves an encoder some rows of its word embeddings, until :meth:`restore`.

    ``ids`` are those of every text that will be read meanwhile; any other id is an error of indexing.
    What reads the whole matrix, the MLM head, must not be called.
    """

    def __init__(self, encoder: Encoder, ids: Tensor) -> None:
        whole = encoder.embeddings.words
        padding = [] if whole.padding_row is None else [whole.padding_row]
        device = whole.weight.device
        every = torch.cat([ids.to(device), torch.tensor(padding, device=device).long()])
        self.ids: Tensor = torch.unique(every)
        self._encoder = encoder
        self._whole = whole
        encoder.embeddings.words = TrimmedEmbedding.of(whole, self.ids)

    @torch.no_grad()
    def restore(self, decay: float) -> None:
        """Put the whole matrix back: the rows as they were trained, all others times ``decay``.

        ``decay`` is what weight decay has left of a parameter without a gradient.
        """
        if decay != 1.0:
            self._whole.weight.mul_(decay)
        self._whole.weight[:, self.ids] = self._encoder.embeddings.words.weight
        self._encoder.embeddings.words = self._whole
