"""What EFTGAN refuses."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from pymatgen.core import Composition
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import BayesianRidge, Ridge
from tiny_eftgan import NAMES, ecnet, frame, tiny

from sklmat import InvalidStructureError
from sklmat.eftgan import _regressor

FINE = [0.2, 0.3, 0.5]


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (frame(FINE, [0.2, 0.3, 0.4]), "row 1 has fractions that do not sum to one"),
        (frame(FINE, FINE, [0.7, 0.5, -0.2]), "row 2 has a negative fraction"),
        (frame(FINE, [np.nan, 0.5, 0.5]), "row 1 holds NaN"),
        (frame(FINE, [0.5, 0.5, np.inf]), "row 1 holds NaN or infinity"),
        (frame(FINE).assign(x_Au=0.0, x_Ni=["a"]), "must be numbers"),
        (frame(FINE).assign(energy=0.0), "column 'energy'; the model knows"),
        (frame(FINE).assign(lattice_fcc=1.0), "column 'lattice_fcc'"),
        (frame(FINE).assign(Ni=0.0), "names an element twice"),
        (np.array([FINE, [0.2, 0.3, 0.4]]), "row 1 has fractions that do not sum to one"),
        (np.array([FINE])[:, :2], r"needs 3 columns, one for each of \['Ni', 'Cu', 'Pd'\]"),
        (np.eye(4), "needs 3 columns"),
        ([Composition("NiPd"), Composition("NiAu")], r"row 1 \(.*\) holds \['Au'\]"),
        ([Composition("NiPd"), Composition()], r"row 1 \(.*\) holds nothing"),
    ],
)
def test_tables_that_are_refused(model, X, message):
    with pytest.raises(ValueError, match=message):
        model.predict(X, phase="fcc")
    with pytest.raises(ValueError, match=message):
        model.predict_composition(X, phase="fcc")


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (["NiPd", "NiAu2"], r"row 1 \(NiAu2\) holds \['Au'\]"),
        (["NiPd", "Ni-"], r"row 1 \('Ni-'\) is no composition"),
        (["NiPd", ""], "row 1 .* is no composition"),
        ([{"Ni": 1}, {"Ni": -0.5, "Pd": 1}], "row 1 .* is no composition"),
        (["NiPd", {"Ni": 0.4, "Pd": 0.5}], "row 1 .* fractions sum to 0.9 and not to one"),
        ([{"Ni": 0.5, "Cu": np.nan}], "row 0 .* is no composition: an amount is NaN"),
        ([{"Ni": 1}, {"Xx": 1}], "row 1 .*(is no composition|holds)"),
        (["NiPd", None], "row 1 .* is no composition"),
        (["NiPd", 3], "row 1 .* is no composition"),
    ],
)
def test_formulas_that_are_refused(model, X, message):
    with pytest.raises(ValueError, match=message):
        model.predict_composition(X, phase="fcc")


@pytest.mark.parametrize("item", ["NiPd", {"Ni": 0.5, "Pd": 0.5}])
def test_formulas_are_sent_where_they_belong(model, item):
    with pytest.raises(TypeError, match=r"row 0 is .* pass formulas .* to predict_composition"):
        model.predict([item])
    with pytest.raises(TypeError, match="pass formulas and dicts"):
        model.predict([item], phase="fcc")


def test_score_takes_the_phase(model, grid):
    told = model.predict(grid, phase="fcc")
    assert model.score(grid, told, phase="fcc") == 1
    assert model.score(grid, told + np.linspace(-1, 1, len(told)), phase="fcc") < 1


@pytest.mark.parametrize("single", ["NiPd", Composition("NiPd"), {"Ni": 1.0}])
def test_a_single_composition_is_refused(model, single):
    with pytest.raises(TypeError, match="single composition; pass a list"):
        model.predict_composition(single, phase="fcc")
    with pytest.raises((TypeError, ValueError), match=r"single|list"):
        model.predict(single)


def test_nothing_is_refused(model):
    for nothing in ([], np.empty((0, 3)), frame()):
        with pytest.raises(ValueError, match="empty"):
            model.predict(nothing, phase="fcc")
        with pytest.raises(ValueError, match="empty"):
            model.predict_composition(nothing, phase="fcc")
    with pytest.raises(ValueError, match="empty"):
        model.predict([])


@pytest.mark.parametrize(
    ("phase", "message"),
    [
        (None, r"pass phase, one of \['bcc', 'fcc'\]"),
        ("hcp", r"row 0 has the phase 'hcp'; fit saw \['bcc', 'fcc'\]"),
        (["bcc", "fcc", "hcp"], "row 2 has the phase 'hcp'"),
        (["bcc", "fcc"], r"one for each of 3 rows; got the shape \(2,\)"),
        ([["bcc"], ["fcc"], ["bcc"]], r"shape \(3, 1\)"),
        (["bcc", None, "fcc"], "row 1 has the phase None; pass a string"),
        (["bcc", "fcc", np.nan], "row 2 has the phase"),
        ([0, 1, 1], "row 0 has the phase 0; pass a string"),
    ],
)
def test_phases_that_are_refused(model, phase, message):
    for X in (np.array([FINE] * 3), [Composition("NiPd")] * 3):
        with pytest.raises(ValueError, match=message):
            model.predict(X, phase=phase)
    with pytest.raises(ValueError, match=message):
        model.predict_composition(["NiPd"] * 3, phase=phase)
    with pytest.raises(ValueError, match=message):
        model.lattice_probability(["NiPd"] * 3, phase=phase)


def test_structures_and_compositions_are_told_apart(model, alloys, tmp_path):
    structures = alloys[0][:2]
    with pytest.raises(TypeError, match="mixes 1 compositions with 2 other items"):
        model.predict([*structures, Composition("NiPd")], phase="fcc")
    with pytest.raises(ValueError, match=r"leave phase out.*predict_composition"):
        model.predict(structures, phase="fcc")
    # A string is a path, unless it can only be a formula.
    with pytest.raises(InvalidStructureError, match=r"alloy\.cif"):
        model.predict(["alloy.cif"])
    path = tmp_path / "alloy.cif"
    structures[0].to(str(path))
    assert_allclose(model.predict([str(path)]), model.predict(structures[:1]), atol=1e-3)


def test_fit_refuses(alloys, targets, monkeypatch):
    structures, _, phase, _ = alloys
    y = targets[NAMES[0]].to_numpy()
    monkeypatch.setattr(_regressor, "ECNetFeaturizer", None)  # nothing is trained before
    broken = y.copy()
    broken[[3, 7]] = np.nan, np.inf
    wrong = phase.astype(object)
    wrong[5] = None
    for message, *args in [
        (r"y is NaN or infinite in rows \[3, 7\]", structures, broken, phase),
        ("y must be numeric", structures, ["a"] * 48, phase),
        (r"y must have the shape", structures, np.zeros((48, 1, 1)), phase),
        (r"y must have the shape", structures, 3.0, phase),
        ("inconsistent numbers of samples", structures, y[:-1], phase),
        (r"one for each of 48 rows; got the shape \(47,\)", structures, y, phase[:-1]),
        (r"one for each of 48 rows; got the shape \(\)", structures, y, "fcc"),
        ("row 5 has the phase None", structures, y, wrong),
    ]:
        model = tiny()
        with pytest.raises(ValueError, match=message):
            model.fit(*args)
        assert not [name for name in vars(model) if name.endswith("_")]
    wrong = {"n_components": 0, "n_iterations": 0, "estimator": 3, "regressor": "a"}
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"'{name}' parameter"):
            clone(tiny()).set_params(**{name: value}).fit(structures, y)


def test_unfitted_raises(alloys):
    for call in (tiny().predict, tiny().predict_composition, tiny().lattice_probability):
        with pytest.raises(NotFittedError):
            call(["NiPd"])


def test_a_regressor_that_knows_no_uncertainty(graphs, targets):
    y = targets[NAMES[0]]
    plain = tiny(Ridge(), estimator=ecnet(max_epochs=1)).fit(graphs, y)
    with pytest.raises(ValueError, match="leave out max_uncertainty or return_std"):
        plain.predict(np.array([FINE]), phase="fcc", return_std=True)
    assert plain.predict(np.array([FINE]), phase="fcc").shape == (1,)
    # The spread of the networks needs no regressor.
    assert plain.predict(graphs[:2], return_std=True)[1].shape == (2,)
    for regressor in (BayesianRidge(), RandomForestRegressor(5, max_features=1)):
        told = tiny(regressor, estimator=ecnet(max_epochs=1)).fit(graphs, y)
        X = np.array([FINE, [0.4, 0.4, 0.2]])
        mean, std = told.predict(X, phase="fcc", return_std=True)
        assert_allclose(mean, told.predict(X, phase="fcc"), rtol=1e-6)
        assert (std > 0).all()
