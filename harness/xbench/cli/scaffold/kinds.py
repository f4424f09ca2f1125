"""What can be written anew, and what is said about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Kind:
    """A kind of plugin: its entry-point group and contract class, its template, how to try it.

    ``check`` and ``use`` are lines of a shell in which ``$name`` stands for the plugin; ``more`` maps
    further files to their templates.
    """

    group: str
    contract: str
    template: str
    words: str
    use: str
    article: str = "A"
    check: str = "xbench check $name"
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
    "transform": Kind(
        "objectives",
        "TransformContract",
        "transform.py",
        "fitted transform",
        "xbench run --objective $name --task pos --arm none,aligned",
    ),
    "merge": Kind(
        "objectives",
        "MergeContract",
        "merge.py",
        "merge of checkpoints",
        "xbench run --objective $name --task pos --arm none,aligned --mode full",
    ),
    "aligner": Kind(
        "aligners",
        "AlignerContract",
        "aligner.py",
        "word aligner",
        "# then, beside an objective that needs word links: xbench run ... -O align.aligner=$name",
    ),
    "task": Kind(
        "tasks",
        "TaskContract",
        "task.py",
        "downstream task",
        "xbench run --task $name --arm none   # here, where xbench-registry.yaml binds its data",
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
    "claim": Kind(
        "claims",
        "ClaimContract",
        "claim.py",
        "claim about results",
        "# then judge any run by it: xbench report",
    ),
    "source": Kind(
        "sources",
        "SourceContract",
        "source.py",
        "data source",
        "# then bind it to a task in xbench-registry.yaml, and run with --data DIR",
        check="XBENCH_DATA=tests/data xbench check $name",
        test="source_test.py",
        more={
            f"tests/data/$name/{code}.{split}.tsv": f"{code}.tsv"
            for code in ("deu", "eng")
            for split in ("train", "test")
        },
    ),
    "language": Kind(
        "languages",
        "LanguageContract",
        "language.py",
        "language",
        "# then, where a source of a suite has data of it: xbench run --language $name",
    ),
    "launcher": Kind(
        "launchers",
        "LauncherContract",
        "launcher.py",
        "launcher",
        "xbench run --launcher $name --task pos --arm none",
    ),
}
