"""What all contract classes share: finding the plugin, checks with advice, and a runner without pytest.

A check is a method ``test_...`` whose documentation says what must hold. It is plain Python, so
that pytest collects it from a subclass named ``Test...`` and ``xbench check`` runs it directly.
"""

import inspect
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, NoReturn
from unittest import SkipTest

from xbench.catalogue.discovery import discovery

State = Literal["ok", "failed", "skipped"]


class Contract:
    """The checks of one kind of plugin. A subclass names the plugin in the attribute ``kind``.

    ``class TestMine(ObjectiveContract): objective = "mine"``, by its entry point or as the class.
    """

    kind: ClassVar[str]
    group: ClassVar[str]

    @cached_property
    def loaded(self) -> Any:
        """The plugin's class (of a language, the language)."""
        named = getattr(self, self.kind, None)
        if named is None:
            raise TypeError(
                f'{type(self).__name__} does not say what to check: {self.kind} = "mine", or the '
                f"class itself"
            )
        if isinstance(named, str):
            return discovery.table.get(self.group, named).load()
        return named

    @cached_property
    def name(self) -> str:
        """What messages call the plugin."""
        named = getattr(self, self.kind)
        return named if isinstance(named, str) else getattr(named, "__name__", repr(named))

    def setup_method(self) -> None:
        """Called before each check, by pytest too."""

    def teardown_method(self) -> None:
        """Called after each check, by pytest too."""

    @classmethod
    def checks(cls) -> list[str]:
        """The names of the checks, those of base classes first, in the order of their definition."""
        names = [name for base in reversed(cls.__mro__) for name in vars(base)]
        return [name for name in dict.fromkeys(names) if name.startswith("test_")]


def expect(condition: object, problem: str, advice: str) -> None:
    """Raises ``AssertionError`` saying what is wrong and what to do about it."""
    if not condition:
        fail(problem, advice)


def fail(problem: str, advice: str) -> NoReturn:
    """Raises ``AssertionError`` saying what is wrong and what to do about it."""
    raise AssertionError(f"{problem}. {advice[0].upper()}{advice[1:]}.")


def skip(reason: str) -> NoReturn:
    """This check says nothing about the plugin, for a reason that is shown."""
    raise SkipTest(reason)


@dataclass(frozen=True)
class Result:
    """What became of one check; ``about`` is what must hold, ``reason`` why it failed or was left out."""

    about: str
    state: State
    reason: str = ""


def examine(contract: type[Contract]) -> Iterator[Result]:
    """Run all checks of a contract class, one after the other, each on an instance of its own."""
    for name in contract.checks():
        yield _run(contract(), name)


def _run(contract: Contract, name: str) -> Result:
    check = getattr(contract, name)
    about = (inspect.getdoc(check) or name).partition("\n")[0].rstrip(".")
    contract.setup_method()
    try:
        check()
    except SkipTest as left_out:
        return Result(about, "skipped", str(left_out))
    except AssertionError as failure:
        return Result(about, "failed", str(failure) or _where(failure, contract))
    except Exception as error:  # a plugin may raise anything
        return Result(
            about, "failed", f"{type(error).__name__}: {error} ({_where(error, contract)})"
        )
    finally:
        contract.teardown_method()
    return Result(about, "ok")


def _where(error: BaseException, contract: Contract) -> str:
    """The line that raised: the last one of the plugin's own module, or the last one of all."""
    frames = traceback.extract_tb(error.__traceback__)
    named = vars(contract).get("loaded")  # not there where it could not be imported
    module = sys.modules.get(getattr(named, "__module__", ""))
    own = [frame for frame in frames if frame.filename == getattr(module, "__file__", None)]
    last = (own or list(frames))[-1]
    return f"{last.filename}:{last.lineno}"
