"""Training of networks; the only module that imports skorch."""

from sklmat.training._callbacks import check_callbacks
from sklmat.training._device import check_device
from sklmat.training._ensemble import train_ensemble
from sklmat.training._gan_loop import train_gan
from sklmat.training._graph_net import GraphNet, WeightedLoss, make_net, member_histories
from sklmat.training._loop import run_network, train_net
from sklmat.training._random_numbers import initial_weights
from sklmat.training._running_statistics import adapt_statistics
from sklmat.training._threads import one_thread, suitable_threads

__all__ = [
    "GraphNet",
    "WeightedLoss",
    "adapt_statistics",
    "check_callbacks",
    "check_device",
    "initial_weights",
    "make_net",
    "member_histories",
    "one_thread",
    "run_network",
    "suitable_threads",
    "train_ensemble",
    "train_gan",
    "train_net",
]
