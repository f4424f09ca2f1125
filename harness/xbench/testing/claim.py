"""What a claim must keep to."""

from typing import Any, ClassVar

from xbench.api.claim import Claim, Part
from xbench.testing.contract import expect
from xbench.testing.definition import Documented

LANGUAGES, SEEDS = ("qxa", "qxb", "qxc"), (1, 2, 3)


class ClaimContract(Documented):
    """``class TestMine(ClaimContract): claim = "mine"``.

    The claim is checked against a run that holds nothing, and against one of an objective and a task
    that it does not know.
    """

    kind = "claim"
    group = "claims"
    claim: ClassVar[str | type[Claim]]

    def test_statement(self) -> None:
        """It states one sentence, and where it is made."""
        statement = self.loaded.statement
        expect(
            isinstance(statement, str) and statement.endswith(".") and statement[:1].isupper(),
            f"the statement of {self.name} is {statement!r}",
            "write one sentence that a run can support or contradict",
        )
        expect(
            isinstance(self.loaded.source, str) and self.loaded.source,
            f"{self.name} does not say where its statement is made",
            "set source to a paper and place, or to who states it",
        )

    def test_nothing_to_go_by(self) -> None:
        """Of a run that holds nothing it has parts all the same, and each says what is lacking."""
        for part in self._parts([]):
            expect(
                part.effect.error is None and part.effect.reason,
                f"the part {part.about!r} has an effect on a run without results, or no reason",
                "give Effect(None, reason=...) what would have to be run",
            )

    def test_another_study(self) -> None:
        """Of a run about other things it has the same parts, or others with names of their own."""
        abouts = [part.about for part in self._parts(_rows())]
        twice = sorted({about for about in abouts if abouts.count(about) > 1})
        expect(not twice, f"several parts are called {twice}", "say what differs between them")

    def _parts(self, rows: list[dict[str, Any]]) -> list[Part]:
        from pandas import DataFrame

        from xbench.report.claims.view import RunView
        from xbench.report.results.background import Background
        from xbench.report.results.reading import COLUMNS
        from xbench.report.results.results import Selection

        view = RunView(DataFrame(rows, columns=[*COLUMNS]), Selection(), Background(), "qxa")
        parts = list(self.loaded().check(view))
        expect(
            parts and all(isinstance(part, Part) for part in parts),
            f"check() gives {parts or 'nothing'}",
            "yield a Part for each effect that the claim is about, lacking or not",
        )
        expect(
            all(isinstance(remark, str) for remark in self.loaded().remarks(view)),
            "remarks() gives something else than sentences",
            "yield strings",
        )
        return parts


def _rows() -> list[dict[str, Any]]:
    """An untouched and an aligned encoder, a task, three languages and seeds."""
    shared = {"suite": "toy", "model": "toy", "task": "toy_task", "mode": "full", "split": "test"}
    aligned = {"arm": "aligned", "objective": "toy", "variant": "A", "pair": "qxa-qxb"}
    return [
        shared
        | (encoder | {"align_step": 10, "align_seed": 42} if "pair" in encoder else encoder)
        | {"metric": "accuracy", "value": 0.5 + 0.1 * seed + 0.01 * number, "n": 100}
        | {"language": language, "seed": seed, "status": "done", "key": f"{number}{language}{seed}"}
        for number, encoder in enumerate(({"arm": "none"}, aligned))
        for language in LANGUAGES
        for seed in SEEDS
    ]
