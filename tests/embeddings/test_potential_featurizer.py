"""Tables of potentials: columns, elements, components, cache and models of your own."""

import functools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from crystals import b2_cscl, bcc_fe, random_alloys, rocksalt_nacl
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline

from sklmat import (
    GraphCache,
    InvalidStructureError,
    PotentialFeaturizer,
    PretrainingOverlapWarning,
    StructureToGraph,
)
from sklmat.embeddings._potential_featurizer import _warn_of_known_crystals


def atomic_numbers(structure):
    """A potential whose outputs follow from the atomic numbers."""
    z = np.array(structure.atomic_numbers, dtype=float)
    return {"energy": z.mean(), "moments": z, "embedding": np.column_stack([z, z**2])}


def distances(structure):
    """A potential whose vectors depend on the positions."""
    near = np.sort(structure.distance_matrix, axis=1)[:, 1:4]
    return {"embedding": np.hstack([near, near**2])}


def scaled_volume(structure, factor):
    return {"energy": factor * structure.volume}


class Counting:
    """Counts its calls; two of them are two models."""

    cache_key = "counting 1"

    def __init__(self):
        self.calls = []

    def __deepcopy__(self, memo):
        return self

    def __call__(self, structure):
        self.calls.append(structure.volume)
        return {"energy": structure.volume}


@pytest.fixture(scope="module")
def alloys():
    return random_alloys(8, n_cells=1)


# -- columns


def test_columns_by_hand():
    """Na and Cl have the atomic numbers 11 and 17, Cs has 55."""
    table = PotentialFeaturizer(atomic_numbers).fit_transform([rocksalt_nacl(), b2_cscl()])
    assert table.columns.tolist() == [
        "atomic_numbers energy (eV/atom)",
        "atomic_numbers moment mean (μB)",
        "atomic_numbers moment sd (μB)",
        "atomic_numbers embedding 0 mean",
        "atomic_numbers embedding 1 mean",
        "atomic_numbers embedding 0 sd",
        "atomic_numbers embedding 1 sd",
    ]
    assert table.iloc[0].tolist() == [14, 14, 3, 14, (11**2 + 17**2) / 2, 3, (17**2 - 11**2) / 2]
    assert table.iloc[1].tolist()[:3] == [36, 36, 19]


def test_chosen_columns():
    X = [rocksalt_nacl()]
    energy = PotentialFeaturizer(atomic_numbers, columns="energy").fit_transform(X)
    assert energy.to_numpy().tolist() == [[14.0]]
    swapped = PotentialFeaturizer(atomic_numbers, columns=["moments", "energy"], pool="sd")
    assert swapped.fit_transform(X).to_numpy().tolist() == [[3.0, 14.0]]
    assert swapped.n_features_out_ == 2
    assert swapped.training_data_ is None


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"columns": []}, "columns must be one or several of"),
        ({"columns": ["energy", "forces"]}, "columns must be .* got .*forces"),
        ({"columns": ["energy", "energy"]}, "each once"),
        ({"columns": {"energy", "moments"}}, "in a list or tuple"),
        ({"columns": [["energy"]]}, r"columns must be .* got \[\['energy'\]\]"),
        ({"pool": ["max"]}, "pool must be one or several of .*mean"),
        ({"columns": "energy", "n_components": 2}, "n_components needs 'embedding'"),
        ({"model": "chgnett"}, "'model' parameter"),
        ({"device": "cuda:99"}, "cuda:99"),
    ],
)
def test_parameters_that_cannot_be_used(params, message):
    with pytest.raises(ValueError, match=message):
        PotentialFeaturizer(**{"model": atomic_numbers, **params}).fit([rocksalt_nacl()])


@pytest.mark.parametrize(
    "changed",
    [
        {"columns": "energy"},
        {"columns": ["moments", "relative energy"]},
        {"pool": ["sd", "mean"]},
        {"per_element": True},
        {"model": distances},
    ],
)
def test_parameters_changed_after_fit(changed):
    """The names of the columns are those of fit."""
    featurizer = PotentialFeaturizer(atomic_numbers, columns="moments").fit([rocksalt_nacl()])
    featurizer.set_params(**changed)
    with pytest.raises(ValueError, match="changed after fit; call fit again"):
        featurizer.transform([rocksalt_nacl()])
    featurizer.set_params(model=atomic_numbers, columns=["moments"], pool=("mean", "sd"))
    featurizer.set_params(per_element=False).transform([rocksalt_nacl()])


