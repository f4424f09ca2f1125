"""The shipped encoder, and the command that rebuilds it."""

import json
from collections import Counter
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from transformers import AutoModelForMaskedLM, AutoTokenizer

from xbench_plugins.clones import corpus
from xbench_plugins.clones.build_encoder import main
from xbench_plugins.clones.languages import LANGUAGES
from xbench_plugins.clones.pretrain import Masking, Pretraining, new_encoder, pretrain
from xbench_plugins.clones.tokenizer import train_tokenizer

SHIPPED = Path(str(files("xbench_plugins.clones") / "encoder"))


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(SHIPPED)


@pytest.fixture(scope="module")
def retrained():
    return train_tokenizer()


def test_the_shipped_folder_is_small_and_holds_only_what_is_needed():
    names = {path.name for path in SHIPPED.iterdir()}
    assert names == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 5_000_000


def test_the_shipped_weights_are_float16_of_the_shape_that_the_suite_promises():
    weights = load_file(SHIPPED / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    config = json.loads((SHIPPED / "config.json").read_text())
    expected = {
        "model_type": "xlm-roberta",
        "architectures": ["XLMRobertaForMaskedLM"],
        "num_hidden_layers": 4,
        "hidden_size": 128,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "max_position_embeddings": 130,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    assert {name: config[name] for name in expected} == expected


def test_the_tokenizer_has_xlm_rs_special_ids_and_pair_format(tokenizer):
    names = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    assert tokenizer.convert_tokens_to_ids(names) == [0, 1, 2, 3, len(tokenizer) - 1]
    assert tokenizer.mask_token_id == len(tokenizer) - 1
    one, two = (tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("ga", "zo"))
    assert tokenizer("ga", "zo")["input_ids"] == [0, *one, 2, 2, *two, 2]
    masked = tokenizer("ga <mask> zo", add_special_tokens=False)["input_ids"]
    assert masked == [*one, tokenizer.mask_token_id, *two]


def test_the_tokenizer_knows_every_symbol_and_gives_the_text_back(tokenizer):
    for language in LANGUAGES:
        texts = [text.text for text in corpus.topic_texts(language, "test", 50)]
        for text, ids in zip(texts, tokenizer(texts)["input_ids"], strict=True):
            assert tokenizer.unk_token_id not in ids
            assert len(ids) <= 64
            assert tokenizer.decode(ids, skip_special_tokens=True) == text


def test_words_and_text_are_cut_alike(tokenizer):
    sentence = next(iter(corpus.treebank(LANGUAGES[2], "test", 1)))
    of_words = tokenizer(list(sentence.words), is_split_into_words=True)["input_ids"]
    assert of_words == tokenizer(" ".join(sentence.words))["input_ids"]


def test_retraining_gives_the_shipped_tokenizer(retrained, tmp_path):
    retrained.save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert json.loads((tmp_path / name).read_text()) == json.loads((SHIPPED / name).read_text())


def test_the_shipped_encoder_predicts_masked_words_better_than_their_frequency(tokenizer):
    """Against the entropy of subwords, over text that pre-training did not see."""
    model = AutoModelForMaskedLM.from_pretrained(SHIPPED, dtype=torch.float32).eval()
    texts = [text.text for text in corpus.topic_texts(LANGUAGES[0], "test", 200)]
    rows = tokenizer(texts)["input_ids"]
    counts = Counter(token for row in rows for token in row[1:-1])
    shares = torch.tensor(list(counts.values())) / sum(counts.values())
    entropy = float(-(shares * shares.log()).sum())
    inputs, labels = Masking(tokenizer, 0.15, np.random.default_rng(0)).apply(rows)
    with torch.no_grad():
        output = model(inputs, attention_mask=inputs != tokenizer.pad_token_id, labels=labels)
    assert float(output.loss) < entropy - 0.5


def test_the_command_writes_a_folder_that_transformers_loads(tmp_path):
    arguments = ["--out", str(tmp_path / "new"), "--steps", "3", "--sentences", "20"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert "step 3 of 3" in result.output
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        path.name for path in SHIPPED.iterdir()
    }
    model = AutoModelForMaskedLM.from_pretrained(tmp_path / "new")
    assert model.dtype == torch.float16
    assert len(AutoTokenizer.from_pretrained(tmp_path / "new")) == model.config.vocab_size


@pytest.mark.parametrize("bad", [[], ["--out", "x", "--steps", "0"]])
def test_the_command_refuses_bad_arguments(bad):
    assert CliRunner().invoke(main, bad).exit_code == 2


def test_pretraining_is_decided_by_its_settings(tokenizer):
    settings = Pretraining(steps=2, batch_size=8, sentences=10)

    def weights(settings):
        return pretrain(tokenizer, settings, lambda line: None).state_dict()

    once, again = weights(settings), weights(settings)
    other = weights(replace(settings, seed=7))
    assert all(torch.equal(once[name], again[name]) for name in once)
    assert not torch.equal(once["lm_head.dense.weight"], other["lm_head.dense.weight"])


def test_pretraining_lowers_the_loss_from_that_of_chance(tokenizer):
    lines = []
    pretrain(tokenizer, Pretraining(steps=60, batch_size=32, sentences=50), lines.append)
    last = float(lines[-1].split("loss ")[1].split()[0])
    assert last < np.log(len(tokenizer)) - 0.3


def test_a_new_encoder_fits_the_tokenizer(tokenizer):
    embeddings = new_encoder(tokenizer).get_input_embeddings()
    assert embeddings.weight.shape == (len(tokenizer), 128)


def test_masking_follows_berts_shares_and_spares_special_tokens(tokenizer):
    rows = [[0, *range(10, 110), 2]] * 400 + [[0, 10, 2]]
    inputs, labels = Masking(tokenizer, 0.15, np.random.default_rng(0)).apply(rows)
    chosen = labels != -100
    originals = torch.tensor(rows[0]).expand(400, -1)
    assert torch.equal(labels[:400][chosen[:400]], originals[chosen[:400]])
    assert torch.equal(inputs[:400][~chosen[:400]], originals[~chosen[:400]])
    assert not chosen[:, 0].any()
    assert not chosen[400, 2:].any()
    assert (inputs[400, 3:] == tokenizer.pad_token_id).all()
    seen = inputs[chosen]
    assert chosen[:400, 1:101].float().mean() == pytest.approx(0.15, abs=0.01)
    assert (seen == tokenizer.mask_token_id).float().mean() == pytest.approx(0.8, abs=0.02)
    assert (seen == labels[chosen]).float().mean() == pytest.approx(0.1, abs=0.02)
    assert not set(seen.tolist()) & {0, 1, 2, 3}
