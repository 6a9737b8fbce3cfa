"""Errors of `load` say what a file is; nothing in it is unpickled."""

import json

import joblib
import numpy as np
import pytest
import torch
from crystals import random_alloys
from safetensors.numpy import save_file

from sklmat import CGCNNRegressor, CrystalGraphs, StructureToGraph, load_cgcnn_checkpoint
from sklmat.files import describe_file

GRAPHS = StructureToGraph(cutoff=4.0).fit_transform(random_alloys(4, seed=0))


class Trap:
    """An object that makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def write_estimator(path):
    model = CGCNNRegressor(hidden_dim=4, n_conv=1, max_epochs=1, random_state=0)
    model.fit(GRAPHS, [0, 1, 2, 3]).save(path)


def write_part_of_graphs(path):
    GRAPHS.save(path)
    path.write_bytes(path.read_bytes()[:-100])


def torch_save(new_format):
    def write(path):
        trap = Trap(path.with_name("executed"))
        torch.save(trap, path, _use_new_zipfile_serialization=new_format)

    return write


def joblib_dump(compress):
    return lambda path: joblib.dump(Trap(path.with_name("executed")), path, compress=compress)


FILES = {
    "pickle": (joblib_dump(0), r"joblib\.dump or pickle, which joblib\.load reads"),
    "gzip": (joblib_dump(("gzip", 3)), r"compressed file \(gzip\), perhaps a file of joblib\.dump"),
    "zlib": (joblib_dump(3), r"compressed file \(zlib\)"),
    "xz": (joblib_dump(("xz", 3)), r"compressed file \(xz\)"),
    "bz2": (joblib_dump(("bz2", 3)), r"compressed file \(bz2\)"),
    "lzma": (joblib_dump(("lzma", 3)), r"compressed file \(lzma\)"),
    "torch": (torch_save(True), r"torch\.save; load_cgcnn_checkpoint reads"),
    "old torch": (torch_save(False), r"torch\.save; load_cgcnn_checkpoint reads"),
    "text": (
        lambda path: path.write_text("data_NaCl\n_cell_length_a 5.64\n"),
        r"a text file that begins with 'data_NaCl\\n_cell",
    ),
    "umlauts": (lambda path: path.write_bytes("Å³".encode() * 999), "a text file"),
    "JSON": (lambda path: path.write_text(json.dumps({"a": 1})), r"""text .* '{"a": 1}'"""),
    "empty": (lambda path: path.write_text(""), "an empty file"),
    "folder": (lambda path: path.mkdir(), "a folder"),
    "npz": (lambda path: np.savez(path.open("wb"), a=1), r"numpy\.load"),
    "noise": (lambda path: path.write_bytes(bytes(range(256)) * 9), "binary file of an unknown"),
    "other tensors": (lambda path: save_file({"a": np.zeros(2)}, path), "another safetensors file"),
    "a part": (write_part_of_graphs, "not complete; copy or save it again"),
}


@pytest.fixture
def make(tmp_path):
    def write(write_file):
        write_file(tmp_path / "model")
        return tmp_path / "model"

    yield write
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("kind", FILES)
def test_load_says_what_a_file_is(make, kind):
    write, message = FILES[kind]
    path = make(write)
    with pytest.raises(ValueError, match=f"model does not hold an estimator .* it is .*{message}"):
        CGCNNRegressor.load(path)
    if kind != "a part":
        with pytest.raises(ValueError, match=f"model does not hold crystal graphs.*{message}"):
            CrystalGraphs.load(path)
    if "torch" not in kind:
        with pytest.raises(ValueError, match=f"model is no checkpoint of the orig.*{message}"):
            load_cgcnn_checkpoint(path, atom_init="physical")


def test_our_own_files_name_what_reads_them(make):
    path = make(GRAPHS.save)
    with pytest.raises(ValueError, match=r"it is crystal graphs, which CrystalGraphs.load reads"):
        CGCNNRegressor.load(path)
    write_estimator(path)
    message = r"it is an estimator, which the load\(\) of its class reads"
    with pytest.raises(ValueError, match=message):
        CrystalGraphs.load(path)
    with pytest.raises(ValueError, match=message):
        load_cgcnn_checkpoint(path, atom_init="physical")


def test_a_published_checkpoint(data_home):
    path = data_home / "cgcnn" / "pre-trained" / "band-gap.pth.tar"
    with pytest.raises(ValueError, match="load_cgcnn_checkpoint reads the checkpoints"):
        CGCNNRegressor.load(path)


def test_a_file_that_does_not_exist(tmp_path):
    for load in (CGCNNRegressor.load, CrystalGraphs.load, describe_file):
        with pytest.raises(FileNotFoundError):
            load(tmp_path / "model")
