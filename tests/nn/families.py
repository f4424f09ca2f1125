"""Small encoders of other families, made and saved by transformers, with tokenizers of their kind."""

from pathlib import Path
from typing import Any

import tokenizers
import torch
import transformers
from tokenizers import models, pre_tokenizers, processors, trainers

from xbench_plugins.clones.corpus import monolingual_text
from xbench_plugins.clones.languages import QAA, QAC

SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SIZE = 300


def tokenizer(folder: Path, kind: str) -> None:
    """Unigram for DeBERTa, byte-level BPE for ModernBERT, WordPiece for BERT."""
    text = [t for language in (QAA, QAC) for t in monolingual_text(language, 300)]
    common: dict[str, Any] = {"special_tokens": list(SPECIALS), "show_progress": False}
    if kind == "deberta-v2":
        made = tokenizers.Tokenizer(models.Unigram())
        made.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer: Any = trainers.UnigramTrainer(vocab_size=SIZE, unk_token="[UNK]", **common)
    elif kind == "modernbert":
        made = tokenizers.Tokenizer(models.BPE(unk_token="[UNK]"))
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=2 * SIZE, initial_alphabet=alphabet, **common)
    else:
        made = tokenizers.Tokenizer(models.WordPiece(unk_token="[UNK]"))
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=SIZE, **common)
    made.train_from_iterator(text, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    names = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, **{f"{role}_token": token for role, token in names.items()}
    )
    fast.save_pretrained(folder)


def config(kind: str, **changes: Any) -> Any:
    """A small configuration of the family."""
    common = {
        "hidden_size": 16,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "pad_token_id": 0,
    }
    common |= {"intermediate_size": 24, "vocab_size": 2 * SIZE}
    if kind == "deberta-v2":
        special = {
            "relative_attention": True,
            "position_buckets": 4,
            "norm_rel_ebd": "layer_norm",
            "share_att_key": True,
            "pos_att_type": ["p2c", "c2p"],
            "position_biased_input": False,
            "max_position_embeddings": 64,
            "type_vocab_size": 0,
        }
        return transformers.DebertaV2Config(**{**common, **special, **changes})
    if kind == "modernbert":
        special = {
            "global_attn_every_n_layers": 3,
            "local_attention": 6,
            "max_position_embeddings": 64,
            "bos_token_id": 2,
            "eos_token_id": 3,
            "cls_token_id": 2,
            "sep_token_id": 3,
            "mlp_dropout": 0.1,
        }
        return transformers.ModernBertConfig(**{**common, **special, **changes})
    if kind == "bert":
        return transformers.BertConfig(**{**common, "max_position_embeddings": 64, **changes})
    special = {"max_position_embeddings": 66, "type_vocab_size": 1}
    return transformers.RobertaConfig(**{**common, **special, **changes})


def model_folder(folder: Path, kind: str, head: bool = True, **changes: Any) -> Path:
    """A random model of the family in a folder, with its tokenizer."""
    torch.manual_seed(0)
    made = transformers.AutoModelForMaskedLM if head else transformers.AutoModel
    model = made.from_config(config(kind, **changes))
    with torch.no_grad():
        for parameter in model.parameters():  # biases and norms are not to be trivial
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.save_pretrained(folder)
    tokenizer(folder, kind)
    return folder
