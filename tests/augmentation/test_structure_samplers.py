"""Samplers of crystals: what copies are, how many there are, and where they may be used."""

import numpy as np
import pandas as pd
import pytest
from imblearn.pipeline import Pipeline
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline

from sklmat import (
    AugmentedClassifier,
    AugmentedRegressor,
    CompositionFeaturizer,
    InfoGANAugmenter,
    MixupAugmenter,
    NoiseAugmenter,
    PerturbationSampler,
    StructureFeaturizer,
    StructureOverSampler,
    StructureToGraph,
    StructureUnderSampler,
)
from sklmat.estimator_checks import make_toy_crystals
from sklmat.exceptions import InvalidStructureError

#: Rows 1, 5 and 9 are rare.
LABELS = np.array(["common", "rare", "common", "common"] * 3)


@pytest.fixture(scope="module")
def crystals():
    return make_toy_crystals(12)


def displacements(copy, crystal):
    """Displacements of the atoms (Å) before the strain, and the strain."""
    deformation = np.linalg.solve(crystal.lattice.matrix, copy.lattice.matrix)
    moved = copy.cart_coords @ np.linalg.inv(deformation) - crystal.cart_coords
    return np.linalg.norm(moved, axis=1), deformation - np.eye(3)


def test_copies_stay_within_the_budgets(crystals):
    X, y = crystals
    sampler = PerturbationSampler(budget=0.08, strain=0.02, n_samples=3.0, random_state=0)
    X_all, y_all = sampler.fit_resample(X, y)
    assert len(X_all) == 48
    # Every crystal is copied three times.
    assert np.bincount(sampler.sample_indices_[12:]).tolist() == [3] * 12
    largest = []
    for copy, label, row in zip(X_all[12:], y_all[12:], sampler.sample_indices_[12:]):
        lengths, strain = displacements(copy, X[row])
        assert 0 < lengths.max() <= 0.08 + 1e-9
        assert np.linalg.norm(strain) == pytest.approx(0.02, rel=1e-6)
        np.testing.assert_allclose(strain, strain.T, atol=1e-9)
        assert label == y[row]
        largest.append(lengths.max())
    assert max(largest) > 0.06


def test_numbers_of_copies(crystals):
    X, y = crystals
    for n_samples, expected in ((0, 0), (0.0, 0), (1, 1), (1.0, 12), (0.5, 6), (30, 30)):
        sampler = PerturbationSampler(n_samples=n_samples, random_state=0)
        assert len(sampler.fit_resample(X, y)[0]) == 12 + expected


def test_without_strain_lattices_are_unchanged(crystals):
    X, y = crystals
    sampler = PerturbationSampler(random_state=0)
    copies = sampler.fit_resample(X, y)[0][12:]
    for copy, row in zip(copies, sampler.sample_indices_[12:]):
        assert copy.lattice == X[row].lattice
        assert copy != X[row]


def test_graphs_are_perturbed_like_structures(crystals):
    X, y = crystals
    builder = StructureToGraph(cutoff=4.0)
    sampler = PerturbationSampler(strain=0.02, random_state=0)
    from_structures = builder.transform(sampler.fit_resample(X, y)[0])
    graphs = builder.transform(X).with_extra({"temperature (K)": np.arange(12.0)})
    from_graphs, _ = sampler.fit_resample(graphs, y)
    np.testing.assert_allclose(from_graphs.lattices, from_structures.lattices, atol=1e-9)
    np.testing.assert_allclose(from_graphs.positions, from_structures.positions, atol=1e-6)
    np.testing.assert_array_equal(from_graphs.n_edges, from_structures.n_edges)
    # Numbers of the crystals are repeated.
    np.testing.assert_array_equal(from_graphs.extra[:, 0], sampler.sample_indices_)


# -- corrected labels


