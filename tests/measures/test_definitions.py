"""Three definitions of alignment that are not the same, against loops."""

import pytest
import torch

from xbench_plugins.measures.definitions import DEFINITIONS, definitions

from .slow import cosines, turned
from .vectors import pair


def slowly(first: torch.Tensor, second: torch.Tensor) -> dict[str, list[bool]]:
    """Whether each pair counts, by each definition, as the definition is written."""
    n = len(first)
    sides = {
        "forward": (cosines(first, second), cosines(first, first)),
        "backward": (turned(cosines(first, second)), cosines(second, second)),
    }
    found = {}
    for direction, (across, within) in sides.items():
        others = [[j for j in range(n) if j != i] for i in range(n)]
        own = [across[i][i] for i in range(n)]
        found[f"weak_eq1_{direction}"] = [
            own[i] > max(across[i][j] for j in others[i]) for i in range(n)
        ]
        found[f"strong_eq2_{direction}"] = [
            own[i] > max(within[i][j] for j in others[i]) for i in range(n)
        ]
        union = [
            [across[i][j] for j in range(n)] + [within[i][j] for j in others[i]] for i in range(n)
        ]
        found[f"strong_joint_{direction}"] = [
            own[i] == max(union[i]) and union[i].count(own[i]) == 1 for i in range(n)
        ]
    both = zip(found["weak_eq1_forward"], found["weak_eq1_backward"], strict=True)
    found["mexa"] = [a and b for a, b in both]
    return found


@pytest.mark.parametrize("budget", [400, 10**6])
@pytest.mark.parametrize("shift", [0.0, 2.0])
def test_each_definition_equals_a_slow_one(shift: float, budget: int) -> None:
    first, second = pair(40, noise=0.7)
    second = second + shift * torch.tensor([1.0, 0, 0, 0, 0, 0])
    expected, found = slowly(first, second), definitions(first, second, budget)
    assert tuple(found) == DEFINITIONS
    for name, one in found.items():
        assert one.items is not None
        assert one.items.tolist() == [float(right) for right in expected[name]], name


def test_the_definitions_differ() -> None:
    first, second = pair(200, noise=0.7)
    found = {name: one.value for name, one in definitions(first, second).items()}
    for direction in ("forward", "backward"):
        names = [f"{name}_{direction}" for name in ("weak_eq1", "strong_eq2", "strong_joint")]
        assert len({found[name] for name in names}) == 3
        joint = found[f"strong_joint_{direction}"]
        assert found["mexa"] < found[f"weak_eq1_{direction}"]  # type: ignore[operator]
        assert joint < found[f"weak_eq1_{direction}"]  # type: ignore[operator]
        assert joint < found[f"strong_eq2_{direction}"]  # type: ignore[operator]


def test_a_sentence_is_no_rival_of_itself_where_all_cosines_are_negative() -> None:
    # Three vectors at 120 degrees: every cosine of two is -1/2, which loses against a 0 put there.
    angles = torch.tensor([0.0, 2.1, 4.2], dtype=torch.float64)
    first = torch.stack([angles.cos(), angles.sin()], dim=1)
    second = torch.stack([(angles + 1.7).cos(), (angles + 1.7).sin()], dim=1)
    expected = slowly(first, second)["strong_eq2_forward"]
    items = definitions(first, second)["strong_eq2_forward"].items
    assert any(expected)
    assert items is not None
    assert items.bool().tolist() == expected


def test_a_tie_does_not_count() -> None:
    first = torch.eye(3, dtype=torch.float64)
    twin = first[[0, 0, 2]]
    found = definitions(first, twin)
    assert found["weak_eq1_forward"].value == pytest.approx(1 / 3)
    assert found["weak_eq1_backward"].value == pytest.approx(2 / 3)
    assert found["strong_eq2_backward"].value == pytest.approx(1 / 3)


def test_clones_are_aligned_by_every_definition() -> None:
    first, _ = pair(50)
    assert {one.value for one in definitions(first, first.clone()).values()} == {1.0}
