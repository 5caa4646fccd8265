"""The bundle: a folder that rebuilds a fixed net with no code but stzoo's. No torch, no network."""

from stzoo.bundle.folder import (
    CONFIG,
    MODEL,
    README,
    TEMPLATE,
    TEXTS,
    is_bundle,
    read,
    read_statistics,
    read_weights,
    save,
    statistics_file,
    weight_shapes,
    weights_digest,
)
from stzoo.bundle.reading import most_bytes, require
from stzoo.bundle.schema import FORMAT, Backbone, Bundle, Classes, Config, Result, Versions, labels_digest
from stzoo.bundle.tensors import parameter_count, serialise

__all__ = [
    "CONFIG",
    "FORMAT",
    "MODEL",
    "README",
    "TEMPLATE",
    "TEXTS",
    "Backbone",
    "Bundle",
    "Classes",
    "Config",
    "Result",
    "Versions",
    "is_bundle",
    "labels_digest",
    "most_bytes",
    "parameter_count",
    "read",
    "read_statistics",
    "read_weights",
    "require",
    "save",
    "serialise",
    "statistics_file",
    "weight_shapes",
    "weights_digest",
]
