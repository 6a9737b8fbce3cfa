"""What writes files, on small data: each can be killed, and be run again to its end.

Each function is called in one process, and returns a `Writer` whose `run` is called in its forks.
"""

import contextlib
import hashlib
import http.server
import io
import json
import multiprocessing
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from crystals import random_alloys
from phase_model import PhaseModel

from sklmat import (
    CrystalGraphs,
    StructureToGraph,
    composition_grid,
    load_structures,
    predict_dataset,
    save_structures,
    screen,
)
from sklmat.cli import main
from sklmat.datasets import make_prototypes
from sklmat.downloads import _download

ALLOYS = random_alloys(6, seed=0)
TARGET = np.linspace(0, 1, len(ALLOYS))
SMALL = {"cutoff": 4.0, "hidden_dim": 4, "max_epochs": 3, "random_state": 0, "device": "cpu"}


class Writer(NamedTuple):
    """Something that writes files.

    Attributes
    ----------
    run : callable
        Takes the folder; when it is called again, it finishes what was not finished, and returns
        the same.
    readers : dict of str to callable
        Names of the final files, with ``*``, and what reads such a file.
    has_same_bytes : bool
        Whether two runs write the same bytes; otherwise a file holds a time or a duration.
    """

    run: Callable[[Path], Any]
    readers: dict[str, Callable[[Path], Any]]
    has_same_bytes: bool = True


def _folder():
    """Folder for what a writer reads, which is removed with the process."""
    _FOLDERS.append(tempfile.TemporaryDirectory())
    path = Path(_FOLDERS[-1].name)
    path.chmod(0o755)
    return path


_FOLDERS = []


# -- data: the first of them do not import torch


def graphs():
    built = StructureToGraph(cutoff=4.0).fit_transform(ALLOYS)
    return Writer(lambda folder: built.save(folder / "graphs"), {"graphs": CrystalGraphs.load})


def graphs_in_parts():
    def run(folder):
        graphs = StructureToGraph(cutoff=4.0).to_file(iter(ALLOYS), folder / "graphs")
        return graphs.in_memory().edge_distance

    return Writer(run, {"graphs": CrystalGraphs.load})


def cache_of_graphs():
    def run(folder):
        transformer = StructureToGraph(cutoff=4.0, cache=folder / "cache")
        return transformer.fit_transform(ALLOYS).edge_distance

    return Writer(run, {"cache/*/*": CrystalGraphs.load})


def cache_of_a_potential():
    from sklmat import PotentialFeaturizer

    def model(structure):
        return {"energy": structure.volume, "embedding": structure.frac_coords}

    model.cache_key = "volume"

    def run(folder):
        columns = ("energy", "embedding")
        featurizer = PotentialFeaturizer(model, columns=columns, cache=folder / "cache")
        return featurizer.fit_transform(ALLOYS).to_numpy()

    def read(path):
        from safetensors.numpy import load_file

        return load_file(path)

    return Writer(run, {"cache/*/*": read})


def generated_data():
    def run(folder):
        data = make_prototypes(3, max_atoms=4, random_state=0, data_home=folder)
        return data.target, [crystal.frac_coords for crystal in data.data]

    return Writer(run, {"*/*.npz": lambda path: dict(np.load(path))}, has_same_bytes=False)


def structures():
    def run(folder):
        save_structures(folder / "alloys.parquet", ALLOYS, target=TARGET)

    return Writer(run, {"alloys.parquet": load_structures})


def screening():
    grid = composition_grid(["Fe", "Ni", "Cr"], 0.2, chunk_size=8)

    def run(folder):
        return pd.read_parquet(
            screen(PhaseModel(), grid, out=folder / "grid.parquet", overwrite=True)
        )

    return Writer(run, {"grid.parquet": pd.read_parquet, "grid.parquet.parts/*": _parquet})


def screening_of_files():
    from sklearn.linear_model import LinearRegression

    table = pd.DataFrame({"volume": [10.0, 20.0, 30.0, 40.0]})
    fitted = LinearRegression().fit(table, [1.0, 2.0, 3.0, 4.0])
    source = _folder() / "source"
    source.mkdir()
    for number in range(4):
        table[number:].to_parquet(source / f"{number}.parquet")

    def run(folder):
        return pd.read_parquet(predict_dataset(fitted, source, folder / "predictions"))

    return Writer(run, {"predictions/*": _parquet})


def _parquet(path):
    return pd.read_parquet(path) if path.suffix == ".parquet" else path.read_text()


def downloads():
    content = {f"toy/{name}.txt": name.encode() * 100_000 for name in "abcd"}
    known = {path: hashlib.sha256(text).hexdigest() for path, text in content.items()}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            text = content["toy" + self.path]
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    multiprocessing.get_context("fork").Process(target=server.serve_forever, daemon=True).start()
    _download.SOURCES = {"toy": f"http://127.0.0.1:{server.server_port}"}
    _download.registry = lambda: known

    def run(folder):
        files = _download.fetch_files(list(content), folder, verbose=False)
        return [path.read_bytes() for path in files]

    def read(path):
        assert path.read_bytes() == content[f"toy/{path.name}"]

    return Writer(run, {"toy/*": read})


