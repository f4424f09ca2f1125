"""What the embedded suite shows with its default settings: alignment aligns, the placebo does not."""

from pathlib import Path

import numpy as np
import pytest
import torch

from xbench.catalogue.catalogue import Catalogue
from xbench.catalogue.models import find_model
from xbench.catalogue.registry import load_registry
from xbench.cli.session import open_session
from xbench.data.tokenizer import Tokenizer
from xbench.nn.encoders.encoder import Encoder
from xbench.nn.text import Text, pad
from xbench.nn.text_view import TextView
from xbench.spec.request import make_spec
from xbench.stages import align
from xbench.stages.resources import Resources, text_format
from xbench.store import Store
from xbench_plugins.clones.corpus import parallel_text
from xbench_plugins.clones.languages import QAA, QAC

DEPTH = 2 / 3
PAIRS = 128


def vectors(folder: Path, texts: list[str]) -> np.ndarray:
    """[n, D] unit vectors: mean over content tokens at depth 2/3."""
    tokenizer = Tokenizer.from_folder(folder)
    rows = [tokenizer.build_single(ids) for ids in tokenizer.encode_texts(texts)]
    text = Text(pad(rows, tokenizer.vocabulary.pad_id))
    view = TextView(Encoder.from_folder(folder).eval(), text, text_format(tokenizer), ("test",))
    with torch.no_grad():
        pooled = view.pooled(DEPTH).numpy()
    return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)


def lift(folder: Path) -> float:
    """Mean cosine of held-out translations less that of all other pairs of the same sentences."""
    pairs = list(parallel_text(QAA, QAC, "test", PAIRS))
    u = vectors(folder, [pair.source for pair in pairs])
    v = vectors(folder, [pair.target for pair in pairs])
    cosines = u @ v.T
    true = np.diag(cosines).mean()
    others = (cosines.sum() - np.trace(cosines)) / (PAIRS * (PAIRS - 1))
    return float(true - others)


@pytest.fixture(scope="module")
def lifts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The lift of the untouched encoder, and after the default alignment, true and shuffled."""
    store = Store(tmp_path_factory.mktemp("suite") / "store")
    store.prepare()
    request = {"objective": ["hictl:S1W0M0"], "arm": ["aligned", "shuffled"], "pair": ["qaa-qac"]}
    session = open_session(make_spec(request, "test"), store, offline=True)
    resources = Resources(store, Catalogue.installed())
    found = {"none": lift(find_model("mini-encoder", load_registry()).folder)}
    for stage in session.plan.stages.values():
        if stage.kind != "align":
            continue
        with store.write("align", stage.key, stage.spec) as entry:
            align.run(stage, resources, entry)
        (checkpoint,) = store.folder("align", stage.key).glob("step-*")
        found[stage.spec.arm] = lift(checkpoint)
    return found


def test_sentence_contrast_lifts_true_pairs_over_random_pairs(lifts: dict[str, float]) -> None:
    assert abs(lifts["none"]) < 0.1
    assert lifts["aligned"] > lifts["none"] + 0.3


def test_wrong_partners_do_not(lifts: dict[str, float]) -> None:
    assert lifts["shuffled"] < lifts["none"] + 0.05
