"""A data folder as docs/data.md lays it out, with a few sentences in every file."""

from pathlib import Path

from .pages import blocks

LABELS = ("travel", "sports", "health", "politics")
TAGS = ("NOUN", "VERB", "DET")
MOODS = ("glad", "sad")
PAIR_LABELS = {"xnli": ("entailment", "neutral", "contradiction"), "pawsx": ("0", "1")}
COUNT = 40
# What the examples need besides the files that the page shows.
MORE = (
    *(f"parallel/pairs/{pair}.tsv" for pair in ("en-kk", "ja-kk", "kk-ko")),
    *(f"sib200/eng_Latn/{split}.tsv" for split in ("train", "dev", "test")),
    "ud/UD_English-EWT/en_ewt-ud-dev.conllu",
    "ud/UD_English-EWT/en_ewt-ud-test.conllu",
)


def shown() -> list[str]:
    """The paths that the page shows, below the data folder."""
    found = blocks("text", "files", "docs/data.md")
    return [line for block in found for line in block.text.split()]


def write_data(root: Path) -> Path:
    """Make the folder with all files of the page, and those that the examples need besides."""
    for name in dict.fromkeys((*shown(), *MORE)):
        write_file(root, name)
    return root


def write_file(root: Path, name: str) -> Path:
    """Make one file, with content of the kind that its name tells."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in _lines(path)), encoding="utf-8")
    return path


def _lines(path: Path) -> list[str]:
    texts = [f"{path.name} says sentence number {number} here" for number in range(COUNT)]
    if path.suffix == ".conllu":
        return [line for number in range(COUNT) for line in _sentence(number)]
    if path.parts[-3] == "sib200":
        rows = (f"{n}\t{LABELS[n % len(LABELS)]}\t{text}" for n, text in enumerate(texts))
        return ["index_id\tcategory\ttext", *rows]
    if path.parts[-2] in ("panx", "masakhaner2", "kaznerd"):
        separator = "\t" if path.parts[-2] == "panx" else " "
        return [
            f"name{number // 2}{separator}B-PER" if number % 2 else "" for number in range(COUNT)
        ]
    if path.parts[-2] in PAIR_LABELS:
        labels = PAIR_LABELS[path.parts[-2]]
        return [f"{text}\t{text} too\t{labels[n % len(labels)]}" for n, text in enumerate(texts)]
    if path.parts[-2] == "mood":
        return [f"{MOODS[n % len(MOODS)]}\t{text}" for n, text in enumerate(texts)]
    if path.parts[-2] in ("muse", "lexicon"):
        return [f"word{number} translation{number}" for number in range(COUNT)]
    if path.suffix == ".tsv":
        first, second = path.stem.split("-")
        return [f"source\t{first}\t{second}", *(f"web\t{text}\tthe other {text}" for text in texts)]
    return texts


def _sentence(number: int) -> list[str]:
    words = (f"{n + 1}\tword{number}\t_\t{tag}" + "\t_" * 6 for n, tag in enumerate(TAGS))
    return [f"# sent_id = {number}", *words, ""]
