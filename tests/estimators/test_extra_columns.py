"""Networks that read further columns beside the structures: `extra`."""

import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from crystals import random_alloys
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder

from sklmat import (
    CGCNNClassifier,
    CGCNNRegressor,
    CompositionFeaturizer,
    CompositionGroupKFold,
    DeltaRegressor,
    ECNetClassifier,
    ECNetRegressor,
    GraphEmbedding,
    StructureAttack,
    StructureFeaturizer,
    StructureToGraph,
    find_adversarial_examples,
)
from sklmat.exceptions import ExtrapolationWarning
from sklmat.graphs import ElementGraphs
from sklmat.inspection import attribution_change, pair_attribution, site_attribution
from sklmat.model_selection import composition_groups
from sklmat.random_state import draw_seed

TINY = {"cutoff": 4.0, "hidden_dim": 4, "max_epochs": 3, "batch_size": 8, "random_state": 0}
REGRESSORS = {
    "CGCNN": CGCNNRegressor(**TINY, n_conv=1, readout_dim=4, n_ensemble=2),
    "ECNet": ECNetRegressor(**TINY, n_filters=4, tower_dims=(4,), n_ensemble=2),
}
CLASSIFIERS = {
    "CGCNN": CGCNNClassifier(**TINY, n_conv=1, readout_dim=4),
    "ECNet": ECNetClassifier(**TINY, n_filters=4, tower_dims=(4,), n_ensemble=2),
}
both = pytest.mark.parametrize("name", REGRESSORS)


@pytest.fixture(scope="module")
def structures():
    return random_alloys(20)


@pytest.fixture(scope="module")
def table(structures):
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "name": [f"alloy {row}" for row in range(20)],
            "structure": structures,
            "T (K)": random.uniform(300, 900, 20),
            "fidelity": random.choice(["GGA", "hybrid"], 20),
        },
        index=np.arange(100, 120),
    )


@pytest.fixture(scope="module")
def y(table):
    return table["T (K)"].to_numpy() / 100


@pytest.fixture(scope="module")
def graphs(structures):
    return StructureToGraph(cutoff=4.0, max_neighbors=None).transform(structures)


def regressor(name, extra, **params):
    return clone(REGRESSORS[name]).set_params(extra=extra, **params)


class Recorder(TransformerMixin, BaseEstimator):
    """Number of atoms and volume; remembers the rows of `fit`."""

    def fit(self, X, y=None):
        self.seen_, self.y_ = list(X), y
        return self

    def transform(self, X):
        return np.array([[len(structure), structure.volume] for structure in X])


# -- what is learned


@both
def test_a_column_is_learned_that_no_structure_shows(name, table, y):
    """The target is the temperature; the structures are random."""
    params = {"max_epochs": 80, "lr": 0.03, "n_ensemble": 1}
    train, test = table[:15], table[15:]
    with_it = regressor(name, ["T (K)"], **params).fit(train, y[:15])
    assert with_it.score(test, y[15:]) > 0.9
    without = regressor(name, None, **params).fit(train["structure"], y[:15])
    assert without.score(test["structure"], y[15:]) < 0.3


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classes_are_learned_from_a_column(name, table):
    labels = np.where(table["T (K)"] > 600, "hot", "cold")
    model = clone(CLASSIFIERS[name]).set_params(extra=["T (K)"], max_epochs=50, lr=0.03)
    model.fit(table, labels)
    assert model.score(table, labels) > 0.9
    np.testing.assert_allclose(model.predict_proba(table).sum(axis=1), 1, rtol=1e-6)


@both
def test_columns_have_mean_0_and_deviation_1_over_the_training_rows(name, table, y, graphs):
    seen = []

    class Spy(type(REGRESSORS[name].architecture)):
        def make_inputs(self, estimator, graphs):
            seen.append(graphs.extra)
            return super().make_inputs(estimator, graphs)

    model = regressor(name, ["T (K)"], early_stopping=True, validation_fraction=0.25)
    model.architecture = Spy()
    weight = np.ones(20)
    weight[0] = 0
    model.fit(table.assign(**{"T (K)": np.arange(20.0)}), y, sample_weight=weight)
    columns = model.extra_columns_
    assert columns.names == ["T (K)"]
    # Neither the row without weight nor the five validation rows count.
    values = (seen[0] * columns.scale + columns.mean)[:, 0]
    np.testing.assert_allclose(values, np.arange(20), atol=1e-12)
    used = np.isclose(np.arange(20)[:, None], values).any(axis=1)
    assert used.all()
    train, _ = model._split(y, draw_seed(model.random_state), graphs, np.arange(1, 20))
    assert len(train) == 14
    assert train.mean() == pytest.approx(columns.mean[0])
    assert train.std() == pytest.approx(columns.scale[0])


