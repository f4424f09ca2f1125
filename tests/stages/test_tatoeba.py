"""Tatoeba on real data, against XTREME's procedure on transformers' own model."""

import gzip
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from xbench.store import Store

from .. import real
from ..command import compute, request

LANGUAGE = "kaz"  # 575 pairs
LENGTH = 512


@pytest.fixture(scope="module")
def places() -> tuple[Path, Path]:
    return real.folder("XBENCH_DATA"), real.folder("XBENCH_MODELS") / "xlmr-small"


def embedded(model: Path, texts: list[str], depth: float, specials: bool) -> Tensor:
    """[N, D] of unit length, sentence by sentence: the mean of a layer, in transformers."""
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    encoder = AutoModel.from_pretrained(model, add_pooling_layer=False, dtype=torch.float32).eval()
    layer = round(depth * encoder.config.num_hidden_layers)
    limit = min(LENGTH, encoder.config.max_position_embeddings - encoder.config.pad_token_id - 1)
    found = []
    for text in texts:
        given = tokenizer(text, truncation=True, max_length=limit, return_tensors="pt")
        with torch.inference_mode():
            states_TD = encoder(**given, output_hidden_states=True).hidden_states[layer][0]
        found.append((states_TD if specials else states_TD[1:-1]).mean(0))
    return torch.nn.functional.normalize(torch.stack(found), dim=1)


def lines(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode("utf-8").split("\n")[:-1]


def xtreme_accuracy(index_ND: Tensor, queries_ND: Tensor) -> float:
    """Percent / 100 of queries whose nearest vector of the index is at their own place."""
    distances_NN = torch.cdist(queries_ND.double(), index_ND.double())
    right_N = distances_NN.argmin(1) == torch.arange(len(queries_ND))
    return float(right_N.double().mean())


def scores(store: Store, place: tuple[Path, Path], **evaluate: Any) -> dict[str, float]:
    data, model = place
    options = {f"evaluate.{name}": value for name, value in evaluate.items()}
    session = compute(
        request(
            suite="paper",
            data=str(data),
            model=str(model),
            objective=[],
            task=["tatoeba"],
            arm=["none"],
            language=[LANGUAGE],
            options=options,
        ),
        store,
    )
    (cell,) = session.plan.cells
    assert cell.score is not None
    found: dict[str, float] = store.result("score", cell.score)["scores"]
    return found


def test_the_score_is_that_of_xtremes_procedure(places: tuple[Path, Path], tmp_path: Path) -> None:
    """At the depth of the suite, over content tokens; within what rounding decides."""
    data, model = places
    store = Store(tmp_path / "store")
    found = scores(store, places, max_items=None)
    folder = data / "tatoeba" / "v1"
    names = (f"tatoeba.{LANGUAGE}-eng.{side}.gz" for side in (LANGUAGE, "eng"))
    foreign, english = (lines(folder / name) for name in names)
    vectors = [embedded(model, side, 2 / 3, specials=False) for side in (foreign, english)]
    assert len(vectors[0]) == len(vectors[1]) == 575
    expected = xtreme_accuracy(index_ND=vectors[0], queries_ND=vectors[1])
    reverse = xtreme_accuracy(index_ND=vectors[1], queries_ND=vectors[0])
    assert found["tatoeba_accuracy_xtreme"] == pytest.approx(expected, abs=0.002)
    assert found["tatoeba_accuracy_xx_to_en"] == pytest.approx(reverse, abs=0.002)
    assert next(iter(found)) == "tatoeba_accuracy_xtreme"
