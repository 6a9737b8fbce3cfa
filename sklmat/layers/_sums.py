"""Sums over edges and atoms and gathers of atoms; on a GPU they add in a fixed order."""

from __future__ import annotations

import importlib.util

import torch

from sklmat.batches import CrystalBatch, ElementBatch, Segments
from sklmat.layers._precision import to_single

#: Widest rows of the kernels in Triton, which hold a row in registers.
_MAX_WIDTH = 256


def uses_triton(values: torch.Tensor) -> bool:
    """Whether kernels in Triton compute with a tensor: in single precision on a GPU."""
    return (
        values.is_cuda
        and values.dtype == torch.float32
        and values.shape[-1] <= _MAX_WIDTH
        and _has_triton()
    )


def _has_triton():
    return importlib.util.find_spec("triton") is not None


class _SegmentSum(torch.autograd.Function):
    """Sum of the rows of each segment; the gradient is gathered."""

    @staticmethod
    def forward(ctx, values, index, segments):
        ctx.save_for_backward(index)
        return _sum_rows(values, segments)

    @staticmethod
    def backward(ctx, gradient):
        return gradient.index_select(0, ctx.saved_tensors[0]), None, None


class _Gather(torch.autograd.Function):
    """Rows of values; the gradient is summed over the segments."""

    @staticmethod
    def forward(ctx, values, index, segments):
        ctx.segments = segments
        return values.index_select(0, index)

    @staticmethod
    def backward(ctx, gradient):
        return _sum_rows(gradient, ctx.segments), None, None


def _sum_rows(values, segments):
    from sklmat.layers._triton_conv import segment_sum

    # Triton starts kernels on the current GPU, which may be another one than that of the tensors.
    with torch.cuda.device(values.device):
        total = segment_sum(values.reshape(len(values), -1), *segments)
    return total.view(-1, *values.shape[1:])


def sum_rows(
    values: torch.Tensor, index: torch.Tensor, n_rows: int, segments: Segments | None
) -> torch.Tensor:
    """Add each row of values to the row of the result that `index` says."""
    if segments is not None:
        return _SegmentSum.apply(values.contiguous(), index, segments)
    return values.new_zeros(n_rows, *values.shape[1:]).index_add_(0, index, values)


def sum_atoms(values: torch.Tensor, batch: CrystalBatch | ElementBatch) -> torch.Tensor:
    """Sum over the atoms, or the elements, of each crystal."""
    values = to_single(values)
    segments = batch.segments().by_crystal if uses_triton(values) else None
    return sum_rows(values, batch.crystal, len(batch), segments)


def sum_to_targets(values: torch.Tensor, batch: ElementBatch) -> torch.Tensor:
    """Sum over the pairs of each node as the target."""
    values = to_single(values)
    segments = batch.segments().by_target if uses_triton(values) else None
    return sum_rows(values, batch.target, len(batch.atomic_numbers), segments)


def gather_sources(values: torch.Tensor, batch: ElementBatch) -> torch.Tensor:
    """Row of the source of each pair."""
    # Their gradients are summed.
    values = to_single(values)
    if uses_triton(values):
        return _Gather.apply(values, batch.source, batch.segments().by_source)
    return values.index_select(0, batch.source)


def look_up(table: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Rows of a small table; on a GPU the gradient is a matrix product."""
    if not table.is_cuda:
        return table.index_select(0, index)
    rows = torch.arange(len(table), device=index.device)
    return (index[:, None] == rows).to(table.dtype) @ table
