"""The bundle: a folder that rebuilds a fixed net with no code but stzoo's. No torch, no network."""

from stzoo.bundle.folder import (
    CONFIG,
    is_bundle,
    read,
    read_weights,
    save,
    weight_shapes,
    weights_digest,
)
from stzoo.bundle.schema import FORMAT, Backbone, Bundle, Classes, Config, Result, Versions, labels_digest
from stzoo.bundle.tensors import parameter_count, serialise

__all__ = [
    "CONFIG",
    "FORMAT",
    "Backbone",
    "Bundle",
    "Classes",
    "Config",
    "Result",
    "Versions",
    "is_bundle",
    "labels_digest",
    "parameter_count",
    "read",
    "read_weights",
    "save",
    "serialise",
    "weight_shapes",
    "weights_digest",
]
