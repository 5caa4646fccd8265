"""What is put around a net before it is written: a layout, its features as a second output, and pixels in front."""

from __future__ import annotations

from jaxtyping import Float, UInt8
from torch import Tensor, nn

from stzoo.contract import InputContract
from stzoo.inference import over_clips, to_input
from stzoo.nets import Classifier
from stzoo.nets.images import Images, Portable
from stzoo.nets.layout import Layout, Volumes, laid_out
from stzoo.runtimes.onnx_file import Form

Answers = Tensor | tuple[Tensor, Tensor]
"""Logits or probabilities, and the features where these are given too."""


class InForm(nn.Module):
    """A net whose activations are laid out as its operations in the file shall be."""

    def __init__(self, net: nn.Module, form: Form) -> None:
        super().__init__()
        self.net = net
        self.form = form

    def forward(self, clips: Float[Tensor, "clips 3 frames height width"]) -> Answers:
        with laid_out(_layout(self.form, clips)):
            return self.net(clips)


def _layout(form: Form, clips: Tensor) -> Layout:
    if form == "volumes":
        return Volumes()
    return (Images if form == "images" else Portable)(clips.shape[0])


class WithFeatures(nn.Module):
    """A net that gives what enters its head beside the logits."""

    def __init__(self, net: Classifier) -> None:
        super().__init__()
        self.net = net

    def forward(self, clips: Float[Tensor, "clips 3 frames height width"]) -> Answers:
        vectors = self.net.vectors(clips)
        return self.net.head(vectors), vectors


class VideoLevel(nn.Module):
    """Pixels of a video's clips to the probabilities of the video: normalisation, net, softmax, and mean over clips.

    Of a net `WithFeatures` their mean over the clips comes second.
    """

    def __init__(self, net: nn.Module, contract: InputContract) -> None:
        super().__init__()
        self.net = net
        self.contract = contract

    def forward(self, frames: UInt8[Tensor, "clips frames height width 3"]) -> Answers:
        answers = self.net(to_input(frames, self.contract))
        logits, *vectors = answers if isinstance(answers, tuple) else (answers,)
        probabilities = over_clips(logits.float().softmax(dim=1))
        return (probabilities, over_clips(vectors[0])) if vectors else probabilities
