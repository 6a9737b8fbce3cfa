"""`train_ensemble` trains the members of an ensemble, each with a seed and in single precision."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from sklmat.batches import GraphDataset
from sklmat.files import expand_path
from sklmat.processes import count_processes, run_parallel
from sklmat.random_state import use_generator
from sklmat.training._graph_net import GraphNet
from sklmat.training._loop import train_net
from sklmat.training._random_numbers import initial_weights, seeded, single_precision

if TYPE_CHECKING:
    from sklmat.typing import PathLike


def train_ensemble(
    prepare: Callable[[GraphNet | None, GraphDataset, int], tuple[GraphNet, GraphDataset]],
    train_set: GraphDataset,
    valid_set: GraphDataset | None,
    *,
    seeds: list[int],
    fitted: list[GraphNet] | None = None,
    own_generator: bool = False,
    n_jobs: int | None = None,
    checkpoint: PathLike | None = None,
    **settings: Any,
) -> list[GraphNet]:
    """Train every member of an ensemble, or train fitted members further.

    Parameters
    ----------
    prepare : callable
        Called for each member with a copy of its fitted net, or None for a new member, the
        training set, and its number; returns the net and the set to train it on. The random state
        of torch is then seeded for this member.
    train_set, valid_set : GraphDataset
        `valid_set` may be None.
    seeds : list of int
        Seed of each member.
    fitted : list of GraphNet, default=None
        Members to train further. Copies are trained, so that an error or an interruption does not
        change these nets.
    own_generator : bool, default=False
        Whether the random numbers of a member come from a generator of its own, so that several
        members can be trained in threads. It must be False for networks and callbacks that may draw
        from the generator of torch, and for GPUs.
    n_jobs : int, default=None
        Number of processes that train members.
    checkpoint : path, default=None
        File for the state of the training. If there are several members, the number of the member
        is appended.
    **settings
        Parameters of `train_net`, the same for all members.

    Returns
    -------
    list of GraphNet
        Fewer than `seeds`, or `fitted`, if the user interrupts the training: a member whose
        training is not complete would make the mean prediction worse.
    """
    n_members = len(seeds)
    jobs = [
        (
            member,
            None if fitted is None else copy.deepcopy(fitted[member]),
            # The seed changes with the epochs trained, so that the batches are not the same again.
            seed if fitted is None else seed + len(fitted[member].history),
            None if checkpoint is None else _member_path(checkpoint, member, n_members),
            f"fit {member + 1}/{n_members}" if n_members > 1 else "fit",
        )
        for member, seed in enumerate(seeds)
    ]
    common = prepare, train_set, valid_set, own_generator, settings
    if count_processes(n_jobs) > 1 and n_members > 1:
        return list(run_parallel(_train_member, jobs, common=common, n_jobs=n_jobs))
    nets = []
    for job in jobs:
        nets.append(_train_member(*common, *job))
        if nets[-1].interrupted_:
            if fitted is not None and len(nets) < n_members:
                return fitted
            return nets[:-1] or nets
    return nets


def _member_path(path, member, n_members):
    path = expand_path(path)
    return path if n_members == 1 else path.with_name(f"{path.name}.{member}")


def _train_member(
    prepare,
    train_set,
    valid_set,
    own_generator,
    settings,
    member,
    net,
    seed,
    checkpoint,
    description,
):
    settings = {**settings, "seed": seed, "checkpoint": checkpoint, "description": description}
    # Members that are trained in threads have the same one, and each sets its generator.
    train_set = copy.copy(train_set)
    if own_generator and torch.get_default_dtype() == torch.float32:
        generator = torch.Generator().manual_seed(seed)
        with initial_weights(generator):
            net, train_set = prepare(net, train_set, member)
        with use_generator(generator):
            return train_net(net, train_set, valid_set, **settings)
    with seeded(seed), single_precision():
        net, train_set = prepare(net, train_set, member)
        return train_net(net, train_set, valid_set, **settings)
