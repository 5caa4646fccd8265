"""What of torchvision's nets is written otherwise into ONNX files, in operations that stzoo reads again."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

Sizes = tuple[int, int, int]
"""Along time, height and width."""


@contextlib.contextmanager
def writable(net: nn.Module, clips: Tensor) -> Iterator[None]:
    """Within it, the net does otherwise what no file that is read may do, for clips of this size.

    Multiscale transformers add whole tensors where they would write into slices, which becomes an operator with places
    that are computed. Of shifted windows, what follows from their sizes alone is a constant: which entry of the table
    of positions each pair takes, and which pairs are apart. The numbers are the same to rounding; every export is
    compared with torchvision's own.
    """
    from torchvision.models.video import mvit, swin_transformer

    constants = _Constants()
    with contextlib.ExitStack() as stack:
        for module, name, function in (
            (mvit, "_add_rel_pos", _with_positions),
            (mvit, "_add_shortcut", _add_shortcut),
            (swin_transformer, "_get_relative_position_bias", constants.bias),
            (swin_transformer, "_compute_attention_mask_3d", constants.mask),
        ):
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, function)
        with torch.no_grad():
            net(clips[:1])  # makes the constants, which are then there while the net is traced
        yield


class _Constants:
    """Tensors that follow from the sizes of windows, each made when it is first asked for."""

    def __init__(self) -> None:
        from torchvision.models.video import swin_transformer

        self._mask = swin_transformer._compute_attention_mask_3d
        self._made: dict[tuple[Any, ...], Tensor] = {}

    def bias(
        self, table: Float[Tensor, "entries heads"], index: Int[Tensor, "places places"], window: Sequence[int]
    ) -> Float[Tensor, "1 heads positions positions"]:
        """Torchvision's `_get_relative_position_bias`."""
        positions = math.prod(window)
        key = (len(index), positions)
        if key not in self._made:
            self._made[key] = index[:positions, :positions].flatten().clone()
        chosen = table.index_select(0, self._made[key]).view(positions, positions, -1)
        return chosen.permute(2, 0, 1).unsqueeze(0)

    def mask(self, x: Tensor, size: Sizes, window: Sizes, shift: Sizes) -> Float[Tensor, "windows positions positions"]:
        """Torchvision's `_compute_attention_mask_3d`."""
        key = (tuple(size), tuple(window), tuple(shift))
        if key not in self._made:
            self._made[key] = self._mask(x, size, window, shift)
        return self._made[key]


def _add_shortcut(x: Tensor, shortcut: Tensor, with_class: bool) -> Tensor:
    return x.add_(shortcut if with_class else F.pad(shortcut[:, :, 1:], (0, 0, 1, 0)))


def _with_positions(
    attention: Float[Tensor, "clips heads queries keys"],
    queries: Float[Tensor, "clips heads queries width"],
    query_sizes: Sizes,
    key_sizes: Sizes,
    rows: Tensor,
    columns: Tensor,
    times: Tensor,
) -> Float[Tensor, "clips heads queries keys"]:
    """Adds what queries make of their distance to the keys along each axis; the first of both is the class's.

    Reference: section 4.1, Li et al. 2022; `_add_rel_pos` in torchvision's `models/video/mvit.py`.
    """
    heads, width = queries.shape[1], queries.shape[3]
    places = queries[:, :, 1:].reshape(-1, heads, *query_sizes, width)
    axes = list(zip(query_sizes, key_sizes, (times, rows, columns), strict=True))
    by_time, by_row, by_column = (_products(places, axis, *axes[axis]) for axis in range(3))
    by_time, by_row, by_column = by_time[..., :, None, None], by_row[..., None, :, None], by_column[..., None, None, :]
    positions = (by_row + by_column + by_time).flatten(5).flatten(2, 4)
    return attention + F.pad(positions, (1, 0, 1, 0))


def _products(
    places: Float[Tensor, "clips heads times rows columns width"], axis: int, queries: int, keys: int, table: Tensor
) -> Float[Tensor, "clips heads times rows columns keys"]:
    """Every query times the entry of the table for its distance to every key along one axis."""
    from torchvision.models.video.mvit import _interpolate

    table = _interpolate(table, 2 * max(queries, keys) - 1)
    steps = torch.arange(queries)[:, None] * max(keys / queries, 1.0)
    distances = steps - (torch.arange(keys)[None, :] + (1.0 - keys)) * max(queries / keys, 1.0)
    entries = table[distances.long().flatten()].reshape(queries, keys, -1)
    moved = places.movedim(2 + axis, -2)
    return torch.matmul(moved.unsqueeze(-2), entries.transpose(1, 2)).squeeze(-2).movedim(-2, 2 + axis)
