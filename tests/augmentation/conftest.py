"""A fitted InfoGAN."""

import warnings

import pytest
from tables import SMALL, inner_alloys

from sklmat.augmentation import InfoGANAugmenter


@pytest.fixture(scope="session")
def fitted():
    X, y = inner_alloys()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return InfoGANAugmenter(**SMALL, random_state=0).fit(X, y)
