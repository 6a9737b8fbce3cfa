"""`GraphCapture`: optimizer steps on a GPU, each captured once as a CUDA graph and replayed."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property

import torch


class GraphCapture:
    """Runs the optimizer steps of a training.

    The first step of each size runs as usual and is a real step of the training; from the second
    on, the step is a CUDA graph, which a single call starts. On a CPU, all steps run as usual. The
    optimizers read the learning rate on the device, where a graph finds it.

    Parameters
    ----------
    optimizers : sequence of torch optimizers
        All parameter groups have the same learning rate.
    device : torch.device
    """

    def __init__(self, optimizers: Sequence[torch.optim.Optimizer], device: torch.device) -> None:
        self.optimizers = optimizers
        self.device = device
        self.lr = torch.empty((), device=device)
        self.replays: dict[Hashable, Callable[[], None] | None] = {}

    def run(self, size: Hashable, step: Callable[[], None]) -> None:
        """Run a step.

        Parameters
        ----------
        size : hashable
            Steps of the same size have tensors of the same shapes.
        step : callable
            Takes no arguments. Its inputs and results are in tensors that are the same objects in
            all steps, and it does not wait for the device.
        """
        with self._learning_rate_on_device():
            if size not in self.replays:
                # Kernels are compiled and memory is taken here, which a graph cannot do.
                step()
                self.replays[size] = None
                return
            replay = self.replays[size] or self._captured(step)
            self.replays[size] = replay
            replay()

    @contextlib.contextmanager
    def _learning_rate_on_device(self):
        """Let the optimizers read the learning rate from a tensor."""
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        rate, on_gpu = groups[0]["lr"], self.device.type == "cuda"
        self.lr.fill_(rate)
        for group in groups:
            group.update(lr=self.lr, capturable=on_gpu)
        try:
            with warnings.catch_warnings():
                # The first step of a size is not captured, which torch takes for a mistake.
                warnings.filterwarnings("ignore", "This instance was constructed with capturable")
                yield
        finally:
            for group in groups:
                group.update(lr=rate, capturable=False)

    @cached_property
    def _memory(self):
        """Pool of memory and stream of all captures; torch's own stream is one of the first GPU."""
        return {"pool": torch.cuda.graph_pool_handle(), "stream": torch.cuda.Stream(self.device)}

    def _captured(self, step):
        """Function that repeats the step; without a GPU, it is the step itself."""
        if self.device.type != "cuda":
            return step
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, **self._memory, capture_error_mode="thread_local"):
            step()
        return graph.replay
