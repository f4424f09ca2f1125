"""What can be written anew, and what is said about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """A kind of plugin: its entry-point group and contract class, its template, how to try it.

    ``commands`` are lines of a shell in which ``$name`` stands for the plugin; ``more`` maps further
    files to their templates.
    """

    group: str
    contract: str
    template: str
    words: str
    commands: str
    article: str = "A"
    test: str = "test.py"
    more: Mapping[str, str] = field(default_factory=dict)


KINDS: dict[str, Kind] = {
    "objective": Kind(
        "objectives",
        "ObjectiveContract",
        "objective.py",
        "alignment objective",
        "xbench run --objective $name --task pos",
        "An",
    ),
    "task": Kind(
        "tasks",
        "TaskContract",
        "task.py",
        "downstream task",
        "xbench run --task $name --arm none   # in this folder: xbench-registry.yaml binds its data",
        more={"xbench-registry.yaml": "registry.yaml"},
    ),
    "metric": Kind(
        "metrics",
        "MetricContract",
        "metric.py",
        "metric",
        "# then name it in the metrics of a task",
    ),
    "probe": Kind(
        "probes",
        "ProbeContract",
        "probe.py",
        "probe of encoders",
        "xbench run --probe $name --arm none --task pos",
    ),
    "language": Kind(
        "languages",
        "LanguageContract",
        "language.py",
        "language",
        "# then, where a source of a suite has data of it: xbench run --language $name",
    ),
    "source": Kind(
        "sources",
        "SourceContract",
        "source.py",
        "data source",
        "XBENCH_DATA=tests/data xbench check $name",
        test="source_test.py",
        more={
            f"tests/data/$name/{code}.{split}.tsv": f"{code}.tsv"
            for code in ("deu", "eng")
            for split in ("train", "test")
        },
    ),
    "transform": Kind(
        "objectives",
        "TransformContract",
        "transform.py",
        "fitted transform",
        "xbench run --objective $name --task pos --arm none,aligned",
    ),
    "aligner": Kind(
        "aligners",
        "AlignerContract",
        "aligner.py",
        "word aligner",
        "# then, with any objective that needs word links: -O align.aligner=$name",
    ),
}
