"""The rule of attention under which masked words read the translation alone."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from xbench_plugins.losses.cross_attention import cross_attention

token = st.tuples(st.sampled_from([-1, 0, 1]), st.booleans())
Tokens = list[tuple[int, bool]]


def rule(tokens: Tokens) -> Tensor:
    """``tokens`` are (side, chosen); a special is never chosen."""
    sides = torch.tensor([[side for side, _ in tokens]])
    return cross_attention(sides, torch.tensor([[c and s >= 0 for s, c in tokens]]))[0]


@settings(deadline=None)
@given(st.lists(token, min_size=1, max_size=12))
def test_nothing_but_the_other_text_arrives_through_any_number_of_layers(tokens: Tokens) -> None:
    allowed = rule(tokens)
    reached = allowed.clone()
    for _ in tokens:  # the transitive closure: as many layers as there are tokens
        reached |= (reached.float() @ allowed.float()) > 0
    for i, (side, chosen) in enumerate(tokens):
        own = {j for j, (s, c) in enumerate(tokens) if s == side and not c} if side >= 0 else set()
        other = {j for j, (s, c) in enumerate(tokens) if s == 1 - side and not c}
        specials = {j for j, (s, _) in enumerate(tokens) if s < 0}
        wanted = {i} | specials | ((other if chosen else own) if side >= 0 else set())
        assert set(reached[i].nonzero().flatten().tolist()) == wanted


def test_rows_do_not_matter_to_each_other() -> None:
    sides = torch.tensor([[-1, 0, 0, 1, -1], [-1, 0, 1, 1, -1]])
    chosen = torch.tensor([[0, 1, 0, 0, 0], [0, 0, 0, 1, 0]]).bool()
    both = cross_attention(sides, chosen)
    for row in (0, 1):
        alone = cross_attention(sides[row : row + 1], chosen[row : row + 1])
        torch.testing.assert_close(both[row], alone[0])
