"""The records that travel from a data source through a task to the encoder."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TaggedSentence:
    """A sentence cut into words, each with a tag (a token-level example).

    ``words`` and ``tags`` have the same length; ``id`` names the sentence in its corpus, and ``at``
    says for a person where it was read (``test.conllu:12``). ``surface`` is the sentence as it is
    written, where that is not its words in a row: French *du* is the two words *de le*.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    id: str = ""
    at: str = field(default="", compare=False, repr=False)
    surface: str = field(default="", compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.words) != len(self.tags):
            raise ValueError(
                f"sentence {self.id!r} has {len(self.words)} words and {len(self.tags)} tags"
            )


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text with one label (a sentence-level example)."""

    text: str
    label: str
    id: str = ""
    at: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class LabelledPair:
    """Two texts with one label (a pair-level example): premise and hypothesis, two paraphrases."""

    text: str
    second: str
    label: str
    id: str = ""
    at: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ParallelText:
    """A sentence and its translation, with word links where they are known.

    ``links`` are (position of a word in ``source``, position of a word in ``target``), counted from 0
    on the words of :func:`xbench.data.words.words_of`: parted by white space, and each character of a
    script that is written without spaces (Chinese, Japanese, Thai, ...) by itself.
    """

    source: str
    target: str
    id: str = ""
    links: tuple[tuple[int, int], ...] = ()


def is_empty(record: TaggedSentence | LabelledText | LabelledPair) -> bool:
    """Whether there is no text to learn from or to predict: one of its texts is blank."""
    if isinstance(record, TaggedSentence):
        return not any(word.strip() for word in record.words)
    texts = [getattr(record, name) for name in ("text", "second") if hasattr(record, name)]
    return any(not text.strip() for text in texts)