# -- models


def _checkpoint(Estimator, **params):
    built = StructureToGraph(cutoff=4.0).fit_transform(ALLOYS)

    def run(folder):
        model = Estimator(**{**SMALL, **params})
        model.fit(built, TARGET, checkpoint=folder / "checkpoint")
        losses = [row["train_loss"] for row in model.history_]
        return model.predict(built), losses, model.n_iter_

    def read(path):
        import torch

        return torch.load(path, weights_only=True)

    return Writer(run, {"checkpoint*": read}, has_same_bytes=False)


def checkpoint_of_cgcnn():
    from sklmat import CGCNNRegressor

    return _checkpoint(CGCNNRegressor, n_conv=1, n_ensemble=2)


def checkpoint_of_ecnet():
    from sklmat import ECNetRegressor

    return _checkpoint(ECNetRegressor, n_filters=4, tower_dims=(4,))


def _saved(model):
    return Writer(lambda folder: model.save(folder / "model"), {"model": type(model).load})


def saved_cgcnn():
    from sklmat import CGCNNRegressor

    return _saved(CGCNNRegressor(n_conv=1, **SMALL).fit(ALLOYS, TARGET))


def saved_featurizer():
    from tiny_eftgan import ecnet

    from sklmat import ECNetFeaturizer

    return _saved(ECNetFeaturizer(ecnet(max_epochs=1, random_state=0)).fit(ALLOYS, TARGET))


def saved_eftgan():
    from tiny_eftgan import ecnet, infogan, tiny

    augmenter = infogan(labeler=None, max_epochs=1, random_state=0)
    model = tiny(estimator=ecnet(max_epochs=1), augmenter=augmenter)
    return _saved(model.fit(ALLOYS, TARGET, np.resize(["bcc", "fcc"], len(ALLOYS))))


def _cli(*arguments):
    """Run the command line; what it prints about a failure is raised as an error."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        code = main([str(argument) for argument in arguments])
    if code != 0:
        raise OSError(text.getvalue())


def _source():
    path = _folder() / "alloys.parquet"
    return save_structures(path, ALLOYS, target=TARGET)


def cli_fit():
    from sklmat.cli._model_file import load_model

    path = _source()

    def run(folder):
        _cli("fit", path, "--model", "linear", "-o", folder / "model", "--overwrite")
        return load_model(folder / "model").model.predict(ALLOYS)

    return Writer(run, {"model": load_model}, has_same_bytes=False)


def cli_predict():
    path, model = _source(), _folder() / "mean"
    _cli("fit", path, "--model", "mean", "-o", model)
    arguments = ["predict", model, path, "--overwrite", "-o"]
    return Writer(lambda folder: _cli(*arguments, folder / "out.csv"), {"out.csv": _whole_csv})


def cli_screen():
    table = pd.DataFrame({"formula": ["NiCu", "NiCu3", "Ni", "Ni3Cu"], "y": [1.0, 2.0, 3.0, 2.5]})
    path, model = _folder() / "formulas.csv", _folder() / "gaussian-process"
    table.to_csv(path, index=False)
    given = ["fit", path, "--formula", "formula", "--target", "y", "-o", model]
    _cli(*given, "--model", "gaussian-process")
    arguments = ["screen", model, "--elements", "Ni", "Cu", "--step", "0.1", "--overwrite", "-o"]
    return Writer(lambda folder: _cli(*arguments, folder / "out.csv"), {"out.csv": _whole_csv})


def cli_compare():
    arguments = ["compare", _source(), "--models", "mean", "--folds", "2", "--split", "shuffled"]

    def run(folder):
        _cli(*arguments, "--overwrite", "--out", folder)

    readers = {"*.csv": _whole_csv, "*.json": _json, "*.png": _png}
    return Writer(run, readers, has_same_bytes=False)


def _whole_csv(path):
    assert path.read_bytes().endswith(b"\n")
    return pd.read_csv(path)


def _json(path):
    return json.loads(path.read_text())


def _png(path):
    from matplotlib.image import imread

    return imread(path)


DATA = {
    "graphs": graphs,
    "graphs in parts": graphs_in_parts,
    "cache of graphs": cache_of_graphs,
    "cache of a potential": cache_of_a_potential,
    "generated data": generated_data,
    "structures": structures,
    "screen": screening,
    "predict_dataset": screening_of_files,
    "downloads": downloads,
}
MODELS = {
    "checkpoint of CGCNN": checkpoint_of_cgcnn,
    "checkpoint of ECNet": checkpoint_of_ecnet,
    "saved CGCNN": saved_cgcnn,
    "saved ECNetFeaturizer": saved_featurizer,
    "saved EFTGAN": saved_eftgan,
    "sklmat fit": cli_fit,
    "sklmat predict": cli_predict,
    "sklmat screen": cli_screen,
    "sklmat compare": cli_compare,
}
WRITERS = {**DATA, **MODELS}
