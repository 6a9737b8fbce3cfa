"""Files that were damaged, exchanged or made up: each kind of damage that was found once."""

import json
import os
import resource
import stat
import time
import warnings
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch
from damaged_files import ALLOYS, GRAPHS, LOADS, SMALL, TARGET
from fuzzing import join_header, split_header
from numpy.testing import assert_array_equal
from phase_model import PhaseModel

from sklmat import (
    CGCNNRegressor,
    CrystalGraphs,
    ECNetFeaturizer,
    GraphCache,
    StructureToGraph,
    save_structures,
)
from sklmat.model_files import make_with_params
from sklmat.screening import composition_grid, screen


def change_header(path, change):
    """Apply a function to the header of a safetensors file, and leave out its digest."""
    header, rest = split_header(path.read_bytes())
    header["__metadata__"].pop("digest", None)
    change(header)
    path.write_bytes(join_header(header, rest))


def change_content(path, change):
    """Apply a function to the settings of a model in its file."""

    def in_header(header):
        content = json.loads(header["__metadata__"]["content"])
        change(content)
        header["__metadata__"]["content"] = json.dumps(content)

    change_header(path, in_header)


def change_array(path, name, change):
    """Apply a function to an array in a safetensors file, and leave out its digest."""
    header, rest = split_header(path.read_bytes())
    header["__metadata__"].pop("digest", None)
    first, last = header[name]["data_offsets"]
    types = {"F64": "<f8", "F32": "<f4", "I32": "<i4", "I64": "<i8", "U8": "u1"}
    values = np.frombuffer(rest[first:last], types[header[name]["dtype"]]).copy()
    change(values)
    path.write_bytes(join_header(header, rest[:first] + values.tobytes() + rest[last:]))


def setter(place, value):
    def change(values):
        values[place] = value

    return change


# -- graphs


@pytest.fixture
def graphs_file(tmp_path):
    GRAPHS.save(tmp_path / "graphs")
    return tmp_path / "graphs"


N_ATOMS = int(GRAPHS.n_atoms[0])


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize(
    ("name", "place", "value", "message"),
    [
        ("positions", 4, np.nan, "positions holds values from nan"),
        ("lattices", 0, np.inf, "lattices holds values from .* to inf"),
        ("edge_distance", 7, np.nan, "edge_distance holds values from nan"),
        ("edge_distance", 7, -1.0, "edge_distance holds values from -1.0"),
        ("atomic_numbers", 0, 0, "atomic_numbers holds values from 0 to 46"),
        ("edge_source", 0, N_ATOMS, f"edge_source of crystal 0 holds the atoms 0 to {N_ATOMS} of"),
        ("edge_source", -1, -1, "edge_source of crystal 5 holds the atoms -1 to"),
        ("edge_target", 1, N_ATOMS - 1, "edge_target of crystal 0 is not in ascending order"),
        ("atom_ptr", 1, 10**10, "atom_ptr falls at crystal 1"),
        ("atom_ptr", 0, -(2**63), "atom_ptr does not lead from 0 to 96"),
        ("edge_ptr", -1, 2**36, "edge_ptr does not lead from 0"),
    ],
)
def test_numbers_of_graphs(graphs_file, mmap, name, place, value, message):
    change_array(graphs_file, name, setter(place, value))
    with pytest.raises(ValueError, match=f"graphs is damaged: {message}.*; copy it again, or buil"):
        CrystalGraphs.load(graphs_file, mmap=mmap).in_memory()


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("positions", {"data_offsets": [-8, 2296]}, "its header says of positions"),
        (
            "positions",
            {"shape": [2**36, 3]},
            r"shape \[68719476736, 3\], but the bytes",
        ),
        ("positions", {"dtype": "F32"}, r"positions has the type F32 and the shape \[96, 3\]"),
        ("positions", {"data_offsets": [0, 2304]}, "its arrays overlap"),
        ("pbc", {"shape": [6]}, r"pbc has the type BOOL and the shape \[6\]"),
    ],
)
def test_headers_of_graphs(graphs_file, name, change, message):
    change_header(graphs_file, lambda header: header[name].update(change))
    with pytest.raises(ValueError, match=message):
        CrystalGraphs.load(graphs_file, mmap=True)


