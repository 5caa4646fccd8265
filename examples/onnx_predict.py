"""What happens in a short video, by a file that `stzoo export NAME -o model.onnx` has written.

    python examples/onnx_predict.py model.onnx video.mp4

Needs numpy, onnxruntime and PyAV, and nothing of stzoo. All frames of the video are held in memory. Before it answers,
it checks itself with the golden clips beside the model, and with the video that they are of where that is given or lies
beside them: show it the sample once.
"""

import base64
import hashlib
import io
import json
import math
import pathlib
import sys

import av
import numpy as np
import onnxruntime


def read(path):
    """Frames in the order they are shown, when each is shown, and how much wider than high a pixel is shown."""
    with av.open(path) as container:
        stream = container.streams.best("video")
        frames = list(container.decode(stream))
        rate, aspect = float(stream.average_rate or 25), float(stream.sample_aspect_ratio or 1)
    times = np.array([index / rate if frame.time is None else frame.time for index, frame in enumerate(frames)])
    return frames, times - times[0], aspect if 1 / 8 <= aspect <= 8 else 1.0


def turn(frame):
    """Counterclockwise degrees that show a frame upright, and whether it is mirrored before it is turned."""
    matrix = next((bytes(data) for data in list(frame.side_data) if data.type.name == "DISPLAYMATRIX"), None)
    if matrix is None:
        return 0, False
    a, b, _, c, d = np.frombuffer(matrix, dtype=np.int32)[:5].tolist()
    mirrored = a * d - b * c < 0
    a, b = (-a, -b) if mirrored else (a, b)
    return round(math.degrees(math.atan2(-b, a)) / 90) % 4 * 90, mirrored


def plan(times, wants):
    """The frames of every clip, [clips, frames]."""
    count, clips, frames = len(times), wants["clips"], wants["frames"]
    if wants["sampling"] == "segments":
        within = (np.arange(clips)[:, None] + 0.5) / clips
        return np.floor((np.arange(frames) + within) * count / frames).astype(int)
    timed = wants["fps"] is not None
    positions = times if timed else np.arange(count, dtype=float)
    offsets = np.arange(frames) * (1 / wants["fps"] if timed else wants["stride_frames"])
    spare = positions[-1] - offsets[-1]
    if spare < 0 and wants["short_video"] == "stretch":
        offsets = np.linspace(0, positions[-1], frames)
    spare = max(0.0, spare)
    starts = np.linspace(0, spare, clips) if clips > 1 else np.array([spare / 2])
    # Half-way between two frames the earlier one is nearest in time; counted, it is the later one.
    wished = starts[:, None] + offsets + (-1e-6 if timed else 1e-6)
    return np.searchsorted((positions[1:] + positions[:-1]) / 2, wished)


def weights(size, side, shrinks):
    """[side, size]: how much of every old row a new one has. Areas where it shrinks, else linear between neighbours."""
    new, old = np.arange(side)[:, None], np.arange(size)
    if shrinks:
        scale = size / side
        share = np.clip(np.minimum(old + 1, (new + 1) * scale) - np.maximum(old, new * scale), 0, None)
        return share / scale
    centre = np.clip((new + 0.5) * size / side - 0.5, 0, size - 1)
    return np.clip(1 - np.abs(old - centre), 0, None)


def squares(pixels, aspect, wants):
    """The crops of a frame, [crops, crop, crop, 3]: the square part, scaled, of which the middle is kept."""
    (height, width), short, crop = pixels.shape[:2], wants["resize"], wants["crop"]
    if wants["interpolation"] == "bilinear":
        yield from bilinear_squares(pixels, aspect, wants)
        return
    side = min(height, width * aspect)
    tall, wide = max(1, round(side)), max(1, min(width, round(side / aspect)))
    across = (short - crop) // 2
    for place in (0.0, 0.5, 1.0) if wants["crops"] == 3 else (0.5,):
        top, left = int((height - tall) * place), int((width - wide) * place)
        part = pixels[top : top + tall, left : left + wide].astype(float)
        shrinks = min(tall, wide) >= short
        rows, columns = weights(tall, short, shrinks), weights(wide, short, shrinks)
        scaled = np.einsum("rh,hwc,kw->rkc", rows, part, columns, optimize=True)
        along = int((short - crop) * place)
        top, left = (along, across) if height > width * aspect else (across, along)
        yield np.rint(scaled[top : top + crop, left : left + crop]).astype(np.uint8)


def bilinear_squares(pixels, aspect, wants):
    """The same where all of the frame is scaled, to a short side or to a pair of sides, each pixel between four."""
    (height, width), crop, resize = pixels.shape[:2], wants["crop"], wants["resize"]
    shown = (height, width * aspect)
    long = resize if isinstance(resize, list) else int(resize * max(shown) / min(shown))
    tall, wide = long if isinstance(resize, list) else (resize, long) if shown[0] <= shown[1] else (long, resize)
    rows, columns = weights(height, tall, False), weights(width, wide, False)
    for place in (0.0, 0.5, 1.0) if wants["crops"] == 3 else (0.5,):
        down, across = (place, 0.5) if tall > wide else (0.5, place)
        top, left = round((tall - crop) * down), round((wide - crop) * across)
        kept = rows[top : top + crop], pixels.astype(float), columns[left : left + crop]
        yield np.rint(np.einsum("rh,hwc,kw->rkc", *kept, optimize=True)).astype(np.uint8)


