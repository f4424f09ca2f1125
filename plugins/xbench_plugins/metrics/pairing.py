"""Checks that gold labels and predictions belong together."""

from collections.abc import Sequence


def check_pairing(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> None:
    """Raises ``ValueError`` where items or their labels do not match up one to one."""
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold items but {len(predicted)} predicted ones")
    for number, (right, guess) in enumerate(zip(gold, predicted, strict=True)):
        if isinstance(right, str) or isinstance(guess, str):
            raise ValueError(
                f"item {number} is a bare string; an item is a sequence of labels, ('sports',)"
            )
        if len(right) != len(guess):
            raise ValueError(
                f"item {number} has {len(right)} gold labels but {len(guess)} predicted ones"
            )
