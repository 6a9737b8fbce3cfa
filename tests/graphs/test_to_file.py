"""Graphs that are built and written in parts: the file, its memory and interruptions."""

import subprocess
import sys

import numpy as np
import pytest
from cif_text import cif
from crystals import random_alloys
from pymatgen.core import Lattice, Structure
from same_graphs import assert_same

from sklmat import CrystalGraphs, InvalidStructureError, StructureToGraph
from sklmat.exceptions import InvalidStructureWarning
from sklmat.graphs import _build_graphs
from sklmat.safetensors_files import read_safetensors_header, safetensors_beginning


@pytest.fixture(scope="module")
def alloys():
    return random_alloys(24)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(_build_graphs, "_N_FIRST", 3)
    monkeypatch.setattr(_build_graphs, "_BLOCK_ATOMS", 40)
    monkeypatch.setattr(_build_graphs, "_CHUNK_ATOMS", 20)


@pytest.mark.parametrize("kind", [list, iter, tuple])
@pytest.mark.parametrize("cached", [False, True])
def test_the_file_is_that_of_save(alloys, tmp_path, kind, cached):
    transformer = StructureToGraph(cache=tmp_path / "cache" if cached else None)
    transformer.transform(alloys).save(tmp_path / "saved")
    graphs = transformer.to_file(kind(alloys), tmp_path / "streamed")
    assert (tmp_path / "streamed").read_bytes() == (tmp_path / "saved").read_bytes()
    assert isinstance(graphs.edge_distance, np.memmap)
    assert_same(graphs, transformer.transform(alloys))


def test_the_file_is_that_of_safetensors(alloys, tmp_path):
    from safetensors.numpy import load_file, save_file

    graphs = StructureToGraph().transform(alloys)
    graphs.save(tmp_path / "ours")
    arrays = load_file(tmp_path / "ours")
    assert len(arrays) == 10
    header, start = read_safetensors_header(tmp_path / "ours")
    save_file(arrays, tmp_path / "theirs", header["__metadata__"])
    theirs, start_of_theirs = read_safetensors_header(tmp_path / "theirs")
    assert theirs == header
    assert list(theirs) == list(header)
    # The order of the metadata is not defined, so that the headers differ in it.
    ours = (tmp_path / "ours").read_bytes()
    assert (tmp_path / "theirs").read_bytes()[start_of_theirs:] == ours[start:]


def test_changed_numbers_are_noticed(alloys, tmp_path):
    graphs = StructureToGraph().transform(alloys)
    graphs.save(tmp_path / "graphs")
    content = (tmp_path / "graphs").read_bytes()
    header, start = read_safetensors_header(tmp_path / "graphs")
    for name in set(header) - {"__metadata__"}:
        # The last bit of the first number of the array.
        place = start + header[name]["data_offsets"][0]
        changed = bytearray(content)
        changed[place] ^= 1
        (tmp_path / "graphs").write_bytes(changed)
        with pytest.raises(ValueError, match=r"graphs is damaged: .*; copy it again"):
            CrystalGraphs.load(tmp_path / "graphs")
    header["__metadata__"].pop("digest")
    (tmp_path / "graphs").write_bytes(safetensors_beginning(header) + content[start:])
    before = CrystalGraphs.load(tmp_path / "graphs")
    assert np.array_equal(before.positions, graphs.positions), "as files of earlier versions"


def without_pbc(header):
    header.pop("pbc")


def with_charges(header):
    header["charges"] = header["pbc"]


def with_settings(text):
    return lambda header: header["__metadata__"].update(settings=text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_pbc, r"it has no array \['pbc'\]"),
        (with_charges, r"it has arrays \['charges'\]"),
        (with_settings("{"), "its settings cannot be read"),
        (with_settings("null"), "its settings cannot be read"),
        (with_settings("[1.0]"), "its settings cannot be read"),
        (with_settings("[" * 10**5), "its settings cannot be read"),
    ],
)
def test_headers_that_are_damaged(alloys, tmp_path, change, message):
    StructureToGraph().transform(alloys[:2]).save(tmp_path / "graphs")
    header, start = read_safetensors_header(tmp_path / "graphs")
    change(header)
    content = (tmp_path / "graphs").read_bytes()
    (tmp_path / "graphs").write_bytes(safetensors_beginning(header) + content[start:])
    with pytest.raises(ValueError, match=f"graphs is damaged: {message}; copy it again"):
        CrystalGraphs.load(tmp_path / "graphs")


