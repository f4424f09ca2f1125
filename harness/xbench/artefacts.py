"""Names of files: those that stages leave, by which the engine knows what is there, and a tokenizer's."""

ENCODER = "encoder/model.safetensors"
HEAD = "head.safetensors"
FITTED = "fitted.safetensors"
LINKS = "links.parquet"
PREDICTIONS = "predictions.parquet"
ROWS = "rows.parquet"
RESULT = "result.json"

TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
# What a tokenizer was kept in before there was tokenizer.json.
OLDER_VOCABULARIES = (
    "sentencepiece.bpe.model",
    "spm.model",
    "spiece.model",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
)
BESIDE_VOCABULARIES = ("special_tokens_map.json", "added_tokens.json", "merges.txt")