def test_a_header_that_asks_for_half_a_terabyte(graphs_file):
    """All sizes agree with each other, but not with the file."""

    def change(header):
        n = 2**36
        for name in ("atomic_numbers", "positions"):
            header[name]["shape"][0] = n
        header["atomic_numbers"]["data_offsets"] = [0, n]
        header["positions"]["data_offsets"] = [n, 25 * n]

    change_header(graphs_file, change)
    with pytest.raises(ValueError, match="overlap, or there is something between them"):
        CrystalGraphs.load(graphs_file)


def test_what_is_missing_in_a_file_of_graphs(graphs_file):
    graphs_file.write_bytes(graphs_file.read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"its arrays take \d+ bytes, and \d+ are there"):
        CrystalGraphs.load(graphs_file)
    GRAPHS.save(graphs_file)
    change_header(graphs_file, lambda header: header.pop("pbc"))
    with pytest.raises(ValueError, match=r"it has no array \['pbc'\]"):
        CrystalGraphs.load(graphs_file)
    for settings, message in (
        ('{"cutoff": -1}', "its settings say cutoff=-1"),
        ('{"cutoff": 4.0}', "its settings have no max_neighbors"),
    ):
        GRAPHS.save(graphs_file)
        change_header(
            graphs_file,
            lambda header, given=settings: header["__metadata__"].update(settings=given),
        )
        with pytest.raises(ValueError, match=message):
            CrystalGraphs.load(graphs_file)


# -- models


@pytest.fixture
def model_file(tmp_path):
    return LOADS["cgcnn"](tmp_path).path


def refused(path, message, load=CGCNNRegressor.load):
    start = time.process_time()
    with pytest.raises(ValueError, match=message) as raised:
        load(path)
    assert path.name in str(raised.value)
    assert time.process_time() - start < 1


def test_a_digest_notices_another_number(model_file):
    """One bit of a weight, which no other check could notice."""
    content = bytearray(model_file.read_bytes())
    content[-5] ^= 1
    model_file.write_bytes(content)
    refused(model_file, "its numbers or settings are not those that were written; copy it again")


@pytest.mark.parametrize("name", ["predict", "fit", "__class__", "net_", "score", "unknown_"])
def test_only_fitted_values_are_set(model_file, name):
    change_content(model_file, lambda content: content["fitted"].update({name: 1}))
    refused(model_file, f"it sets {name!r}, which is no fitted value")


def test_types_of_fitted_values(model_file):
    change_content(model_file, lambda content: content["fitted"].update(n_outputs_="1"))
    refused(model_file, "its value 'n_outputs_' is a str")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("batch_size", 0, "'batch_size' parameter"), ("predict", 1, "'predict', which is no param")],
)
def test_parameters_are_validated(model_file, name, value, message):
    change_content(model_file, lambda content: content["params"].update({name: value}))
    refused(model_file, message)


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_conv", 10**6), ("n_readout", 10**6), ("hidden_dim", 10**6), ("gaussian_step", 1e-9)],
)
def test_sizes_are_checked_before_a_network_is_made(model_file, name, value):
    change_content(model_file, lambda content: content["network"]["config"].update({name: value}))
    refused(model_file, f"its setting {name}={value} asks for a larger network than that of its")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"__array__": ["a"] * 50_000, "dtype": "<U99999"}, "an array of 50000 texts .* too large"),
        ({"__array__": [1], "dtype": "V999999999"}, r"type \|V999999999 is not written by save"),
        ({"__array__": [1], "dtype": "9999999f8"}, "is not written by save"),
        (
            {"__frame__": {"data": 0, "index": [0] * 50_000, "columns": [0] * 50_000}},
            "object is not iterable",
        ),
    ],
)
def test_arrays_in_settings_are_not_larger_than_the_file(model_file, value, message):
    change_content(model_file, lambda content: content["fitted"].update(y_mean_=value))
    refused(model_file, message)


def test_weights_that_are_not_finite(model_file):
    change_array(model_file, "0.output.bias", setter(0, np.nan))
    refused(model_file, "the weights 'output.bias' are not finite, as after a training that diverg")


