"""`METHODS`, the attack methods: random draws, one gradient step, projected gradient steps."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from sklmat.adversarial._attack_state import (
    AttackState,
    draw,
    evaluate,
    evaluate_gradient,
    keep_worse,
)
from sklmat.adversarial._attacked_network import AttackedNetwork
from sklmat.perturbations import RandomDirections, fixed_directions


@dataclass(frozen=True)
class SearchOptions:
    """Options of an attack method.

    Parameters
    ----------
    directions : RandomDirections
        Used by "random".
    n_steps : int
        Gradient steps of "pgd".
    n_draws : int
        Number of draws of "random".
    until_wrong : bool
        Whether the attack on a crystal ends as soon as its prediction is wrong.
    """

    directions: RandomDirections
    n_steps: int = 10
    n_draws: int = 1
    until_wrong: bool = False

    def remaining(self, state: AttackState) -> np.ndarray:
        """Mask of the crystals whose attack continues, shape (C,)."""
        if self.until_wrong and state.error is not None:
            return state.error <= 0
        return np.ones(len(state), dtype=bool)


def random_draws(
    network: AttackedNetwork, state: AttackState, options: SearchOptions
) -> AttackState:
    """The worst of `n_draws` random perturbations; a single draw is not evaluated."""
    worst = draw(state, options.directions)
    for _ in range(options.n_draws - 1):
        worst = evaluate(network, worst)
        remaining = options.remaining(worst)
        if not remaining.any():
            break
        another = draw(state.select(remaining), options.directions)
        worst = keep_worse(worst, remaining, evaluate(network, another))
    return worst


def fgsm(network: AttackedNetwork, state: AttackState, options: SearchOptions) -> AttackState:
    """One gradient step from the unperturbed crystals; its length is the budget."""
    state, *gradient = evaluate_gradient(network, state.without_perturbation())
    return _gradient_step(state, gradient, fraction=1.0)


def pgd(network: AttackedNetwork, state: AttackState, options: SearchOptions) -> AttackState:
    """The worst point on a path of gradient steps; the length of the first step is the budget.

    The path starts from the perturbations of `state`. If these are evaluated, the result is never
    better than they are.
    """
    worst, active = state, options.remaining(state)
    if not active.any():
        return worst
    current = state.select(active)
    if current.is_perturbed:
        current = current.perturb(*current.bounds.project(current.displacement, current.strain))
    for step in range(options.n_steps):
        current, *gradient = evaluate_gradient(network, current)
        worst = current if worst.error is None else keep_worse(worst, active, current)
        current = _gradient_step(current, gradient, fraction=1 - step / options.n_steps)
        remaining = options.remaining(worst)
        if not remaining.any():
            return worst
        current, active = current.select(remaining[active]), remaining
    return keep_worse(worst, active, evaluate(network, current))


def _gradient_step(state, gradient, fraction):
    """Step of a fraction of the budget along the gradient of each atom and lattice, projected."""
    bounds, (by_displacement, by_strain) = state.bounds, gradient
    # Where the gradient is zero by symmetry, a fixed direction breaks the symmetry.
    instead = fixed_directions(bounds.graphs) if fraction < 1 else 0.0
    norm = np.linalg.norm(by_displacement, axis=1, keepdims=True)
    direction = np.where(norm > 0, by_displacement / np.maximum(norm, 1e-300), instead)
    norm = np.linalg.norm(by_strain, axis=(1, 2), keepdims=True)
    strain_direction = np.where(norm > 0, by_strain / np.maximum(norm, 1e-300), 0.0)
    length = fraction * bounds.budget[bounds.crystal_of_atom, None]
    strain_length = fraction * bounds.strain_budget[:, None, None]
    return state.perturb(
        *bounds.project(
            state.displacement + length * direction,
            state.strain + strain_length * strain_direction,
        )
    )


def _one_draw(network, state, options):
    """A single random perturbation, not compared with others."""
    return draw(state, options.directions)


def _scaled_draw(network, state, options):
    """The state as it is: the draw of the larger budget, already scaled down by the caller."""
    return state


def _path_from_scaled(network, state, options):
    """The worst point on a path of half as many steps, from the scaled perturbation."""
    options = replace(options, n_steps=max(1, options.n_steps // 2))
    return pgd(network, evaluate(network, state), options)


def _worse_of_path_and_step(network, state, options):
    """The worse of the path from an earlier perturbation and the step of "fgsm"."""
    worst = pgd(network, state, options)
    # The path did not start from the unperturbed crystal, so it does not contain this step.
    step = evaluate(network, fgsm(network, state, options))
    return keep_worse(worst, np.ones(len(state), dtype=bool), step)


Search = Callable[[AttackedNetwork, AttackState, SearchOptions], AttackState]


@dataclass(frozen=True)
class AttackMethod:
    """Functions by which a method searches for the worst perturbations.

    All three functions search within ``state.bounds`` and take ``(network, state, options)``. The
    state that they return may not be evaluated yet.

    Parameters
    ----------
    search : callable
        Search from unperturbed crystals.
    search_smaller : callable
        Search within smaller budgets than before. `state` holds the perturbations found before,
        scaled down to these budgets.
    search_larger : callable
        Search within larger budgets than before. `state` holds the perturbations found before,
        evaluated.
    averages_draws : bool
        Whether a robustness curve shows the mean score of `n_draws` searches.
    """

    search: Search
    search_smaller: Search
    search_larger: Search
    averages_draws: bool = False


METHODS = {
    "random": AttackMethod(random_draws, _scaled_draw, _one_draw, averages_draws=True),
    "fgsm": AttackMethod(fgsm, fgsm, fgsm),
    "pgd": AttackMethod(pgd, _path_from_scaled, _worse_of_path_and_step),
}