def test_inputs_and_outputs(alloys):
    series = pd.Series(alloys, index=[f"alloy {k}" for k in range(8)])
    before = [alloy.as_dict() for alloy in alloys]
    featurizer = PotentialFeaturizer(distances, columns="embedding")
    frame = featurizer.fit_transform(series)
    assert frame.index.tolist() == series.index.tolist()
    assert [alloy.as_dict() for alloy in alloys] == before
    graphs = StructureToGraph(cutoff=4.0).fit_transform(alloys)
    np.testing.assert_allclose(featurizer.transform(graphs), frame, atol=1e-6)
    assert featurizer.transform([]).shape == (0, 12)
    array = featurizer.set_output(transform="default").transform(alloys)
    np.testing.assert_array_equal(array, frame)
    again = pickle.loads(pickle.dumps(featurizer)).transform(alloys)
    np.testing.assert_array_equal(again, frame)
    with pytest.raises(ValueError, match="no crystals"):
        featurizer.fit([])


def test_a_model_sees_only_what_is_in_the_key(alloys):
    """A model that reads other properties of a structure would get wrong values from a cache."""

    def with_properties(structure):
        assert structure.properties == {}
        assert structure.site_properties == {}
        return {"energy": 0.0}

    crystal = alloys[0].copy(site_properties={"magmom": [1.0] * len(alloys[0])})
    crystal.properties["material_id"] = "mp-30"
    PotentialFeaturizer(with_properties, columns="energy").fit([crystal])


# -- elements


def test_columns_of_elements():
    featurizer = PotentialFeaturizer(
        atomic_numbers, columns=["energy", "moments", "embedding"], pool="mean", per_element=True
    )
    table = featurizer.fit_transform([rocksalt_nacl(), b2_cscl()])
    assert featurizer.elements_ == ["Na", "Cl", "Cs"]
    assert table.columns.tolist() == [
        "atomic_numbers energy (eV/atom)",
        "atomic_numbers moment mean of Na (μB)",
        "atomic_numbers moment mean of Cl (μB)",
        "atomic_numbers moment mean of Cs (μB)",
        "atomic_numbers embedding 0 mean of Na",
        "atomic_numbers embedding 1 mean of Na",
        "atomic_numbers embedding 0 mean of Cl",
        "atomic_numbers embedding 1 mean of Cl",
        "atomic_numbers embedding 0 mean of Cs",
        "atomic_numbers embedding 1 mean of Cs",
    ]
    assert table.to_numpy().tolist() == [
        [14, 11, 17, 0, 11, 121, 17, 289, 0, 0],
        [36, 0, 17, 55, 0, 0, 17, 289, 55, 3025],
    ]
    with pytest.raises(InvalidStructureError, match=r"structure 1 .*element Cu.*per_element=False"):
        featurizer.transform([rocksalt_nacl(), bulk("Cu")])
    whole = PotentialFeaturizer(atomic_numbers, columns="energy", per_element=True)
    assert whole.fit([rocksalt_nacl()]).transform([bulk("Cu")]).to_numpy() == [[29]]


# -- principal components


def components(vectors, k):
    """Scores on the leading components, by the eigenvectors of the covariance matrix."""
    centred = vectors - vectors.mean(axis=0)
    axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :k]
    return centred @ (axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(k)]))


def test_components_by_hand(alloys):
    vectors = PotentialFeaturizer(distances, columns="embedding").fit_transform(alloys).to_numpy()
    featurizer = PotentialFeaturizer(distances, columns="embedding", n_components=3)
    table = featurizer.fit_transform(alloys)
    assert table.columns.tolist() == [f"distances embedding component {k}" for k in range(3)]
    np.testing.assert_allclose(table, components(vectors, 3), atol=1e-6)
    np.testing.assert_allclose(featurizer.transform(alloys), table, atol=1e-12)


