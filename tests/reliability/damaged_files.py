"""Small files of each kind that sklmat reads, what reads them, and what must be read.

Each function writes a file to a folder and returns a `Case`.
"""

import json
import sqlite3
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from ase.io import write as ase_write
from crystals import random_alloys
from sklearn.frozen import FrozenEstimator
from tables import inner_alloys
from tiny_eftgan import ecnet, infogan, tiny

from sklmat import (
    CGCNNRegressor,
    CrystalGraphs,
    DeltaRegressor,
    ECNetFeaturizer,
    ECNetRegressor,
    EFTGANRegressor,
    InfoGANAugmenter,
    StructureToGraph,
    load_cgcnn_checkpoint,
    load_structures,
    save_structures,
)
from sklmat.cli._arguments import read_rows

ALLOYS = random_alloys(6, seed=0)
GRAPHS = StructureToGraph(cutoff=4.0).fit_transform(ALLOYS)
TARGET = np.linspace(0, 1, len(ALLOYS))
SMALL = {"hidden_dim": 4, "n_conv": 1, "readout_dim": 4, "max_epochs": 1, "random_state": 0}


class Case(NamedTuple):
    """A file, what reads it, and whether what was read is right.

    A format without a checksum may be read with another number in it: `is_right` then accepts
    everything of the right type. `is_usable` is that of a file whose digest was left out.
    """

    path: Path
    read: Callable[[Path], Any]
    is_right: Callable[[Any], bool]
    is_usable: Callable[[Any], bool] = lambda result: True


def small_graphs():
    return GRAPHS


def fields(graphs):
    names = ("atomic_numbers", "positions", "lattices", "pbc", "atom_ptr", "edge_ptr")
    names += ("edge_source", "edge_target", "edge_image", "edge_distance")
    return {name: getattr(graphs, name) for name in names}


def are_usable_graphs(graphs):
    """Whether the arrays belong together, checked crystal by crystal."""
    for crystal in (graphs[k] for k in range(len(graphs))):
        n, numbers = crystal.n_atoms[0], crystal.atomic_numbers
        if not (len(crystal.positions) == len(numbers) == n and (numbers > 0).all()):
            return False
        if not (np.isfinite(crystal.positions).all() and np.isfinite(crystal.lattices).all()):
            return False
        source, target = crystal.edge_source, crystal.edge_target
        if len(source) and not (min(source) >= 0 and max(source) < n and max(target) < n):
            return False
        if not (np.diff(target) >= 0).all() or not np.isfinite(crystal.edge_distance).all():
            return False
    return True


def saved_graphs(folder):
    GRAPHS.save(folder / "graphs")

    def is_right(graphs):
        expected = fields(GRAPHS)
        return graphs.settings == GRAPHS.settings and all(
            np.array_equal(array, expected[name]) for name, array in fields(graphs).items()
        )

    return Case(folder / "graphs", CrystalGraphs.load, is_right, are_usable_graphs)


def mapped_graphs(folder):
    GRAPHS.save(folder / "graphs")

    def read(path):
        return CrystalGraphs.load(path, mmap=True).in_memory()

    return Case(folder / "graphs", read, are_usable_graphs)


def predicts(expected, X):
    return lambda model: np.array_equal(model.predict(X), expected)


def cgcnn(folder):
    model = CGCNNRegressor(**SMALL).fit(GRAPHS, TARGET)
    model.save(folder / "cgcnn")
    return Case(folder / "cgcnn", CGCNNRegressor.load, predicts(model.predict(GRAPHS), GRAPHS))


def ecnet_file(folder):
    model = ecnet(max_epochs=1, random_state=0).fit(GRAPHS, TARGET)
    model.save(folder / "ecnet")
    return Case(folder / "ecnet", ECNetRegressor.load, predicts(model.predict(GRAPHS), GRAPHS))


def delta(folder):
    baseline = FrozenEstimator(ecnet(max_epochs=1, random_state=1).fit(GRAPHS, TARGET))
    model = DeltaRegressor(ecnet(max_epochs=1, random_state=0), baseline, references=None)
    model.fit(GRAPHS, TARGET)
    model.save(folder / "delta")
    return Case(folder / "delta", DeltaRegressor.load, predicts(model.predict(GRAPHS), GRAPHS))


