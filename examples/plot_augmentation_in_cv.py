"""
Augmentation inside cross-validation
====================================

Generated rows may improve a model that has few real training rows. But a row that was generated
from a test row must not be a training row, or the score is too good. This example augments only the
training rows of each fold, in pipelines of scikit-learn and imbalanced-learn. It compares XGBoost
with and without augmentation, and shows what happens if the rows are augmented first and split
afterwards.
"""

# %%
# The data
# --------
# The table describes 200 generated alloys by their composition and by distances, neighbour shells
# and short-range order of their structures. Neither featurizer uses the energies, so the table can
# be computed once for all folds.

import pandas as pd

from sklmat import CompositionFeaturizer, StructureFeaturizer
from sklmat.datasets import make_alloys

alloys = make_alloys(200)
X = pd.concat(
    [
        CompositionFeaturizer(properties=[]).fit_transform(alloys.data),
        StructureFeaturizer().fit_transform(alloys.data),
    ],
    axis=1,
)
y = alloys.frame["formation energy (eV/atom)"]
print(X.iloc[:3, :8].round(3).to_string())

# %%
# Samplers
# --------
# The method ``fit_resample`` of a sampler returns the real rows first, and then the generated rows.
# ``NoiseAugmenter`` copies rows and adds noise to their descriptors. ``MixupAugmenter`` averages
# two rows and their labels. In both cases, the fractions of a row still sum to one.

import numpy as np

from sklmat.augmentation import MixupAugmenter, NoiseAugmenter

mixup = MixupAugmenter(n_samples=3.0, random_state=0)
X_all, y_all = mixup.fit_resample(X, y)
print(f"{len(X)} rows became {len(X_all)}: {np.bincount(mixup.sample_origin_)} real, generated")
print(X_all.iloc[-3:, :8].round(3).to_string())

# %%
# Two pipelines
# -------------
# The ``Pipeline`` of imbalanced-learn accepts samplers as steps, and uses them in ``fit`` but not
# in ``predict``. The ``Pipeline`` of scikit-learn does not accept samplers. In that case, use
# ``AugmentedRegressor``, which augments the rows inside its ``fit``. Both ways give the same model.

from imblearn.pipeline import Pipeline as SamplingPipeline
from sklearn.feature_selection import VarianceThreshold
from sklearn.pipeline import Pipeline
from xgboost import XGBRegressor

from sklmat.augmentation import AugmentedRegressor

boosting = XGBRegressor(n_estimators=150, learning_rate=0.1, max_depth=4, n_jobs=1)
constant = VarianceThreshold().set_output(transform="pandas")

as_a_step = SamplingPipeline([("constant", constant), ("mixup", mixup), ("boosting", boosting)])
inside = Pipeline([("constant", constant), ("model", AugmentedRegressor(boosting, mixup))])

few = X.index[:40]
same = np.allclose(
    as_a_step.fit(X.loc[few], y[few]).predict(X), inside.fit(X.loc[few], y[few]).predict(X)
)
print(f"the two pipelines predict the same: {same}")

# %%
# Errors with and without augmentation
# ------------------------------------
# In each of six repetitions, 40 alloys are training rows and 100 others are test rows. The InfoGAN
# is a generative network, which is trained in each repetition. It is compared with noise and two
# variants of mix-up, which take almost no time: C-mix-up averages rows with similar labels. ``p``
# is the p-value of the difference from XGBoost without augmentation. It takes into account that the
# training sets overlap.

from sklearn.model_selection import ShuffleSplit

from sklmat import compare_estimators
from sklmat.augmentation import InfoGANAugmenter

samplers = {
    "noise": NoiseAugmenter(n_samples=3.0, random_state=0),
    "mix-up": mixup,
    "C-mix-up": MixupAugmenter(label_bandwidth=1.0, n_samples=3.0, random_state=0),
    "InfoGAN": InfoGANAugmenter(n_samples=3.0, n_ensemble=2, max_epochs=200, random_state=0),
}
models = {"XGBoost": boosting}
for name, sampler in samplers.items():
    models[name] = AugmentedRegressor(boosting, sampler)
repeats = ShuffleSplit(6, train_size=40, test_size=100, random_state=0)
comparison = compare_estimators(models, X, y, cv=repeats, reference="XGBoost")
print("Unit of y: eV/atom")
print(comparison)

# %%
# Choose the augmenter by a grid search
# -------------------------------------
# The augmenter is a parameter, so a grid search can choose it. One of its values is ``None``, so
# the validation folds also decide whether to augment at all.

from sklearn.model_selection import GridSearchCV

grid = {"model__augmenter": [None, samplers["noise"], samplers["mix-up"], samplers["C-mix-up"]]}
search = GridSearchCV(inside, grid, cv=4, scoring="neg_root_mean_squared_error")
search.fit(X.loc[few], y[few])
for setting, score in zip(grid["model__augmenter"], -search.cv_results_["mean_test_score"]):
    print(f"{score:.4f} eV/atom  {setting}")

# %%
# What not to do
# --------------
# If rows are augmented first and split afterwards, the training rows contain near copies of test
# rows. To show the effect, the energies are shuffled here, so that nothing can be learned from
# them. A correct R² is then below zero. With augmentation before the split, it is far above zero.

from sklearn.model_selection import KFold, cross_val_score

shuffled = y.sample(frac=1.0, random_state=0).to_numpy()
folds = KFold(5, shuffle=True, random_state=0)
noise = NoiseAugmenter(scale=0.01, random_state=0)
leaky = cross_val_score(boosting, *noise.fit_resample(X, shuffled), cv=folds)
honest = cross_val_score(AugmentedRegressor(boosting, noise), X, shuffled, cv=folds)
print(f"R² on shuffled energies: augmented before the split {leaky.mean():.2f}")
print(f"                         augmented in each fold     {honest.mean():.2f}")

# %%
# The figure
# ----------
# Left: the mean errors with 40 training alloys. If the bar of an augmenter reaches the dashed line,
# its difference to XGBoost without augmentation is not significant. Right: the scores of the five
# folds on shuffled energies, with augmentation before the split and in each fold, and their means.

from pathlib import Path

import matplotlib.pyplot as plt

from sklmat import ComparisonDisplay

figure, (errors, scores) = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
ComparisonDisplay.from_comparison(comparison, metrics=["RMSE"], unit="eV/atom", ax=errors)

places = {"before the split": leaky, "in each fold": honest}
styles = [("#D55E00", "s"), ("#0072B2", "o")]
for place, (values, (color, marker)) in enumerate(zip(places.values(), styles)):
    shifts = np.linspace(-0.1, 0.1, len(values))
    scores.plot(place + shifts, values, marker, color=color, alpha=0.4, markeredgewidth=0)
    scores.plot(place, values.mean(), "_", color=color, markersize=30, markeredgewidth=2)
scores.axhline(0, color="0.35", linestyle="--", linewidth=0.9)
scores.set_xticks(range(len(places)), list(places))
scores.set(xlim=(-0.6, 1.6), xlabel="augmented", ylabel="R² on shuffled energies")

path = Path("augmentation_in_cv.png")
figure.savefig(path, dpi=100)
print(f"figure saved as {path}")
