"""
Which model for my data?
========================

The model with the smallest error in a comparison is not always the best one: with other folds,
another model may come first. This example compares four models on the same folds, for three numbers
of training rows. It tells which differences are significant, and whether more data would help more
than another model.
"""

# %%
# The data and the models
# -----------------------
# ``make_alloys`` generates alloys of nickel, copper, palladium and platinum. ``baselines`` makes
# models with settings that were chosen on other data. Three of them are compared with an
# element-convolution network (ECNet). The ensemble is smaller than the default, to save time. To
# use your own data, replace the first three lines.

from sklmat import ECNetRegressor, baselines
from sklmat.datasets import make_alloys

alloys = make_alloys(120, verbose=True)
energy = 1000 * alloys.target  # meV/atom

simple = baselines("regression", alloys.data)
models = {
    "linear": simple["linear, composition"],
    "XGBoost": simple["XGBoost, composition and structure"],
    "Gaussian process": simple["Gaussian process, composition and volume"],
    "ECNet": ECNetRegressor(n_ensemble=2, max_epochs=60, random_state=0),
}

# %%
# Errors for three numbers of training rows
# -----------------------------------------
# Alloys of the same composition are either all training rows or all test rows. In each fold,
# subsets of the training rows are drawn. All models are fitted to the same subsets and tested on
# the same alloys. Each number in the table is followed by its 95 % confidence interval.

from sklmat import CompositionGroupKFold, learning_curves

folds = CompositionGroupKFold(5, random_state=0)
curves = learning_curves(
    models,
    alloys.data,
    energy,
    cv=folds,
    train_sizes=[20, 40, 90],
    n_repeats=1,
    scoring="neg_mean_absolute_error",
    random_state=0,
    verbose=True,
)
print("Unit of y: meV/atom")
print(curves)

# %%
# The axes are logarithmic, so an error that falls like a power of the number of rows is a straight
# line. If a line is still steep at its right end, more data will help. The error of the linear
# model hardly falls: it uses only the composition, and cannot know the arrangement of the atoms.

from sklmat import LearningCurveDisplay

LearningCurveDisplay.from_learning_curves(curves, unit="meV/atom")

# %%
# Which differences are significant?
# ----------------------------------
# The intervals of two models may overlap even if one of them is better in every fold, because some
# folds are more difficult for all models. Therefore the *difference* in each fold is tested. For
# each number of rows, this cell compares the model with the smallest error with the others. ``p``
# is the probability of a difference at least this large if both models were equally good. It takes
# into account that the training sets overlap. There are three differences for each number of rows,
# so only p < 0.05 / 3 is called significant (Bonferroni correction).

metric = curves.metrics[0]
not_worse = {}
for n_rows, scores in curves.table.groupby("train_size"):
    best = scores.loc[scores[f"{metric} mean"].idxmin(), "estimator"]
    differences = curves.differences(best).query("train_size == @n_rows")
    is_significant = differences[f"{metric} p"] < 0.05 / len(differences)
    not_worse[n_rows] = [best, *differences.loc[~is_significant, "estimator"]]
    print(f"{n_rows} training rows; smallest error: {best}")
    for row, significant in zip(differences.to_dict("records"), is_significant):
        print(
            f"  {row['estimator']:16s} {row[f'{metric} difference']:+5.1f} meV/atom, "
            f"p = {row[f'{metric} p']:.1g}{', significant' if significant else ''}"
        )
for n_rows, names in not_worse.items():
    print(f"{n_rows} training rows, not significantly different: {', '.join(names)}")

# %%
# ECNet and the Gaussian process change places as rows are added, but their difference is never
# significant. So these folds do not tell which of the two is better, and other reasons can decide:
# the Gaussian process is fitted faster, and the network needs no columns made by hand. With 40 rows
# and more, XGBoost and the linear model are significantly worse. With 20 rows, no difference is
# significant. This does not mean that the four models are equally good, but that the data are too
# few to tell.

# %%
# All training rows
# -----------------
# ``compare_estimators`` makes the same comparison with all training rows of each fold, against one
# reference, and keeps the predictions. If the bar of a model reaches the dashed line, its
# difference to the reference is not significant at a level of 5 %.

from sklmat import ComparisonDisplay, compare_estimators

comparison = compare_estimators(
    models, alloys.data, energy, cv=folds, reference="Gaussian process", verbose=True
)
print(comparison)
ComparisonDisplay.from_comparison(comparison, metrics=["MAE"], unit="meV/atom")

# %%
# The predictions show what a mean error hides. The linear model gives too high an energy to ordered
# alloys and too low an energy to segregated ones. XGBoost has its largest errors at the lowest
# energies, which a search for stable alloys looks for.

from sklmat import ParityDisplay

ParityDisplay.from_comparison(
    comparison,
    quantity="formation energy",
    unit="meV/atom",
    true_name="computed",
    color_by=alloys.frame["short-range order"],
)
