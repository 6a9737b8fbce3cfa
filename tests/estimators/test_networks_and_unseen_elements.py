"""Networks and elements that no training row had."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
from crystals import b2_nial, bcc_fe, fcc_cu, l12_cu3au
from pymatgen.core import Element
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import cross_val_predict

from sklmat import (
    CGCNNClassifier,
    CGCNNRegressor,
    ECNetClassifier,
    ECNetRegressor,
    GraphEmbedding,
    StructureToGraph,
    find_adversarial_examples,
    site_attribution,
)
from sklmat.exceptions import ExtrapolationWarning, InvalidStructureError
from sklmat.random_state import draw_seed

TRAINING = [bcc_fe(), fcc_cu(), b2_nial(), bcc_fe()]
NEW = [fcc_cu(), l12_cu3au(), b2_nial()]
TARGETS = [0.0, 1.0, 0.0, 1.0]
ALL = [CGCNNClassifier, CGCNNRegressor, ECNetClassifier, ECNetRegressor]
#: Each element has a column of its own, as in "onehot".
UNIT_VECTORS = {symbol: np.eye(6)[k] for k, symbol in enumerate(("Fe", "Cu", "Ni", "Al", "Au"))}
#: Elements share columns.
PROPERTIES = pd.DataFrame(
    {"radius": [1.3, 1.3, 1.2, 1.4, 1.4], "group": [8.0, 11.0, 10.0, 13.0, 11.0]},
    index=["Fe", "Cu", "Ni", "Al", "Au"],
)


def fitted(estimator, **settings):
    return estimator(max_epochs=2, random_state=0, **settings).fit(TRAINING, TARGETS)


def caught(call):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        call()
    return [w for w in found if issubclass(w.category, ExtrapolationWarning)]


@pytest.mark.parametrize("estimator", ALL)
@pytest.mark.parametrize("atom_init", ["physical", "cgcnn", PROPERTIES], ids=str)
def test_networks_on_properties_predict_and_warn_once(estimator, atom_init):
    model = fitted(estimator, atom_init=atom_init, n_ensemble=2)
    [warning] = caught(lambda: model.predict(NEW))
    assert "1 row holds elements that no row of fit had: Au (row 1)" in str(warning.message)
    assert warning.filename == __file__
    with pytest.warns(ExtrapolationWarning):
        assert np.isfinite(model.predict(NEW)).all()
    assert caught(lambda: model.predict(TRAINING)) == []


@pytest.mark.parametrize("estimator", ALL)
@pytest.mark.parametrize("atom_init", ["onehot", UNIT_VECTORS], ids=["onehot", "own"])
def test_networks_that_learn_elements_refuse(estimator, atom_init):
    model = fitted(estimator, atom_init=atom_init)
    with pytest.raises(InvalidStructureError, match=r"structure 1 \(.*Au.*element Au") as error:
        model.predict(NEW)
    assert error.value.index == 1
    assert "atom_init='physical'" in error.value.reason
    model.predict(TRAINING)


def test_other_results_of_a_network_warn_once():
    model = fitted(CGCNNRegressor)
    for call in (
        lambda: model.embed(NEW),
        lambda: model.score(NEW, [0.0, 1.0, 2.0]),
        lambda: fitted(CGCNNClassifier).predict_proba(NEW),
        lambda: site_attribution(model, NEW),
        lambda: find_adversarial_examples(model, NEW, [0.0, 1.0, 2.0]),
        lambda: GraphEmbedding(FrozenEstimator(model)).fit(TRAINING, TARGETS).transform(NEW),
    ):
        assert len(caught(call)) == 1


def test_policy_is_that_of_the_vectors_in_fit(tmp_path):
    path = tmp_path / "atom_init.json"
    vectors = {Element(symbol).Z: vector.tolist() for symbol, vector in UNIT_VECTORS.items()}
    path.write_text(json.dumps(vectors))
    model = fitted(CGCNNRegressor, atom_init=path)
    path.unlink()
    with pytest.raises(InvalidStructureError, match="element Au"):
        model.predict(NEW)
    with pytest.raises(InvalidStructureError, match="element Au"):
        model.set_params(atom_init="physical").predict(NEW)


def test_each_fold_warns_once_at_the_line_of_the_caller():
    X, y = [*TRAINING, *NEW[:2]], np.arange(6.0)
    model = CGCNNRegressor(max_epochs=1, n_ensemble=2, random_state=0)
    warned = caught(lambda: cross_val_predict(model, X, y, cv=6))
    assert [str(warning.message).split(";")[0] for warning in warned] == [
        "1 row holds elements that no row of fit had: Al (row 0), Ni (row 0)",
        "1 row holds elements that no row of fit had: Au (row 0)",
    ]
    assert {warning.filename for warning in warned} == {__file__}


def test_validation_rows_of_early_stopping_do_not_warn():
    y = np.arange(6.0)
    model = CGCNNRegressor(max_epochs=1, early_stopping=True, random_state=0)
    graphs = StructureToGraph().transform([TRAINING[k % 4] for k in range(6)])
    [row] = model._split(y, draw_seed(0), graphs)[1]
    X = [l12_cu3au() if k == row else TRAINING[k % 4] for k in range(6)]
    assert caught(lambda: model.fit(X, y)) == []
    assert len(caught(lambda: model.predict(X))) == 1


def test_elements_accumulate_and_are_saved(tmp_path):
    model = fitted(CGCNNRegressor)
    model.save(tmp_path / "model")
    assert len(caught(lambda: CGCNNRegressor.load(tmp_path / "model").predict(NEW))) == 1
    model.partial_fit(NEW, [0.0, 1.0, 2.0])
    assert caught(lambda: model.predict(NEW)) == []
