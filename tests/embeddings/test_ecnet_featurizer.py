"""Tables of elemental vectors: columns, components, and no leak."""

import numpy as np
import pandas as pd
import pytest
from crystals import b2_cscl, nickel_fraction, random_alloys
from pymatgen.core import Structure
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmat import (
    CGCNNRegressor,
    CompositionFeaturizer,
    ECNetClassifier,
    ECNetFeaturizer,
    ECNetRegressor,
    InvalidStructureError,
    StructureToGraph,
)

TINY = {
    "cutoff": 4.0,
    "hidden_dim": 3,
    "n_filters": 4,
    "tower_dims": (4,),
    "max_epochs": 3,
    "n_ensemble": 2,
}
NUMBERS = {"Cu": 29, "Ni": 28, "Pd": 46}


def tiny(**params):
    return ECNetRegressor(**{**TINY, "random_state": 0, **params})


def made_of(structure, symbols):
    return Structure(structure.lattice, symbols, structure.frac_coords)


@pytest.fixture(scope="module")
def structures():
    """Sixteen cells of four atoms: five of Ni-Cu, one of Ni-Pd, ten of Ni-Cu-Pd."""
    rng = np.random.default_rng(0)
    systems = [["Ni", "Cu"]] * 5 + [["Ni", "Pd"]] + [["Ni", "Cu", "Pd"]] * 10
    return [
        made_of(cell, [*system, *rng.choice(system, size=4 - len(system))])
        for cell, system in zip(random_alloys(16, n_cells=1), systems)
    ]


@pytest.fixture(scope="module")
def graphs(structures):
    return StructureToGraph(cutoff=4.0, max_neighbors=None).transform(structures)


@pytest.fixture(scope="module")
def y(structures):
    return nickel_fraction(structures) + np.linspace(0, 0.1, 16)


# -- columns


def test_names_and_order(graphs, y):
    featurizer = ECNetFeaturizer(tiny(), n_components=2)
    frame = featurizer.fit_transform(graphs, y)
    names = ["x_Ni", "x_Cu", "x_Pd", "lattice_fcc", "Ni_0", "Ni_1", "Cu_0", "Cu_1", "Pd_0", "Pd_1"]
    assert frame.columns.tolist() == names
    assert featurizer.get_feature_names_out().tolist() == names
    assert featurizer.n_features_out_ == 10
    assert featurizer.elements_ == ["Ni", "Cu", "Pd"]
    assert featurizer.lattices_ == ["fcc"]
    plain = ECNetFeaturizer(tiny(), n_components=2, lattice=False).fit_transform(graphs, y)
    pd.testing.assert_frame_equal(plain, frame.drop(columns="lattice_fcc"))


def test_leading_columns_are_those_of_the_composition(structures, graphs, y):
    cubic = [*structures, b2_cscl(), b2_cscl() * (2, 1, 1)]
    expected = CompositionFeaturizer(lattice=True).fit_transform(cubic).iloc[:, :7]
    assert expected.columns.tolist()[-2:] == ["lattice_bcc", "lattice_fcc"]
    graphs = StructureToGraph(cutoff=4.0, max_neighbors=None).transform(cubic)
    for X in (cubic, graphs):
        frame = ECNetFeaturizer(tiny()).fit_transform(X, np.append(y, [0.0, 0.1]))
        pd.testing.assert_frame_equal(frame.iloc[:, :7], expected)


def test_graphs_and_structures_give_the_same(structures, graphs, y):
    a = ECNetFeaturizer(tiny()).fit(graphs, y)
    b = ECNetFeaturizer(tiny()).fit(structures, y)
    pd.testing.assert_frame_equal(a.transform(structures), b.transform(graphs))
    index = [f"alloy {k}" for k in range(16)]
    assert a.transform(pd.Series(structures, index=index)).index.tolist() == index


def principal_components(vectors, k):
    """Scores on the leading components, by the eigenvectors of the covariance matrix."""
    centred = vectors - vectors.mean(axis=0)
    values, axes = np.linalg.eigh(centred.T @ centred)
    axes, share = axes[:, ::-1][:, :k], (values / values.sum())[::-1][:k]
    return centred @ (axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(k)])), share


def test_blocks_by_hand(graphs, y):
    featurizer = ECNetFeaturizer(tiny(), n_components=3).fit(graphs, y)
    frame = featurizer.transform(graphs)
    vectors, crystal, numbers, _ = tiny().fit(graphs, y).elemental_vectors(graphs)
    rows_with = {"Cu": {*range(16)} - {5}, "Ni": {*range(16)}, "Pd": {*range(5, 16)}}
    for symbol, z in NUMBERS.items():
        block = frame[[f"{symbol}_{k}" for k in range(3)]].to_numpy()
        rows = crystal[numbers == z]
        assert set(rows) == rows_with[symbol]
        scores, share = principal_components(vectors[numbers == z].astype(float), 3)
        np.testing.assert_allclose(block[rows], scores, atol=1e-6)
        assert block[rows].any(axis=1).all()
        assert not np.delete(block, rows, axis=0).any()
        np.testing.assert_allclose(featurizer.explained_variance_ratio_[symbol], share, atol=1e-6)


