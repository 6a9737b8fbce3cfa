"""Estimators shown in a notebook link to their page of the reference."""

import inspect
import re
from html import escape
from importlib import metadata

import pytest
import sklearn
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils.fixes import parse_version
from test_public_api import DOCS, PUBLIC, look_up, names_in_the_reference

import sklmat
from sklmat import reference_links

ESTIMATORS = [
    path
    for path in PUBLIC
    if inspect.isclass(look_up(path)) and issubclass(look_up(path), BaseEstimator)
]
#: scikit-learn describes the parameters since this version.
DESCRIBES_PARAMETERS = parse_version(sklearn.__version__) >= parse_version("1.9")


def instance(path):
    """An object of the class; an estimator stands for each parameter without a default."""
    parameters = inspect.signature(look_up(path)).parameters.values()
    return look_up(path)(**{p.name: Ridge() for p in parameters if p.default is p.empty})


def links(estimator):
    return re.findall(r'class="sk-estimator-doc-link[^>]*href="([^"]*)"', estimator._repr_html_())


def site():
    return dict(url.split(", ") for url in metadata.metadata("sklmat").get_all("Project-URL"))[
        "Documentation"
    ]


@pytest.mark.skipif(not DOCS.is_dir(), reason="the documentation is not part of this copy")
@pytest.mark.parametrize("path", ESTIMATORS)
def test_link_of_an_estimator_is_its_page(path):
    pages = [f"{site()}api/generated/{name}.html" for name in names_in_the_reference()]
    (own,) = [page for page in pages if page.endswith(f"/{path}.html")]
    assert links(instance(path))[0] == own


def test_page_is_the_one_of_the_site():
    assert reference_links.page_address("CGCNNRegressor") == (
        f"{site()}api/generated/sklmat.CGCNNRegressor.html"
    )


@pytest.mark.skipif(not DESCRIBES_PARAMETERS, reason="this scikit-learn does not")
@pytest.mark.parametrize("path", ESTIMATORS)
def test_parameters_are_described(path):
    html = instance(path)._repr_html_()
    described = set(re.findall(r'anchor-name: --doc-link-(\w+);"\s*rel', html))
    assert set(instance(path).get_params(deep=False)) <= described


@pytest.mark.skipif(not DESCRIBES_PARAMETERS, reason="this scikit-learn does not")
def test_description_of_a_parameter_is_the_one_of_the_docstring():
    html = sklmat.NoiseAugmenter()._repr_html_()
    assert escape("random_state: int, RandomState or None, default=None") in html
    assert f"{site()}api/generated/sklmat.NoiseAugmenter.html#:~:text=random_state" in html


def test_steps_of_a_pipeline_link_to_their_own_pages():
    pipeline = make_pipeline(sklmat.CompositionFeaturizer(), Ridge())
    own, foreign = links(pipeline)[1:]
    assert own.endswith("/sklmat.CompositionFeaturizer.html")
    assert "scikit-learn.org" in foreign


class CGCNNRegressor(sklmat.CGCNNRegressor):
    """A class of somebody else."""


class Internal(sklmat.CGCNNRegressor):
    """A class of sklmat that is not public."""

    __module__ = "sklmat.estimators"


@pytest.mark.parametrize("estimator", [CGCNNRegressor(), Internal()])
def test_classes_without_a_page_have_no_link(estimator):
    assert links(estimator) == []


def test_what_is_not_installed_has_no_links(monkeypatch):
    def not_found(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "metadata", not_found)
    reference_links._site.cache_clear()
    try:
        assert links(sklmat.NoiseAugmenter()) == []
    finally:
        reference_links._site.cache_clear()
