"""Numbers of rows that no memory holds are refused before memory is taken."""

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from sklearn.linear_model import Ridge

import sklmat
from sklmat import memory
from sklmat.datasets import make_alloys, make_mixed_halide_perovskites, make_prototypes
from sklmat.estimator_checks import make_toy_crystals, make_toy_table

#: More than the memory of any computer, also at one byte each.
N = 10**15
CRYSTALS, Y = make_toy_crystals(8)
GRAPHS = sklmat.StructureToGraph(cutoff=4.0).transform(CRYSTALS)
TABLE, TARGET = make_toy_table(8)
CLASSES = np.array(["rare", "frequent", "frequent", "frequent"] * 2)
GAN = {"max_epochs": 1, "n_ensemble": 1, "hidden_dim": 4, "labeler": Ridge(), "random_state": 0}
LABELLED = {**GAN, "labeler": None}
IRON = Structure(Lattice.cubic(2.87), ["Fe"] * 2, [[0, 0, 0], [0.5] * 3]) * (4, 4, 4)


def sample():
    sklmat.InfoGANAugmenter(**GAN).fit(TABLE, TARGET).sample(N)


def over_sample(X=CRYSTALS, **params):
    sampler = sklmat.StructureOverSampler(sampling_strategy={"rare": N}, **params)
    sampler.fit_resample(X, CLASSES)


def augment(sampler, y=TARGET):
    sampler.fit_resample(TABLE, y)


REFUSED = {
    "noise": lambda: augment(sklmat.NoiseAugmenter(n_samples=N)),
    "multiple": lambda: augment(sklmat.NoiseAugmenter(n_samples=1e15)),
    "mixup": lambda: augment(sklmat.MixupAugmenter(n_samples=N)),
    "InfoGAN": lambda: augment(sklmat.InfoGANAugmenter(**GAN, n_samples=N)),
    "InfoGAN, sample": sample,
    "InfoGAN, classes": lambda: augment(
        sklmat.InfoGANAugmenter(**LABELLED, sampling_strategy={"rare": N}), CLASSES
    ),
    "augmented": lambda: sklmat.AugmentedRegressor(Ridge(), sklmat.NoiseAugmenter(n_samples=N)).fit(
        TABLE, TARGET
    ),
    "perturbations": lambda: sklmat.PerturbationSampler(n_samples=N).fit_resample(CRYSTALS, Y),
    "perturbed graphs": lambda: sklmat.PerturbationSampler(n_samples=N).fit_resample(GRAPHS, Y),
    "copies": over_sample,
    "copies of graphs": lambda: over_sample(GRAPHS),
    "perturbed copies": lambda: over_sample(budget=0.1),
    "prototypes": lambda: make_prototypes(N, cache=False),
    "alloys": lambda: make_alloys(N, cache=False),
    "atoms": lambda: make_alloys(1, n_atoms=32 * N, cache=False),
}


def refused(call, message):
    """With a ValueError; taking the memory would be a MemoryError or end the process."""
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", REFUSED)
def test_more_than_the_memory(name):
    size = r"\d{15,}.*take at least [\d,]+ GiB, more than the [\d,.]+ GiB of memory .* smaller"
    refused(REFUSED[name], size)


def test_random_arrangements_beyond_those_that_exist():
    """Without the error, the search for another one would never end."""
    cell = {"supercells": [(3, 3, 2)], "n_iodine": 9}
    # 54 halides, and 16 rotations times 18 translations.
    message = "n_samples=18465057 is more than 18465056, of the 5317936260 arrangements"
    refused(lambda: make_mixed_halide_perovskites(**cell, n_samples=18_465_057), message)


def test_orderings():
    message = r"there are 3.40e\+38 assignments .* more than max_assignments=10000000"
    refused(lambda: sklmat.enumerate_orderings(IRON, {"Fe": ["Fe", "Ni"]}), message)


@pytest.mark.parametrize("cutoff", [100.5, 1e9])
def test_cutoffs(cutoff):
    message = r"'cutoff' parameter of StructureToGraph must be .* \(0.5, 100.0\]"
    graphs = sklmat.StructureToGraph(cutoff=cutoff, max_neighbors=None)
    refused(lambda: graphs.fit_transform(CRYSTALS), message)
    for model in (sklmat.CGCNNRegressor(cutoff=cutoff), sklmat.ECNetRegressor(cutoff=cutoff)):
        refused(lambda model=model: model.fit(CRYSTALS, Y), message)


@pytest.mark.parametrize("step", [1e-9, 1e-320])
def test_grids_of_compositions(step):
    refused(lambda: sklmat.composition_grid(["Fe", "Ni"], step), "step must be at least 0.0005")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (sklmat.CGCNNRegressor(hidden_dim=10**6), r"weights \(hidden_dim=1000000, n_conv=3.* GiB"),
        (sklmat.CGCNNRegressor(hidden_dim=10**6 + 1), r"hidden_dim.* range \[1, 1000000\]"),
        (sklmat.CGCNNRegressor(n_conv=10**6), r"n_conv.* range \[1, 1000\]"),
        (sklmat.CGCNNRegressor(n_ensemble=10**9), r"n_ensemble.* range \[1, 10000\]"),
        (sklmat.CGCNNRegressor(gaussian_step=1e-12), "8 Å in steps of 1e-12 Å are more than 100"),
        (sklmat.ECNetRegressor(radial_step=1e-12), "6 Å in steps of 1e-12 Å are more than 100,000"),
        (
            sklmat.ECNetRegressor(n_ensemble=10**4, n_filters=10**6),
            "n_members=10000",
        ),
        (sklmat.ECNetRegressor(tower_dims=(10**9,)), "whole numbers from 1 to 1,000,000"),
        (sklmat.ECNetRegressor(tower_dims=(True,)), "whole numbers from 1 to 1,000,000"),
    ],
    ids=lambda value: type(value).__name__ if hasattr(value, "fit") else "",
)
def test_networks(model, message):
    refused(lambda: model.fit(CRYSTALS, Y), message)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_dim": 10**6}, r"weights \(n_members=1, latent_dim=4, hidden_dim=1000000.* GiB"),
        ({"n_layers": 10**6}, r"n_layers.* range \[1, 1000\]"),
    ],
)
def test_networks_of_samplers(settings, message):
    sampler = sklmat.InfoGANAugmenter(**{**GAN, **settings})
    refused(lambda: augment(sampler), message)


@pytest.mark.parametrize(("has", "message"), [(999, "take at least"), (1000, None)])
def test_the_limit_is_the_memory(monkeypatch, has, message):
    monkeypatch.setattr(memory, "total_memory", lambda: has * 2**30)
    if message is None:
        memory.refuse_beyond_memory("n_samples=7: rows", 1000 * 2**30)
        return
    with pytest.raises(
        ValueError, match=r"n_samples=7: rows take at least 1,000 GiB, more than the 999\.0 GiB"
    ):
        memory.refuse_beyond_memory("n_samples=7: rows", 1000 * 2**30)


def test_memory_of_this_computer():
    assert 2**28 < memory.total_memory() < 2**50


def test_memory_that_cannot_be_read(monkeypatch):
    """As on Windows; or the word "max" of a container without a limit, or its limit."""
    monkeypatch.delattr("os.sysconf")
    limit = "max"
    monkeypatch.setattr("pathlib.Path.read_text", lambda path: limit)
    assert memory.total_memory() == 2**40
    limit = "1000000\n"
    assert memory.total_memory() == 1e6
