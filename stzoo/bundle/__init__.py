"""The bundle: a folder that rebuilds a fixed net with no code but stzoo's. No network.

schema    what a bundle says about its net: typed, frozen values
reading   text and JSON of a folder that nobody vouches for
tensors   weights as safetensors files, whose headers are checked before they are believed
folder    the folder as a whole: read, and the names of its files
saving    the folder as a whole, written or not at all
golden    a few clips with the answers of the net, as one file that a browser reads too
confidence  how far a model's scores are to be believed
rebuild   from a folder to its net; the one module here that imports torch
readme    the model card, out of card.md.jinja
markdown  values in it, shown as they stand
metadata  what machines read of a bundle on the Hub
"""

from stzoo.bundle.folder import (
    CONFIG,
    EXPORT,
    EXPORTED,
    MODEL,
    ONNX,
    ONNX_INT8,
    PICTURES,
    README,
    TEMPLATE,
    TEXTS,
    is_bundle,
    is_needed,
    read,
    read_statistics,
    read_weights,
    statistics_file,
    weight_shapes,
    weights_digest,
)
from stzoo.bundle.reading import most_bytes, require
from stzoo.bundle.saving import add_effects, save
from stzoo.bundle.schema import (
    FORMAT,
    Backbone,
    BranchEffect,
    BranchEffects,
    Bundle,
    Classes,
    Config,
    Result,
    Versions,
    labels_digest,
)
from stzoo.bundle.tensors import parameter_count, serialise, stored_digest

__all__ = [
    "CONFIG",
    "EXPORT",
    "EXPORTED",
    "FORMAT",
    "MODEL",
    "ONNX",
    "ONNX_INT8",
    "PICTURES",
    "README",
    "TEMPLATE",
    "TEXTS",
    "Backbone",
    "BranchEffect",
    "BranchEffects",
    "Bundle",
    "Classes",
    "Config",
    "Result",
    "Versions",
    "add_effects",
    "is_bundle",
    "is_needed",
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
    "stored_digest",
    "weight_shapes",
    "weights_digest",
]
