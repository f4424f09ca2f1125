"""The queue of keys against a plain list."""

import pytest
import torch

from xbench_plugins.losses.queue import KeyQueue, names_of


def keys(*numbers: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys [n, 2] that show their names."""
    names = torch.tensor(numbers, dtype=torch.int64)
    return torch.stack([names, -names], dim=1).double(), names


@pytest.mark.parametrize("size", [1, 4, 5])
def test_holds_the_latest_keys_whatever_the_batches(size: int) -> None:
    queue, everything = KeyQueue(size, 2, torch.float64), []
    for start, count in ((1, 3), (4, 0), (4, 2), (6, 9), (15, 1)):
        batch = range(start, start + count)
        queue.push(*keys(*batch))
        everything += batch
        latest = everything[-size:]
        found = [int(n) for n in queue.names[: int(queue.filled)]]
        assert sorted(found) == latest
        assert queue.is_full == (len(everything) >= size)
        for place, name in enumerate(found):
            assert queue.vectors[place].tolist() == [name, -name]
    # the place that is overwritten next holds the oldest
    if size > 1:
        assert int(queue.names[queue.pointer]) == everything[-size]


def test_unfilled_places_and_keys_of_the_same_name_are_no_negatives() -> None:
    queue = KeyQueue(4, 2, torch.float64)
    queue.push(*keys(7, 8, 7))
    excluded = queue.negatives(torch.tensor([7, 9])).excluded
    assert excluded is not None
    assert excluded.tolist() == [[True, False, True, True], [False, False, False, True]]


def test_a_restored_queue_goes_on_at_the_same_place() -> None:
    first, second = KeyQueue(4, 2), KeyQueue(4, 2)
    first.push(*keys(1, 2, 3))
    second.load_state_dict(first.state_dict())
    for queue in (first, second):
        queue.push(*keys(4, 5))
    assert first.names.tolist() == second.names.tolist() == [5, 2, 3, 4]
    assert torch.equal(first.vectors, second.vectors)


def test_names_depend_on_ids_and_places_and_not_on_padding() -> None:
    ids = torch.cartesian_prod(*[torch.arange(12)] * 3)
    everywhere = torch.ones_like(ids, dtype=torch.bool)
    names = names_of(ids, everywhere)
    assert len(names.unique()) == len(ids) == 12**3
    longer = torch.nn.functional.pad(ids, (0, 2), value=9)
    mask = torch.nn.functional.pad(everywhere, (0, 2), value=False)
    assert torch.equal(names_of(longer, mask), names)
    both = names_of(ids[:1000], everywhere[:1000]) + names_of(ids[728:], everywhere[728:])
    assert len(both.unique()) == 1000


def test_large_ids_have_names_of_their_own() -> None:
    ids = torch.randint(250_002, (2000, 40), generator=torch.Generator().manual_seed(0))
    assert len(names_of(ids, torch.ones_like(ids, dtype=torch.bool)).unique()) == 2000