def test_many_and_few_rows_give_the_same_components(graphs, y):
    """More rows than the vectors are wide, and fewer, take different solvers."""
    rows = np.tile(np.arange(16), 2)
    few = ECNetFeaturizer(FrozenEstimator(tiny(hidden_dim=12).fit(graphs, y)), n_components=2)
    many = clone(few).fit(graphs[rows])
    assert {len(few.fit(graphs).pca_["Ni"].components_[0]), 24} == {24}
    np.testing.assert_allclose(few.transform(graphs), many.transform(graphs), atol=1e-6)


def test_components_are_no_more_than_rows_and_width_allow(graphs, y):
    rows = [0, 1, 2, 5, 6]  # Copper in four of them, palladium in two.
    featurizer = ECNetFeaturizer(tiny(), n_components=9, lattice=False).fit(graphs[rows], y[rows])
    blocks = featurizer.get_feature_names_out()[3:].tolist()
    assert blocks == ["Ni_0", "Ni_1", "Ni_2", "Ni_3", "Cu_0", "Cu_1", "Cu_2", "Pd_0"]
    featurizer.fit(graphs[rows[:4]], y[rows[:4]])
    assert featurizer.pca_["Pd"] is None
    assert featurizer.explained_variance_ratio_["Pd"].tolist() == []
    assert featurizer.get_feature_names_out()[-1].startswith("Cu_")
    assert featurizer.transform(graphs[rows[:4]]).shape == (4, 8)
    # Two members three wide; normalised, the three sum to zero.
    for normalize, width in ((False, 6), (True, 4)):
        wide = ECNetFeaturizer(tiny(normalize=normalize), n_components=9).fit(graphs, y)
        assert {len(share) for share in wide.explained_variance_ratio_.values()} == {width}


def test_components_are_no_rounding_errors(structures, graphs, y):
    """All atoms of an element are alike without a convolution, or in supercells of one crystal."""
    blind = ECNetFeaturizer(tiny(n_conv=0)).fit(graphs, y)
    assert blind.get_feature_names_out().tolist() == ["x_Ni", "x_Cu", "x_Pd", "lattice_fcc"]
    cells = [structures[0] * size for size in ((1, 1, 1), (2, 1, 1), (1, 3, 1))]
    alike = ECNetFeaturizer(tiny()).fit(cells, [0.0, 1.0, 2.0])
    assert alike.get_feature_names_out().tolist() == ["x_Ni", "x_Cu", "lattice_fcc"]


def test_containers(graphs, y):
    featurizer = ECNetFeaturizer(tiny()).fit(graphs, y)
    frame = featurizer.transform(graphs)
    array = featurizer.set_output(transform="default").transform(graphs)
    assert isinstance(array, np.ndarray)
    np.testing.assert_array_equal(array, frame)


# -- which network


def test_default_network_gets_the_settings():
    network = ECNetFeaturizer(random_state=7, n_jobs=2, verbose=True)._network([0.0])
    assert isinstance(network, ECNetRegressor)
    given = {name: network.get_params()[name] for name in ("random_state", "n_jobs", "verbose")}
    assert given == {"random_state": 7, "n_jobs": 2, "verbose": True}


def test_seed_reaches_a_given_network(graphs, y):
    def table(seed, **params):
        featurizer = ECNetFeaturizer(tiny(random_state=seed), n_components=1, **params)
        return featurizer.fit_transform(graphs, y)

    pd.testing.assert_frame_equal(table(1, random_state=0), table(0))
    assert not np.allclose(table(1, random_state=0), table(1))


def test_trained_network_is_used_as_it_is(graphs, structures, y, tmp_path):
    trained = tiny().fit(graphs, y)
    trained.save(tmp_path / "network.safetensors")
    expected = ECNetFeaturizer(tiny()).fit_transform(graphs, y)
    path = tmp_path / "network.safetensors"
    for given in (FrozenEstimator(trained), path, str(path)):
        featurizer = clone(ECNetFeaturizer(given))
        pd.testing.assert_frame_equal(featurizer.fit_transform(structures), expected)
        assert not featurizer.__sklearn_tags__().target_tags.required
    assert ECNetFeaturizer().__sklearn_tags__().target_tags.required
    # Components and elements are those of the rows of fit, not of the network's training.
    assert ECNetFeaturizer(path).fit(graphs[:5]).elements_ == ["Ni", "Cu"]