def test_processes_write_the_same_file(alloys, tmp_path, monkeypatch):
    monkeypatch.setattr(_build_graphs, "_ATOMS_FOR_PROCESSES", 1)
    StructureToGraph().to_file(alloys, tmp_path / "serial")
    StructureToGraph(n_jobs=2).to_file(iter(alloys), tmp_path / "parallel")
    assert (tmp_path / "parallel").read_bytes() == (tmp_path / "serial").read_bytes()


@pytest.mark.parametrize("kind", [list, iter])
def test_no_crystals(tmp_path, kind):
    graphs = StructureToGraph(cutoff=4.0).to_file(kind([]), tmp_path / "none")
    assert_same(graphs, StructureToGraph(cutoff=4.0).transform([]))


def test_graphs_are_restricted_and_written(alloys, tmp_path):
    wide = StructureToGraph().to_file(alloys, tmp_path / "wide")
    narrow = StructureToGraph(cutoff=3.0).to_file(wide, tmp_path / "narrow")
    assert_same(narrow, StructureToGraph(cutoff=3.0).transform(alloys))
    # A mapped file can be replaced by a part of itself.
    narrow[5:9].save(tmp_path / "narrow")
    again = CrystalGraphs.load(tmp_path / "narrow")
    assert_same(again, StructureToGraph(cutoff=3.0).transform(alloys[5:9]))
    assert len(narrow) == 24


def test_an_error_names_the_row_and_leaves_no_file(alloys, tmp_path):
    close = Structure(Lattice.cubic(4), ["Na", "Cl"], [[0, 0, 0], [0, 0, 0.05]])
    before = StructureToGraph().to_file(alloys[:2], tmp_path / "g")
    for kind in (list, iter):
        for name in ("g", "other"):
            with pytest.raises(InvalidStructureError, match=r"structure 24 \(Na1Cl1\)"):
                StructureToGraph().to_file(kind([*alloys, close]), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["g"]
    assert_same(CrystalGraphs.load(tmp_path / "g"), before)


def test_an_interruption_leaves_no_file_and_the_cache_continues(alloys, tmp_path, monkeypatch):
    transformer = StructureToGraph(cache=tmp_path / "cache")

    def interrupted():
        yield from alloys[:16]
        raise KeyboardInterrupt

    (tmp_path / "out").mkdir()
    with pytest.raises(KeyboardInterrupt):
        transformer.to_file(interrupted(), tmp_path / "out" / "g")
    assert list((tmp_path / "out").iterdir()) == []
    built = []
    find_edges = _build_graphs.find_edges
    monkeypatch.setattr(
        _build_graphs, "find_edges", lambda *a, **k: built.append(1) or find_edges(*a, **k)
    )
    transformer.to_file(alloys, tmp_path / "out" / "g")
    assert 8 <= len(built) < 24


def test_one_warning_counts_all_notes(tmp_path, monkeypatch):
    monkeypatch.setattr(_build_graphs, "_N_NOTES", 30)
    texts = [cif(sites=("Cs Cs1 0 0 0 0.9995", "Cl Cl1 0.5 0.5 0.5 1"))] * 50
    with pytest.warns(InvalidStructureWarning) as direct:
        StructureToGraph().transform(texts)
    with pytest.warns(InvalidStructureWarning) as streamed:
        StructureToGraph().to_file(iter(texts), tmp_path / "g")
    assert [str(w.message) for w in streamed] == [str(w.message) for w in direct]


_MEMORY = """
import sys, threading
from pymatgen.core import Lattice, Structure
from sklmat import StructureToGraph
from sklmat.graphs import _build_graphs
_build_graphs._BLOCK_ATOMS = _build_graphs._CHUNK_ATOMS = 200

def anonymous():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))

def crystals(n):
    for k in range(n):
        yield Structure(Lattice.cubic(3 + k % 7 / 10), ["Fe", "Co"], [[0, 0, 0], [0.5] * 3])

transformer = StructureToGraph(max_neighbors=None)
transformer.to_file(crystals(100), sys.argv[1])
peak, n = anonymous(), int(sys.argv[2])
from sklmat.graphs._graph_files import GraphsWriter
append = GraphsWriter.append

def watched(self, part):
    global peak
    append(self, part)
    peak = max(peak, anonymous())

GraphsWriter.append = watched
graphs = transformer.to_file(crystals(n), sys.argv[1])
print(peak, graphs.nbytes // 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_number_of_crystals(tmp_path):
    (few, few_kib), (many, many_kib) = (
        map(
            int,
            subprocess.run(
                [sys.executable, "-c", _MEMORY, str(tmp_path / "g"), str(n)],
                capture_output=True,
                check=True,
                text=True,
            ).stdout.split(),
        )
        for n in (300, 2400)
    )
    assert many_kib > 7 * few_kib
    # With all graphs in memory, the difference is more than that of the files.
    assert many - few < many_kib / 8