def test_label_correction_is_given_the_pairs(crystals):
    X, y = crystals
    calls = []

    def by_volume(structures, perturbed, labels):
        calls.append((structures, perturbed, labels.copy()))
        labels += 1.0  # may not change the labels of the real rows
        return [new.volume / old.volume for old, new in zip(structures, perturbed)]

    sampler = PerturbationSampler(strain=0.03, label_correction=by_volume, random_state=0)
    X_all, y_all = sampler.fit_resample(X, y)
    ((structures, perturbed, labels),) = calls
    rows = sampler.sample_indices_[12:]
    assert all(structure is X[row] for structure, row in zip(structures, rows))
    assert all(a is b for a, b in zip(perturbed, X_all[12:]))
    np.testing.assert_array_equal(labels, y[rows])
    np.testing.assert_array_equal(y_all[:12], y)
    # det(1 + strain) of a strain of norm 0.03.
    ratio = [new.volume / X[row].volume for new, row in zip(X_all[12:], rows)]
    np.testing.assert_array_equal(y_all[12:], ratio)
    assert 0 < np.abs(y_all[12:] - 1).max() < 0.03 * 3**0.5 + 0.002


def test_label_correction_of_classes_and_of_two_targets(crystals):
    X, y = crystals
    sampler = PerturbationSampler(label_correction=lambda a, b, labels: ["rare"] * len(labels))
    assert sampler.fit_resample(X, LABELS)[1][12:].tolist() == ["rare"] * 12
    sampler = PerturbationSampler(label_correction=lambda a, b, labels: 2 * labels, random_state=0)
    two = np.column_stack([y, -y])
    _, both = sampler.fit_resample(X, two)
    np.testing.assert_array_equal(both[12:], 2 * two[sampler.sample_indices_[12:]])


def test_missing_labels_stay_missing_in_copies(crystals):
    X, y = crystals
    two = np.column_stack([y, -y])
    two[[0, 5], 1] = np.nan
    sampler = PerturbationSampler(random_state=0)
    _, both = sampler.fit_resample(X, two)
    rows = sampler.sample_indices_
    np.testing.assert_array_equal(both, two[rows])
    sampler.set_params(label_correction=lambda a, b, labels: 2 * labels)
    np.testing.assert_array_equal(sampler.fit_resample(X, two)[1][12:], 2 * two[rows[12:]])
    with pytest.raises(ValueError, match=r"NaN or infinity, first in row 3"):
        sampler.fit_resample(X, np.where(np.arange(12) == 3, np.nan, y))


def test_wrong_corrections_name_the_row(crystals):
    X, y = crystals

    def third_is(value):
        return lambda a, b, labels: [value if k == 2 else label for k, label in enumerate(labels)]

    sampler = PerturbationSampler(random_state=0)
    row = sampler.fit(X, y).fit_resample(X, y) and sampler.sample_indices_[14]
    sampler.set_params(label_correction=third_is(np.nan))
    with pytest.raises(ValueError, match=rf"nan, which is no finite number, .* row {row}$"):
        sampler.fit_resample(X, y)
    sampler.set_params(label_correction=third_is("new"))
    with pytest.raises(ValueError, match=rf"new, which is no class of y, .* row {row}$"):
        sampler.fit_resample(X, LABELS)
    sampler.set_params(label_correction=lambda a, b, labels: labels[:3])
    with pytest.raises(ValueError, match=r"shape \(3,\) for 12 copies"):
        sampler.fit_resample(X, y)


@pytest.mark.parametrize("sampler", [NoiseAugmenter(), MixupAugmenter(), InfoGANAugmenter()])
def test_samplers_of_tables_refuse_crystals(crystals, sampler):
    X, y = crystals
    for same in (X, pd.Series(X), StructureToGraph().transform(X)):
        with pytest.raises(TypeError, match=r"takes tables of numbers, and X holds crystals"):
            sampler.fit_resample(same, y)


# -- classes


