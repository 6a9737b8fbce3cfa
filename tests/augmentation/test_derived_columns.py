"""Columns that follow from the fractions, in generated rows."""

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion
from sklearn.preprocessing import StandardScaler
from tables import QUICK, generated

from sklmat import CompositionFeaturizer
from sklmat.augmentation import InfoGANAugmenter, MixupAugmenter, NoiseAugmenter

#: Groups 10, 10, 11 and 8; one pure metal.
FORMULAS = ["Ni3Pd", "NiPd", "NiPd3", "NiCu", "PdCu3", "FeNi", "FePd2", "NiFeCu", "Fe3Cu", "Pd"]
Y = np.arange(10.0)


def make_table(**parameters):
    table = CompositionFeaturizer(**parameters).fit_transform(FORMULAS)
    volume = np.random.default_rng(0).uniform(10, 15, len(FORMULAS))
    return table.assign(**{"volume per atom (Å³)": volume})


def formulas_of(rows):
    fractions = rows[[f"x_{element}" for element in ("Fe", "Ni", "Cu", "Pd")]]
    return [
        {name[2:]: value for name, value in row.items() if value}
        for row in fractions.to_dict("records")
    ]


MIXUP = MixupAugmenter(n_samples=200, random_state=0)
NOISE = NoiseAugmenter(n_samples=50, random_state=0)
GAN = InfoGANAugmenter(n_samples=200, **QUICK)


@pytest.mark.parametrize("sampler", [MIXUP, NOISE, GAN], ids=["mixup", "noise", "infogan"])
def test_columns_follow_from_the_generated_fractions(sampler):
    statistics = ["mean", "deviation", "average deviation", "min", "max", "range", "mode"]
    X = make_table(properties=["group", "melting point (K)"], statistics=statistics)
    new, _ = generated(sampler, X, Y)
    featurizer = CompositionFeaturizer(
        properties=["group", "melting point (K)"], statistics=statistics
    )
    expected = featurizer.fit(FORMULAS).transform(formulas_of(new))
    assert_allclose(new[expected.columns], expected, rtol=1e-9, atol=1e-7)
    # Of Fe, Ni, Cu and Pd; with a maximum of 10.1, it would be of no alloy.
    assert set(new["max group"]) <= {8.0, 10.0, 11.0}
    assert new["volume per atom (Å³)"].nunique() > 20


def test_maximum_of_a_mixture():
    # The mixture of Ni and Cu has a maximum of 11 whatever the fractions, and a mean in between.
    X = CompositionFeaturizer(properties=["group"], statistics=["mean", "max"]).fit_transform(
        ["Ni", "Cu"]
    )
    new, _ = generated(MixupAugmenter(n_samples=20, random_state=0), X, np.array([0.0, 1.0]))
    assert_array_equal(new["max group"], 11)
    assert_allclose(new["mean group"], 10 + new["x_Cu"])
    x = new["x_Cu"]
    assert_allclose(new["mixing entropy (kB per atom)"], -x * np.log(x) - (1 - x) * np.log(1 - x))


def test_zeros_and_ones_that_follow_from_the_composition_are_no_category():
    # The range of the group is 0 or 1 here, and rows of both values are mixed.
    X = CompositionFeaturizer(properties=["group"], statistics=["range"]).fit_transform(
        ["Ni", "NiCu"]
    )
    mixup = MixupAugmenter(n_samples=5, random_state=0)
    new, _ = generated(mixup, X, np.array([0.0, 1.0]))
    assert mixup.category_features_.tolist() == []
    assert_array_equal(new["range group"], 1)


def test_names_behind_prefixes():
    few = {"properties": ["group"], "statistics": ["max"]}
    union = FeatureUnion([("table", CompositionFeaturizer(**few))])
    X = union.set_output(transform="pandas").fit_transform(FORMULAS)
    assert {"table__max group", "table__x_Fe"} < set(X)
    chooser = ColumnTransformer([("few", "passthrough", list(X))])
    twice = chooser.set_output(transform="pandas").fit_transform(X)
    assert "few__table__max group" in twice
    for table in (X, twice):
        new, _ = generated(MIXUP, table, Y)
        assert set(new.filter(like="max group").to_numpy().ravel()) <= {8.0, 10.0, 11.0}


def test_all_columns_of_many_elements():
    X = make_table(fractions=True, properties=None, statistics=["mean"])
    norms = CompositionFeaturizer(fractions=False).fit_transform(FORMULAS)
    X = pd.concat([X, norms.drop(columns=X.columns, errors="ignore")], axis=1)
    new, _ = generated(MIXUP, X, Y)
    expected = CompositionFeaturizer(fractions=False).fit_transform(formulas_of(new))
    assert_allclose(new[expected.columns], expected, rtol=1e-9, atol=1e-7)
    assert set(new["number of elements"]) <= {2.0, 3.0, 4.0}


def test_without_fractions_nothing_is_invented():
    X = make_table(fractions=False)
    with pytest.raises(ValueError, match=r"'mean atomic number'.* and 158 more follow from the"):
        MIXUP.fit_resample(X, Y)
    # Copies keep their composition, so noise needs no fractions.
    new, _ = generated(NOISE, X, Y)
    assert set(new["max group"]) == set(X["max group"])
    with pytest.raises(ValueError, match=r"nothing to disturb: .* follows from the composition"):
        NOISE.fit_resample(X.drop(columns="volume per atom (Å³)"), Y)
    X["lattice_fcc"], X["lattice_bcc"] = [1] * 5 + [0] * 5, [0] * 5 + [1] * 5
    with pytest.raises(ValueError, match=r"use CompositionFeaturizer\(fractions=True\)"):
        GAN.fit_resample(X, Y)


def test_all_columns_follow_from_the_composition():
    X = make_table(properties=["group"], statistics=["mean"])
    X = X.drop(columns="volume per atom (Å³)")
    new, _ = generated(GAN, X, Y)
    fractions = new[["x_Fe", "x_Ni", "x_Cu", "x_Pd"]].to_numpy()
    assert_allclose(new["mean group"], fractions @ [8, 10, 11, 10])


@pytest.mark.parametrize("sampler", [MIXUP, GAN], ids=["mixup", "infogan"])
def test_scaled_columns(sampler):
    X = make_table(properties=["group"], statistics=["mean"])
    columns = ["mean group"]
    X[columns] = StandardScaler().fit_transform(X[columns])
    with pytest.raises(ValueError, match=r"'mean group' should follow .* augment before scaling"):
        sampler.fit_resample(X, Y)


def test_rounded_fractions():
    X = make_table(properties=["group"], statistics=["mean", "mode"])
    new, _ = generated(MIXUP, X.round(3), Y)
    fractions = new[["x_Fe", "x_Ni", "x_Cu", "x_Pd"]].to_numpy()
    assert_allclose(new["mean group"], fractions @ [8, 10, 11, 10])


def test_files(tmp_path):
    X = make_table(properties=["group"])
    gan = InfoGANAugmenter(n_samples=5, **QUICK).fit(X, Y)
    gan.save(tmp_path / "gan.safetensors")
    joblib.dump(gan, tmp_path / "gan.joblib")
    rows = gan.sample(5)
    assert set(rows["max group"]) <= {8.0, 10.0, 11.0}
    for again in (
        InfoGANAugmenter.load(tmp_path / "gan.safetensors"),
        joblib.load(tmp_path / "gan.joblib"),
    ):
        assert_array_equal(again.sample(5), rows)
    assert list(gan.quality_report(X).column_distances) == ["volume per atom (Å³)"]
