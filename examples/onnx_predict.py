"""What happens in a short video, by a file that `stzoo export NAME -o model.onnx --with-preprocess` has written.

    python examples/onnx_predict.py model.onnx video.mp4

Needs numpy, onnxruntime and PyAV, and nothing of stzoo.
"""

import json
import sys

import av
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
about = session.get_modelmeta().custom_metadata_map
labels, wants = json.loads(about["labels"]), json.loads(about["input"])

with av.open(sys.argv[2]) as container:
    rate = float(container.streams.video[0].average_rate)
    frames = list(container.decode(video=0))
offsets = np.arange(wants["frames"]) / (wants["fps"] or rate / wants["stride_frames"])  # seconds into a clip
times = np.array([frame.time - frames[0].time for frame in frames])
last = max(0.0, times[-1] - offsets[-1])
starts = np.linspace(0, last, wants["clips"]) if wants["clips"] > 1 else np.array([last / 2])
chosen = np.abs(times - (starts[:, None, None] + offsets[:, None])).argmin(axis=-1)  # [clips, frames]

scale, crop = wants["resize"] / min(frames[0].width, frames[0].height), wants["crop"]
width, height = round(frames[0].width * scale), round(frames[0].height * scale)
top, left = (height - crop) // 2, (width - crop) // 2
small = {i: frames[i].reformat(width, height, "rgb24", interpolation="AREA").to_ndarray() for i in set(chosen.flat)}
pixels = np.stack([[small[i][top : top + crop, left : left + crop] for i in clip] for clip in chosen])

(probabilities,) = session.run(None, {"frames": pixels})
for index in np.argsort(-probabilities)[:5]:
    print(f"{probabilities[index]:6.1%}  {labels[index]}")
