"""Numbers that cannot be meant are refused: they say which, in which row, and what to do."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

import sklmat
from sklmat.estimator_checks import make_toy_crystals, make_toy_table
from sklmat.targets import unmasked

X, Y = make_toy_crystals()
TABLE, _ = make_toy_table(8)
SMALL = {"cutoff": 4.0, "hidden_dim": 4, "n_conv": 1, "max_epochs": 1, "random_state": 0}
TINY_GAN = {"n_samples": 4, "max_epochs": 2, "n_ensemble": 1, "hidden_dim": 4, "labeler": Ridge()}
TREE = make_pipeline(sklmat.CompositionFeaturizer(), DummyRegressor())


def zeros(structures):
    return np.zeros(len(structures))


#: What takes a numeric target.
USES = {
    "CGCNN": lambda y: sklmat.CGCNNRegressor(**SMALL).fit(X, y),
    "ECNet": lambda y: sklmat.ECNetRegressor(**SMALL, n_filters=4, tower_dims=(4,)).fit(X, y),
    "EFTGAN": lambda y: sklmat.EFTGANRegressor().fit(X, y),
    "difference": lambda y: sklmat.DeltaRegressor(TREE, zeros, references=None).fit(X, y),
    "robust process": lambda y: sklmat.RobustGaussianProcessRegressor().fit(TABLE, y),
    "noise of labels": lambda y: sklmat.label_noise(X, y),
}
#: What only passes a target on, so that its unit does not matter.
PASSED_ON = {
    "noise": lambda y: sklmat.NoiseAugmenter().fit_resample(TABLE, y),
    "mixup": lambda y: sklmat.MixupAugmenter().fit_resample(TABLE, y),
    "InfoGAN": lambda y: sklmat.InfoGANAugmenter(**TINY_GAN).fit_resample(TABLE, y),
    "perturbations": lambda y: sklmat.PerturbationSampler().fit_resample(X, y),
    "augmented": lambda y: sklmat.AugmentedRegressor(Ridge()).fit(TABLE, y),
    "comparison": lambda y: sklmat.compare_estimators({"mean": TREE}, X, y, cv=2),
    "curves": lambda y: sklmat.learning_curves({"mean": TREE}, X, y, cv=2),
}


@pytest.mark.parametrize("unit", [1e299, 1e-299, 1e-320])
@pytest.mark.parametrize("use", USES)
def test_units_whose_variance_cannot_be_computed(use, unit):
    with pytest.raises(ValueError, match=r"y has values from .* choose another unit"):
        USES[use](Y * unit)


def without(row, kind):
    y = Y.copy()
    if kind == "masked":
        return np.ma.masked_array(y, mask=np.arange(len(y)) == row)
    y = y.astype(object)
    y[row] = pd.NA
    return pd.Series(y, dtype="Float64") if kind == "Float64" else y


@pytest.mark.parametrize("kind", ["masked", "Float64", "NA"])
@pytest.mark.parametrize("use", {**USES, **PASSED_ON})
def test_labels_that_are_missing(use, kind):
    """Their row is named; `label_noise` leaves them out."""
    if use == "noise of labels":
        assert "1 labels are missing" in str(USES[use](without(2, kind)))
        return
    with pytest.raises(ValueError, match=r"\brows?:? \[?2\b|\[2\]"):
        {**USES, **PASSED_ON}[use](without(2, kind))


@pytest.mark.parametrize("use", {**USES, **PASSED_ON})
def test_complex_numbers_and_dates(use):
    for y in (Y + 1j, pd.date_range("2020", periods=len(Y))):
        with pytest.raises(ValueError, match=r"y holds|omplex|neither numbers nor classes"):
            {**USES, **PASSED_ON}[use](y)


def test_masks():
    masked = np.ma.masked_array([1, 2, 3], mask=[False, True, False])
    np.testing.assert_array_equal(unmasked(masked), [1, np.nan, 3])
    labels = np.ma.masked_array(["a", "b"], mask=[True, False])
    assert unmasked(labels).tolist() == [None, "b"]
    assert unmasked([1, 2]) == [1, 2]
    assert unmasked(np.ma.masked_array([1, 2])).tolist() == [1, 2]
    classes = np.ma.masked_array(["a", "b"] * 4, mask=np.arange(8) == 1)
    with pytest.raises(ValueError, match=r"y is missing in rows \[1\]"):
        sklmat.CGCNNClassifier(**SMALL).fit(X, classes)


def test_longer_floats_are_not_made_infinite():
    with pytest.raises(ValueError, match="NaN or infinity, first in row 0"):
        sklmat.PerturbationSampler().fit_resample(X, Y.astype(np.longdouble) * np.longdouble(2e308))


@pytest.mark.parametrize("value", [4.0, 1e9, -1.0, np.nan, np.inf])
def test_displacements_beyond_a_crystal(value):
    network = sklmat.CGCNNRegressor(**SMALL).fit(X, Y)
    for refused in (
        lambda: sklmat.perturb_structures(X, value),
        lambda: sklmat.perturb_structures(X, distribution="uniform", budget=value),
        lambda: sklmat.perturb_structures(X, strain=value),
        lambda: sklmat.PerturbationSampler(budget=value).fit_resample(X, Y),
        lambda: sklmat.StructureAttack(network, budget=value).generate(X),
        lambda: sklmat.find_adversarial_examples(network, X, Y, budget=value),
        lambda: sklmat.robustness_curve(network, X, Y, budgets=[value]),
    ):
        with pytest.raises(ValueError, match=r"budget|scale|strain"):
            refused()


@pytest.mark.parametrize("value", [11.0, 1e9, -1.0, np.nan, np.inf])
def test_smallest_distances_beyond_those_in_crystals(value):
    """All pairs within 100 Å would take minutes."""
    with pytest.raises(ValueError, match="min_distance must be from 0 to 10"):
        sklmat.perturb_structures(X, min_distance=value)
    network = sklmat.CGCNNRegressor(**SMALL).fit(X, Y)
    with pytest.raises(ValueError, match="min_distance"):
        sklmat.StructureAttack(network, min_distance=value).generate(X)


@pytest.mark.parametrize("level", [2, 0, 1, -0.5, np.nan, "0.9", None])
def test_levels_of_confidence(level):
    message = "confidence_level must lie between 0 and 1"
    models = {"mean": TREE, "other": TREE}
    with pytest.raises(ValueError, match=message):
        sklmat.compare_estimators(models, X, Y, cv=2, confidence_level=level)
    with pytest.raises(ValueError, match=message):
        sklmat.learning_curves(models, X, Y, cv=2, confidence_level=level)
    with pytest.raises(ValueError, match=message):
        sklmat.corrected_resampled_ttest([1, 2], 8, 2, confidence_level=level)


@pytest.mark.parametrize("n_rows", [0, -1, np.nan, [2, 0], [2, 2, 2]])
def test_rows_of_the_t_test(n_rows):
    for counts, name in (((n_rows, 2), "n_train"), ((8, n_rows), "n_test")):
        with pytest.raises(ValueError, match=f"{name} must be a positive number of rows"):
            sklmat.corrected_resampled_ttest([0.1, 0.2], *counts)


def test_differences_that_are_not_finite_have_no_interval():
    for value in (np.nan, np.inf):
        assert np.isnan(sklmat.corrected_resampled_ttest([value, 0.1], 8, 2)[1:]).all()
    assert np.isnan(sklmat.corrected_resampled_ttest([], 8, 2)).all()


@pytest.mark.parametrize(
    "sampler", [sklmat.NoiseAugmenter(), sklmat.MixupAugmenter(), sklmat.InfoGANAugmenter()]
)
def test_samplers_without_rows(sampler):
    with pytest.raises(ValueError, match="0 sample"):
        sampler.fit_resample(TABLE[:0], [])


@pytest.mark.parametrize("sampler", [sklmat.PerturbationSampler(), sklmat.StructureOverSampler()])
def test_samplers_without_crystals(sampler):
    with pytest.raises(ValueError, match="X is empty"):
        sampler.fit_resample([], [])


def test_adversarial_examples_without_targets():
    """A classifier is attacked as if its predictions were true; a regressor needs a threshold."""
    network = sklmat.CGCNNRegressor(**SMALL).fit(X, Y)
    with pytest.raises(ValueError, match=r"without y there are no errors .* pass threshold"):
        sklmat.find_adversarial_examples(network, X, None)
    classifier = sklmat.CGCNNClassifier(**SMALL).fit(X, ["a", "b"] * 4)
    table = sklmat.find_adversarial_examples(classifier, X, None, n_steps=1)
    assert table.attrs["n_right"] == len(X)
