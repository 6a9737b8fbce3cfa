"""`StructureAttack`: perturbations of crystals that make a network's prediction wrong."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Literal, overload

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import StrOptions

from sklmat.adversarial._attack_methods import METHODS
from sklmat.adversarial._attack_run import AttackRun
from sklmat.adversarial._perturbed_batches import PerturbedBatches
from sklmat.deprecation import renamed_parameters
from sklmat.nested_parameters import NestedParameters
from sklmat.parameter_constraints import Interval
from sklmat.perturbations import (
    LARGEST_MIN_DISTANCE,
    IndependentDirections,
    PerturbationBounds,
)
from sklmat.random_state import make_generator
from sklmat.reference_links import ReferenceLink

if TYPE_CHECKING:
    from pymatgen.core import Structure

    from sklmat.graphs import CrystalGraphs
    from sklmat.typing import ArrayLike, RandomState, Structures


@renamed_parameters(neighbors="neighbor_list")
class StructureAttack(ReferenceLink, NestedParameters, BaseEstimator):
    """Attack on a graph network: small displacements of atoms that make its predictions wrong.

    Every atom moves by `budget` at most, the displacements of a crystal sum to zero, and no two
    atoms come closer than `min_distance`. Attack methods that need gradients use the gradient of
    the error (see Notes) with respect to the positions and the lattice, through the periodic
    distances.

    Parameters
    ----------
    estimator : fitted graph estimator, default=None
        The network to attack: CGCNN, ECNet or a network of your own, as a classifier or a
        regressor. It may be inside a FrozenEstimator, a search such as `GridSearchCV` (the best
        estimator is attacked), a `FixedThresholdClassifier` or `TunedThresholdClassifierCV`, a
        `TransformedTargetRegressor` that only scales and shifts `y`, or a Pipeline whose other
        steps do not change the crystals, such as `StructureToGraph`. It must be ``None`` if the
        attack is passed to `AdversarialFeatureBuilder` or to the parameter `adversarial` of a graph
        estimator, because these apply the attack to their own network. ``clone`` of the attack also
        clones `estimator`, which removes its weights; wrap it into
        ``sklearn.frozen.FrozenEstimator`` to keep them.
    method : {"pgd", "fgsm", "random"}, default="pgd"
        - "random": every atom is displaced by `budget` in a random direction, and the net
          translation is removed. The result is the draw with the largest error of `n_draws` draws.
          (`robustness_curve` instead averages the scores of the draws.)
        - "fgsm": every atom is displaced by `budget` along its own gradient [1]_, unless this is
          zero. The gradient is normalised per atom, so a rotated crystal is attacked in the same
          way. (With the sign of the gradient, which is common for images, this would not be the
          case.)
        - "pgd": `n_steps` gradient steps, the first one `budget` long and the later ones shorter.
          After each step the displacements are projected onto the balls of radius `budget` around
          the sites [2]_. The result is the point with the largest error of all points visited. The
          point after the first step is the result of "fgsm", so the error is never smaller than
          that of "fgsm".
    budget : float, default=0.05
        Largest displacement of an atom (Å), without the net translation. Thermal motion at room
        temperature displaces the atoms of halide perovskites by more than 0.1 Å.
    strain : float, default=0.0
        Largest Frobenius norm of the strain of the lattice. Zero leaves the lattice
        unchanged; with ``budget=0`` only the lattice is strained.
    neighbor_list : {"rebuilt", "fixed"}, default="rebuilt"
        "rebuilt" computes the neighbour list again at every step, as the estimator does when it
        predicts the perturbed structure. "fixed" keeps the neighbour list and changes only the
        distances. The error is then a smooth function of the displacements, but a prediction that
        is wrong with the fixed list may be right for the perturbed structure. Graphs made by a
        pymatgen neighbour strategy can only be attacked with "fixed".
    n_steps : int, default=10
        Gradient steps of "pgd".
    n_draws : int, default=1
        Number of draws of "random".
    min_distance : float, default=None
        No two atoms come closer than this (Å). ``None`` takes 0.7 times the sum of their covalent
        radii. Two atoms that are closer than this in the unperturbed crystal come no closer.
    random_state : int, RandomState or None, default=None
        Seed of the random draws. When a network is trained with the attack, the `random_state` of
        the network is used instead.
    verbose : bool, default=False
        Show a progress bar over the crystals.

    See Also
    --------
    perturb_structures : Random noise without an estimator.
    find_adversarial_examples : Crystals predicted right as they are, and wrong when perturbed.
    robustness_curve : Score as a function of the budget.

    Notes
    -----
    The error that an attack maximises is, for classifiers, the logarithm of the probability of the
    most probable wrong class divided by that of the right class, computed from the mean
    probabilities of an ensemble. The gradient of the cross-entropy vanishes where the predicted
    probability is close to one; the gradient of this logarithm does not. A
    `FixedThresholdClassifier` or `TunedThresholdClassifierCV` shifts it by the log-odds of the
    threshold. For regressors it is the absolute error, in standard deviations of the training
    targets; with several targets, the largest of their errors. Without `y`, the prediction for the
    unperturbed crystal takes the place of the true value.

    Atoms are displaced first, then the crystal is strained: a position x becomes
    ``(x + u)(1 + ε)``, with the displacement u and the strain ε. The strain is symmetric, so the
    lattice does not rotate. Where the gradient is zero on every atom by symmetry, "fgsm" leaves the
    crystal as it is. The first step of "pgd" does so, too; its later steps use fixed directions for
    atoms whose gradient is zero, a different one for each atom of a crystal. During an attack the
    network is in evaluation mode (without dropout).

    Ideal crystals have shells of neighbours at equal distances, which are kept whole (see
    `StructureToGraph`). Any displacement makes these distances unequal: the shell is then cut at
    `max_neighbors`, and the network gets another graph. For ideal crystals choose the neighbours by
    the cutoff alone, for example in graphs made by
    ``StructureToGraph(cutoff=5.5, max_neighbors=None)``, or set ``neighbor_list="fixed"``; the user
    guide shows the effect (:ref:`benchmarks-attacks`). With ``ties="truncate"``, the choice among
    neighbours at equal distances may change even around atoms that are not displaced.

    Columns that the network reads beside the structure (its parameter `extra`) are held fixed, even
    if a transformer makes them from the structure; `predict` for the perturbed crystals computes
    such columns anew. If `X` is a DataFrame, its perturbed structures are returned as a list.

    In [3]_, all crystals are perturbed by random displacements of one size (``method="random"``).

    References
    ----------
    .. [1] I. J. Goodfellow, J. Shlens, C. Szegedy, "Explaining and harnessing adversarial
       examples", ICLR (2015), :doi:`10.48550/arXiv.1412.6572`
    .. [2] A. Madry et al., "Towards deep learning models resistant to adversarial attacks", ICLR
       (2018), :doi:`10.48550/arXiv.1706.06083`
    .. [3] Wang, Lai, Wei, Guo, Jin, Sci. China Mater. 67, 1183 (2024)

    Examples
    --------
    >>> import numpy as np
    >>> from pymatgen.core import Lattice, Structure
    >>> from sklmat import CGCNNRegressor, StructureAttack
    >>> a = np.linspace(2.6, 3.2, 24)
    >>> cells = [Structure(Lattice.cubic(x), ["Fe", "Al"], [[0, 0, 0], [0.5] * 3]) for x in a]
    >>> model = CGCNNRegressor(hidden_dim=8, max_epochs=60, batch_size=8, random_state=0)
    >>> attack = StructureAttack(model.fit(cells, a), budget=0.1)
    >>> moved = attack.generate(cells[:4], a[:4])
    >>> np.linalg.norm(moved[0].cart_coords - cells[0].cart_coords, axis=1).round(3)
    array([0.1, 0.1])
    >>> before, after = model.predict(cells[:4]), model.predict(moved)
    >>> [float(np.mean(abs(prediction - a[:4])).round(3)) for prediction in (before, after)]
    [0.003, 0.034]
    """

    _parameter_constraints = {
        "estimator": "no_validation",
        "method": [StrOptions(set(METHODS))],
        "budget": [Interval(Real, 0, None, closed="left")],
        "strain": [Interval(Real, 0, 0.5, closed="left")],
        "neighbor_list": [StrOptions({"rebuilt", "fixed"})],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "min_distance": [None, Interval(Real, 0, LARGEST_MIN_DISTANCE, closed="both")],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator: BaseEstimator | None = None,
        *,
        method: Literal["pgd", "fgsm", "random"] = "pgd",
        budget: float = 0.05,
        strain: float = 0.0,
        neighbor_list: Literal["rebuilt", "fixed"] = "rebuilt",
        n_steps: int = 10,
        n_draws: int = 1,
        min_distance: float | None = None,
        random_state: RandomState = None,
        verbose: bool = False,
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.budget = budget
        self.strain = strain
        self.neighbor_list = neighbor_list
        self.n_steps = n_steps
        self.n_draws = n_draws
        self.min_distance = min_distance
        self.random_state = random_state
        self.verbose = verbose

    @overload
    def generate(self, X: Structures, y: ArrayLike | None = None) -> list[Structure]: ...
    @overload
    def generate(self, X: CrystalGraphs, y: ArrayLike | None = None) -> CrystalGraphs: ...
    def generate(
        self, X: Structures | CrystalGraphs, y: ArrayLike | None = None
    ) -> list[Structure] | CrystalGraphs:
        """Perturb crystals.

        Parameters
        ----------
        X : sequence of C structures, or CrystalGraphs
            Crystals to perturb.
        y : array-like of shape (C,) or (C, n_targets), default=None
            The true classes or values. ``None`` takes the predictions for `X`.

        Returns
        -------
        list of pymatgen Structure, or CrystalGraphs
            The perturbed crystals, in the form and order of `X`. `X` is not changed.

        Raises
        ------
        ValueError
            When `estimator` is None, or `y` has the wrong shape, type or classes for it.
        InvalidStructureError
            When a crystal cannot be used.
        TypeError
            When the model inside `estimator` is not a graph estimator, or is calibrated.
        """
        check_attack(self)
        if self.estimator is None:
            raise ValueError(
                "this StructureAttack has no estimator to attack: set StructureAttack(estimator), "
                "fitted; None is for attacks whose owner supplies its own network"
            )
        run = AttackRun(self, self.estimator, X)
        reference = run.reference(y)
        options = run.options(IndependentDirections(make_generator(self.random_state)))
        return run.apply(*run.search_all(reference, options))

    def batch_transform(self, graphs: CrystalGraphs) -> PerturbedBatches:
        """Prepare the perturbation of training batches; called by a graph estimator in its `fit`.

        Parameters
        ----------
        graphs : CrystalGraphs of the training crystals
            The crystals whose atoms are displaced.

        Returns
        -------
        PerturbedBatches
            Holds the largest perturbation of each crystal. Its method ``bind`` returns the function
            that perturbs the batches of one network.

        Raises
        ------
        ValueError
            When this attack has an estimator of its own.
        """
        check_attack(self)
        if self.estimator is not None:
            raise ValueError(
                "adversarial=StructureAttack(...) attacks the network in training: leave its "
                "estimator None"
            )
        # Padding edges are 1 Å longer than the cutoff and have no atom that could be displaced.
        graphs = graphs.select_edges(graphs.edge_distance <= graphs.cutoff + 0.5)
        bounds = PerturbationBounds.around(
            graphs, self.budget, self.strain, self.min_distance, self.neighbor_list
        )
        return PerturbedBatches(self, bounds)


def check_attack(attack):
    """Raise where the parameters of an attack are out of range."""
    attack._validate_params()
