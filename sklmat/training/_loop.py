"""`train_net` trains a net for some epochs; `run_network` computes the outputs of a network."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback
from skorch.helper import predefined_split

from sklmat.batches import EvenBatches, edges_per_batch, make_batch
from sklmat.layers import to_single
from sklmat.recorded_warnings import frames_inside
from sklmat.training._captured_steps import CapturedSteps
from sklmat.training._checkpoint import Resume
from sklmat.training._device import on_device
from sklmat.training._graph_net import BestWeights, ProgressBar, Schedule
from sklmat.training._precision import products_in
from sklmat.training._running_statistics import statistics_kept
from sklmat.training._threads import suitable_threads

if TYPE_CHECKING:
    from torch import nn

    from sklmat.batches import GraphDataset
    from sklmat.graphs import CrystalGraphs, ElementGraphs
    from sklmat.training import GraphNet
    from sklmat.typing import PathLike


#: Edges in a batch of predictions on a GPU; the largest array has this times twice the width.
_EDGES_ON_GPU = 2**20


def train_net(
    net: GraphNet,
    train_set: GraphDataset,
    valid_set: GraphDataset | None = None,
    *,
    max_epochs: int,
    schedule: str = "cosine",
    patience: int | None = None,
    seed: int = 0,
    callbacks: Sequence[Any] = (),
    verbose: bool = False,
    description: str = "fit",
    checkpoint: PathLike | None = None,
    checkpoint_key: str = "",
) -> GraphNet:
    """Train an initialised net, or continue its training.

    Parameters
    ----------
    net : GraphNet
    train_set : GraphDataset
    valid_set : GraphDataset or None
        Validation rows.
    max_epochs : int
    schedule : {"constant", "cosine", "step"}
    patience : int or None
        Epochs without improvement on `valid_set` after which to stop.
    seed : int
        Seed of the order of the batches.
    callbacks : sequence of skorch callbacks
    verbose : bool
    description : str
        Title of the progress bar.
    checkpoint : path or None
        File that keeps the state of the training; see `Resume`.
    checkpoint_key : str

    Returns
    -------
    GraphNet
        The argument `net`, after the training.
    """
    generator = torch.Generator().manual_seed(seed)
    first_epoch = len(net.history)
    n_steps = max_epochs * EvenBatches(len(train_set), net.batch_size).n_batches
    n_edges = edges_per_batch(train_set, net.batch_size)
    own = [Schedule(schedule, n_steps)] + ([BestWeights(patience)] if patience else [])
    resume = None
    if checkpoint is not None:
        resume = Resume(checkpoint, checkpoint_key, generator, own, first_epoch)
        resume.restore(net)
    done = len(net.history) - first_epoch
    added = own + ([resume] if resume else [])
    if verbose:
        added.append(ProgressBar(max_epochs, done, description))
    train_set.generator = generator
    if valid_set is not None:
        net.train_split = predefined_split(valid_set)
    captures = _captures_steps(net, train_set, callbacks)
    failure = None
    try:
        with (
            suitable_threads(net.module_, n_edges),
            on_device(net.device),
            net.added_callbacks([*added, *callbacks]),
        ):
            net.captured_steps = _captured_steps(net, train_set) if captures else None
            net.partial_fit(train_set, epochs=max_epochs - done)
    except torch.OutOfMemoryError as error:
        failure = str(error)
    finally:
        net.train_split = net.captured_steps = None
    # Within the except block, the traceback would keep the tensors of the failed step.
    if failure is not None:
        net.drop_unfinished_epoch()
        raise torch.OutOfMemoryError(_advice(net, train_set, n_edges, failure))
    if net.interrupted_:
        if len(net.history) - first_epoch < 2:
            raise KeyboardInterrupt
        warnings.warn(
            f"training was interrupted after {len(net.history) - first_epoch} of {max_epochs} "
            "epochs; the estimator can be used as it is",
            ConvergenceWarning,
            stacklevel=frames_inside(),
        )
    return net


def _captures_steps(net, train_set, callbacks):
    """Whether all steps can be CUDA graphs: no Python code of the user runs within a step."""
    callbacks = [entry[-1] if isinstance(entry, tuple) else entry for entry in callbacks]
    within_step = ("on_batch_begin", "on_batch_end", "on_grad_computed")
    return (
        torch.device(net.device).type == "cuda"
        and train_set.transform is None
        and not any(
            getattr(type(callback), name) is not getattr(Callback, name)
            for callback in callbacks
            for name in within_step
        )
    )


def _captured_steps(net, train_set):
    """Steps with the data set on the device, or None if it does not fit there beside the net."""
    with contextlib.suppress(torch.OutOfMemoryError):
        return CapturedSteps(net, train_set)
    return None


def _advice(net, train_set, n_edges, failure):
    """Message of an OutOfMemoryError, with a batch size that fits."""
    message = f"{net.device} has not enough memory for batch_size={net.batch_size} "
    message += f"({n_edges:.0f} edges): "
    size = min(net.batch_size, len(train_set)) // 2
    by_edges = np.argsort(train_set.graphs.n_edges, kind="stable")
    while size >= 1:
        if _fits(net, train_set, by_edges[-size:]):
            return f"{message}use batch_size={size}, for which the largest batch fits ({failure})"
        size //= 2
    return f"{message}the largest crystal alone is too large for this network ({failure})"


def _fits(net, train_set, rows):
    """Whether memory suffices for the gradient of a batch."""
    fits = False
    kept = statistics_kept(net.module_)
    with contextlib.suppress(torch.OutOfMemoryError), on_device(net.device), kept:
        batch, target = train_set.__getitems__(rows)
        net.module_.train()
        net.get_loss(net.infer(batch), target).backward()
        fits = True
    net.optimizer_.zero_grad(set_to_none=True)
    return fits


def run_network(
    module: nn.Module,
    graphs: CrystalGraphs | ElementGraphs,
    batch_size: int,
    method: str = "forward",
    precision: str = "float32",
) -> np.ndarray:
    """Compute the outputs of a network for all crystals, in evaluation mode, without gradients.

    Parameters
    ----------
    module : torch module
    graphs : CrystalGraphs or ElementGraphs of C crystals
        Inputs of the network.
    batch_size : int
    method : {"forward", "embed", "elements", "contributions"}
        Method of the network to run.
    precision : {"float32", "bfloat16"}
        Precision of the matrix products.

    Returns
    -------
    ndarray of shape (C, ...), or (P, ...) for the methods with a row for each of P elements
    """
    # To set the mode of all parts anew takes a tenth of the prediction of one crystal.
    if any(part.training for part in module.modules()):
        module.eval()
    parameter = next(module.parameters())
    run = getattr(module, method)
    if parameter.is_cuda:
        # A GPU is as fast for large batches only.
        per_crystal = edges_per_batch(graphs, 1)
        batch_size = max(batch_size, int(_EDGES_ON_GPU / max(per_crystal, 1)))
    threads = suitable_threads(module, edges_per_batch(graphs, batch_size))
    parts: list[torch.Tensor] = []
    done, n_rows = 0, len(graphs)
    products = products_in(precision, parameter.device)
    with torch.inference_mode(), threads, on_device(parameter.device), products:
        while done < n_rows:
            start = done
            try:
                for rows in EvenBatches(n_rows - start, batch_size):
                    chosen = slice(done, start + int(rows[-1]) + 1)
                    parts.append(to_single(run(make_batch(graphs, chosen, like=parameter))))
                    done = chosen.stop
                break
            except torch.OutOfMemoryError:
                if batch_size == 1:
                    raise
            # Here the traceback no longer keeps the tensors of the failed batch.
            parts = [part.cpu() for part in parts]
            batch_size = max(min(batch_size, n_rows - start) // 2, 1)
        return torch.cat([part.cpu() for part in parts]).numpy()
