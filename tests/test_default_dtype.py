"""Networks compute in single precision, whatever the default dtype of torch is."""

import numpy as np
import pytest
import torch
from crystals import random_alloys
from sklearn.linear_model import Ridge

import sklmat
from sklmat.batches import make_batch
from sklmat.elements import element_vectors
from sklmat.estimators import load_cgcnn_checkpoint
from sklmat.networks import CGCNN, ECNet

CRYSTALS = random_alloys(8, seed=0)
GRAPHS = sklmat.StructureToGraph(cutoff=4.0).fit_transform(CRYSTALS)
Y = np.linspace(0, 1, 8)
CLASSES = np.array([0, 1] * 4)
NETWORK = {"cutoff": 4.0, "hidden_dim": 4, "n_conv": 1, "max_epochs": 2, "random_state": 0}
ELEMENTS = {**NETWORK, "n_filters": 4, "tower_dims": (4,), "n_ensemble": 2}


def predict(model, X=GRAPHS, y=Y):
    return model.fit(X, y).predict(X)


def saved_and_loaded(folder):
    model = sklmat.CGCNNRegressor(**NETWORK).fit(GRAPHS, Y)
    model.save(folder / "model.safetensors")
    loaded = sklmat.CGCNNRegressor.load(folder / "model.safetensors")
    continued = loaded.set_params(warm_start=True).fit(GRAPHS, Y)
    return np.concatenate([loaded.predict(GRAPHS), continued.predict(GRAPHS)])


def transferred(folder):
    sklmat.ECNetRegressor(**ELEMENTS).fit(GRAPHS, Y).save(folder / "source")
    return predict(sklmat.ECNetRegressor(**ELEMENTS, warm_start_from=folder / "source"), y=Y**2)


def resumed(folder):
    model = sklmat.CGCNNRegressor(**NETWORK).fit(GRAPHS, Y, checkpoint=folder / "state")
    return model.fit(GRAPHS, Y, checkpoint=folder / "state").predict(GRAPHS)


def generated(folder):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.dirichlet([1, 1], 20), rng.random((20, 2))])
    sampler = sklmat.InfoGANAugmenter(
        code_features=[0, 1], n_samples=5, max_epochs=2, n_ensemble=2, hidden_dim=4, random_state=0,
        labeler=Ridge(),
    )  # fmt: skip
    return np.column_stack(sampler.fit_resample(X, X[:, 2]))


def attacked(folder):
    model = sklmat.CGCNNClassifier(**NETWORK).fit(GRAPHS, CLASSES)
    attack = sklmat.StructureAttack(model, n_steps=2, random_state=0)
    moved = np.concatenate([c.frac_coords for c in attack.generate(CRYSTALS, CLASSES)])
    assert not np.allclose(moved, np.concatenate([c.frac_coords for c in CRYSTALS]))
    return moved


def attributed(folder):
    model = sklmat.ECNetRegressor(**ELEMENTS).fit(GRAPHS, Y)
    return sklmat.site_attribution(model, CRYSTALS[:2])["attribution"].to_numpy()


def attributed_to_pairs(folder):
    model = sklmat.CGCNNRegressor(**NETWORK).fit(GRAPHS, Y)
    return sklmat.pair_attribution(model, CRYSTALS[:2], shells=1)["attribution"].to_numpy()


RESULTS = {
    "CGCNNRegressor": lambda folder: predict(sklmat.CGCNNRegressor(**NETWORK, n_ensemble=2)),
    "CGCNNClassifier": lambda folder: predict(sklmat.CGCNNClassifier(**NETWORK), y=CLASSES),
    "original CGCNN": lambda folder: predict(
        sklmat.CGCNNRegressor(**NETWORK, optimizer="sgd", early_stopping=True)
    ),
    "ECNetRegressor": lambda folder: predict(sklmat.ECNetRegressor(**ELEMENTS)),
    "Gaussian filter": lambda folder: predict(
        sklmat.ECNetRegressor(**ELEMENTS, radial_filter="gaussian", radial_spread=False)
    ),
    "ECNetClassifier": lambda folder: predict(sklmat.ECNetClassifier(**ELEMENTS), y=CLASSES),
    "embedding": lambda folder: sklmat.CGCNNRegressor(**NETWORK).fit(GRAPHS, Y).embed(GRAPHS),
    "adversarial training": lambda folder: predict(
        sklmat.CGCNNRegressor(**NETWORK, adversarial=sklmat.StructureAttack(random_state=0))
    ),
    "save and load": saved_and_loaded,
    "transfer": transferred,
    "warm start in another unit": lambda folder: (
        sklmat.CGCNNRegressor(**NETWORK, warm_start=True).fit(GRAPHS, Y).fit(GRAPHS, 100 * Y)
    ).predict(GRAPHS),
    "GraphEmbedding": lambda folder: (
        sklmat.GraphEmbedding(sklmat.CGCNNRegressor(**NETWORK)).fit(GRAPHS, Y).transform(GRAPHS)
    ).to_numpy(),
    "checkpoint": resumed,
    "InfoGANAugmenter": generated,
    "StructureAttack": attacked,
    "site_attribution": attributed,
    "pair_attribution": attributed_to_pairs,
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_do_not_depend_on_the_default_dtype(name, tmp_path, request):
    folders = [tmp_path / "single", tmp_path / "double"]
    for folder in folders:
        folder.mkdir()
    single = RESULTS[name](folders[0])
    request.getfixturevalue("double")
    in_double = RESULTS[name](folders[1])
    assert torch.get_default_dtype() == torch.float64
    assert in_double.dtype == single.dtype
    assert np.array_equal(in_double, single)


def test_a_network_of_the_original(data_home, double):
    home = data_home / "cgcnn"
    model = load_cgcnn_checkpoint(
        home / "pre-trained" / "band-gap.pth.tar",
        atom_init=home / "data" / "sample-regression" / "atom_init.json",
    )
    result = model.predict(CRYSTALS[:2])
    torch.set_default_dtype(torch.float32)
    assert np.array_equal(model.predict(CRYSTALS[:2]), result)


@pytest.mark.parametrize("cls", [CGCNN, ECNet])
def test_networks_have_the_precision_of_their_element_vectors(cls, double):
    vectors = torch.from_numpy(element_vectors("physical")[0])
    estimator = sklmat.CGCNNRegressor() if cls is CGCNN else sklmat.ECNetRegressor()
    settings = {"radial_spread": True} if cls is ECNet else {}
    batch = make_batch(estimator.architecture.make_inputs(estimator, GRAPHS))
    outputs = {}
    for name in ("float64", "float32"):
        torch.set_default_dtype(getattr(torch, name))
        torch.manual_seed(0)
        network = cls(vectors, 2, cutoff=4.0, **settings)
        assert torch.get_default_dtype() == getattr(torch, name)
        outputs[name] = network(batch)
        outputs[name].sum().backward()
        assert network.embedding.weight.grad.dtype == torch.float32
    assert torch.equal(outputs["float64"], outputs["float32"])
    wide = cls(vectors.double(), 2, cutoff=4.0, **settings)
    assert {value.dtype for value in wide.parameters()} == {torch.float64}


def test_a_fitted_network_predicts_under_another_default(double):
    torch.set_default_dtype(torch.float32)
    model = sklmat.ECNetRegressor(**ELEMENTS).fit(GRAPHS, Y)
    expected = model.predict(GRAPHS)
    torch.set_default_dtype(torch.float64)
    assert np.array_equal(model.predict(GRAPHS), expected)
    assert model.predict(CRYSTALS).shape == (8,)