def test_components_are_those_of_the_rows_of_fit(alloys):
    """A PCA of all rows is the leak; the same comparison must catch it."""
    featurizer = PotentialFeaturizer(distances, columns="embedding", n_components=2)
    of_training = featurizer.fit(alloys[:5]).transform(alloys[5:])
    others = [alloy.copy().scale_lattice(2 * alloy.volume) for alloy in alloys[5:]]
    featurizer.fit(alloys[:5]).transform(others)
    np.testing.assert_array_equal(featurizer.transform(alloys[5:]), of_training)
    leaked = featurizer.fit(alloys).transform(alloys[5:])
    assert not np.allclose(leaked, of_training)


def test_fewer_components(alloys):
    featurizer = PotentialFeaturizer(distances, columns="embedding", n_components=9)
    assert featurizer.fit_transform(alloys[:3]).shape == (3, 2)
    same = PotentialFeaturizer(atomic_numbers, n_components=2).fit([b2_cscl()] * 3)
    assert same.pca_ is None
    assert same.transform([b2_cscl()]).shape == (1, 3)
    assert len(same.get_feature_names_out()) == 3


# -- cache


@pytest.mark.parametrize("kind", ["number", "memory", "folder", "folder with a limit"])
def test_each_crystal_is_evaluated_once(alloys, kind, tmp_path):
    cache = {
        "number": 8,
        "memory": GraphCache(max_bytes=1e6),
        "folder": tmp_path,
        "folder with a limit": GraphCache(max_bytes=1e6, folder=tmp_path),
    }[kind]
    model = Counting()
    featurizer = PotentialFeaturizer(model, columns="energy", cache=cache)
    X = [*alloys, alloys[0].copy()]
    scores = cross_validate(make_pipeline(featurizer, Ridge()), X, np.arange(9.0), cv=3)
    assert sorted(model.calls) == sorted(alloy.volume for alloy in alloys)
    without = Counting()
    plain = make_pipeline(PotentialFeaturizer(without, columns="energy"), Ridge())
    again = cross_validate(plain, X, np.arange(9.0), cv=3)
    assert len(without.calls) == 27
    np.testing.assert_array_equal(scores["test_score"], again["test_score"])


def test_functions_are_told_apart():
    def make(value):
        def model(structure):
            return {"energy": value}

        return model

    cache = GraphCache(max_crystals=100)
    X = [rocksalt_nacl()]

    def energy(model):
        return PotentialFeaturizer(model, columns="energy", cache=cache).fit_transform(X).iat[0, 0]

    assert [energy(make(value)) for value in (1.0, 2.0, 3.0)] == [1.0, 2.0, 3.0]
    volume = rocksalt_nacl().volume
    models = [functools.partial(scaled_volume, factor=factor) for factor in (1, 2)]
    assert [energy(model) for model in models] == [volume, 2 * volume]
    assert energy(clone(PotentialFeaturizer(models[0])).model) == volume
    assert len(cache) == 5


def test_models_that_a_cache_cannot_tell_apart(tmp_path):
    class Model:
        def __call__(self, structure):
            return {"energy": 1.0}

    X, columns = [rocksalt_nacl()], "energy"
    for model in (Model(), functools.partial(scaled_volume, factor=np.ones(1))):
        with pytest.raises(ValueError, match=r"a cache needs a name .* cache_key"):
            PotentialFeaturizer(model, columns=columns, cache=5).fit(X)
    with pytest.raises(ValueError, match=r"a folder needs a name .* cache_key"):
        PotentialFeaturizer(atomic_numbers, columns=columns, cache=tmp_path).fit(X)
    one, other = Model(), Model()
    one.cache_key, other.cache_key = "one", "other"
    for model in (one, other):
        PotentialFeaturizer(model, columns=columns, cache=tmp_path).fit(X)
    assert len(GraphCache(folder=tmp_path)) == 2
    for key in (Model(), 5, ""):
        one.cache_key = key
        with pytest.raises(ValueError, match=r"cache_key of the model .* must be a text, not"):
            PotentialFeaturizer(one, columns=columns, cache=tmp_path).fit(X)


