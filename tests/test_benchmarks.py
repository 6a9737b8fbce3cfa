"""The benchmark scripts stay importable, and what they compare is the same network."""

import functools
import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from crystals import bcc_fe, isolated_ne, random_alloys
from sklearn.model_selection import KFold

from sklmat import ECNetRegressor, InfoGANAugmenter, StructureToGraph

FOLDER = Path(__file__).parents[1] / "examples" / "benchmarks"


@pytest.mark.parametrize(
    "name",
    [
        "hea_accuracy",
        "perovskite_accuracy",
        "bulk_moduli",
        "cgcnn_speed",
        "ecnet_speed",
        "eftgan_hea",
        "gpu",
        "mixed_chemistry",
        "reading_speed",
        "run_all",
        "small_things",
        "tune_baselines",
        "uncertainty",
    ],
)
def test_script_can_be_loaded(name, monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    assert callable(runpy.run_path(str(FOLDER / f"{name}.py"))["main"])


@pytest.mark.slow
def test_gpu_script_runs_without_a_gpu(monkeypatch, capsys):
    script = str(FOLDER / "gpu.py")
    monkeypatch.setattr(sys, "argv", [script, "--dry-run"])
    runpy.run_path(script, run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 6 + 3 + 4 + 1 + 1 + 2 + 1
    values = dict(line.strip("| ").split(" | ", 1) for line in lines)
    for name in ("CGCNN", "CGCNN, bfloat16", "ECNet", "InfoGAN"):
        assert values[f"{name}, same seed, largest difference"] == "0.0 | 0"
    # Without a GPU, the pickled estimator is loaded where it was fitted.
    pickled = values["CGCNN, pickled, loaded without a GPU, largest difference"]
    assert pickled == "0.0 | rounding"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_gpu_script_says_that_it_was_not_run(monkeypatch, capsys):
    script = str(FOLDER / "gpu.py")
    monkeypatch.setattr(sys, "argv", [script])
    runpy.run_path(script, run_name="__main__")
    assert capsys.readouterr().out == "not run: PyTorch finds no GPU\n"


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, "cgcnn_speed", raising=False)
    import cgcnn_speed

    return cgcnn_speed


def test_naive_network_gives_our_outputs_and_gradients(speed):
    graphs = StructureToGraph(ties="truncate").transform(random_alloys(6))
    made = speed.networks_and_data(graphs, 6)
    (ours, batch), (naive, data) = made["sklmat"], made["naive"]
    first, second = ours(batch), naive(data)
    torch.testing.assert_close(first, second, atol=1e-4, rtol=1e-4)
    first.square().mean().backward()
    gradient = ours.convolutions[0].edge_map.weight.grad.clone()
    ours.zero_grad()
    second.square().mean().backward()
    width = ours.embedding.out_features
    full = naive.convs[0].full.weight.grad[:, 2 * width :]
    torch.testing.assert_close(gradient, full, atol=1e-3, rtol=1e-2)


def test_original_neighbours_are_ours(speed):
    structures = random_alloys(3)
    ours = StructureToGraph(ties="truncate").transform(structures)
    theirs = [n.nn_distance for s in structures for ns in speed.original_neighbors(s) for n in ns]
    np.testing.assert_allclose(ours.edge_distance, theirs, atol=1e-5)


@pytest.mark.slow
def test_descriptors_are_compared(monkeypatch):
    """Every model on every table gets an error, on alloys small enough for networks of no use."""
    monkeypatch.syspath_prepend(str(FOLDER))
    script = runpy.run_path(str(FOLDER / "ecnet_descriptors.py"))
    structures = random_alloys(10, n_cells=1)
    for cell in structures:
        for site, symbol in enumerate(["Ni", "Cu", "Pd"]):
            cell[site] = symbol
    graphs = StructureToGraph(cutoff=4.0, max_neighbors=None).transform(structures)
    network = ECNetRegressor(hidden_dim=4, n_filters=4, max_epochs=1, n_ensemble=1)
    splits = [(np.arange(7), np.arange(7, 10)), (np.arange(3, 10), np.arange(3))]
    y = np.linspace(-1, 1, 10)
    errors, alignment = script["run"](structures, graphs, y, splits, network)
    assert len(errors) == 1 + 3 * 5
    assert all(values.shape == (2, 2) and np.isfinite(values).all() for values in errors.values())
    ridge = errors["ridge on ECNetFeaturizer"]
    assert (ridge[:, 0] <= ridge[:, 1]).all(), "the mean error is above its root mean square"
    assert not np.array_equal(ridge, errors["ridge on ECNetFeaturizer, cross-fitted"])
    assert alignment.columns.tolist() == ["Cu", "Ni", "Pd", "all"]


@pytest.fixture
def element_speed(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in ("cgcnn_speed", "ecnet_speed"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import ecnet_speed

    return ecnet_speed


@pytest.mark.parametrize("name", ["preset wang2022", "default, one network"])
def test_ways_to_write_ecnet_give_our_outputs_and_gradients(element_speed, name):
    structures = [*random_alloys(4, n_cells=1), isolated_ne(), bcc_fe()]
    graphs = StructureToGraph(cutoff=6.0, max_neighbors=None).transform(structures)
    model = element_speed.estimators()[name].fit(graphs, np.arange(6.0))
    assert max(element_speed.differences(model, graphs).values()) < 1e-5
    module = model.net_.module_.eval()
    outputs = {"sklmat": module(element_speed.element_batch(model, graphs))[:, 0]}
    for kind, way in element_speed.WAYS.items():
        network = way(module).eval()
        outputs[kind] = network(network.prepare(graphs))
    gradients = {
        kind: torch.autograd.grad(values.square().sum(), list(module.parameters()))
        for kind, values in outputs.items()
    }
    for kind in element_speed.WAYS:
        for ours, theirs in zip(gradients["sklmat"], gradients[kind]):
            assert (ours - theirs).abs().max() < 1e-3 * ours.abs().max()


def test_speed_of_an_ensemble_is_compared_with_as_many_networks(element_speed, monkeypatch):
    graphs = StructureToGraph(cutoff=6.0, max_neighbors=None).transform(random_alloys(6, n_cells=1))
    models = element_speed.estimators()
    models["default, ensemble"].set_params(n_ensemble=3)
    del models["preset wang2022"]
    seconds = {("default, one network", kind): 12.0 for kind in element_speed.WAYS}
    seconds.update({(name, "sklmat"): 2.0 for name in models})
    run = element_speed.epoch_seconds
    measured = []
    monkeypatch.setattr(
        element_speed, "epoch_seconds", lambda *job: measured.append(run(*job)) or seconds
    )
    result = element_speed.compare(graphs, np.arange(6.0), models, 1, with_memory=False)
    assert measured[0].keys() == seconds.keys()
    assert min(measured[0].values()) > 0
    ratios = [row["ratio to sklmat"] for row in result.values()]
    assert ratios == [{"loops": 6.0, "edges": 6.0}, {"loops": 18.0, "edges": 18.0}]


@pytest.fixture
def cross_fitting(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.delitem(sys.modules, "cross_fitting", raising=False)
    import cross_fitting

    return cross_fitting


def test_fold_vectors_do_not_know_the_targets_of_other_rows(cross_fitting):
    graphs = StructureToGraph(cutoff=4.0, max_neighbors=None).transform(random_alloys(8))
    network = ECNetRegressor(hidden_dim=4, n_filters=4, max_epochs=1, random_state=0)
    y = np.linspace(-1, 1, 8)
    changed = np.where(np.arange(8) == 3, 5.0, y)
    for train, same in (([0, 1, 2, 4, 5], True), ([0, 1, 2, 3, 4], False)):
        a, b = (cross_fitting.fold_vectors(network, graphs, t, train) for t in (y, changed))
        assert np.array_equal(a, b) is same


def test_alignment_undoes_a_change_of_axes(cross_fitting):
    rng = np.random.default_rng(0)
    numbers, crystal = np.tile([28, 29], 40), np.repeat(np.arange(40), 2)
    full = rng.normal(size=(80, 6)) * [3, 2, 1, 1, 1, 1] + np.where(numbers == 28, 5, 0)[:, None]
    splits = list(KFold(4).split(np.arange(40)))
    turned = []
    for _ in splits:
        maps = {z: np.linalg.qr(rng.normal(size=(6, 6)))[0] for z in (28, 29)}
        turned.append(np.array([v @ maps[z] + z for v, z in zip(full, numbers)]))
    aligned = cross_fitting.align(turned, full, splits, crystal, numbers)
    assert min(cross_fitting.alignment_r2(aligned, full, numbers).values()) > 0.9999
    unrelated = [rng.normal(size=full.shape) for _ in splits]
    r2 = cross_fitting.alignment_r2(
        cross_fitting.align(unrelated, full, splits, crystal, numbers), full, numbers
    )
    assert list(r2) == ["Cu", "Ni", "all"]
    assert max(r2.values()) < 0.1


def test_alignment_r2_by_hand(cross_fitting):
    full = np.array([[0.0], [2.0], [5.0], [1.0], [3.0]])
    aligned = np.array([[0.0], [1.0], [4.0], [1.0], [3.0]])
    numbers = np.array([28, 28, 46, 29, 29])
    r2 = cross_fitting.alignment_r2(aligned, full, numbers)
    # Nickel misses by 1 of a variance of 2, palladium has a single row, copper is exact.
    assert r2.pop("Pd") != r2.get("Pd")
    assert r2 == {"Cu": 1.0, "Ni": 0.5, "all": 1 - 2 / 4}


def test_maps_of_one_or_two_rows_are_their_mean(cross_fitting):
    full, own = np.array([[0.0], [4.0], [9.0]]), np.array([[7.0], [8.0], [9.0]])
    aligned = cross_fitting.align([own], full, [([0, 1], [2])], np.arange(3), np.full(3, 28))
    assert aligned[2] == 2.0


def test_every_augmentation_and_control_adds_its_own_rows(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    script = runpy.run_path(str(FOLDER / "eftgan_hea.py"))
    names = script["arms"].__globals__
    small = functools.partial(InfoGANAugmenter, max_epochs=2)
    monkeypatch.setitem(names, "InfoGANAugmenter", small)
    monkeypatch.setitem(names, "N_ADDED", 7)
    rng = np.random.default_rng(0)
    x = rng.dirichlet(np.ones(2), size=20)
    table = pd.DataFrame({"x_Fe": x[:, 0], "x_Ni": x[:, 1], "Fe_0": x[:, 0] ** 2})
    y = np.column_stack([x[:, 0], rng.normal(size=20)])
    found, teacher = script["arms"](table, y, 0)
    assert len(found) == 11
    assert all(len(rows) == len(labels) == 7 for rows, labels, _ in found.values())
    # A quadratic ridge regression knows a square, and the teacher labels what is labelled alike.
    rows, labels, _ = found["ridge, labelled alike"]
    np.testing.assert_allclose(rows["Fe_0"], rows["x_Fe"] ** 2, atol=1e-3)
    np.testing.assert_allclose(labels, teacher.predict(rows))
    # Between a row and one of its nearest: within the spread of a sixth or so of the rows.
    rows, labels, _ = found["neighbours, labelled alike"]
    np.testing.assert_allclose(labels, teacher.predict(rows))
    gaps = np.abs(rows["x_Fe"].to_numpy()[:, None] - x[:, 0]).min(axis=1)
    assert gaps.max() <= np.diff(np.sort(x[:, 0])).max()
    assert not np.allclose(found["noise"][1], found["noise, labelled alike"][1])


def test_interval_allows_for_training_sets_that_overlap(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    script = runpy.run_path(str(FOLDER / "eftgan_hea.py"))
    mean, half = script["interval"](np.array([1.0, 3.0]))
    # Standard deviation sqrt(2), Student's t with one degree of freedom 12.706.
    assert mean == 2.0
    assert half == pytest.approx(12.706 * np.sqrt(2 * (1 / 2 + 1 / 4)), rel=1e-4)


def test_slope_of_the_larger_sizes(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    slope = runpy.run_path(str(FOLDER / "run_all.py"))["slope"]
    # Quadratic, after a first size at which the time does not depend on it.
    assert slope([1, 2, 4, 8, 16], [90, 90, 8, 32, 128]) == pytest.approx(2)
    assert slope([10, 100], [3, 30]) == pytest.approx(1)
    assert slope([10], [3]) is None


def test_supercells_have_the_density_of_the_cell(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    supercell = runpy.run_path(str(FOLDER / "run_all.py"))["supercell"]
    iron = bcc_fe()
    cell = supercell(iron, 16)
    assert (len(cell), len(iron)) == (16, 2)
    np.testing.assert_allclose(cell.lattice.abc, 2 * 2.87)


def test_page_of_speed_has_the_numbers_of_its_run(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    page = runpy.run_path(str(FOLDER / "speed_page.py"))["page"]
    docs = FOLDER.parents[1] / "docs"
    result = json.loads((docs / "_static" / "speed.json").read_text(encoding="utf-8"))
    text = (docs / "benchmarks" / "speed.md").read_text(encoding="utf-8")
    assert page(result) == text, "run examples/benchmarks/run_all.py, or speed_page.py"
    plots = set(re.findall(r"_static/(speed_\w+\.svg)", text))
    assert len(plots) == 6
    assert all((docs / "_static" / plot).stat().st_size < 150_000 for plot in plots)


@pytest.mark.slow
def test_all_speeds_are_measured_in_one_run(tmp_path):
    command = [sys.executable, FOLDER / "run_all.py", "--quick", "--out", tmp_path]
    subprocess.run(command, check=True)
    result = json.loads((tmp_path / "_static" / "speed.json").read_text(encoding="utf-8"))
    axes = ["atoms", "structures", "threads", "processes"]
    for lines in result["rates"].values():
        assert list(lines) == axes
        assert all(min(line["rate"]) > 0 for found in lines.values() for line in found.values())
    # A process and its two workers need more memory than one that only imports.
    assert result["memory"]["against"]["processes"]["graphs"]["MiB"][0] > result["memory"]["empty"]
    parts = {name: row["fractions"] for name, row in result["parts"].items()}
    for fractions in parts.values():
        assert sum(fractions.values()) == pytest.approx(1)
        assert min(fractions.values()) >= 0
        assert fractions["optimizer"] > 0
    cgcnn = parts["CGCNN, batches of 8"]
    assert all(share > 0 for share in cgcnn.values())
    assert parts["ECNet"]["messages"] == 0
    assert result["others"]["CGCNN, batch of 8"]["largest difference of outputs"] < 1e-4
    text = (tmp_path / "benchmarks" / "speed.md").read_text(encoding="utf-8")
    assert "$" not in text
    assert str(Path.home()) not in text
