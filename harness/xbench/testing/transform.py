"""What a fitted transform must keep to."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from xbench.api.transform import Transform, Unit
from xbench.testing.contract import expect, fail
from xbench.testing.definition import Configured, Documented

SENTENCES, TOKENS, WIDTH = 96, 3, 8
UNITS: tuple[Unit, ...] = ("sentence", "token")


class ToyFitView:
    """Sentences in three languages (:class:`xbench.api.FitView`); each has its own place and scale.

    Row i says the same in every language. A sentence is the mean of its three tokens.
    """

    source = "one"
    languages = ("one", "two", "three")

    def __init__(self, unit: Unit) -> None:
        self.unit: Unit = unit
        stream = torch.Generator().manual_seed(3)

        def draw(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=stream)

        meaning_NTD = draw(SENTENCES, 1, WIDTH) + 0.3 * draw(SENTENCES, TOKENS, WIDTH)
        self._states = {"one": meaning_NTD + draw(WIDTH)}
        for language in self.languages[1:]:
            scale_D = 1 + 0.2 * draw(WIDTH)
            noise_NTD = 0.1 * draw(SENTENCES, TOKENS, WIDTH)
            self._states[language] = meaning_NTD * scale_D + 3 * draw(WIDTH) + noise_NTD

    def vectors(self, language: str, unit: Unit | None = None) -> Tensor:
        """[N, D] sentences or [3 N, D] tokens; a copy."""
        states_NTD = self._states[language]
        if (unit or self.unit) == "sentence":
            return states_NTD.mean(1)
        return states_NTD.flatten(0, 1).clone()


class TransformContract(Documented, Configured):
    """``class TestMine(TransformContract): transform = "mine"``."""

    kind = "transform"
    group = "objectives"
    has_reference: ClassVar[bool] = True
    transform: ClassVar[str | type[Transform]]

    def test_fit(self) -> None:
        """Fitting gives finite tensors, the same ones each time."""
        for of, view, fitted in self._fitted():
            expect(
                fitted.fitted,
                f"after fit() there is nothing in fitted ({of})",
                'put all that forward() needs into it: self.fitted["mean.deu"] = mean_D',
            )
            again = self._fit(fitted.config, view)
            for name, value in fitted.fitted.items():
                expect(
                    isinstance(value, Tensor) and torch.isfinite(value.float()).all(),
                    f"fitted[{name!r}] is no finite tensor ({of})",
                    "look for a division by zero, or for a matrix that has no inverse",
                )
                expect(
                    torch.equal(value, again.fitted[name]),
                    f"fitted[{name!r}] is another when the same text is fitted twice ({of})",
                    "draw random numbers from a torch.Generator with a fixed seed",
                )

    def test_shape(self) -> None:
        """States keep their shape and type, and stay finite; the argument is left alone."""
        for of, view, fitted in self._fitted():
            states_ND = view.vectors("two")[:12]
            for states in (states_ND, states_ND[0], states_ND.view(3, 4, WIDTH)):
                for given in (states, states.bfloat16()):
                    before = given.clone()
                    moved = fitted.forward(given, "two")
                    expect(
                        moved.shape == given.shape and moved.dtype == given.dtype,
                        f"states {list(given.shape)} of {given.dtype} became {list(moved.shape)} of "
                        f"{moved.dtype} ({of})",
                        "act on the last dimension only, and return the type that came in",
                    )
                    expect(
                        torch.isfinite(moved.float()).all(),
                        f"forward() gives states that are not finite ({of})",
                        "look for a division by zero",
                    )
                    expect(
                        torch.equal(given, before),
                        f"forward() changed its argument ({of})",
                        "return a new tensor: no +=, no methods that end in _",
                    )

    def test_saved(self) -> None:
        """What was fitted can be saved and loaded, and then does the same."""
        for of, view, fitted in self._fitted():
            fresh = self.loaded(fitted.config)
            with tempfile.TemporaryDirectory() as place:
                path = Path(place) / "fitted.safetensors"
                save_file({n: t.contiguous() for n, t in fitted.fitted.items()}, path)
                fresh.fitted = load_file(path)
            for language in view.languages:
                states_ND = view.vectors(language)
                expect(
                    torch.equal(
                        fitted.forward(states_ND, language), fresh.forward(states_ND, language)
                    ),
                    f"after saving and loading, {language} is moved elsewhere ({of})",
                    "keep all that fit() learns in fitted, and nothing in other attributes",
                )

    def test_unknown_language(self) -> None:
        """A language that it was not fitted on is a KeyError."""
        for of, view, fitted in self._fitted():
            try:
                fitted.forward(view.vectors("two"), "qzz")
            except KeyError:
                continue
            fail(
                f"forward() moved a language that it was not fitted on ({of})",
                "raise KeyError with the language and those that it knows",
            )

    def test_brings_nearer(self) -> None:
        """Text of another language comes nearer to its translation in the source language."""
        for of, view, fitted in self._fitted():
            goal_ND = view.vectors(view.source)
            for language in view.languages[1:]:
                states_ND = view.vectors(language)
                before = _distance(states_ND, goal_ND)
                after = _distance(fitted.forward(states_ND, language), goal_ND)
                expect(
                    after < before,
                    f"{language} is {after:.3g} from the untransformed source text, and {before:.3g} "
                    f"without the transform ({of})",
                    "map into the space of the source language's states: a method that removes the "
                    "mean of a language adds that of view.source",
                )

    def test_source_language(self) -> None:
        """Text of the source language stays about where it was, so that a head can read it."""
        for of, view, fitted in self._fitted():
            states_ND = view.vectors(view.source)
            moved = _distance(fitted.forward(states_ND, view.source), states_ND)
            apart = min(_distance(view.vectors(other), states_ND) for other in view.languages[1:])
            expect(
                moved < apart,
                f"source text is moved by {moved:.3g}, further than languages are apart ({of})",
                "what is removed from all languages has to be added again as it is in view.source",
            )

    def _fitted(self) -> Iterator[tuple[str, ToyFitView, Any]]:
        """(a description, the view, the transform) of each configuration and unit."""
        for variant, config in self.configurations().items():
            for unit in UNITS:
                view = ToyFitView(unit)
                yield f"configuration {variant!r}, unit {unit}", view, self._fit(config, view)

    def _fit(self, config: Any, view: ToyFitView) -> Transform:
        transform: Transform = self.loaded(config)
        with torch.no_grad():
            transform.fit(view)
        return transform


def _distance(one_ND: Tensor, other_ND: Tensor) -> float:
    return float((one_ND - other_ND).norm(dim=-1).mean())