def test_the_rest_of_an_energy_is_read_beside_it(structures, graphs):
    """A column that is linear in the composition up to a small part, which is the target."""
    nickel = np.array([s.composition.get_atomic_fraction("Ni") for s in structures])
    small = np.random.default_rng(0).normal(size=20)
    energy = 10 * nickel + 0.1 * small
    given = graphs.with_extra({"energy": energy, "small": small, "nickel": nickel})
    model = ECNetRegressor(**TINY, extra=["energy", "small", "nickel"]).fit(given, small)
    columns = model.extra_columns_
    assert columns.rest.tolist() == [0]
    assert columns.rest_scale[0] * columns.scale[0] == pytest.approx(0.1, rel=0.3)
    read = columns.of_table(given.extra, _fractions(structures))
    assert read.shape == (20, 4)
    np.testing.assert_allclose(read.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(read.std(axis=0), 1, rtol=1e-6)
    assert np.corrcoef(read[:, 3], small)[0, 1] > 0.9
    # Nothing is known of the rest if there is an element that no training row has (tungsten).
    new = _fractions(structures[:2])
    new[1] = 0.9 * new[1]
    new[1, 74] = 0.1
    read = columns.of_table(given.extra[:2], new)
    assert read[0, 3] != 0
    assert read[1, 3] == 0


#: Atomic numbers of the elements of `random_alloys`, sorted.
NUMBERS = np.unique([z for structure in random_alloys(20) for z in structure.atomic_numbers])


def _fractions(structures):
    fractions = np.zeros((len(structures), 119))
    for row, structure in enumerate(structures):
        for element, fraction in structure.composition.fractional_composition.items():
            fractions[row, element.Z] = fraction
    return fractions


@both
def test_a_constant_column_is_zero_and_other_values_of_it_are_told(name, table, y):
    constant = table.assign(**{"T (K)": 300.0})
    model = regressor(name, ["T (K)"]).fit(constant, y)
    assert model.extra_columns_.scale.tolist() == [0.0]
    expected = model.predict(constant)
    hot = constant.assign(**{"T (K)": 900.0})
    with pytest.warns(ExtrapolationWarning, match=r"'T \(K\)' was 300 in all training rows"):
        np.testing.assert_array_equal(model.predict(hot), expected)


def test_the_linear_term_is_a_property_of_the_crystal(structures, graphs):
    """With pool='sum' the terms of the elements are added; that of the columns counts once."""
    given = graphs.with_extra({"a": np.arange(20.0)})
    for pool in ("mean", "sum"):
        model = ECNetRegressor(**TINY, extra=["a"], pool=pool, n_ensemble=1).fit(given, np.ones(20))
        module = model.net_.module_
        with torch.no_grad():
            for parameter in module.output.parameters():
                parameter.zero_()
            module.extra_output.weight.fill_(2.0)
        scaled = (np.arange(20) - 9.5) / np.arange(20).std()
        np.testing.assert_allclose(
            model.predict(given), 2 * scaled * model.y_scale_ + model.y_mean_, rtol=1e-4, atol=1e-5
        )


# -- what is accepted


@both
def test_graphs_with_columns_give_what_the_table_gives(name, table, y):
    model = regressor(name, ["T (K)"], max_neighbors=12)
    expected = model.fit(table, y).predict(table)
    graphs = StructureToGraph(cutoff=4.0, max_neighbors=12).transform(table["structure"])
    given = graphs.with_extra(table[["T (K)"]])
    np.testing.assert_array_equal(clone(model).fit(given, y).predict(given), expected)
    predicted = [cross_val_predict(model, X, y, cv=2) for X in (given, table)]
    np.testing.assert_allclose(*predicted)


@both
def test_a_batch_and_single_rows_agree(name, table, y):
    model = regressor(name, ["T (K)"]).fit(table, y)
    one_by_one = [model.predict(table[row : row + 1])[0] for row in range(20)]
    np.testing.assert_allclose(model.predict(table), one_by_one, rtol=1e-5)


@both
def test_a_transformer_is_fitted_on_the_training_rows_only(name, structures, y):
    recorder = Recorder()
    model = regressor(name, recorder, early_stopping=True, validation_fraction=0.2)
    weight = np.ones(20)
    weight[3] = 0
    model.fit(structures, y, sample_weight=weight)
    fitted = model.extra_columns_.transformer
    assert not hasattr(recorder, "seen_")
    assert len(fitted.seen_) in (15, 16)
    rows = [next(k for k, s in enumerate(structures) if s is seen) for seen in fitted.seen_]
    assert 3 not in rows
    np.testing.assert_array_equal(fitted.y_, y[rows])
    mean = np.mean([[len(structures[k]), structures[k].volume] for k in rows], axis=0)
    np.testing.assert_allclose(model.extra_columns_.mean, mean)


@both
def test_transformers_of_structures_and_of_tables(name, table, structures, graphs, y):
    of_structures = regressor(name, make_pipeline(CompositionFeaturizer(), PCA(2)))
    expected = of_structures.fit(structures, y).predict(structures)
    # From a DataFrame such a transformer is given the structures.
    np.testing.assert_array_equal(of_structures.fit(table, y).predict(table), expected)
    columns = ColumnTransformer(
        [
            ("level", OneHotEncoder(), ["fidelity"]),
            ("temperature", "passthrough", ["T (K)"]),
            ("volume", StructureFeaturizer(groups=["volume"]), "structure"),
        ]
    )
    of_tables = regressor(name, columns).fit(table, y)
    assert len(of_tables.extra_columns_.names) > 3
    assert of_tables.predict(table[:3]).shape == (3,)
    of_graphs = regressor(name, StructureFeaturizer(groups=["volume"])).fit(graphs, y)
    assert "volume per atom (Å³)" in of_graphs.extra_columns_.names
    assert of_graphs.predict(graphs).shape == (20,)


def test_searches_and_pipelines(table, y):
    network = regressor("ECNet", ["T (K)"])
    search = GridSearchCV(
        Pipeline([("network", network)]), {"network__extra": [["T (K)"], ["T (K)", "hot"]]}, cv=2
    )
    search.fit(table.assign(hot=table["T (K)"] > 600), y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    nested = regressor("ECNet", CompositionFeaturizer()).set_params(extra__fractions=True)
    assert nested.extra.fractions is True


def test_splits_and_differences_read_the_compositions_of_a_table(table, y):
    groups = composition_groups(table)
    np.testing.assert_array_equal(groups, composition_groups(table["structure"]))
    model = regressor("ECNet", ["T (K)"])
    assert cross_val_predict(model, table, y, cv=CompositionGroupKFold(2)).shape == (20,)
    difference = DeltaRegressor(model, lambda table: table["T (K)"] / 100)
    difference.fit(table, y + np.arange(20))
    left = difference.predict(table) - y
    expected = difference.estimator_.predict(table) + _fractions(table["structure"])[:, NUMBERS] @ (
        list(difference.references_.values())
    )
    np.testing.assert_allclose(left, expected, rtol=1e-4)


def test_files_of_structures_in_a_table(tmp_path, structures, table, y):
    paths = []
    for row, structure in enumerate(structures):
        paths.append(tmp_path / f"{row}.cif")
        structure.to(filename=str(paths[-1]))
    with_files = table.assign(structure=[str(path) for path in paths])
    model = regressor("ECNet", ["T (K)"])
    np.testing.assert_allclose(
        model.fit(with_files, y).predict(with_files), model.fit(table, y).predict(table), rtol=1e-3
    )


# -- errors


@both
@pytest.mark.parametrize(
    ("change", "extra", "message"),
    [
        ({}, ["P (GPa)"], r"no column 'P \(GPa\)', which extra names; its columns are 'name', "),
        ({}, ["fidelity"], "'fidelity' holds '(GGA|hybrid)' in row 0, .*OneHotEncoder"),
        ({"T (K)": [*range(19), None]}, ["T (K)"], r"'T \(K\)' has no value \(NaN\) in row 19"),
        ({"T (K)": [np.inf, np.inf, *range(18)]}, ["T (K)"], "is infinite in row 0 and 1 other"),
        ({}, [], "extra names no columns"),
        ({}, ["T (K)", "T (K)"], "names a column twice"),
        ({"structure": 1}, ["T (K)"], "no column of X holds structures"),
    ],
)
def test_columns_that_cannot_be_read(name, table, y, change, extra, message):
    with pytest.raises(ValueError, match=message):
        regressor(name, extra).fit(table.assign(**change), y)
    if extra == ["T (K)"]:
        model = regressor(name, extra).fit(table, y)
        if "structure" in change:
            message = r"structure 0 \(int\): not a structure"
        with pytest.raises(ValueError, match=message):
            model.predict(table.assign(**change))


def test_crystals_without_the_columns(structures, graphs, table, y):
    model = regressor("ECNet", ["T (K)"])
    with pytest.raises(
        ValueError, match=r"pass pd\.DataFrame\(\{'structure': structures, 'T \(K\)'"
    ):
        model.fit(structures, y)
    with pytest.raises(ValueError, match=r"pass graphs\.with_extra\(table\[\['T \(K\)'\]\]\)"):
        model.fit(graphs, y)
    with pytest.raises(ValueError, match=r"pass its column of structures"):
        regressor("ECNet", None).fit(table, y)
    with pytest.raises(ValueError, match=r"must be .* an instance of 'list'"):
        regressor("ECNet", "T (K)").fit(table, y)


def test_transformers_that_give_no_table(structures, y):
    class Flat(Recorder):
        def transform(self, X):
            return np.ones(len(X))

    class Missing(Recorder):
        def transform(self, X):
            return np.where(np.arange(len(X)) == 2, np.nan, 1.0)[:, None]

    with pytest.raises(ValueError, match=r"Flat gave an array of shape \(20,\)"):
        regressor("ECNet", Flat()).fit(structures, y)
    with pytest.raises(ValueError, match=r"'Missing 0' has no value \(NaN\) in row 2"):
        regressor("ECNet", Missing()).fit(structures, y)


def test_graphs_with_columns_and_a_network_without(graphs, y):
    """Columns that nothing names are not read."""
    given = graphs.with_extra({"T (K)": np.arange(20.0)})
    model = regressor("ECNet", None).fit(given, y)
    np.testing.assert_array_equal(model.predict(given), model.fit(graphs, y).predict(graphs))


# -- training further


@both
def test_training_further_keeps_the_scaling(name, table, y):
    model = regressor(name, ["T (K)"]).fit(table, y)
    mean = model.extra_columns_.mean
    model.partial_fit(table[:5], y[:5])
    model.set_params(warm_start=True).fit(table[:10], y[:10])
    np.testing.assert_array_equal(model.extra_columns_.mean, mean)
    with pytest.raises(ValueError, match=r"cannot change its further columns: extra was \['T \(K"):
        model.set_params(extra=None).fit(table["structure"], y)
    model = regressor(name, None).fit(table["structure"], y)
    with pytest.raises(ValueError, match="further columns: extra was None, is"):
        model.set_params(warm_start=True, extra=CompositionFeaturizer()).fit(table["structure"], y)


@both
@pytest.mark.parametrize("factor", [1.0, 100.0])
def test_transfer_with_columns(name, table, y, tmp_path, factor):
    source = regressor(name, ["T (K)"], max_epochs=20, lr=0.05).fit(table, y)
    path = tmp_path / "source.safetensors"
    source.save(path)
    model = regressor(
        name, ["T (K)"], max_epochs=1, lr=1e-12, warm_start_from=path, freeze="convolutions"
    ).fit(table[:15], factor * y[:15])
    np.testing.assert_array_equal(model.extra_columns_.mean, source.extra_columns_.mean)
    # The output was fitted to the new unit, with the term that is linear in the columns.
    error = np.abs(model.predict(table) / factor - y).mean()
    assert error < 1.1 * np.abs(source.predict(table) - y).mean() + 0.02
    for other in (["hot"], None, CompositionFeaturizer()):
        given = table.assign(hot=1.0) if isinstance(other, list) else table["structure"]
        with pytest.raises(ValueError, match=r"reads other columns: extra is \['T \(K\)'\] there"):
            regressor(name, other, warm_start_from=FrozenEstimator(source)).fit(given, y)


@both
def test_a_column_that_was_constant_in_the_source_is_learned(name, table, y):
    source = regressor(name, ["level"]).fit(table.assign(level=1), y)
    model = regressor(name, ["level"], warm_start_from=FrozenEstimator(source))
    model.fit(table.assign(level=np.arange(20) % 2), y)
    assert model.extra_columns_.mean.tolist() == [0.5]


def test_a_column_that_was_constant_in_the_first_rows_is_learned(table, y):
    """As in batches of one temperature each: later batches tell what the column means."""
    later = table.assign(T=np.where(np.arange(20) % 2, 300.0, 900.0))
    model = CGCNNRegressor(**TINY, n_conv=1, readout_dim=4, extra=["T"])
    model.partial_fit(later.assign(T=300.0), y)
    assert model.extra_columns_.scale == [0.0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(later, y)
    assert model.extra_columns_.mean == [600.0]
    assert model.extra_columns_.scale == [300.0]


def test_columns_of_a_transformer_in_another_order(table, y):
    numbers = FunctionTransformer(lambda X: X.select_dtypes("number"))
    model = CGCNNRegressor(**TINY, n_conv=1, readout_dim=4, extra=numbers, warm_start=True)
    table = table[["structure"]].assign(T=y, p=np.arange(20.0))
    model.fit(table, y)
    message = r"the 2 columns \['T', 'p'\] in fit, and now gives the 2 columns \['p', 'T'\]"
    with pytest.raises(ValueError, match=message):
        model.predict(table[["p", "structure", "T"]])
    with pytest.raises(ValueError, match=r"now gives the 1 columns \['T'\]"):
        model.fit(table[["structure", "T"]], y)


def test_an_interrupted_training_is_resumed(table, y, tmp_path):
    class Stop(Exception):
        pass

    from skorch.callbacks import Callback

    class Interrupt(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise Stop

    model = regressor("ECNet", ["T (K)"])
    expected = model.fit(table, y).predict(table)
    with pytest.raises(Stop):
        clone(model).set_params(callbacks=[Interrupt()]).fit(table, y, checkpoint=tmp_path / "run")
    resumed = clone(model).fit(table, y, checkpoint=tmp_path / "run")
    np.testing.assert_array_equal(resumed.predict(table), expected)
    with pytest.raises(ValueError, match="checkpoint"):
        clone(model).fit(table.assign(**{"T (K)": 1.0}), y, checkpoint=tmp_path / "run")


# -- files


@both
def test_files(name, table, structures, y, tmp_path):
    path = tmp_path / "model.safetensors"
    model = regressor(name, ["T (K)"]).fit(table, y)
    model.save(path)
    loaded = type(model).load(path)
    assert loaded.extra == ["T (K)"]
    np.testing.assert_array_equal(loaded.predict(table), model.predict(table))
    joblib.dump(model, path)
    np.testing.assert_array_equal(joblib.load(path).predict(table), model.predict(table))
    model = regressor(name, StructureFeaturizer(groups=["volume"])).fit(structures, y)
    model.save(path)
    loaded = type(model).load(path)
    assert isinstance(loaded.extra, StructureFeaturizer)
    np.testing.assert_array_equal(loaded.predict(structures), model.predict(structures))
    loaded.set_params(warm_start=True).fit(structures, y)
    model = regressor(name, make_pipeline(CompositionFeaturizer(), PCA(2))).fit(structures, y)
    with pytest.raises(ValueError, match=r"extra is a Pipeline, .*write .* joblib\.dump"):
        model.save(path)


def test_a_refit_without_columns_leaves_none(table, y):
    model = regressor("ECNet", ["T (K)"]).fit(table, y)
    model.set_params(extra=None).fit(table["structure"], y)
    assert model.extra_columns_ is None
    assert model.predict(table["structure"]).shape == (20,)


def test_default_dtype_of_torch(table, y, double):
    for name in REGRESSORS:
        assert regressor(name, ["T (K)"]).fit(table, y).predict(table).shape == (20,)


# -- attacks and attributions hold the columns fixed


@both
def test_attacks(name, table, y, graphs):
    model = regressor(name, ["T (K)"], max_epochs=10).fit(table, y)
    attack = StructureAttack(model, budget=0.1, n_steps=3)
    moved = attack.generate(table, y)
    after = model.predict(table.assign(structure=moved))
    before = model.predict(table)
    assert (np.abs(after - y) >= np.abs(before - y) - 1e-4).all()
    assert np.abs(after - before).max() > 1e-4
    examples = find_adversarial_examples(model, table, y, budget=0.3, threshold=1e-3)
    assert set(examples["index"]) <= set(range(20))
    # Graphs keep the columns that were given, not the scaled ones that the network reads.
    own = StructureToGraph(**{k: model.graph_settings_[k] for k in ("cutoff", "max_neighbors")})
    given = own.transform(table["structure"]).with_extra(table[["T (K)"]])
    of_graphs = attack.generate(given, y)
    np.testing.assert_array_equal(of_graphs.extra, given.extra)
    np.testing.assert_allclose(model.predict(of_graphs), after, rtol=1e-3, atol=1e-3)


@both
def test_adversarial_training(name, table, y):
    model = regressor(name, ["T (K)"], adversarial=StructureAttack(method="fgsm", budget=0.05))
    assert np.isfinite(model.fit(table, y).predict(table)).all()


@both
def test_attributions_are_complete(name, table, y):
    model = regressor(name, ["T (K)"]).fit(table, y)
    sites = site_attribution(model, table[:4])
    total = sites.groupby("row")["attribution"].sum() + sites.attrs["baseline"]
    np.testing.assert_allclose(total, model.predict(table[:4]), rtol=1e-3)
    pairs = pair_attribution(model, table[:4], shells=1, n_permutations=1)
    total = pairs.groupby("row")["attribution"].sum() + pairs.attrs["baseline"]
    np.testing.assert_allclose(total, model.predict(table[:4]), rtol=1e-5)
    change = attribution_change(model, table[:2], table[:2], shells=1, n_permutations=1)
    assert (change["change"] == 0).all()


def test_contributions_of_elements_sum_to_the_prediction(table, y):
    model = regressor("ECNet", ["T (K)"], max_epochs=30).fit(table, y)
    total = model.element_contributions(table).sum(axis=1)
    np.testing.assert_allclose(total, model.predict(table), rtol=1e-5)


@both
def test_vectors_of_crystals_do_not_depend_on_the_columns(name, table, y):
    model = regressor(name, ["T (K)"]).fit(table, y)
    vectors = model.embed(table)
    np.testing.assert_array_equal(model.embed(table.assign(**{"T (K)": 0.0})), vectors)
    embedding = GraphEmbedding(regressor(name, ["T (K)"])).set_output(transform="default")
    np.testing.assert_allclose(embedding.fit_transform(table, y), vectors, rtol=1e-5)


# -- the container


def test_columns_follow_their_crystals(graphs, tmp_path):
    given = graphs.with_extra({"a": np.arange(20), "b": np.arange(20) % 2 == 0})
    assert given.extra_names == ("a", "b")
    assert "columns a, b" in repr(given)
    assert graphs.extra is None
    given.save(tmp_path / "graphs")
    for read in (
        given,
        type(given).load(tmp_path / "graphs"),
        type(given).load(tmp_path / "graphs", mmap=True),
    ):
        assert read.extra_names == ("a", "b")
        for rows in ([3, 1], slice(2, 4), np.arange(20) < 2):
            np.testing.assert_array_equal(read[rows].extra[:, 0], np.arange(20)[rows])
        np.testing.assert_array_equal(read[[5, 6]][1:].in_memory().extra, [[6, 1]])
        np.testing.assert_array_equal(read.restrict(cutoff=3.0).extra, given.extra)
        np.testing.assert_array_equal(ElementGraphs.from_graphs(read[4:7]).extra[:, 0], [4, 5, 6])
        joined = type(given).concatenate([read[:2], read[4:5]])
        np.testing.assert_array_equal(joined.extra[:, 0], [0, 1, 4])
        again = joblib.load(joblib.dump(read[[7, 2]], tmp_path / "pickle")[0])
        np.testing.assert_array_equal(again.extra[:, 0], [7, 2])
        assert read.with_extra(None).extra is None
    with pytest.raises(ValueError, match=r"part 1 has the columns \[\], part 0 has \['a', 'b'\]"):
        type(given).concatenate([given, graphs])
    with pytest.raises(ValueError, match=r"'a' has the shape \(3,\), but there are 20 crystals"):
        graphs.with_extra({"a": [1, 2, 3]})


def test_no_warnings(table, y):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        regressor("ECNet", ["T (K)"]).fit(table, y).predict(table)
