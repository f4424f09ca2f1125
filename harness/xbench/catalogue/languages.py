"""All languages that are known here: those of the registry and those that plugins bring."""

from collections.abc import Sequence

from xbench.api.language import Language
from xbench.catalogue.discovery import Discovery, PluginError
from xbench.catalogue.registry import Registry
from xbench.errors import UnknownName


class Languages:
    """Look-up of languages by what a user types; a plugin's language wins over the registry's."""

    def __init__(self, registry: Registry, discovery: Discovery) -> None:
        self._registry = registry
        self._discovery = discovery

    def codes(self) -> list[str]:
        """Codes of all languages, without importing any plugin."""
        return sorted({*self._registry.languages, *self._discovery.table.names("languages")})

    def get(self, code: str) -> Language:
        """The language of an exact code. Raises :class:`UnknownName`."""
        if self._discovery.table.claims("languages", code):
            plugin = self._discovery.table.get("languages", code)
            language = plugin.load()
            if not isinstance(language, Language):
                raise PluginError(
                    f"Language {code!r} ({plugin.target}) of {plugin.distribution} {plugin.version} "
                    f"is a {type(language).__name__}, not an xbench.api.Language"
                )
            return language
        entry = self._registry.languages.get(code)
        if entry is None:
            raise UnknownName("language", code, self.codes())
        return Language(code=code, **entry.model_dump())

    def find(self, typed: str, among: Sequence[str]) -> str:
        """The code among ``among`` (else among all) that a user's ``typed`` means: 639-1, 639-3, script."""
        if typed in among or typed in self.codes():
            return typed
        for code in [*among, *self._registry.languages]:
            if self.get(code).matches(typed):
                return code
        known = set(among) | {self.get(code).iso639_1 for code in among} - {""}
        raise UnknownName("language", typed, known)

    def find_pair(self, typed: str, pairs: Sequence[str]) -> str:
        """``de-en`` -> ``deu-eng``, in the suite's order where the suite has the pair."""
        among = sorted({code for pair in pairs for code in pair.split("-")})
        sides = typed.split("-")
        if len(sides) != 2 or not all(sides):
            raise UnknownName("pair", typed, pairs, "A pair is two languages, as in de-en.")
        try:
            first, second = (self.find(side, among) for side in sides)
        except UnknownName as error:
            shown = {self._short(pair) for pair in pairs} | set(pairs)
            raise UnknownName(
                "pair", typed, shown, f"({error.name!r} is no language here.)"
            ) from None
        if first == second:
            raise UnknownName("pair", typed, pairs, "Its two sides are the same language.")
        typed, turned = f"{first}-{second}", f"{second}-{first}"
        return turned if turned in pairs and typed not in pairs else typed

    def _short(self, pair: str) -> str:
        return "-".join(self.get(code).iso639_1 or code for code in pair.split("-"))

    def pair(self, pair: str) -> tuple[Language, Language]:
        """The two languages of a stored pair."""
        first, second = pair.split("-")
        return self.get(first), self.get(second)
