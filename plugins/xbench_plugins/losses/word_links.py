"""Sets of word links: K rows (row of the pair, word of the source, word of the target)."""

import torch
from torch import Tensor


def one_to_one(links_K3: Tensor) -> Tensor:
    """[k, 3] the links neither of whose words has another link, in their order.

    Source: the filter of Cao et al. 2020 (arXiv 2002.03518) and of Wu and Dredze 2020 (2010.02537).
    """
    alone_K = torch.ones(len(links_K3), dtype=torch.bool, device=links_K3.device)
    for side in (1, 2):
        _, place_K, links_of = torch.unique(
            links_K3[:, [0, side]], dim=0, return_inverse=True, return_counts=True
        )
        alone_K &= links_of[place_K] == 1
    return links_K3[alone_K]