def featurizer(folder):
    model = ECNetFeaturizer(ecnet(max_epochs=1, random_state=0), n_components=2)
    expected = model.fit(ALLOYS, TARGET).transform(ALLOYS)
    model.save(folder / "featurizer")

    def is_right(loaded):
        return np.allclose(loaded.transform(ALLOYS), expected, rtol=0, atol=1e-12)

    return Case(folder / "featurizer", ECNetFeaturizer.load, is_right)


def sampler(folder):
    X, y = (part[:12] for part in inner_alloys())
    model = infogan(labeler=None, max_epochs=1, n_samples=2, random_state=0).fit(X, y)
    model.save(folder / "infogan")

    def is_right(loaded):
        return np.array_equal(loaded.sample(X), model.sample(X))

    return Case(folder / "infogan", InfoGANAugmenter.load, is_right)


def eftgan(folder):
    labels = np.resize(["bcc", "fcc"], len(ALLOYS))
    augmenter = infogan(labeler=None, max_epochs=1, random_state=0)
    model = tiny(estimator=ecnet(max_epochs=1), augmenter=augmenter)
    model.fit(GRAPHS, TARGET, labels)
    model.save(folder / "eftgan")
    mixtures = [structure.composition for structure in ALLOYS]
    expected = model.predict(mixtures, "fcc")

    def is_right(loaded):
        return np.array_equal(loaded.predict(mixtures, "fcc"), expected)

    return Case(folder / "eftgan", EFTGANRegressor.load, is_right)


def checkpoint(folder):
    path = folder / "checkpoint"
    whole = CGCNNRegressor(**{**SMALL, "max_epochs": 2}).fit(GRAPHS, TARGET, checkpoint=path)
    expected = whole.predict(GRAPHS)

    def read(path):
        return CGCNNRegressor(**{**SMALL, "max_epochs": 2}).fit(GRAPHS, TARGET, checkpoint=path)

    return Case(path, read, predicts(expected, GRAPHS))


def original_cgcnn(folder):
    """A file as the original code writes it, with a network of a few weights."""
    network = CGCNNRegressor(**{**SMALL, "hidden_dim": 3}).fit(GRAPHS, TARGET).net_.module_
    n_vector = network.element_vectors.shape[1]
    torch.manual_seed(0)
    shapes = {"embedding": (3, n_vector), "conv_to_fc": (4, 3), "fc_out": (1, 4)}
    shapes["convs.0.fc_full"] = (6, 2 * 3 + 41)
    weights = {}
    for name, shape in shapes.items():
        weights |= {f"{name}.weight": torch.randn(shape), f"{name}.bias": torch.randn(shape[:1])}
    for name, n in (("convs.0.bn1", 6), ("convs.0.bn2", 3)):
        weights |= {f"{name}.{part}": torch.rand(n) for part in ("weight", "bias")}
        weights |= {f"{name}.running_mean": torch.rand(n), f"{name}.running_var": torch.rand(n)}
        weights[f"{name}.num_batches_tracked"] = torch.tensor(3)
    args = {"atom_fea_len": 3, "n_conv": 1, "h_fea_len": 4, "n_h": 1, "task": "regression"}
    args |= {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.0, "epochs": 3, "batch_size": 8}
    normalizer = {"mean": torch.tensor(0.5), "std": torch.tensor(2.0)}
    path = folder / "original.pth.tar"
    torch.save({"state_dict": weights, "args": args, "normalizer": normalizer}, path)
    table = {z: network.element_vectors[z].tolist() for z in (28, 29, 46)}

    def read(path):
        return load_cgcnn_checkpoint(path, atom_init=table, device="cpu")

    return Case(path, read, predicts(read(path).predict(ALLOYS), ALLOYS))


def saved_structures(folder):
    path = save_structures(folder / "alloys.parquet", ALLOYS, target=TARGET)
    return Case(path, load_structures, lambda bunch: len(bunch.data) > 0)


def text_case(name, write):
    def case(folder):
        path = folder / name
        write(path)
        return Case(path, load_structures, lambda bunch: len(bunch.data) > 0)

    return case


def write_csv(path):
    rows = [{"structure": json.dumps(s.as_dict()), "gap": t} for s, t in zip(ALLOYS[:2], TARGET)]
    pd.DataFrame(rows).to_csv(path, index=False)


def write_json(path):
    rows = [{"structure": s.as_dict(), "gap": t} for s, t in zip(ALLOYS[:2], TARGET)]
    path.write_text(json.dumps(rows))


def write_extxyz(path):
    ase_write(path, [structure.to_ase_atoms() for structure in ALLOYS[:2]], format="extxyz")


