"""`Resume` saves the state of a training to a file after each epoch, and restores it."""

import io

import torch
from skorch.callbacks import Callback

from sklmat.files import damage_named, expand_path, replace_file
from sklmat.model_files import read_torch_file
from sklmat.random_state import training_generator
from sklmat.training._graph_net import plain_history

_REMEDY = "delete it to start the training over"


class Resume(Callback):
    """Callback that saves the state of a training to a file after each epoch, and restores it.

    Parameters
    ----------
    path : str or path-like
    key : str
        Digest of data, parameters and seed; a file with another key is an error.
    generator : torch.Generator
        Random numbers that draw the batches.
    callbacks : list of Callback
        Other callbacks whose attributes are part of the state.
    first_epoch : int
        Number of epochs in the history of the net before this training.
    """

    def __init__(self, path, key, generator, callbacks, first_epoch):
        self.path = expand_path(path)
        self.key = key
        self.generator = generator
        self.callbacks = callbacks
        self.first_epoch = first_epoch
        if not self.path.parent.is_dir():
            raise ValueError(f"the folder of the checkpoint {self.path} does not exist; make it")

    def restore(self, net):
        """Restore the state of `net` from the file, if the file exists."""
        if not self.path.exists():
            return
        state = read_torch_file(self.path, net.device, _REMEDY)
        with damage_named(self.path, _REMEDY):
            if state["key"] != self.key:
                raise ValueError(
                    f"the checkpoint {self.path} belongs to another training (other data, "
                    "parameters or seed); name another file, or delete this one to start over"
                )
            for callback, values in zip(self.callbacks, state["callbacks"], strict=True):
                if any(hasattr(type(callback), name) for name in values):
                    raise ValueError("it sets more than the values of a callback")
            net.module_.load_state_dict(state["module"])
            net.optimizer_.load_state_dict(state["optimizer"])
            self.generator.set_state(state["generator"].cpu())
            _cpu_generator().set_state(state["rng"].cpu())
            if torch.cuda.is_available():
                torch.cuda.set_rng_state_all([rng.cpu() for rng in state["cuda_rng"]])
            for row in state["history"]:
                net.history.append({**row, "batches": []})
            for callback, values in zip(self.callbacks, state["callbacks"]):
                vars(callback).update(values)

    def on_epoch_end(self, net, **kwargs):
        """Write the state; if the process is killed meanwhile, the previous file stays."""
        state = {
            "key": self.key,
            "module": net.module_.state_dict(),
            "optimizer": net.optimizer_.state_dict(),
            "generator": self.generator.get_state(),
            "rng": _cpu_generator().get_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "history": plain_history(net)[self.first_epoch :],
            "callbacks": [vars(callback) for callback in self.callbacks],
        }
        # On a full disk, torch would raise a RuntimeError that does not say so.
        content = io.BytesIO()
        torch.save(state, content)
        with replace_file(self.path) as temporary:
            temporary.write_bytes(content.getbuffer())


def _cpu_generator():
    return training_generator() or torch.default_generator
