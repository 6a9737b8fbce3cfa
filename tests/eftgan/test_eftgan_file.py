"""Files of `EFTGANRegressor` and `InfoGANAugmenter`."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import Ridge
from tiny_eftgan import NAMES, ecnet, infogan, tiny

from sklmat import EFTGANRegressor, InfoGANAugmenter


@pytest.fixture(scope="module")
def holes(targets):
    holes = targets.copy()
    holes.iloc[::4, 1] = np.nan
    return holes


@pytest.mark.parametrize("kind", ["default labels", "missing labels", "lattice as phase"])
def test_save_and_load(kind, graphs, alloys, targets, holes, grid, tmp_path):
    y = {"default labels": targets[NAMES[0]], "missing labels": holes}.get(kind, targets)
    phase = None if kind == "lattice as phase" else alloys[2]
    augmenter = infogan(labeler=None, n_iterations=1 + (kind == "missing labels"))
    model = tiny(estimator=ecnet(max_epochs=1), augmenter=augmenter, predict_from="composition")
    model.fit(graphs, y, phase)
    path = tmp_path / "alloys.safetensors"
    model.save(path)
    loaded = EFTGANRegressor.load(path)
    for name in ("bcc", "fcc"):
        assert_array_equal(loaded.predict(grid, name), model.predict(grid, name))
        for found, expected in zip(
            loaded.predict(grid, name, return_std=True), model.predict(grid, name, return_std=True)
        ):
            assert_array_equal(found, expected)
        pd.testing.assert_frame_equal(
            loaded.lattice_probability(grid, name), model.lattice_probability(grid, name)
        )
    assert_array_equal(loaded.estimator_.predict(graphs), model.estimator_.predict(graphs))
    assert loaded.target_names_ == model.target_names_
    assert loaded.phases_ == model.phases_
    assert str(loaded.report_) == str(model.report_)
    assert loaded.predict_from == "composition"
    again = clone(loaded).fit(graphs, y, phase)
    assert_allclose(again.predict(grid, "fcc"), model.predict(grid, "fcc"), rtol=1e-6)
    with pytest.raises(ValueError, match=r"a model, which EFTGANRegressor.load reads"):
        InfoGANAugmenter.load(path)


def test_estimators_of_the_user_are_not_written(graphs, targets, tmp_path):
    for params, message in [
        ({"regressor": Ridge()}, "a regressor of yours cannot be written without code"),
        ({}, "labeler holds a Ridge"),
    ]:
        model = tiny(estimator=ecnet(max_epochs=1), **params).fit(graphs, targets[NAMES[0]])
        with pytest.raises(ValueError, match=message):
            model.save(tmp_path / "model")


def test_a_saved_augmenter_samples_the_same_rows(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.uniform(size=30)
    X = pd.DataFrame({"x_Ni": x, "x_Cu": 1 - x, "Ni_0": np.sin(x), "Cu_0": x**2})
    y = X["Ni_0"] - X["Cu_0"]
    for table in (X, X.to_numpy()):
        augmenter = infogan(labeler=None, n_iterations=2, random_state=0).fit(table, y)
        augmenter.save(tmp_path / "gan")
        loaded = InfoGANAugmenter.load(tmp_path / "gan")
        found, expected = loaded.sample(7), augmenter.sample(7)
        assert type(found) is type(expected)
        assert_array_equal(found, expected)
        codes = table[["x_Ni", "x_Cu"]] if table is X else table[:, :2]
        assert_array_equal(loaded.sample(codes, noise=False), augmenter.sample(codes, noise=False))
        assert_array_equal(loaded.labeler_.predict(table), augmenter.labeler_.predict(table))
        assert loaded.history_ == augmenter.history_
    untrained = infogan(labeler=None, random_state=0).fit(X)  # Without targets there is no labeler.
    untrained.save(tmp_path / "gan")
    assert_array_equal(InfoGANAugmenter.load(tmp_path / "gan").sample(X), untrained.sample(X))
