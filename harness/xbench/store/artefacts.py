"""Names of the files that stages leave, by which the engine knows what is there."""

ENCODER = "encoder/model.safetensors"
HEAD = "head.safetensors"
FITTED = "fitted.safetensors"
LINKS = "links.parquet"
PREDICTIONS = "predictions.parquet"
ROWS = "rows.parquet"
RESULT = "result.json"
