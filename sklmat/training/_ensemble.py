"""`train_ensemble` trains the members of an ensemble, each `seeded` and in `single_precision`."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import torch

from sklmat.batches import GraphDataset
from sklmat.files import expand_path
from sklmat.networks import CGCNN, ECNet
from sklmat.processes import count_processes, run_parallel
from sklmat.random_state import use_generator
from sklmat.training._graph_net import GraphNet
from sklmat.training._loop import train_net

if TYPE_CHECKING:
    from sklmat.typing import PathLike


def train_ensemble(
    prepare: Callable[[GraphNet | None, GraphDataset], tuple[GraphNet, GraphDataset]],
    train_set: GraphDataset,
    valid_set: GraphDataset | None,
    *,
    seeds: list[int],
    fitted: list[GraphNet] | None = None,
    n_jobs: int | None = None,
    checkpoint: PathLike | None = None,
    **settings: Any,
) -> list[GraphNet]:
    """Train every member of an ensemble, or train fitted members further.

    Parameters
    ----------
    prepare : callable
        Called for each member with a copy of its fitted net, or None for a new member, and the
        training set; returns the net and the set to train it on. The random state of torch is
        then seeded for this member.
    train_set, valid_set : GraphDataset
        `valid_set` may be None.
    seeds : list of int
        Seed of each member.
    fitted : list of GraphNet, default=None
        Members to train further. Copies are trained, so that an error or an interruption does not
        change these nets.
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
            None if fitted is None else copy.deepcopy(fitted[member]),
            # The seed changes with the epochs trained, so that the batches are not the same again.
            seed if fitted is None else seed + len(fitted[member].history),
            None if checkpoint is None else _member_path(checkpoint, member, n_members),
            f"fit {member + 1}/{n_members}" if n_members > 1 else "fit",
        )
        for member, seed in enumerate(seeds)
    ]
    common = prepare, train_set, valid_set, settings
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


def _train_member(prepare, train_set, valid_set, settings, net, seed, checkpoint, description):
    settings = {**settings, "seed": seed, "checkpoint": checkpoint, "description": description}
    # Members that are trained in threads have the same one, and each sets its generator.
    train_set = copy.copy(train_set)
    is_single = torch.get_default_dtype() == torch.float32
    with seeded(seed), single_precision():
        net, train_set = prepare(net, train_set)
        if not is_single or not _draws_from_own_generator(net, settings):
            return train_net(net, train_set, valid_set, **settings)
        # Goes on with the numbers that follow those of the initial weights.
        generator = torch.Generator()
        generator.set_state(torch.get_rng_state())
    with use_generator(generator):
        return train_net(net, train_set, valid_set, **settings)


def _draws_from_own_generator(net, settings):
    """Whether a training needs no random numbers from the generator of torch.

    Networks and callbacks of users may draw any numbers, and so do GPUs.
    """
    return (
        type(net.module_) in (CGCNN, ECNet)
        and torch.device(net.device).type == "cpu"
        and not settings.get("callbacks")
        # Nets that were pickled by earlier versions have it.
        and not any(type(part) is torch.nn.Dropout for part in net.module_.modules())
    )


#: Only one thread at a time may use the random state and the default dtype of torch, which belong
#: to the whole process.
_GLOBAL_STATE = threading.RLock()


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch within a ``with`` block, and restore its random state afterwards."""
    with _GLOBAL_STATE, torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        yield


@contextlib.contextmanager
def single_precision() -> Iterator[None]:
    """Make new networks in single precision within a ``with`` block.

    The dtype that ``torch.set_default_dtype`` has set is restored afterwards. Batches are always in
    single precision, so that a network in double precision could not read them.
    """
    with _GLOBAL_STATE:
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(default)
