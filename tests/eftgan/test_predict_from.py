"""Cross-validation of predictions without structures: the phase reaches fit, predict and score."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.metrics import mean_absolute_error
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, cross_validate
from sklearn.pipeline import make_pipeline
from tiny_eftgan import NAMES, ecnet, tiny

from sklmat import CompositionFeaturizer, InvalidStructureError
from sklmat.model_selection import compare_estimators, masked_scorer

MAE = "neg_mean_absolute_error"
CV = KFold(2)


@pytest.fixture(scope="module")
def unfitted():
    return tiny(estimator=ecnet(max_epochs=1), predict_from="composition")


@pytest.fixture(scope="module")
def y(targets):
    return targets[NAMES[0]].to_numpy()


@pytest.fixture(scope="module")
def by_hand(unfitted, graphs, alloys, y):
    """Out-of-fold predictions of fractions with the phase."""
    _, x, phase, _ = alloys
    predictions = np.empty(48)
    for train, test in CV.split(y):
        fold = clone(unfitted).fit(graphs[train], y[train], phase[train])
        predictions[test] = fold.predict_composition(x[test], phase[test])
    return predictions


def errors(y, by_hand):
    return [mean_absolute_error(y[test], by_hand[test]) for _, test in CV.split(y)]


def test_structures_are_read_as_compositions(unfitted, graphs, alloys, y):
    structures, x, phase, _ = alloys
    model = clone(unfitted).fit(graphs, y, phase)
    expected = model.predict_composition(x, phase)
    assert_allclose(model.predict(structures, phase), expected, rtol=1e-6)
    assert_allclose(model.predict(graphs, phase), expected, rtol=1e-6)
    assert_allclose(
        model.predict(graphs[:5], "fcc", return_std=True)[1],
        model.predict_composition(x[:5], "fcc", return_std=True)[1],
        rtol=1e-6,
    )
    assert model.score(structures, expected, phase=phase) == pytest.approx(1)
    # The arrangement of the atoms plays no part.
    other = structures[0].copy()
    for site, species in zip(other, reversed(structures[0].species)):
        site.species = species
    two = [structures[0], other]
    assert len(set(model.predict(two, "fcc"))) == 1
    assert (
        len(set(clone(model).set_params(predict_from="structure").fit(graphs, y).predict(two))) == 2
    )
    with pytest.raises(ValueError, match=r"pass phase, one of .*enable_metadata_routing=True"):
        model.predict(structures)
    with pytest.raises(InvalidStructureError, match="structure 0"):
        model.predict(["alloy.cif"], "fcc")
    with pytest.raises(ValueError, match="'predict_from' parameter"):
        clone(unfitted).set_params(predict_from="network").fit(graphs, y)


def test_cross_validate(unfitted, graphs, alloys, y, by_hand):
    phase = {"phase": alloys[2]}
    scoring = {"mae": masked_scorer(MAE), "r2": masked_scorer("r2")}
    with config_context(enable_metadata_routing=True):
        found = cross_validate(
            unfitted, graphs, y, cv=CV, params=phase, scoring=scoring, error_score="raise"
        )
        default = cross_validate(unfitted, graphs, y, cv=CV, params=phase, error_score="raise")
        search = GridSearchCV(unfitted, {"n_components": [2]}, cv=CV, scoring=masked_scorer(MAE))
        search.fit(graphs, y, **phase)
        nested = cross_validate(
            search, graphs, y, cv=CV, params=phase, scoring=masked_scorer(MAE), error_score="raise"
        )
    assert_allclose(-found["test_mae"], errors(y, by_hand), rtol=1e-6)
    assert_array_equal(default["test_score"], found["test_r2"])
    assert_allclose(-search.best_score_, np.mean(errors(y, by_hand)), rtol=1e-6)
    assert_allclose(-nested["test_score"], errors(y, by_hand), rtol=1e-6)
    with pytest.raises(ValueError, match="enable_metadata_routing=True"):
        cross_validate(unfitted, graphs, y, cv=CV, params=phase, error_score="raise")


def test_compare_estimators(unfitted, alloys, y, by_hand):
    structures, x, phase, _ = alloys
    on_phase = make_pipeline(CompositionFeaturizer(lattice=True, properties=[]), Ridge())
    models = {
        "EFTGAN": unfitted,
        "network": clone(unfitted).set_params(predict_from="structure"),
        "composition and phase": on_phase,
        "composition": make_pipeline(CompositionFeaturizer(properties=[]), Ridge()),
    }
    table = compare_estimators(models, structures, y, cv=CV, params={"phase": phase})
    assert_allclose(table.predictions["EFTGAN"], by_hand, rtol=1e-6)
    assert_allclose(table["MAE mean"]["EFTGAN"], np.mean(errors(y, by_hand)), rtol=1e-6)
    columns = np.c_[x, phase == "bcc", phase == "fcc"]
    columns = np.c_[columns, -(x * np.log(x)).sum(axis=1)]
    for train, test in CV.split(y):
        line = Ridge().fit(columns[train], y[train])
        assert_allclose(
            table.predictions["composition and phase"][test], line.predict(columns[test])
        )
        network = clone(models["network"]).fit([structures[k] for k in train], y[train])
        assert_allclose(
            table.predictions["network"][test],
            network.predict([structures[k] for k in test]),
            atol=1e-5,
        )
    # Groups of the rows are for the splitter.
    groups = np.arange(48) % 5
    grouped = compare_estimators(
        {"line": on_phase}, structures, y, cv=GroupKFold(5), groups=groups, params={"phase": phase}
    )
    assert grouped.predictions.groupby("fold")["row"].agg(lambda r: (r % 5).nunique()).eq(1).all()
