"""Parameters of a part that is None cannot be set, and the error says what to pass."""

import pytest
from crystals import rattled_cells
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmat import (
    AdversarialFeatureBuilder,
    AugmentedRegressor,
    CGCNNRegressor,
    DeltaRegressor,
    ECNetFeaturizer,
    ECNetRegressor,
    EFTGANRegressor,
    GraphEmbedding,
    InfoGANAugmenter,
    NoiseAugmenter,
    StructureAttack,
)

WITHOUT_PARTS = [
    (EFTGANRegressor(), "estimator__lr", "estimator=None"),
    (EFTGANRegressor(), "augmenter__n_samples", "augmenter=None"),
    (EFTGANRegressor(), "regressor__alpha", "regressor=None"),
    (ECNetFeaturizer("model.safetensors"), "estimator__lr", "estimator='model.safetensors'"),
    (GraphEmbedding(), "estimator__lr", "estimator=None"),
    (AugmentedRegressor(Ridge()), "augmenter__n_samples", "augmenter=None"),
    (AdversarialFeatureBuilder(), "attack__budget", "attack=None"),
    (InfoGANAugmenter(), "labeler__alpha", "labeler=None"),
    (CGCNNRegressor(), "adversarial__budget", "adversarial=None"),
    (StructureAttack(), "estimator__lr", "estimator=None"),
    (DeltaRegressor(Ridge(), "zeros.safetensors"), "baseline__power", "baseline='zeros"),
]


@pytest.mark.parametrize(("estimator", "name", "value"), WITHOUT_PARTS)
def test_part_without_parameters(estimator, name, value):
    part = name.split("__")[0]
    message = rf"{name} cannot be set.*{value}.*instance, {type(estimator).__name__}\({part}=\.\.\."
    with pytest.raises(ValueError, match=message):
        estimator.set_params(**{name: 1})


def test_search_names_the_part():
    cells, y = rattled_cells(6)
    model = make_pipeline(StandardScaler(), EFTGANRegressor())
    search = GridSearchCV(model, {"eftganregressor__estimator__lr": [0.1]}, cv=2)
    with pytest.raises(ValueError, match=r"estimator__lr cannot be set.*EFTGANRegressor\(estim"):
        search.fit(cells, y)


def test_former_name_of_the_part():
    with (
        pytest.warns(FutureWarning, match="'ecnet__lr' of EFTGANRegressor is now called"),
        pytest.raises(ValueError, match="estimator__lr cannot be set, because estimator=None"),
    ):
        EFTGANRegressor().set_params(ecnet__lr=0.1)


def test_parts_that_have_parameters():
    model = EFTGANRegressor().set_params(estimator=ECNetRegressor(), estimator__lr=0.5)
    assert model.estimator.lr == 0.5
    assert model.set_params(estimator__lr=0.25).estimator.lr == 0.25
    augmented = AugmentedRegressor(Ridge(), NoiseAugmenter())
    assert augmented.set_params(augmenter__n_samples=7).augmenter.n_samples == 7
    # Both in one call: None replaces the instance.
    with pytest.raises(ValueError, match="augmenter=None has no parameter 'n_samples'"):
        augmented.set_params(augmenter=None, augmenter__n_samples=7)
    with pytest.raises(ValueError, match="Invalid parameter 'nothing'"):
        augmented.set_params(nothing__n_samples=7)
    with pytest.raises(ValueError, match="Invalid parameter 'rate'"):
        model.set_params(estimator__rate=7)
