"""What a language must keep to."""

import re
from dataclasses import fields
from typing import ClassVar

from xbench.api.language import Language
from xbench.keys import canonical
from xbench.testing.contract import Contract, expect, fail

CODE = re.compile(r"[a-z]{3}(_[A-Z][a-z]{3})?")
SCRIPT = re.compile(r"[A-Z][a-z]{3}")


class LanguageContract(Contract):
    """``class TestMine(LanguageContract): language = "xyz"``, by its code or as the object."""

    kind = "language"
    group = "languages"
    language: ClassVar[str | Language]

    def test_code(self) -> None:
        """Code and script are written as ISO 639-3 and ISO 15924 have them."""
        language = self.loaded
        expect(
            isinstance(language, Language),
            f"it is a {type(language).__name__}",
            "the entry point names a Language, not its class: mine = 'module:XYZ'",
        )
        expect(
            CODE.fullmatch(language.code),
            f"the code is {language.code!r}",
            "take ISO 639-3, as in deu, with the script where it matters: kas_Deva",
        )
        expect(
            SCRIPT.fullmatch(language.script),
            f"the script is {language.script!r}",
            "take the four letters of ISO 15924, as in Latn",
        )
        expect(
            not isinstance(self.language, str) or self.language == language.code,
            f"the entry point is called {self.language!r} and the code is {language.code!r}",
            "call both the same",
        )
        expect(language.name.strip(), "it has no name", "give the English name of the language")
        expect(
            re.fullmatch(r"([a-z]{2})?", language.iso639_1),
            f"iso639_1 is {language.iso639_1!r}",
            "it has two letters; leave it out where the language has no such code",
        )

    def test_typed_names(self) -> None:
        """It answers to its code, and to no other."""
        language = self.loaded
        expect(
            language.matches(language.code) and not language.matches(""),
            f"it does not answer to {language.code!r}, or it answers to nothing",
            "leave matches() as it is",
        )

    def test_resources(self) -> None:
        """Resources and stand-ins map a source's name to an id, and distances lie from 0 to 1."""
        language = self.loaded
        for attribute in ("resources", "stand_in"):
            given = getattr(language, attribute)
            expect(
                all(isinstance(part, str) and part for item in given.items() for part in item),
                f"{attribute} is {given!r}",
                'map names of sources to ids there: {"flores200": "deu_Latn"}',
            )
        expect(
            all(0 <= distance <= 1 for distance in language.distances.values()),
            f"distances is {dict(language.distances)}",
            "a distance to English lies from 0 to 1",
        )

    def test_as_json(self) -> None:
        """It can be written down in a run's record."""
        values = {field.name: getattr(self.loaded, field.name) for field in fields(Language)}
        try:
            canonical(values)
        except (TypeError, ValueError) as error:
            fail(f"it cannot be kept: {error}", "use strings, numbers and dicts of these")
