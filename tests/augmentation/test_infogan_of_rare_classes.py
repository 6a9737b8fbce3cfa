"""InfoGANs that are trained on the rows of rare classes alone."""

import numpy as np
import pytest
from imblearn.pipeline import Pipeline as SamplingPipeline
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression
from tables import CODE, QUICK, inner_alloys

from sklmat.augmentation import AugmentedClassifier, InfoGANAugmenter


def make_classes():
    """30 stable, 8 metastable and 2 unstable alloys; metastable ones contain no Pd."""
    X, _ = inner_alloys(40)
    y = np.repeat(["stable", "metastable", "unstable"], [30, 8, 2])
    rare = y == "metastable"
    X.loc[rare, "x_Pd"] = 0.0
    X.loc[rare, CODE] = X.loc[rare, CODE].div(X.loc[rare, CODE].sum(axis=1), axis=0)
    return X, y


def test_classes_are_filled_up():
    X, y = make_classes()
    sampler = InfoGANAugmenter(sampling_strategy="auto", **QUICK)
    X_all, y_all = sampler.fit_resample(X, y)
    assert sampler.sampling_strategy_ == {"metastable": 22, "unstable": 28}
    assert {name: (y_all == name).sum() for name in set(y)} == dict.fromkeys(set(y), 30)
    assert_array_equal(X_all[:40], X)
    assert_array_equal(sampler.sample_origin_, np.repeat([0, 1], [40, 50]))
    # Trained on metastable alloys alone, it knows no Pd.
    new = X_all[40:][y_all[40:] == "metastable"]
    assert_array_equal(new["x_Pd"], 0)
    with pytest.raises(ValueError, match="x_Pd, which no training row has"):
        sampler.samplers_["metastable"].sample(X[CODE].iloc[:1])


def test_rows_of_other_classes_do_not_matter():
    X, y = make_classes()
    sampler = InfoGANAugmenter(sampling_strategy={"metastable": 20}, **QUICK)
    new = sampler.fit_resample(X, y)[0][40:]
    X.loc[y != "metastable", "Fe_0"] *= 100
    again, labels = sampler.fit_resample(X, y)
    assert_array_equal(again[40:], new)
    assert labels[40:].tolist() == ["metastable"] * 12
    alone = InfoGANAugmenter(**QUICK).fit(X[y == "metastable"])
    assert len(alone.sample(12)) == 12


@pytest.mark.parametrize("container", ["DataFrame", "array"])
def test_in_pipelines(container):
    X, y = make_classes()
    X = X.to_numpy() if container == "array" else X
    balance = InfoGANAugmenter(sampling_strategy="minority", **QUICK)
    logistic = LogisticRegression(max_iter=2000)
    model = AugmentedClassifier(logistic, balance).fit(X, y)
    assert model.augmenter_.sampling_strategy_ == {"unstable": 28}
    step = SamplingPipeline([("balance", balance), ("logistic", logistic)]).fit(X, y)
    assert_array_equal(model.predict(X), step.predict(X))


def test_what_does_not_go_together():
    X, y = make_classes()
    sampler = InfoGANAugmenter(sampling_strategy="auto", **QUICK)
    for target in (None, np.arange(40.0)):
        with pytest.raises(ValueError, match="y is missing or holds floats"):
            sampler.fit(X, target)
    with pytest.raises(ValueError, match="labeler and n_iterations concern predicted labels"):
        sampler.set_params(labeler=LogisticRegression(), n_iterations=2).fit(X, y)
    sampler.set_params(labeler=None, n_iterations=1).fit(X, y)
    with pytest.raises(ValueError, match=r"call sample of one of samplers_.*'unstable'"):
        sampler.sample(3)
    with pytest.raises(ValueError, match="class 'unstable' has a single row"):
        sampler.fit(X[:39], y[:39])
    sampler.set_params(sampling_strategy=None).fit(X, y)
    assert len(sampler.sample(3)) == 3
