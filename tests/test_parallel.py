"""`n_jobs` and `device` are refused by name wherever they are parameters."""

import inspect

import pandas as pd
import pytest
import torch
from crystals import random_alloys
from sklearn.linear_model import LinearRegression, Ridge
from test_public_api import PUBLIC, is_made_by_users, look_up

import sklmat
from sklmat.parallel import check_n_jobs
from sklmat.training import check_device

CRYSTALS = random_alloys(4, seed=0)
Y = [0.0, 1.0, 0.0, 1.0]


def with_parameter(name):
    """Public classes and functions that have a parameter of this name."""
    found = set()
    for thing in filter(is_made_by_users, map(look_up, PUBLIC)):
        if name in inspect.signature(thing).parameters:
            found.add(thing.__name__)
        for method in vars(thing).values() if inspect.isclass(thing) else ():
            if inspect.isfunction(method) and method.__name__ != "__init__":
                assert name not in inspect.signature(method).parameters, method
    return sorted(found)


def use(name, **params):
    """Call a function, or fit an estimator, with a parameter."""
    thing = getattr(sklmat, name, None) or getattr(sklmat.datasets, name)
    if name == "load_cgcnn_checkpoint":
        return thing("missing.pth.tar", atom_init="physical", **params)
    if name in ("compare_estimators", "learning_curves"):
        return thing({"ridge": Ridge()}, [[0.0], [1.0], [0.0], [1.0]], Y, cv=2, **params)
    if name == "report":
        return thing(Ridge(), [[0.0], [1.0], [0.0], [1.0]], Y, cv=2, **params)
    if name == "screen":
        model = LinearRegression().fit(pd.DataFrame({"x_Fe": [1, 0], "x_Ni": [0, 1]}), [0.0, 1.0])
        return thing(model, sklmat.composition_grid(["Fe", "Ni"], 0.5), **params)
    if name == "predict_dataset":
        return thing(LinearRegression(), "missing", "out", **params)
    if name in ("load_structures", "check_dataset"):
        return thing(CRYSTALS, **params)
    if name == "make_alloys":
        return thing(1, cache=False, **params)
    if name == "AdversarialFeatureBuilder":
        return thing(sklmat.CGCNNClassifier(), **params).fit(CRYSTALS, Y)
    if name in ("CalibratedStdRegressor", "ConformalClassifier", "ConformalRegressor"):
        model = sklmat.CGCNNClassifier if "Classifier" in name else sklmat.CGCNNRegressor
        return thing(model(), **params).fit(CRYSTALS, Y)
    return thing(**params).fit(CRYSTALS, Y)


@pytest.mark.parametrize("n_jobs", [0, 1.5, "all", 10**9, -(10**9)])
@pytest.mark.parametrize("name", with_parameter("n_jobs"))
def test_n_jobs_is_refused_by_name(name, n_jobs):
    message = (
        rf"'n_jobs' parameter of {name} must be None, an int in the range \[1, 10000\] or an int "
        rf"in the range \[-10000, -1\]\. Got {n_jobs!r} instead"
    )
    with pytest.raises(ValueError, match=message):
        use(name, n_jobs=n_jobs)


@pytest.mark.parametrize("n_jobs", [None, 1, 2, -1, -2])
def test_n_jobs_of_joblib(n_jobs):
    check_n_jobs(n_jobs, "screen")


INSTEAD = r"pass 'auto' \(CUDA if there is any, the CPU otherwise\) or 'cpu'"
WRONG = {
    "foo": rf"device='foo' is not a device of PyTorch; {INSTEAD}",
    "cuda:-1": rf"device='cuda:-1' is not a device of PyTorch; {INSTEAD}",
    "": rf"device='' is not a device of PyTorch; {INSTEAD}",
    "meta": rf"device='meta' cannot be used on this computer; {INSTEAD}",
    "xla": rf"device='xla' cannot be used on this computer; {INSTEAD}",
    "cuda": rf"device='cuda' needs a GPU with CUDA, and PyTorch finds none; {INSTEAD}",
    "cuda:7": rf"device='cuda:7' needs a GPU with CUDA, and PyTorch finds none; {INSTEAD}",
}


@pytest.fixture
def set_gpus(monkeypatch):
    def set_number(n):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: n > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: n)

    return set_number


@pytest.mark.parametrize("device", WRONG)
@pytest.mark.parametrize("name", with_parameter("device"))
def test_device_is_refused_by_name(name, device, set_gpus):
    set_gpus(0)
    with pytest.raises(ValueError, match=WRONG[device]):
        use(name, device=device)


def test_the_refusals_are_of_all_estimators():
    networks = {"CGCNNClassifier", "CGCNNRegressor", "ECNetClassifier", "ECNetRegressor"}
    assert (
        networks
        < {*with_parameter("device")}
        < {*with_parameter("n_jobs"), "load_cgcnn_checkpoint", "InfoGANAugmenter"}
    )


def test_partial_fit_refuses_a_device(set_gpus):
    set_gpus(0)
    with pytest.raises(ValueError, match="device='cuda' needs a GPU"):
        sklmat.CGCNNRegressor(device="cuda").partial_fit(CRYSTALS, Y)


@pytest.mark.parametrize(
    ("n_gpus", "message"), [(1, "which has 'cuda:0'$"), (4, "which has 'cuda:0' to 'cuda:3'$")]
)
def test_numbers_of_gpus(set_gpus, n_gpus, message):
    set_gpus(n_gpus)
    with pytest.raises(ValueError, match=f"device='cuda:7' is not on this computer, {message}"):
        check_device("cuda:7")
    with pytest.raises(ValueError, match="device='cuda:7'"):
        check_device(torch.device("cuda:7"))
    assert check_device("cuda:0") == "cuda:0"
    assert check_device("auto") == "cuda"


def test_devices_that_are_here(set_gpus):
    set_gpus(0)
    assert check_device("auto") == check_device("cpu") == "cpu"
    assert check_device(torch.device("cpu")) == torch.device("cpu")
