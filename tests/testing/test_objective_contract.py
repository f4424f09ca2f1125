"""The objectives' contract accepts good objectives, and finds each fault in the right place."""

import pytest

from xbench.testing import ObjectiveContract

from . import objectives
from .failures import failures

CHEAP = [name for name in ObjectiveContract.checks() if name != "test_true_pairs"]

# objective -> the check that fails, and a part of what it says
FAULTS = {
    "Undocumented": ("test_documentation", "has no documentation"),
    "NoFormula": ("test_documentation", "neither a formula nor a shape"),
    "NoReference": ("test_documentation", "names no source"),
    "NoOrigin": ("test_settings", "nobody is named for the default of depth"),
    "StrayOrigin": ("test_settings", "temperature, which Config does not have"),
    "Changeable": ("test_settings", "no frozen dataclass"),
    "NoDefault": ("test_settings", "depth of NoDefault have no default"),
    "Unkeepable": ("test_settings_as_json", "cannot be kept in a spec"),
    "UnknownNeed": ("test_declaration", "money"),
    "TaskBefore": ("test_declaration", 'phases = frozenset({"during"})'),
    "MisnamedCoupling": ("test_declaration", "['sentence'], but the terms are ['distance']"),
    "UndeclaredLinks": ("test_terms", "needs = {'pairs', 'links'}"),
    "NoTerms": ("test_terms", "terms() gave {}"),
    "BareTensor": ("test_terms", "Return a dict of at least one term"),
    "NotSummed": ("test_terms", "no scalar of a floating type but [8]"),
    "NotANumber": ("test_terms", "is nan"),
    "CountsNothing": ("test_terms", "is 0.0"),
    "Detached": ("test_gradient", "no gradient reaches the encoder"),
    "InfiniteSlope": ("test_gradient", "is not finite"),
    "IdleHead": ("test_gradient", "objective.head.weight, objective.head.bias"),
    "CountsPadding": ("test_padding", "five columns of padding more"),
    "FirstRowOnly": ("test_order", "in another order"),
    "OtherRandomness": ("test_seed", "draw from batch.generator"),
    "Forgetful": ("test_resume", "register_buffer"),
    "OnlyInFull": ("test_mixed_precision", "BFloat16"),
    "KnowsTheChunk": ("test_chunks", "index"),
    "Repelling": ("test_true_pairs", "check the sign"),
    "Blind": ("test_true_pairs", "learns_pairs = False"),
}
# These are wrong in a way that other checks see as well.
SPOILS_OTHERS = {
    *("Unkeepable", "NoDefault", "UnknownNeed", "UndeclaredLinks", "NoTerms", "BareTensor"),
    *("NotSummed", "NotANumber", "CountsNothing", "Detached", "InfiniteSlope", "OtherRandomness"),
    *("IdleHead", "FirstRowOnly"),
}


@pytest.mark.parametrize("name", ["Good", "Remembering", "Taught", "OnTheTask", "Linked"])
def test_a_good_objective_passes(name: str) -> None:
    assert failures(ObjectiveContract, getattr(objectives, name)) == {}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found(name: str) -> None:
    check, message = FAULTS[name]
    found = failures(ObjectiveContract, getattr(objectives, name), check)
    assert message.lower() in found[check].lower()


@pytest.mark.parametrize("name", sorted(FAULTS.keys() - SPOILS_OTHERS))
def test_a_fault_is_found_by_one_check_only(name: str) -> None:
    check, _ = FAULTS[name]
    # subclasses of Good have no documentation of their own, or none with a formula
    others = [other for other in CHEAP if other not in (check, "test_documentation")]
    assert failures(ObjectiveContract, getattr(objectives, name), *others) == {}


def test_pairs_need_not_be_learnt_where_the_objective_says_so() -> None:
    assert failures(ObjectiveContract, objectives.AdmittedlyBlind, "test_true_pairs") == {}


def test_the_number_of_threads_is_as_before() -> None:
    import torch

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        failures(ObjectiveContract, objectives.Good, "test_terms")
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
