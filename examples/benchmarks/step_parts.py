"""What the time of training steps consists of, by torch's profiler."""

import time
from contextlib import contextmanager

import torch

import sklmat.batches
from sklmat.layers import _compiled_kernels

#: Functions whose calls are a part, and the operations of torch that are.
KERNELS = {
    "expand": "Gaussians",
    "linear_map": "linear map of edges",
    "add_messages": "messages",
    "add_up_gradients": "gradient loops",
    "gradient_of_linear_map": "gradient loops",
    "take_moments": "update of atoms",
    "update_atoms": "update of atoms",
    "gradient_of_update": "update of atoms",
    "combine": "update of atoms",
}
PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "addmv", "mv", "dot")
PARTS = (
    "batch making",
    "Gaussians",
    "matrix products",
    "linear map of edges",
    "messages",
    "gradient loops",
    "update of atoms",
    "optimizer",
    "other operations of torch",
    "rest: Python, skorch, autograd",
)


@contextmanager
def named_parts():
    """Let the profiler know the names of our functions."""

    def named(function, name):
        def run(*arguments, **options):
            with torch.profiler.record_function(f"part: {name}"):
                return function(*arguments, **options)

        return run

    patches = [(sklmat.batches, "make_batch", PARTS[0])]
    patches += [(_compiled_kernels, function, name) for function, name in KERNELS.items()]
    before = [(module, name, getattr(module, name)) for module, name, _ in patches]
    try:
        for module, function, name in patches:
            setattr(module, function, named(getattr(module, function), name))
        yield
    finally:
        for attribute in before:
            setattr(*attribute)


def part_of(event):
    """Name of the part to which an event of the profiler belongs, and its time there."""
    name = event.name
    if name.startswith("part: "):
        return name.removeprefix("part: "), event.cpu_time_total
    if name.startswith(("Optimizer.zero_grad", "aten::_fused_adam")):
        return "optimizer", event.cpu_time_total
    if name.startswith("aten::"):
        is_product = name.removeprefix("aten::") in PRODUCTS
        return "matrix products" if is_product else PARTS[-2], event.self_cpu_time_total
    return None, 0.0


def parts_of(run):
    """Fractions of the time of a function, and how much longer it takes with the profiler."""
    run()
    start = time.perf_counter()
    run()
    plain = time.perf_counter() - start
    with named_parts(), torch.profiler.profile() as profiler:
        start = time.perf_counter()
        run()
        total = time.perf_counter() - start
    microseconds = dict.fromkeys(PARTS[:-1], 0.0)
    for event in profiler.events():
        part, duration = part_of(event)
        parent = event.cpu_parent
        # skorch takes the whole step within Optimizer.step, which therefore is no part.
        while parent is not None and not parent.name.startswith(("part: ", "Optimizer.zero")):
            parent = parent.cpu_parent
        if part is not None and parent is None:
            microseconds[part] += duration
    fractions = {part: value / 1e6 / total for part, value in microseconds.items()}
    fractions[PARTS[-1]] = 1 - sum(fractions.values())
    return {"fractions": fractions, "profiled / not profiled": total / plain}