def test_networks_that_cannot_be_used(graphs, y, tmp_path):
    trained = tiny().fit(graphs, y)
    with pytest.raises(ValueError, match="FrozenEstimator"):
        ECNetFeaturizer(trained).fit(graphs, y)
    with pytest.raises(ValueError, match="ECNetFeaturizer trains a network and needs y"):
        ECNetFeaturizer(tiny()).fit(graphs)
    with pytest.raises(ValueError, match="not fitted"):
        ECNetFeaturizer(FrozenEstimator(tiny())).fit(graphs)
    cgcnn = CGCNNRegressor(hidden_dim=4, max_epochs=1).fit(graphs, y)
    cgcnn.save(tmp_path / "cgcnn.safetensors")
    with pytest.raises(ValueError, match="CGCNNRegressor, which has no elemental vectors"):
        ECNetFeaturizer(tmp_path / "cgcnn.safetensors").fit(graphs)
    with pytest.raises(ValueError, match="'estimator' parameter"):
        ECNetFeaturizer(CGCNNRegressor()).fit(graphs, y)


def test_unseen_elements_and_lattices(structures, graphs, y):
    binary = ECNetFeaturizer(tiny()).fit(graphs[:5], y[:5])
    with pytest.raises(InvalidStructureError, match=r"structure 1 .* element Pd.* GraphEmbedding"):
        binary.transform(graphs[[0, 7]])
    trained = FrozenEstimator(binary.estimator_)
    with pytest.raises(ValueError, match=r"structure 2 .* element Pd, .*\(seen: Ni, Cu\)"):
        ECNetFeaturizer(trained).fit(structures[3:9])
    body_centred = made_of(b2_cscl(), ["Ni", "Cu"])
    with pytest.raises(InvalidStructureError, match=r"structure 0 .* the lattice bcc"):
        binary.transform([body_centred])


# -- supervised, and no leak


def test_held_out_targets_do_not_matter(graphs, y):
    """A network that has seen all targets is the leak; it must be caught by the same comparison."""
    train, test = np.arange(12), np.arange(12, 16)
    changed = y.copy()
    changed[test] += [9.0, -3.0, 5.0, 1.0]

    def predict(y, estimator):
        pipeline = make_pipeline(ECNetFeaturizer(estimator), StandardScaler(), Ridge())
        return pipeline.fit(graphs[train], y[train]).predict(graphs[test])

    np.testing.assert_array_equal(predict(y, tiny()), predict(changed, tiny()))
    leaky = [
        predict(target, FrozenEstimator(tiny().fit(graphs, target))) for target in (y, changed)
    ]
    assert not np.allclose(*leaky)


def test_classifier(graphs):
    labels = ["a", "b"] * 8
    featurizer = ECNetFeaturizer(ECNetClassifier(**TINY, random_state=0))
    assert featurizer.fit_transform(graphs, labels).shape == (16, 4 + 3 * 4)


# -- in scikit-learn


def test_search_over_components_and_network(structures, y):
    pipeline = make_pipeline(ECNetFeaturizer(tiny()), StandardScaler(), Ridge())
    grid = {
        "ecnetfeaturizer__n_components": [1, 2],
        "ecnetfeaturizer__estimator__max_epochs": [1, 2],
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(structures[::-1], y[::-1])
    best = search.best_estimator_[0]
    blocks = [len(share) for share in best.explained_variance_ratio_.values()]
    assert blocks == [search.best_params_["ecnetfeaturizer__n_components"]] * 3
    assert best.estimator_.n_iter_ == search.best_params_["ecnetfeaturizer__estimator__max_epochs"]


def test_xgboost_on_the_table(graphs, y):
    from xgboost import XGBRegressor

    pipeline = make_pipeline(ECNetFeaturizer(tiny(), n_components=2), XGBRegressor(n_estimators=20))
    splits = list(KFold(4, shuffle=True, random_state=0).split(y))
    predicted = cross_val_predict(pipeline, graphs, y, cv=splits)
    for train, test in splits:
        featurizer, model = clone(pipeline[0]), clone(pipeline[1])
        model.fit(featurizer.fit_transform(graphs[train], y[train]), y[train])
        np.testing.assert_array_equal(
            predicted[test], model.predict(featurizer.transform(graphs[test]))
        )
    assert np.std(predicted) > 0.1 * np.std(y)
    names = pipeline.fit(graphs, y)[-1].feature_names_in_.tolist()
    assert names[:4] == ["x_Ni", "x_Cu", "x_Pd", "lattice_fcc"]
