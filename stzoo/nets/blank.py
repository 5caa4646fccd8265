"""Builds nets without memory: shapes and names only, to be filled with weights that exist already."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class _Uninitialised(TorchFunctionMode):
    """Leaves tensors alone that `torch.nn.init` would fill: on meta tensors that takes a second and does nothing."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


@contextlib.contextmanager
def without_memory() -> Iterator[None]:
    """Within this context, modules are built of meta tensors and not initialised.

    Give such a net its weights with `load_state_dict(weights, assign=True)`.
    """
    with torch.device("meta"), _Uninitialised():
        yield
