"""`training_graphs`, `graphs_like_fit`: the graphs of a graph estimator in `fit` and `predict`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sklmat.elements import element_symbols
from sklmat.graphs import CrystalGraphs, StructureToGraph, build_graphs
from sklmat.unseen_elements import (
    find_unseen_elements,
    unseen_element_errors,
    warn_unseen_elements,
)

if TYPE_CHECKING:
    from sklmat.estimators._graph_estimator import GraphEstimator
    from sklmat.typing import Structures


def training_graphs(
    estimator: GraphEstimator,
    X: Structures | CrystalGraphs,
    source: GraphEstimator | None = None,
) -> CrystalGraphs:
    """Return the graphs on which an estimator is trained.

    The cutoff and the number of neighbours come from the parameters of the estimator, else from
    given graphs, else from the graphs of `source`, else from the defaults of its architecture.

    Parameters
    ----------
    estimator : GraphEstimator
    X : sequence of C structures, or CrystalGraphs
    source : fitted GraphEstimator, default=None
        Estimator from whose weights the training starts.

    Returns
    -------
    CrystalGraphs
    """
    if isinstance(X, CrystalGraphs):
        return X.restrict(estimator.cutoff, estimator.max_neighbors)
    asked = {"cutoff": estimator.cutoff, "max_neighbors": estimator.max_neighbors}
    if source is not None and source.graph_settings_["neighbors"] is None:
        given = {name: value for name, value in asked.items() if value is not None}
        return build_graphs(
            X,
            **{**source.graph_settings_, **given},
            n_jobs=estimator.n_jobs,
            verbose=estimator.verbose,
        )
    architecture = estimator.architecture
    return StructureToGraph(
        cutoff=estimator.cutoff or architecture.default_cutoff,
        max_neighbors=estimator.max_neighbors or architecture.default_max_neighbors,
        n_jobs=estimator.n_jobs,
        verbose=estimator.verbose,
    ).transform(X)


def graphs_like_fit(estimator: GraphEstimator, X: Structures | CrystalGraphs) -> CrystalGraphs:
    """Return the graphs of new rows, built with the settings of `fit`.

    Parameters
    ----------
    estimator : fitted GraphEstimator
    X : sequence of C structures, or CrystalGraphs

    Returns
    -------
    CrystalGraphs

    Raises
    ------
    ValueError
        When given graphs were built with other settings; when structures are given but `fit` used
        graphs of a pymatgen strategy, which is not stored; or when an element has no vector.
    """
    settings = estimator.graph_settings_
    if isinstance(X, CrystalGraphs):
        graphs = X.restrict(estimator.cutoff, estimator.max_neighbors)
        different = {k: v for k, v in graphs.settings.items() if v != settings[k]}
        if different:
            raise ValueError(
                f"these graphs were built with {different}, those of fit with "
                f"{ {k: settings[k] for k in different} }; build them with the same settings"
            )
    elif settings["neighbors"] is not None:
        raise ValueError(
            f"fitted on graphs made by {settings['neighbors']}; pass CrystalGraphs made by the "
            "same StructureToGraph instead of structures"
        )
    else:
        graphs = build_graphs(X, **settings, n_jobs=estimator.n_jobs)
    check_elements(graphs, estimator.nets_[0].module_.known_elements.cpu().numpy())
    return graphs


def check_elements(graphs: CrystalGraphs, known: np.ndarray) -> None:
    """Raise an error for the first crystal with an element that has no vector.

    Parameters
    ----------
    graphs : CrystalGraphs
    known : ndarray of bool, shape (Z,)
        Mask of the atomic numbers that have a vector.
    """
    for first, part in graphs.chunks():
        unknown = ~known[part.atomic_numbers]
        if unknown.any():
            crystal = int(np.searchsorted(part.atom_ptr, np.argmax(unknown), side="right")) - 1
            raise ValueError(
                f"structure {first + crystal} ({part.formula(crystal)}) has an element without a "
                "vector in atom_init; give a table that has it (atom_init='onehot' covers all)"
            )


def check_seen_elements(estimator: GraphEstimator, graphs: CrystalGraphs) -> None:
    """Refuse, or warn of, crystals with elements that no training row had.

    Parameters
    ----------
    estimator : fitted graph estimator
        One without the attribute ``elements_``, from `load_cgcnn_checkpoint`, was trained on rows
        that are not known.
    graphs : CrystalGraphs

    Raises
    ------
    InvalidStructureError
        When the network learns the vector of each element, for the first such crystal.

    Warns
    -----
    ExtrapolationWarning
        When the vectors are properties of the elements.
    """
    seen = getattr(estimator, "elements_", None)
    if seen is None:
        return
    unseen: dict[int, list[str]] = {}
    for first, part in graphs.chunks():
        unseen |= find_unseen_elements(first + part.crystal_of_atom, part.atomic_numbers, seen)
    if unseen and estimator.architecture.learns_element_vectors(estimator):
        raise unseen_element_errors(
            unseen,
            graphs.formula,
            element_symbols(seen),
            "as the vector of an element is learned, or use atom_init='physical'",
        )[0]
    warn_unseen_elements(unseen, "the network knows them by their properties only and extrapolates")


def is_one_hot(vectors: np.ndarray) -> bool:
    """Whether each element has a column of its own, so that nothing says what elements share.

    Parameters
    ----------
    vectors : ndarray of shape (n_elements, V)
    """
    filled = vectors != 0
    return bool((filled.sum(axis=1) == 1).all() and (filled.sum(axis=0) <= 1).all())