def test_over_sampling_repeats_the_rare_crystals_evenly(crystals):
    X, _ = crystals
    sampler = StructureOverSampler(random_state=0)
    X_all, y_all = sampler.fit_resample(X, LABELS)
    assert sampler.sampling_strategy_ == {"rare": 6}
    assert y_all[12:].tolist() == ["rare"] * 6
    assert sorted(sampler.sample_indices_[12:]) == [1, 1, 5, 5, 9, 9]
    assert all(X_all[k] is X[row] for k, row in enumerate(sampler.sample_indices_))


def test_over_sampling_displaces_copies(crystals):
    X, _ = crystals
    sampler = StructureOverSampler(budget=0.05, random_state=0)
    X_all, _ = sampler.fit_resample(X, LABELS)
    for copy, row in zip(X_all[12:], sampler.sample_indices_[12:]):
        lengths, strain = displacements(copy, X[row])
        assert 0 < lengths.max() <= 0.05 + 1e-9
        np.testing.assert_allclose(strain, 0, atol=1e-12)
    # Copies of the same crystal differ.
    first, second = np.flatnonzero(sampler.sample_indices_ == 5)[1:]
    assert X_all[first] != X_all[second]


@pytest.mark.parametrize(
    ("strategy", "n_rare"),
    [(0.5, 5), ("minority", 9), ({"rare": 7}, 7), (lambda y: {"rare": 4}, 4), ("all", 9)],
)
def test_strategies_of_over_sampling(crystals, strategy, n_rare):
    X, _ = crystals
    if strategy == 0.5:
        n_rare = 4  # int(0.5 * 9)
    _, y = StructureOverSampler(sampling_strategy=strategy).fit_resample(X, LABELS)
    assert np.sum(y == "rare") == n_rare
    assert np.sum(y == "common") == 9


def test_under_sampling_keeps_the_rare_crystals(crystals):
    X, _ = crystals
    sampler = StructureUnderSampler(random_state=0)
    X_kept, y = sampler.fit_resample(X, LABELS)
    assert sampler.sampling_strategy_ == {"common": 3}
    rows = sampler.sample_indices_
    assert len(rows) == 6
    assert {1, 5, 9} <= set(rows)
    assert (np.diff(rows) > 0).all()
    assert all(kept is X[row] for kept, row in zip(X_kept, rows))
    np.testing.assert_array_equal(y, LABELS[rows])
    assert sampler.sample_origin_.tolist() == [0] * 6
    _, y = StructureUnderSampler(sampling_strategy={"common": 5}).fit_resample(X, LABELS)
    assert np.sum(y == "common") == 5
    assert np.sum(y == "rare") == 3


def test_balancing_needs_two_classes(crystals):
    X, y = crystals
    for sampler in (StructureOverSampler(), StructureUnderSampler()):
        with pytest.raises(ValueError, match="y holds floats"):
            sampler.fit_resample(X, y)
        with pytest.raises(ValueError, match="only the class 'rare'"):
            sampler.fit_resample(X, ["rare"] * 12)


def test_errors_name_the_row_before_rows_are_removed(crystals):
    X, _ = crystals
    broken = [*X[:10], X[10].copy(), X[11]]
    broken[10].replace(0, "X0+")
    for sampler in (StructureOverSampler(), StructureUnderSampler(), PerturbationSampler()):
        with pytest.raises(InvalidStructureError) as refused:
            sampler.fit_resample(broken, LABELS)
        assert refused.value.index == 10


# -- in pipelines and searches


class Recorder(BaseEstimator):
    """Remembers what it was fitted to."""

    def fit(self, X, y, sample_weight=None):
        self.X_, self.y_, self.weight_ = X, np.asarray(y), sample_weight
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.y_[0])


class RegressorRecorder(RegressorMixin, Recorder):
    pass


class ClassifierRecorder(ClassifierMixin, Recorder):
    pass


