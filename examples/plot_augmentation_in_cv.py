"""
Augmentation inside cross-validation
====================================

Generated rows may help a model that has few real ones. They may also deceive whoever judges it: a
row that was made from a test row must not be among the training rows. This example augments the
training rows of each fold and nothing else, in pipelines of scikit-learn and imbalanced-learn;
compares XGBoost with and without; and shows what happens when the rows are augmented first and
split afterwards.
"""

# %%
# The data
# --------
# A table of 200 generated alloys: their composition, and what distances, shells and short-range
# order say of their structure. Neither featurizer learns anything from the energies, so the table
# can be made once for all folds.

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
# A sampler's ``fit_resample`` returns the real rows first, then generated ones. Noise makes copies
# with disturbed descriptors, mix-up averages two rows and their labels. Fractions keep their sum.

import numpy as np

from sklmat.augmentation import MixupAugmenter, NoiseAugmenter

mixup = MixupAugmenter(n_samples=3.0, random_state=0)
X_all, y_all = mixup.fit_resample(X, y)
print(f"{len(X)} rows became {len(X_all)}: {np.bincount(mixup.sample_origin_)} real, generated")
print(X_all.iloc[-3:, :8].round(3).to_string())

# %%
# Two pipelines
# -------------
# imbalanced-learn's ``Pipeline`` has samplers as steps, and calls them when it is fitted, never
# when it predicts. scikit-learn's takes none; there, ``AugmentedRegressor`` does the same inside
# its ``fit``. Both give the same model.

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
# With and without
# ----------------
# Six times, 40 alloys to learn from and 100 others to be judged on. Noise and the two ways of
# mix-up cost next to nothing, so they are what the InfoGAN, a generative network that is trained
# anew in each fold, has to beat. ``p`` belongs to the difference from XGBoost alone; it allows for
# the overlap of the training sets.

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
print("MAE and RMSE in eV/atom, mean ± standard deviation over the repetitions")
print(comparison.summary().T.to_string())

# %%
# Let the search decide
# ---------------------
# The augmentation is a parameter like any other, and ``None`` is among its values: whether it helps
# at all is for the validation folds to say.

from sklearn.model_selection import GridSearchCV

grid = {"model__augmenter": [None, samplers["noise"], samplers["mix-up"], samplers["C-mix-up"]]}
search = GridSearchCV(inside, grid, cv=4, scoring="neg_root_mean_squared_error")
search.fit(X.loc[few], y[few])
for setting, score in zip(grid["model__augmenter"], -search.cv_results_["mean_test_score"]):
    print(f"{score:.4f} eV/atom  {setting}")

# %%
# What not to do
# --------------
# Augment first, split afterwards, and the test rows have near copies among the training rows. To
# make it plain, the energies are shuffled here: there is nothing to learn, and an honest score is
# below zero. The leaky one is not.

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
# Left, errors of each repetition; right, the two ways to judge augmentation on shuffled energies.

from pathlib import Path

import matplotlib.pyplot as plt

figure, (errors, scores) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
values = comparison.scores.pivot(index="fold", columns="estimator", values="RMSE")[list(models)]
errors.plot(values.to_numpy().T, color="0.8", linewidth=1)
errors.plot(values.mean().to_numpy(), "o-", color="C0")
errors.set_xticks(range(len(models)), list(models))
errors.set_ylabel("RMSE (eV/atom)")
errors.set_title("40 alloys to learn from")

scores.boxplot(
    [leaky, honest], tick_labels=["augmented\nbefore the split", "augmented\nin each fold"]
)
scores.axhline(0, color="0.5", linewidth=1)
scores.set_ylabel("R²")
scores.set_title("nothing to learn: shuffled energies")

path = Path("augmentation_in_cv.png")
figure.savefig(path, dpi=100)
print(f"figure saved as {path}")
