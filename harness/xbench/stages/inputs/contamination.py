"""Test items that a model was fine-tuned on, told by their normalised text. Counted, never removed.

A count changes no prediction and is part of no key; reports name it where it is not zero.
"""

from xbench.keys import key_of
from xbench.plan.kinds.task import FinetuneStage
from xbench.stages.inputs.examples import Examples, load_examples, load_translations
from xbench.stages.resources import Resources

Known = frozenset[bytes]
"""The digests of a set of texts."""


def learnt_from(stage: FinetuneStage, resources: Resources) -> Known:
    """The digests of all texts that a fine-tuning learnt its task from, worked out once per job.

    An objective beside the task's loss may have been given their translations too.

    They come from the tokenised training data: no text is read again. Texts that are too short to
    tell anything by have none (:mod:`xbench.data.overlap`).
    """
    settings = stage.spec.settings
    limits = {"max_length": settings.max_length, "max_items": settings.max_train}
    translated = stage.spec.joint.translated if stage.spec.joint else None

    def read() -> Known:
        every = [load_examples(stage, resources, resources.tokenizer(stage), "train", limits)]
        if translated is not None:
            every.append(load_translations(stage, resources, settings.max_length))
        return frozenset(one for examples in every for item in examples.digests() for one in item)

    what = (stage.places.model_folder, stage.places.task, key_of({"data": translated}))
    name = ("learnt from", *what, *limits.values())
    return resources.keep(name, read)


def overlap(examples: Examples, known: Known) -> int:
    """How many items are known: those of which all texts that can be told are.

    Of a pair (a premise and a hypothesis) both must be: a premise may come with others.
    """
    return sum(bool(item) and item <= known for item in examples.digests())