def write_ase_db(path):
    ase_write(path, [structure.to_ase_atoms() for structure in ALLOYS[:2]], format="db")
    # The same bytes each time: no time, no random number, and nothing of them in unused pages.
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("UPDATE systems SET unique_id = id, ctime = 1.0, mtime = 1.0")
    database.execute("VACUUM")
    database.close()


def id_prop(folder):
    """The folder of the original CGCNN; its table is the file that is damaged."""
    names = []
    for number, structure in enumerate(ALLOYS[:3]):
        structure.to(str(folder / f"{number}.cif"), fmt="cif")
        names.append(f"{number},{TARGET[number]}")
    path = folder / "id_prop.csv"
    path.write_text("\n".join(names) + "\n")

    def read(damaged):
        good = path.read_bytes()
        path.write_bytes(damaged.read_bytes())
        try:
            return load_structures(folder)
        except ValueError as error:
            # The file that is read is `path`.
            message = str(error).replace(str(folder), str(damaged))
            raise (
                type(error)(*error.args[:2], message)
                if len(error.args) > 1
                else type(error)(message)
            ) from error
        finally:
            path.write_bytes(good)

    return Case(path, read, lambda bunch: len(bunch.data) > 0)


def yaml_file(folder):
    from ruamel.yaml import YAML

    path = folder / "alloy.yaml"
    # Plain numbers only, as from a file.
    document = json.loads(json.dumps(ALLOYS[0].as_dict()))
    with path.open("w") as file:
        YAML(typ="safe", pure=True).dump(document, file)
    return Case(path, load_structures, lambda bunch: len(bunch.data) > 0)


def formulas():
    return pd.DataFrame({"formula": ["NaCl", "MgO", "Fe2O3"], "gap": [8.5, 7.8, 2.1]})


def read_formulas(path):
    """What the commands of `sklmat` read with ``--formula``."""
    options = Namespace(
        source=str(path), target="gap", id=None, formula="formula", on_invalid="raise", n_jobs=None
    )
    return read_rows(options)


def formula_case(name, write):
    def case(folder):
        path = folder / name
        write(formulas(), path)
        return Case(path, read_formulas, lambda rows: len(rows.X) == len(rows.y) > 0)

    return case


def inside_excel(part):
    """One of the XML files of an Excel table, which is damaged and then packed again."""

    def case(folder):
        whole = folder / "whole.xlsx"
        formulas().to_excel(whole, index=False)
        with zipfile.ZipFile(whole) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        path = folder / Path(part).name
        path.write_bytes(parts[part])

        def read(damaged):
            packed = damaged.with_name(f"{damaged.name}.xlsx")
            with zipfile.ZipFile(packed, "w") as archive:
                for name, content in parts.items():
                    archive.writestr(name, damaged.read_bytes() if name == part else content)
            return read_formulas(packed)

        return Case(path, read, lambda rows: len(rows.X) == len(rows.y) > 0)

    return case


READERS = {
    "yaml": yaml_file,
    "csv of formulas": formula_case("t.csv", lambda t, path: t.to_csv(path, index=False)),
    "tsv of formulas": formula_case("t.tsv", lambda t, path: t.to_csv(path, index=False, sep="\t")),
    "excel of formulas": formula_case("t.xlsx", lambda t, path: t.to_excel(path, index=False)),
    "parquet of formulas": formula_case("t.parquet", lambda t, path: t.to_parquet(path)),
    "sheet of excel": inside_excel("xl/worksheets/sheet1.xml"),
    "workbook of excel": inside_excel("xl/workbook.xml"),
    "cif": text_case("alloy.cif", lambda path: ALLOYS[0].to(str(path), fmt="cif")),
    "poscar": text_case("alloy.vasp", lambda path: ALLOYS[0].to(str(path), fmt="poscar")),
    "json": text_case("alloys.json", write_json),
    "csv": text_case("alloys.csv", write_csv),
    "extxyz": text_case("alloys.extxyz", write_extxyz),
    "ase db": text_case("alloys.db", write_ase_db),
    "saved structures": saved_structures,
    "id_prop": id_prop,
}
LOADS = {
    "graphs": saved_graphs,
    "mapped graphs": mapped_graphs,
    "cgcnn": cgcnn,
    "ecnet": ecnet_file,
    "delta": delta,
    "featurizer": featurizer,
    "infogan": sampler,
    "eftgan": eftgan,
    "checkpoint": checkpoint,
    "original cgcnn": original_cgcnn,
}