@pytest.mark.parametrize("damage", ["cut", "empty", "flip", "graphs"])
def test_damaged_files_are_written_again(damage, tmp_path):
    model = Counting()
    featurizer = PotentialFeaturizer(model, columns="energy", cache=tmp_path)
    table = featurizer.fit_transform([rocksalt_nacl()])
    (path,) = tmp_path.glob("*/*.safetensors")
    content = path.read_bytes()
    if damage == "graphs":
        StructureToGraph().fit_transform([rocksalt_nacl()]).save(path)
    else:
        flipped = content[:-1] + bytes([content[-1] ^ 1])
        path.write_bytes({"cut": content[:-3], "empty": b"", "flip": flipped}[damage])
    for _ in range(2):
        pd.testing.assert_frame_equal(featurizer.transform([rocksalt_nacl()]), table)
        assert len(model.calls) == 2


def test_one_cache_for_graphs_and_outputs(alloys, tmp_path):
    cache = GraphCache(folder=tmp_path)
    StructureToGraph(cache=cache).fit_transform(alloys)
    model = Counting()
    PotentialFeaturizer(model, columns="energy", cache=cache).fit(alloys)
    PotentialFeaturizer(model, columns="energy", cache=cache).fit(alloys)
    StructureToGraph(cache=cache).fit_transform(alloys)
    assert len(model.calls) == 8
    assert len(cache) == 16


# -- models of your own


def test_calculator_of_ase():
    made = []

    def factory():
        made.append(EMT())
        return made[-1]

    crystals = [bulk("Cu"), bulk("Al", cubic=True), bulk("Cu", "bcc", a=2.9)]
    expected = []
    for crystal in crystals:
        crystal = crystal.copy()
        crystal.calc = EMT()
        expected.append(crystal.get_potential_energy() / len(crystal))
    table = PotentialFeaturizer(factory, columns="energy").fit_transform(crystals)
    assert table.columns.tolist() == ["factory energy (eV/atom)"]
    np.testing.assert_allclose(table.to_numpy().ravel(), expected, rtol=0, atol=1e-9)
    assert len(made) == 1


def test_magnetic_moments_of_a_calculator():
    from ase.calculators.singlepoint import SinglePointCalculator

    class Magnet(SinglePointCalculator):
        def __init__(self):
            super().__init__(bulk("Fe", cubic=True), energy=-3.0, magmoms=[2.0, -1.0])
            self.implemented_properties = ["energy", "magmoms"]

        def check_state(self, atoms, tol=1e-15):
            return []

    table = PotentialFeaturizer(Magnet, columns=["energy", "moments"]).fit_transform(
        [bulk("Fe", cubic=True)]
    )
    assert table.to_numpy().tolist() == [[-1.5, 0.5, 1.5]]


def test_errors_name_the_row():
    with pytest.raises(InvalidStructureError, match=r"structure 1 \(Na.*EMT raised NotImpl"):
        PotentialFeaturizer(EMT, columns="energy").fit([bulk("Cu"), rocksalt_nacl()])
    with pytest.raises(ValueError, match=r"EMT has no moments and no embedding, only energy .*"):
        PotentialFeaturizer(EMT).fit([bulk("Cu")])
    close = Atoms("Cu2", positions=[[0, 0, 0], [0.9, 0, 0]], cell=[5, 5, 5], pbc=True)
    with pytest.raises(InvalidStructureError, match=r"structure 1 .* apart, closer than"):
        PotentialFeaturizer(EMT, columns="energy").fit([bulk("Cu"), close])


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (1.0, "a dict with one or several of"),
        ({}, "a dict with one or several of"),
        ({"energies": 1.0}, "energies"),
        ({"energy": [1.0]}, r"energy of a model has the shape \(1,\)"),
        ({"energy": np.nan}, "not finite as energy"),
        ({"energy": 1.0, "moments": [1.0]}, r"moments .* shape \(1,\) for 2 atoms"),
        ({"energy": 1.0, "embedding": [1.0, 2.0]}, r"embedding .* shape \(2,\) .*\(N, F\)"),
    ],
)
def test_results_that_cannot_be_used(result, message):
    with pytest.raises(InvalidStructureError, match=f"structure 0 .*{message}"):
        PotentialFeaturizer(lambda structure: result, columns="energy").fit([b2_cscl()])


