import json
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbench.keys import canonical, key_of

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def reordered(value: Any, stream: random.Random) -> Any:
    if isinstance(value, dict):
        names = list(value)
        stream.shuffle(names)
        return {name: reordered(value[name], stream) for name in names}
    return [reordered(item, stream) for item in value] if isinstance(value, list) else value


def same(a: Any, b: Any) -> bool:
    """Equal as JSON values: 1, 1.0 and true are three values, 0.0 and -0.0 two."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float):
        return a == b and math.copysign(1, a) == math.copysign(1, b)
    return bool(a == b)


@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_mappings_does_not_matter(value: Any, stream: random.Random) -> None:
    assert key_of(reordered(value, stream)) == key_of(value)


@given(VALUES, VALUES)
def test_distinct_values_have_distinct_keys(a: Any, b: Any) -> None:
    assert (canonical(a) == canonical(b)) == same(a, b)


@given(VALUES)
def test_the_text_is_json_that_gives_the_value_back(value: Any) -> None:
    assert same(json.loads(canonical(value)), value)


def test_lists_and_tuples_are_one_and_order_in_them_counts() -> None:
    assert canonical({"b": (1, 2.5), "a": "é"}) == '{"a":"é","b":[1,2.5]}'
    assert key_of([1, 2]) != key_of([2, 1])


def test_a_key_is_the_sha256_of_the_text() -> None:
    # printf '{"a":1}' | sha256sum
    assert key_of({"a": 1}) == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_has_not_are_refused_with_their_place(value: float) -> None:
    with pytest.raises(ValueError, match=r"\$\.settings\[1\]"):
        canonical({"settings": [0.0, value]})


@pytest.mark.parametrize("value", [object(), {1, 2}, b"bytes", 1j, print])
def test_nothing_is_made_a_string(value: Any) -> None:
    with pytest.raises(TypeError, match=r"\$\.a is a "):
        canonical({"a": value})


@pytest.mark.parametrize("name", [1, None, True, (1, 2)])
def test_keys_of_mappings_must_be_strings(name: Any) -> None:
    with pytest.raises(TypeError, match="keys must be strings"):
        canonical({name: 1})
