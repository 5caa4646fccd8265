"""Backbones, and the four ways between template and fixed net.

A fixed net's state-dict keys are a subset of its template's: `grow` puts a trained all-open net into a template, and
`prune` takes any fixed net out of it.

    backbones     every backbone by its name, and what a net is before it has weights
    named         `stzoo.create` and `stzoo.measure`: nets by the names of a backbone and a strategy
    pruning       between template and fixed net: `grow` and `prune`
    fusion        where the branches of a site meet: gates, and the two ways of building a site
    classifier    what all backbones have around their features
    pooling       what is left of time before the head
    densenet      DenseNet121, 169, 201 and a small one
    resnet        ResNet50, ResNeXt50, ResNeXt101 and a small one
    mobilenet     MobileNetV2 and a small one
    mobilenet_v4  MobileNetV4 conv small and a smaller one
    inception     BN-Inception
    torchvision   nets of torchvision for video, which have no sites
    timm          nets of timm for pictures as backbones, which are ours
    timm_library  what comes from timm: names, nets, weights
    tracing       where such a net has sites, found by torch.fx
    cutting       its graph in parts
    layers        convolutions and pools
    norm          batch norms
    masks         relaxed masks of gates, and the sum of the branches that they weigh
    rectify       batch norm and ReLU as one step of autograd
    layout        how activations lie in memory
    images        layouts in which every frame is an image of its own
    recompute     activation checkpointing
    merging       the same outputs from fewer operations
    averaging     several nets, whose probabilities are averaged
    reestimation  batch-norm statistics estimated anew from clips
    measure       parameters, multiply-adds, activations, memory, latency
    blank         nets without memory, to be filled with weights
    imagenet      files of 2D weights
    inflate       2D weights put into a 3D net
"""

from stzoo.nets.backbones import (
    BACKBONES,
    TORCHVISION,
    Architecture,
    Backbone,
    architecture,
    backbone,
    renew_head,
)
from stzoo.nets.classifier import Classifier
from stzoo.nets.merging import merge
from stzoo.nets.pruning import fixed, fixed_net, grow, is_template, posterior, prune, template

__all__ = [
    "BACKBONES",
    "TORCHVISION",
    "Architecture",
    "Backbone",
    "Classifier",
    "architecture",
    "backbone",
    "fixed",
    "fixed_net",
    "grow",
    "is_template",
    "merge",
    "posterior",
    "prune",
    "renew_head",
    "template",
]