def test_calculators_that_cannot_be_made():
    """No crystal is to blame."""

    def factory():
        raise FileNotFoundError("no checkpoint")

    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        PotentialFeaturizer(factory, columns="energy").fit([bulk("Cu")])


def test_columns_that_the_cached_outputs_do_not_have():
    cache = GraphCache(max_crystals=5)
    PotentialFeaturizer(EMT, columns="energy", cache=cache).fit([bulk("Cu")])
    with pytest.raises(ValueError, match="EMT has no moments, only energy"):
        PotentialFeaturizer(EMT, columns="moments", cache=cache).fit([bulk("Cu")])


def test_outputs_that_some_rows_do_not_have():
    def model(structure):
        moments = {"moments": np.ones(8)} if len(structure) == 8 else {}
        return {"energy": 1.0, **moments}

    with pytest.raises(ValueError, match=r"no moments, only energy \(structure 1, Cs1Cl1\); set"):
        PotentialFeaturizer(model, columns="moments").fit([rocksalt_nacl(), b2_cscl()])


def test_a_model_that_uses_one_array_for_all_results():
    shared = np.zeros((8, 2), dtype=np.float32)

    def model(structure):
        n_atoms = len(structure)
        shared[:n_atoms] = n_atoms
        return {"moments": shared[:n_atoms, 0], "embedding": shared[:n_atoms]}

    featurizer = PotentialFeaturizer(model, columns=["moments", "embedding"], pool="mean", cache=9)
    for _ in range(2):
        table = featurizer.fit_transform([rocksalt_nacl(), b2_cscl()])
        assert table.to_numpy().tolist() == [[8, 8, 8], [2, 2, 2]]


def test_vectors_of_different_lengths():
    def model(structure):
        return {"embedding": np.ones((2, len(structure.composition)))}

    with pytest.raises(ValueError, match="model has vectors of different lengths"):
        PotentialFeaturizer(model, columns="embedding").fit([b2_cscl(), bcc_fe()])


def test_processes_change_nothing(alloys):
    for model, columns in ((distances, "embedding"), (EMT, "energy")):
        featurizer = PotentialFeaturizer(model, columns=columns, n_components=None)
        serial = featurizer.fit_transform(alloys * 12)
        parallel = featurizer.set_params(n_jobs=2).fit_transform(alloys * 12)
        assert (serial == parallel).all(axis=None)


def test_it_is_not_supervised(alloys):
    """Targets of any kind, or none, give the same table."""
    featurizer = PotentialFeaturizer(distances, columns="embedding", n_components=2)
    table = featurizer.fit_transform(alloys)
    pd.testing.assert_frame_equal(featurizer.fit_transform(alloys, np.arange(8)), table)
    pd.testing.assert_frame_equal(featurizer.fit(alloys, ["a"] * 8).transform(alloys), table)
    make_pipeline(featurizer, DummyRegressor()).fit(alloys, np.arange(8))


# -- crystals that a potential may know


def test_ids_of_the_materials_project():
    crystals = [rocksalt_nacl() for _ in range(4)]
    crystals[1].properties["material_id"] = "mp-22862"
    crystals[2].properties["task"] = "mvc-12-GGA"
    crystals[3].properties["material_id"] = "amp-1"
    with pytest.warns(PretrainingOverlapWarning, match=r"2 of 4 rows .*\(mp-22862, mvc-12-GGA\)"):
        _warn_of_known_crystals(crystals, crystals, "chgnet")
    index = ["mp-1", "mp-22862", "agm-1", "mp-2"]
    with pytest.warns(PretrainingOverlapWarning, match=r"4 of 4 rows"):
        _warn_of_known_crystals(pd.Series(crystals, index=index), crystals, "chgnet")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _warn_of_known_crystals(crystals[:1], crystals[:1], "chgnet")
        PotentialFeaturizer(EMT, columns="energy").fit(pd.Series([bulk("Cu")], index=["mp-30"]))