def test_held_out_crystals_are_never_copied(crystals):
    X, y = crystals
    pipeline = Pipeline(
        [("copies", PerturbationSampler(random_state=0)), ("model", RegressorRecorder())]
    )
    found = cross_validate(
        pipeline, X, y, cv=3, return_estimator=True, return_indices=True, scoring="r2"
    )
    for fitted, train in zip(found["estimator"], found["indices"]["train"]):
        model = fitted.named_steps["model"]
        assert len(model.X_) == 16
        assert [crystal is X[row] for crystal, row in zip(model.X_, train)] == [True] * 8
        assert set(model.y_) == set(y[train])


def test_searches_choose_the_sampler(crystals):
    X, y = crystals
    steps = [("copies", PerturbationSampler(random_state=0)), ("features", CompositionFeaturizer())]
    pipeline = Pipeline([*steps, ("model", Ridge())])
    grid = {"copies": ["passthrough", PerturbationSampler(strain=0.01, random_state=0)]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    grid = {"copies__budget": [0.0, 0.1], "copies__n_samples": [0, 1.0]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise").fit(X, y)
    assert search.predict(X).shape == (12,)


@pytest.mark.parametrize("sampler", [StructureOverSampler(budget=0.05), StructureUnderSampler()])
def test_augmented_classifier_balances_crystals(crystals, sampler):
    X, _ = crystals
    sampler.set_params(random_state=0)
    model = make_pipeline(CompositionFeaturizer(), LogisticRegression())
    augmented = AugmentedClassifier(model, sampler)
    scores = cross_validate(augmented, X, LABELS, cv=3, error_score="raise")["test_score"]
    assert np.isfinite(scores).all()
    fitted = AugmentedClassifier(ClassifierRecorder(), sampler).fit(X, LABELS).estimator_
    assert np.sum(fitted.y_ == "rare") == np.sum(fitted.y_ == "common")
    # Classes that are floats.
    fitted = (
        AugmentedClassifier(ClassifierRecorder(), sampler)
        .fit(X, (LABELS == "rare") * 1.0)
        .estimator_
    )
    assert np.sum(fitted.y_ == 1.0) == np.sum(fitted.y_ == 0.0)


def test_weights_stay_with_their_crystals(crystals):
    X, _ = crystals
    weight = np.arange(1.0, 13.0)
    under = StructureUnderSampler(random_state=0)
    model = AugmentedClassifier(ClassifierRecorder(), under).fit(X, LABELS, sample_weight=weight)
    rows = model.augmenter_.sample_indices_
    np.testing.assert_array_equal(model.estimator_.weight_, weight[rows])
    over = StructureOverSampler(random_state=0)
    model = AugmentedClassifier(ClassifierRecorder(), over, sample_weight=0.5)
    model.fit(X, LABELS, sample_weight=weight)
    np.testing.assert_array_equal(model.estimator_.weight_[:12], weight)
    np.testing.assert_array_equal(model.estimator_.weight_[12:], 0.5 * weight.mean())


def test_augmented_regressor_takes_crystals_graphs_and_tables(crystals):
    X, y = crystals
    sampler = PerturbationSampler(random_state=0)
    model = make_pipeline(StructureFeaturizer(groups=["volume"]), Ridge())
    fitted = AugmentedRegressor(model, sampler).fit(X, y)
    assert fitted.predict(X).shape == (12,)
    weighted = AugmentedRegressor(RegressorRecorder(), sampler, sample_weight=0.25)
    graphs = StructureToGraph(cutoff=4.0).transform(X)
    assert len(weighted.fit(graphs, y).estimator_.X_) == 24
    weight = np.r_[0.0, np.ones(11)]
    table = pd.DataFrame({"structure": X, "temperature (K)": np.arange(12)})
    fitted = weighted.fit(table, y, sample_weight=weight).estimator_
    # The row without weight is neither kept nor copied.
    assert len(fitted.X_) == 22
    assert 0 not in set(fitted.X_["temperature (K)"])
    np.testing.assert_array_equal(fitted.weight_, np.r_[np.ones(11), np.full(11, 0.25)])
