"""What a stack of fine-tunings must do and move at each step, and what follows for a GPU. No GPU is needed.

Counted for XLM-R base with the word embeddings of one task's text, in bfloat16 with float32 weights, as
``xbench.nn.stack`` computes it. Prints, for one fine-tuning of the stack and one step: operations, bytes,
and the time that either takes on a card; then how many fit.
"""

import argparse
from dataclasses import dataclass

SIZE, INNER, LAYERS, HEADS, ROWS = 768, 3072, 12, 12, 9_500  # of embeddings, word and position
WEIGHTS = LAYERS * (4 * SIZE + 2 * INNER) * SIZE + ROWS * SIZE
# Bytes for each weight: copied to half (4 + 2), read forwards and twice backwards (6), its gradient
# written and read for the norm (8), and AdamW, which reads four numbers and writes four (32).
BYTES_A_WEIGHT = 52
HELD_A_WEIGHT = 18  # float32 with gradient and two moments, and the copy in half
WIDTH = 128  # of a row of packed sentences


@dataclass(frozen=True)
class Card:
    """Dense bfloat16 TFLOP/s, TB/s and GB, by the maker's data sheet."""

    name: str
    tflops: float
    bandwidth: float
    memory: float


CARDS = [
    Card("RTX 4090, 24 GB", 165, 1.01, 24),
    Card("A100, 40 GB", 312, 1.55, 40),
    Card("H100 SXM, 80 GB", 989, 3.35, 80),
    Card("H200, 141 GB", 989, 4.8, 141),
]


def operations(tokens: float, places: float) -> float:
    """Of a step: each weight of a layer meets each token three times, and attention its rows."""
    matrices = 6 * LAYERS * (4 * SIZE + 2 * INNER) * SIZE * tokens
    attention = 3 * 4 * LAYERS * SIZE * WIDTH * places
    return matrices + attention


def states(places: float) -> float:
    """Bytes that the layers' states take until they are differentiated."""
    return places * LAYERS * (60 * SIZE + 8 * INNER + 10 * HEADS * WIDTH)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=float, default=466, help="Of a batch, in the mean.")
    parser.add_argument("--places", type=float, default=768, help="Of a batch, with padding.")
    options = parser.parse_args()
    flops = operations(options.tokens, options.places)
    weights = BYTES_A_WEIGHT * WEIGHTS
    moved = 3 * states(options.places)  # written forwards, read and written backwards
    print(
        f"{flops / 1e12:.2f} TFLOP; {weights / 1e9:.1f} GB for weights, {moved / 1e9:.1f} GB for states"
    )
    print(
        f"{'':<18}{'arithmetic':>12}{'weights':>10}{'states':>9}{'together':>10}{'share':>8}{'fit':>5}"
    )
    for card in CARDS:
        arithmetic = flops / card.tflops / 1e9
        of_weights, of_states = (part / card.bandwidth / 1e9 for part in (weights, moved))
        together = arithmetic + of_weights + of_states
        each = HELD_A_WEIGHT * WEIGHTS + states(options.places) * 1.35  # and masks
        times = f"{arithmetic:>9.2f} ms{of_weights:>7.2f} ms{of_states:>6.2f} ms{together:>7.2f} ms"
        fit = int(card.memory * 0.85e9 / each)
        print(f"{card.name:<18}{times}{arithmetic / together:>8.0%}{fit:>5}")


if __name__ == "__main__":
    main()
