"""Attacks predict many times, and warn once of elements that no training row had."""

import warnings

import pytest
from crystals import b2_nial, bcc_fe, fcc_cu, l12_cu3au

from sklmat import (
    CGCNNRegressor,
    ECNetRegressor,
    StructureAttack,
    find_adversarial_examples,
    robustness_curve,
)
from sklmat.exceptions import ExtrapolationWarning, InvalidStructureError

KNOWN, TARGETS = [bcc_fe(), fcc_cu(), b2_nial()], [0.0, 1.0, 0.5]
WITH_GOLD = [bcc_fe(), l12_cu3au(), b2_nial()]
CALLS = {
    "generate": lambda model, X: StructureAttack(model, budget=0.05).generate(X, TARGETS),
    "find": lambda model, X: find_adversarial_examples(model, X, TARGETS),
    "robustness": lambda model, X: robustness_curve(model, X, TARGETS, budgets=[0.02, 0.05]),
}


@pytest.fixture(scope="module")
def model():
    return CGCNNRegressor(max_epochs=1, n_ensemble=2, random_state=0).fit(KNOWN, TARGETS)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
@pytest.mark.parametrize(
    ("X", "named"), [(KNOWN, []), (WITH_GOLD, ["Au (row 1)"])], ids=["known", "gold"]
)
def test_one_warning_for_new_elements_and_none_for_moved_atoms(model, call, X, named):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call(model, X)
    messages = [str(w.message) for w in found if w.category is ExtrapolationWarning]
    assert len(messages) == len(named)
    assert all(name in message for name, message in zip(named, messages))


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_learned_vectors_are_not_attacked_at_new_elements(call):
    model = ECNetRegressor(max_epochs=1, n_ensemble=1, random_state=0).fit(KNOWN, TARGETS)
    with pytest.raises(InvalidStructureError, match=r"structure 1 .* element Au") as refused:
        call(model, WITH_GOLD)
    assert refused.value.index == 1
