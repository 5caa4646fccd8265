"""The same net on torch, onnxruntime or openvino. No torch, but in torch_net and executorch_net.

availability         what is installed and built in here
forks                how often this process was forked
choosing             which runtime opens a file, and what none can do
session              what runs clips: what an ONNX file is once a runtime has opened it
onnx_file            an ONNX file that nobody vouches for
graph                its graph, read into plain values and followed before it is run
values               its tensors, as far as they are known without running it
rearranging          operators that move numbers about
operators            the operators that stzoo writes, and what they make of shapes
onnxruntime_session  an ONNX file on onnxruntime
openvino_session     an ONNX file on openvino
executorch_net       an ExecuTorch program that stzoo has written
torch_net            a net in torch
"""

from stzoo.runtimes.availability import has_gpu, is_there, threads
from stzoo.runtimes.choosing import INSTALL, RUNTIMES, open_session, refuse_impossible, refuse_unknown
from stzoo.runtimes.forks import refuse_forked, times_forked
from stzoo.runtimes.onnx_file import OnnxFile, Precision, UnusableFileError
from stzoo.runtimes.session import Runner, Runtime, Session, clips_at_once

__all__ = [
    "INSTALL",
    "RUNTIMES",
    "OnnxFile",
    "Precision",
    "Runner",
    "Runtime",
    "Session",
    "UnusableFileError",
    "clips_at_once",
    "has_gpu",
    "is_there",
    "open_session",
    "refuse_forked",
    "refuse_impossible",
    "refuse_unknown",
    "threads",
    "times_forked",
]