def test_a_file_chooses_no_folder(tmp_path):
    """A cache of the transformer would be filled by `transform`, wherever the file says."""
    case = LOADS["featurizer"](tmp_path)
    chosen = {"__path__": str(tmp_path / "chosen")}
    change_content(case.path, lambda content: content["composition"]["params"].update(cache=chosen))
    refused(case.path, "it sets 'cache', which is no parameter", ECNetFeaturizer.load)


def test_the_folder_of_a_cache_is_not_loaded(tmp_path):
    transformer = make_with_params(StructureToGraph, cutoff=4.0, cache=tmp_path / "chosen")
    assert (transformer.cutoff, transformer.cache) == (4.0, None)
    transformer.transform(ALLOYS[:1])
    assert list(tmp_path.iterdir()) == []


def test_group_may_read_as_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        CGCNNRegressor(**SMALL).fit(GRAPHS, TARGET, checkpoint=tmp_path / "checkpoint").save(
            tmp_path / "model"
        )
        GRAPHS.save(tmp_path / "graphs")
        StructureToGraph(cutoff=4.0, cache=tmp_path / "cache").transform(ALLOYS[:1])
    finally:
        os.umask(before)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o640}


# -- caches


@pytest.fixture
def cached(tmp_path):
    """Graphs of two crystals, each with its file in a cache."""
    expected, paths = [], []
    for structure in ALLOYS[:2]:
        cache = GraphCache(folder=tmp_path)
        expected.append(StructureToGraph(cutoff=4.0, cache=cache).transform([structure]))
        paths += set(tmp_path.rglob("*.safetensors")) - set(paths)
    return expected, paths


@pytest.mark.parametrize("damage", ["exchanged", "cut", "empty", "one bit", "folder"])
def test_a_damaged_file_of_a_cache_is_made_anew_and_named_once(cached, damage, tmp_path):
    expected, paths = cached
    first, second = (path.read_bytes() for path in paths)
    flipped = bytearray(first)
    flipped[-1] ^= 1
    contents = {"exchanged": (second, first), "cut": (first[:-9], second[:99])}
    contents |= {"empty": (b"", b""), "one bit": (bytes(flipped), second)}
    for path, content in zip(paths, contents.get(damage, ())):
        path.write_bytes(content)
    if damage == "folder":
        paths[0].unlink()
        paths[0].mkdir()
    transformer = StructureToGraph(cutoff=4.0, cache=GraphCache(folder=tmp_path))
    with pytest.warns(UserWarning, match="cannot be used and is made anew: .*safetensors") as seen:
        graphs = transformer.transform(ALLOYS[:2])
    named = [w for w in seen if "made anew" in str(w.message)]
    assert len(named) == 1
    for graph, right in zip((graphs[0], graphs[1]), expected):
        assert_array_equal(graph.positions, right.positions)
        assert_array_equal(graph.edge_distance, right.edge_distance)
    if damage != "folder":
        assert [path.read_bytes() for path in paths] == [first, second]


