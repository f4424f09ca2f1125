"""Labels of a data set that a task calls by another name, or does not have."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from xbench.api import TaggedSentence

OUTSIDE = "O"
LABELS: Mapping[str, str] = {}
"""The default of the option ``labels``: nothing is called otherwise."""


def relabelled(record: Any, labels: Mapping[str, str]) -> Any:
    """The record with its labels as the task calls them; a label that is not named stays.

    ``labels`` maps a label, or the type of entities in ``B-MISC`` and ``I-MISC``. To ``O``, which
    is a whole tag, a type is mapped without its beginning: it is read as no entity.
    """
    if isinstance(record, TaggedSentence):
        return replace(record, tags=tuple(_tag(tag, labels) for tag in record.tags))
    return replace(record, label=labels.get(record.label, record.label))


def _tag(tag: str, labels: Mapping[str, str]) -> str:
    if tag in labels:
        return labels[tag]
    begin, dash, kind = tag.partition("-")
    if dash and kind in labels:
        return OUTSIDE if labels[kind] == OUTSIDE else f"{begin}-{labels[kind]}"
    return tag
