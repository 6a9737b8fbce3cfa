"""Graphs of a mapped file: selections hold rows, and give what graphs in memory give."""

import copy
import os
import pickle
from dataclasses import replace

import joblib
import numpy as np
import pytest
from crystals import isolated_ne, random_alloys
from same_graphs import assert_same
from sklearn.model_selection import GridSearchCV, cross_validate

from sklmat import CGCNNRegressor, CrystalGraphs, ECNetRegressor, StructureToGraph
from sklmat.graphs import ElementGraphs, _element_graphs, _lazy_graphs, lazy_rows

ROWS = np.array([5, 1, 1, 8, 11, 0])


@pytest.fixture(scope="module")
def in_memory():
    return StructureToGraph().transform([*random_alloys(11), isolated_ne()])


@pytest.fixture
def path(in_memory, tmp_path):
    in_memory.save(tmp_path / "graphs")
    return tmp_path / "graphs"


@pytest.fixture
def mapped(path):
    return CrystalGraphs.load(path, mmap=True)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(_lazy_graphs, "_CHUNK_EDGES", 100)
    monkeypatch.setattr(_element_graphs, "_CHUNK_EDGES", 100)


SELECTIONS = [
    lambda g: g,
    lambda g: g[3],
    lambda g: g[-1],
    lambda g: g[2:9],
    lambda g: g[2:9][1:4],
    lambda g: g[5:2],
    lambda g: g[[]],
    lambda g: g[ROWS],
    lambda g: g[ROWS][[4, 0]][::-1],
    lambda g: g[ROWS][1:5],
    lambda g: g[2:9][[0, 5]],
    lambda g: g[np.arange(12) % 3 == 0],
    lambda g: g[ROWS, ...],
    lambda g: g.restrict(cutoff=3.0),
    lambda g: g.restrict(cutoff=3.0)[ROWS],
    lambda g: g[ROWS].restrict(max_neighbors=4),
    lambda g: g[2:9].restrict(4.0).restrict(3.0, 5)[1:5],
    lambda g: CrystalGraphs.concatenate([g[ROWS], g]),
]


@pytest.mark.parametrize("number", range(len(SELECTIONS)))
def test_selections_are_those_of_graphs_in_memory(in_memory, mapped, number):
    select = SELECTIONS[number]
    expected, graphs = select(in_memory), select(mapped)
    assert_same(graphs, expected)
    assert_same(graphs.in_memory(), expected)
    assert_same(replace(graphs, edge_ptr=graphs.edge_ptr), expected)
    assert_same(copy.deepcopy(graphs), expected)
    assert_same(pickle.loads(pickle.dumps(graphs)), expected)
    assert (repr(graphs), len(graphs), graphs.nbytes) == (
        repr(expected),
        len(expected),
        expected.nbytes,
    )
    np.testing.assert_array_equal(graphs.neighbor_counts, expected.neighbor_counts)
    np.testing.assert_array_equal(graphs.edge_vectors, expected.edge_vectors)
    for step in (1, 20, 10**6):
        parts = list(graphs.chunks(step))
        assert_same(CrystalGraphs.concatenate([part for _, part in parts]), expected)
        assert [first for first, _ in parts] == np.cumsum(
            [0, *(len(part) for _, part in parts[:-1])]
        ).tolist()


def test_rows_of_graphs_in_memory(in_memory):
    lazy = lazy_rows(in_memory, ROWS)
    assert_same(lazy, in_memory[ROWS])
    assert_same(lazy[1:3], in_memory[ROWS][1:3])
    assert_same(pickle.loads(pickle.dumps(lazy)), in_memory[ROWS])
    assert lazy.whole is in_memory
    # The arrays are not copied before they are read.
    assert not any(name in vars(lazy) for name in ("positions", "edge_distance"))


def test_a_selection_is_small_and_travels_as_rows(mapped):
    selection = mapped[ROWS].restrict(cutoff=3.0)
    assert selection.nbytes > 3000
    assert len(pickle.dumps(selection)) < 1500
    assert joblib.hash(selection) == joblib.hash(mapped[ROWS].restrict(cutoff=3.0))
    assert joblib.hash(selection) != joblib.hash(mapped[ROWS])


