import pytest

from xbench.errors import UnknownName


@pytest.mark.parametrize(
    ("name", "known", "advice"),
    [
        ("objectivs", ["objectives", "probes", "metrics"], "Did you mean 'objectives'?"),
        ("S1W0", ["S1W0M0", "S1W0M1", "S0W1M1"], "Did you mean 'S1W0M1' or 'S1W0M0'?"),
        ("xyz", ["beta", "alpha"], "Known: alpha, beta."),
        ("xyz", [], "None is known."),
    ],
)
def test_a_name_comes_with_what_may_have_been_meant(
    name: str, known: list[str], advice: str
) -> None:
    assert str(UnknownName("thing", name, known)) == f"Unknown thing {name!r}. {advice}"


def test_a_hint_comes_last() -> None:
    error = UnknownName("thing", "x", ["xy"], "As in xy.")
    assert str(error) == "Unknown thing 'x'. Did you mean 'xy'? As in xy."
    assert (error.name, error.suggestions) == ("x", ["xy"])