def test_files_of_earlier_versions_and_of_read_only_folders_are_read(cached, tmp_path):
    _, paths = cached
    for path in paths:
        change_header(path, lambda header: header["__metadata__"].pop("sealed by"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        StructureToGraph(cutoff=4.0, cache=tmp_path).transform(ALLOYS[:2])
    # A file stands where a folder is needed: as in a folder that may not be written to.
    (tmp_path / "no folder").write_text("")
    transformer = StructureToGraph(cutoff=4.0, cache=GraphCache(folder=tmp_path / "no folder"))
    with pytest.warns(UserWarning, match="cannot be written to, and what is not in it is computed"):
        graphs = transformer.transform(ALLOYS[:2])
    assert len(graphs) == 2


# -- checkpoints


def test_torch_never_recommends_to_load_unsafely(tmp_path):
    path = tmp_path / "checkpoint"
    for content in ({"key": print}, [1], {"key": "other"}):
        torch.save(content, path)
        with pytest.raises(
            ValueError, match=r"checkpoint .*(delete it to|delete this one)"
        ) as seen:
            CGCNNRegressor(**SMALL).fit(GRAPHS, TARGET, checkpoint=path)
        assert "weights_only" not in str(seen.value)


@contextmanager
def full_disk(n_bytes):
    """No file can become longer than this."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_torch_reads_no_numbers_from_a_folder(tmp_path):
    """An entry of the archive that is marked as a folder gave numbers from the memory."""
    case = LOADS["original cgcnn"](tmp_path)
    data = bytearray(case.path.read_bytes())
    directory = data.rfind(b"PK\x01\x02", 0, data.rfind(b"data/3PK"))
    data[directory + 38] = 16  # external attributes, as in DOS
    case.path.write_bytes(data)
    with pytest.raises(ValueError, match=r"original\.pth\.tar is damaged"):
        case.read(case.path)


def test_a_full_disk_leaves_the_old_files_and_nothing_else(tmp_path):
    model = CGCNNRegressor(**SMALL).fit(GRAPHS, TARGET, checkpoint=tmp_path / "checkpoint")
    grid = composition_grid(["Fe", "Ni"], 0.01)
    writers = {
        "model": model.save,
        "graphs": GRAPHS.save,
        "built": lambda path: StructureToGraph(cutoff=4.0).to_file(ALLOYS, path),
        "alloys.parquet": lambda path: save_structures(path, ALLOYS),
        "checkpoint": lambda path: CGCNNRegressor(**{**SMALL, "max_epochs": 3}).fit(
            GRAPHS, TARGET, checkpoint=path
        ),
    }
    for name, write in writers.items():
        if name != "checkpoint":
            write(tmp_path / name)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    os.remove(tmp_path / "checkpoint")
    for name, write in writers.items():
        with full_disk(1000), pytest.raises(OSError, match="too large"):
            write(tmp_path / name)
    (tmp_path / "checkpoint").write_bytes(before["checkpoint"])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    again = CGCNNRegressor(**SMALL).fit(GRAPHS, TARGET, checkpoint=tmp_path / "checkpoint")
    assert_array_equal(again.predict(GRAPHS), model.predict(GRAPHS))
    with full_disk(400), pytest.raises(OSError):
        screen(PhaseModel(), grid, out=tmp_path / "rows.parquet")
    pd.testing.assert_frame_equal(
        pd.read_parquet(screen(PhaseModel(), grid, out=tmp_path / "rows.parquet")),
        screen(PhaseModel(), grid),
    )


# -- screenings


def damaged_page(content):
    """One bit of a page, which only its checksum shows."""
    content = bytearray(content)
    content[40] ^= 1
    return bytes(content)


@pytest.mark.parametrize("damage", ["cut", "page", "exchanged", "empty"])
def test_damaged_parts_of_a_screening_are_made_again_and_named(damage, tmp_path):
    grid = composition_grid(["Fe", "Ni", "Cr"], 0.1, chunk_size=8)
    folder = screen(PhaseModel(), grid, out=tmp_path / "rows")
    whole = pd.read_parquet(folder)
    parts = [folder / f"part-0000{number}.parquet" for number in range(2)]
    first, second = (part.read_bytes() for part in parts)
    written = {"cut": first[:-20], "page": damaged_page(first), "empty": b"", "exchanged": second}
    parts[0].write_bytes(written[damage])
    with pytest.warns(UserWarning, match=r"part-00000.parquet is damaged and is made again: "):
        screen(PhaseModel(), grid, out=folder)
    assert parts[0].read_bytes() == first
    pd.testing.assert_frame_equal(pd.read_parquet(folder), whole)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"settings": 1}', '{"settings": {}}'])
def test_a_damaged_description_of_a_screening(text, tmp_path):
    grid = composition_grid(["Fe", "Ni", "Cr"], 0.1, chunk_size=8)
    folder = screen(PhaseModel(), grid, out=tmp_path / "rows")
    (folder / "_screen.json").write_text(text)
    with pytest.raises(ValueError, match=r"a damaged description, _screen.json: .* overwrite=True"):
        screen(PhaseModel(), grid, out=folder)
    screen(PhaseModel(), grid, out=folder, overwrite=True)
    pd.testing.assert_frame_equal(pd.read_parquet(folder), screen(PhaseModel(), grid))