@pytest.mark.parametrize("change", ["removed", "written again"])
def test_a_file_that_changed_is_not_taken_for_the_old_one(in_memory, mapped, path, change):
    pickled = pickle.dumps(mapped[ROWS])
    if change == "removed":
        path.unlink()
    else:
        in_memory[::-1].save(path)
        os.utime(path, (1e9, 1e9))
    with pytest.raises(ValueError, match=r"changed or removed after.*in_memory"):
        pickle.loads(pickled)
    with pytest.raises(ValueError, match=r"changed or removed after.*in_memory"):
        pickle.dumps(mapped)
    # The map itself is still that of the old file.
    assert_same(mapped, in_memory)
    assert_same(copy.deepcopy(mapped), in_memory)


def test_mapped_graphs_cannot_be_changed(mapped):
    with pytest.raises(ValueError, match="read-only"):
        mapped.edge_distance[0] = 1.0
    with pytest.raises(AttributeError, match="no attribute 'n_bonds'"):
        mapped.n_bonds  # noqa: B018


def test_element_graphs_are_the_same(in_memory, mapped):
    for spread in (False, True):
        expected = ElementGraphs.from_graphs(in_memory, spread=spread)
        graphs = ElementGraphs.from_graphs(mapped, spread=spread)
        for name, array in vars(expected).items():
            np.testing.assert_array_equal(getattr(graphs, name), array, err_msg=name)
        assert not graphs.radial.flags.owndata
        assert not graphs.radial.flags.writeable
    assert len(ElementGraphs.from_graphs(mapped[:0]).radial) == 0


@pytest.mark.parametrize("estimator_class", [CGCNNRegressor, ECNetRegressor])
@pytest.mark.parametrize("params", [{}, {"early_stopping": True}, {"cutoff": 3.5}])
def test_training_is_the_same(in_memory, mapped, tmp_path, estimator_class, params):
    y = np.linspace(0, 1, 6) ** 2
    results = []
    for number, graphs in enumerate((in_memory, mapped)):
        estimator = estimator_class(max_epochs=2, random_state=0, **params)
        estimator.fit(graphs[ROWS], y, checkpoint=tmp_path / str(number))
        results.append((estimator.predict(graphs[:11]), estimator.elements_.tolist()))
        results[-1] += ([row["train_loss"] for row in estimator.history_],)
    assert (results[0][0] == results[1][0]).all()
    assert results[0][1:] == results[1][1:]
    # A checkpoint of graphs in memory is one of the same graphs in a file.
    again = estimator_class(max_epochs=2, random_state=0, **params)
    again.fit(mapped[ROWS], y, checkpoint=tmp_path / "0")
    assert (again.predict(in_memory[:11]) == results[0][0]).all()


def test_cross_validation_and_searches(in_memory, mapped):
    y = np.arange(11.0)
    model = CGCNNRegressor(max_epochs=1, random_state=0)
    scores = [
        cross_validate(model, graphs[:11], y, cv=3)["test_score"].tolist()
        for graphs in (in_memory, mapped)
    ]
    assert scores[0] == scores[1]
    searches = [
        GridSearchCV(model, {"cutoff": [3.0, 8.0]}, cv=2).fit(graphs[:11], y)
        for graphs in (in_memory, mapped)
    ]
    tables = [search.cv_results_["mean_test_score"].tolist() for search in searches]
    assert tables[0] == tables[1]


@pytest.mark.slow
def test_processes_get_rows(in_memory, mapped):
    y = np.arange(11.0)
    scores = [
        cross_validate(
            CGCNNRegressor(max_epochs=1, n_ensemble=2, early_stopping=True, random_state=0),
            graphs[:11],
            y,
            cv=2,
            n_jobs=n_jobs,
        )["test_score"].tolist()
        for graphs, n_jobs in ((in_memory, None), (mapped, 2))
    ]
    assert scores[0] == scores[1]


def test_errors_count_through_all_chunks(mapped, monkeypatch):
    chunks = CrystalGraphs.chunks
    monkeypatch.setattr(CrystalGraphs, "chunks", lambda self: chunks(self, 20))
    table = {number: [1.0, 0.5] for number in set(mapped[:11].atomic_numbers.tolist())}
    with pytest.raises(ValueError, match=r"structure 11 \(Ne1\) has an element without"):
        CGCNNRegressor(atom_init=table).fit(mapped, np.arange(12.0))
    fitted = ECNetRegressor(max_epochs=1, atom_init="onehot").fit(mapped[:11], np.arange(11.0))
    with pytest.raises(ValueError, match=r"structure 11 \(Ne1\).*holds the element Ne"):
        fitted.predict(mapped)


def test_arrays_cannot_be_set(mapped):
    with pytest.raises(AttributeError, match=r"edge_distance cannot be set.*in_memory"):
        mapped.edge_distance = 2 * mapped.edge_distance
