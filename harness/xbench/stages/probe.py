"""Probe one checkpoint: measure its representations or gradients; nothing is trained.

Writes ``rows.parquet``: one row per measured value, with what each item contributed.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from xbench.api.probe import Probe, Row
from xbench.catalogue.configs import make_component
from xbench.nn.encoders.loading import AnyEncoder
from xbench.plan.artefacts import ROWS
from xbench.plan.kinds.probe import ProbeStage
from xbench.stages.probing.gradients import EncoderGradients
from xbench.stages.probing.probe_text import ProbedText
from xbench.stages.probing.probe_view import CheckpointView
from xbench.stages.resources import Resources
from xbench.store import Entry

SCHEMA = pa.schema(
    [
        ("metric", pa.string()),
        ("language", pa.string()),
        ("layer", pa.int32()),
        ("value", pa.float64()),
        ("n", pa.int64()),
        ("reason", pa.string()),
        ("items", pa.list_(pa.float32())),
    ]
)


def run(stage: ProbeStage, resources: Resources, entry: Entry) -> None:
    """Measure a fine-tuned model, or an encoder with the head that was fitted on it, frozen, if any."""
    tuned = None
    if stage.spec.finetune is not None:
        tuned = resources.model(stage.spec.finetune)
        encoder = tuned.encoder
    else:
        folder = resources.encoder_folder(stage)
        encoder = resources.keep(("encoder", folder), lambda: resources.encoder(stage).eval())
        if stage.spec.head is not None:  # on a frozen encoder: the head alone is read
            tuned = resources.model(stage.spec.head)
    _check_weights(encoder)
    probe: Probe = make_component("probes", stage.spec.probe, resources.catalogue)
    text = ProbedText(stage, resources)
    gradients = None
    if "gradients" in probe.needs:
        gradients = EncoderGradients(stage, resources, encoder, text, tuned)
    view = CheckpointView(stage, resources, encoder.eval(), text, gradients)
    rows = [_checked(row, probe) for row in _measured(probe, view, resources)]
    if not rows:
        raise ValueError(f"{type(probe).__name__} measured nothing")
    columns = {name: [row[name] for row in rows] for name in SCHEMA.names}
    pq.write_table(pa.table(columns, schema=SCHEMA), entry.folder / ROWS, compression="zstd")
    undefined = sum(row["value"] is None for row in rows)
    entry.result = {"rows": len(rows), "undefined": undefined, "excluded": text.excluded}


def _measured(probe: Probe, view: CheckpointView, resources: Resources) -> Iterator[Row]:
    rows: Iterable[Row] = probe.measure(view)
    for number, row in enumerate(rows):
        resources.progress(number + 1, number + 1, {})
        yield row


def _checked(row: Row, probe: Probe) -> dict[str, Any]:
    """A row as plain values. Raises ``ValueError`` for a number that is none."""
    if row.value is not None and not math.isfinite(row.value):
        raise ValueError(
            f"{type(probe).__name__}: {row.metric} of {row.language} is {row.value}; a measure that "
            f"is undefined is None, with a reason"
        )
    if row.value is None and not row.reason:
        raise ValueError(f"{type(probe).__name__}: {row.metric} has neither a value nor a reason")
    items = [] if row.items is None else row.items.tolist()
    return {
        "metric": row.metric,
        "language": row.language,
        "layer": row.layer,
        "value": row.value,
        "n": row.n,
        "reason": row.reason,
        "items": items,
    }


def _check_weights(encoder: AnyEncoder) -> None:
    """A checkpoint that is not finite is refused: every number of it would be nonsense."""
    for name, weight in encoder.named_parameters():
        if not bool(weight.isfinite().all()):
            raise ValueError(f"the checkpoint's weights are not finite: {name}")