def see(path, wants):
    """Pixels of the clips of a video, uint8 [clips * crops, frames, crop, crop, 3], and when each frame is shown."""
    frames, times, aspect = read(path)
    chosen = plan(times, wants)
    degrees, mirrored = turn(frames[0])
    views = {}
    for index in set(chosen.flat):
        picture = frames[index].to_ndarray(format="rgb24")
        upright = np.rot90(picture[:, ::-1] if mirrored else picture, degrees // 90)
        views[index] = np.stack(list(squares(upright, aspect if degrees % 180 == 0 else 1 / aspect, wants)))
    clips = np.stack([np.stack([views[index] for index in clip], axis=1) for clip in chosen])
    return clips.reshape(-1, *clips.shape[2:]), times[chosen]


def answer(session, wants, clips):
    """The probabilities of a video, out of the pixels of its clips."""
    name, (number, *_) = session.get_inputs()[0].name, session.get_inputs()[0].shape
    if name == "frames":
        return session.run(None, {name: np.ascontiguousarray(clips)})[0]
    normal = (clips / 255 - np.array(wants["mean"])) / np.array(wants["std"])
    batch = normal.transpose(0, 4, 1, 2, 3).astype(np.float32, order="C")
    step = number if isinstance(number, int) else len(batch)  # of what is portable the number is fixed
    whole = np.concatenate([batch, batch[-1:].repeat(-len(batch) % step, axis=0)])
    parts = [session.run(None, {name: whole[start : start + step]})[0] for start in range(0, len(whole), step)]
    logits = np.concatenate(parts)[: len(batch)]
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)


MISTAKES = {
    "its colours are in the order BGR": (..., slice(None, None, -1)),
    "its frames run backwards": (slice(None), slice(None, None, -1)),
}


def named(differs, otherwise):
    """What is wrong, where `differs` says whether clips differ from the golden ones once they are altered so."""
    return next((what for what, how in MISTAKES.items() if not differs(how)), otherwise)


def fault(session, wants, most, path, video):
    """What this program or this machine does otherwise than the model's makers, by golden clips; None where nothing."""
    golden = json.loads(path.read_text(encoding="utf-8"))
    kept, about, block, size = golden["clips"], golden["video"], golden["block"], golden["size"]
    clips = []
    for clip in kept:
        with av.open(io.BytesIO(base64.b64decode(clip["pixels"].partition(",")[2]))) as png:
            clips.append(next(png.decode(video=0)).to_ndarray(format="rgb24").reshape(-1, size, size, 3))
    clips = np.stack(clips)

    def answers_differ(how):
        pairs = zip(clips[how], kept, strict=True)
        return any(
            np.abs(answer(session, wants, one[None]) - clip["probabilities"]).max() > most for one, clip in pairs
        )

    if answers_differ(...):
        return named(answers_differ, "it normalises by another mean or std, or the file is of another net")
    samples = [video, path.with_name(about["name"])] if about else []
    known = [
        one for one in samples if one.is_file() and hashlib.sha256(one.read_bytes()).hexdigest() == about["sha256"]
    ]
    if not known:
        return None
    seen, times = see(known[0], wants | {"clips": len(kept), "crops": 1})
    if np.abs(times - [clip["times_seconds"] for clip in kept]).max() > 1e-3:
        return "it takes other frames: by another rate or stride, or clips that begin elsewhere"
    means = seen.reshape(*seen.shape[:2], size // block, block, size // block, block, 3).mean(axis=(3, 5))

    def pixels_differ(how):
        return np.abs(means[how] - clips[:, :, ::block, ::block]).mean() > 2

    if pixels_differ(...):
        return named(pixels_differ, "it resizes or crops otherwise")
    if np.abs(answer(session, wants, see(known[0], wants)[0]) - about["probabilities"]).max() > most:
        return "it puts the crops or the answers of several clips together otherwise"
    return None


def predict(model, video):
    """The labels of a model and the probabilities that it gives for a video."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    bits = "fp16" if about.get("storage") == "float16" else about["precision"]
    wants, most = json.loads(about["input"]), {"fp32": 1e-3, "fp16": 0.02}.get(bits, 0.2)
    golden = [path for path in (model.with_suffix(".golden.json"), model.with_name("golden.json")) if path.is_file()]
    if not golden:
        print(f"There are no golden clips beside {model}, so nobody has checked this answer.", file=sys.stderr)
    elif wrong := fault(session, wants, most, golden[0], video):
        sys.exit(f"{model} is not run as it was made to be: {wrong}.")
    return json.loads(about["labels"]), answer(session, wants, see(video, wants)[0])


if __name__ == "__main__":
    labels, probabilities = predict(*map(pathlib.Path, sys.argv[1:3]))
    for index in np.argsort(-probabilities)[:5]:
        print(f"{probabilities[index]:6.1%}  {labels[index]}")
