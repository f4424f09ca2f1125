"""The contract of data sources, on files of one's own."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from xbench.api import LabelledText, Language, MissingData, Source
from xbench.testing import SourceContract

from .failures import failures

COUNTER = itertools.count()


class Lines(Source):
    """Texts, ``<place>/deu.train.txt``."""

    def path(self, languages: Sequence[Language], split: str) -> Path:
        assert self.place is not None
        path = self.place / f"{languages[0].code}.{split}.txt"
        if not path.is_file():
            raise MissingData(f"no file {path}")
        return path

    def fingerprint(self, languages: Sequence[Language], split: str) -> Mapping[str, Any]:
        path = self.path(languages, split)
        return {"name": path.name, "text": path.read_text()}

    def read(self, languages: Sequence[Language], split: str) -> Iterator[Any]:
        lines = self.path(languages, split).read_text().splitlines()
        return (LabelledText(line, "glad", str(number)) for number, line in enumerate(lines))


class Careless(Lines):
    """A language or split that is not there is an empty one."""

    def path(self, languages: Sequence[Language], split: str) -> Path:
        assert self.place is not None
        found = list(self.place.glob(f"{languages[0].code}.*")) or list(self.place.iterdir())
        return found[0]


class Wordless(Lines):
    def path(self, languages: Sequence[Language], split: str) -> Path:
        try:
            return super().path(languages, split)
        except MissingData:
            raise MissingData() from None


class Placed(Lines):
    """The path is part of the fingerprint, as an object that JSON has not."""

    def fingerprint(self, languages: Sequence[Language], split: str) -> Mapping[str, Any]:
        return {"path": self.path(languages, split)}


class Counting(Lines):
    def fingerprint(self, languages: Sequence[Language], split: str) -> Mapping[str, Any]:
        return {**super().fingerprint(languages, split), "read": next(COUNTER)}


class Undistinguished(Lines):
    def fingerprint(self, languages: Sequence[Language], split: str) -> Mapping[str, Any]:
        self.path(languages, split)
        return {"source": "lines"}


class Bare(Lines):
    def read(self, languages: Sequence[Language], split: str) -> Iterator[Any]:
        yield from self.path(languages, split).read_text().splitlines()


class Fickle(Lines):
    def read(self, languages: Sequence[Language], split: str) -> Iterator[Any]:
        yield LabelledText("text", "glad", str(next(COUNTER)))


class Empty(Lines):
    def read(self, languages: Sequence[Language], split: str) -> Iterator[Any]:
        self.path(languages, split)
        yield from ()


class ThreeAtATime(Lines):
    languages_per_read = 3


FAULTS = {
    ThreeAtATime: ("test_declaration", "languages_per_read is 3"),
    Careless: ("test_missing_split", "raise missingdata"),
    Wordless: ("test_missing_language", "without a message"),
    Placed: ("test_fingerprint", "cannot be part of a key"),
    Counting: ("test_fingerprint", "another the second time"),
    Undistinguished: ("test_fingerprint", "same fingerprint as"),
    Bare: ("test_read", "yields a str"),
    Fickle: ("test_read", "others the second time"),
    Empty: ("test_read", "has no record"),
}


@pytest.fixture
def contract(tmp_path: Path) -> type[SourceContract]:
    """With data of two languages."""
    for name in ("deu.train", "deu.test", "eng.train"):
        (tmp_path / f"{name}.txt").write_text(f"a text of {name}\nand another\n")
    return type("Here", (SourceContract,), {"place": tmp_path, "languages": ("deu", "eng")})


def test_a_good_source_passes(contract: type[SourceContract]) -> None:
    assert failures(contract, Lines) == {}


def test_languages_are_searched_for_where_none_are_named(contract: type[SourceContract]) -> None:
    contract.languages = ()
    assert failures(contract, Lines) == {}
    found = failures(contract, Counting, "test_fingerprint")
    assert "deu train" in found["test_fingerprint"]


@pytest.mark.parametrize("source", FAULTS, ids=lambda source: source.__name__)
def test_a_fault_is_found(source: type[Source], contract: type[SourceContract]) -> None:
    check, message = FAULTS[source]
    assert message.lower() in failures(contract, source, check)[check].lower()


def test_a_source_without_its_data_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XBENCH_DATA", raising=False)
    assert failures(SourceContract, Lines) == {}
    assert failures(SourceContract, Counting, "test_fingerprint", "test_read") == {}


def test_data_is_looked_for_where_the_variable_says(
    contract: type[SourceContract], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XBENCH_DATA", str(contract.place))
    contract.place = None
    assert failures(contract, Lines) == {}
    assert failures(contract, Counting)
