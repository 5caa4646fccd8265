/* What happens in a short video, in a browser, by a file that `stzoo export NAME --form portable -o model.onnx` has written.

   import * as ort from "onnxruntime-web/wasm";
   import * as media from "mediabunny";
   import { open, check, predict } from "./onnx_predict.js";

   const model = await open(new Uint8Array(onnx), ort);     // the bytes of model.onnx
   const { fault } = await check(model, golden, sample, media); // model.golden.json, parsed; the video of it, as a Blob
   const probabilities = await predict(model, video, media);  // a Blob; one number a label of model.labels

Needs onnxruntime-web and mediabunny, which takes files apart and decodes them with WebCodecs: frames are exact, as
seeking a <video> is not. Ask `check` first, as above: it says what this program or this browser does otherwise than the
model's makers. `stzoo page` makes a page of this file. What differs from stzoo: damaged files are not mended.

In this order: the model (open), which frames of a video make its clips (look, plan), their pixels (views to scaled),
the answer (stacked to predict), and the check (unpacked to blocks). */

/** A model that answers. `providers` are those of onnxruntime-web: wasm, webgpu. */
export async function open(bytes, ort, providers = ["wasm"]) {
  const about = metadata(bytes);
  const session = await ort.InferenceSession.create(bytes, { executionProviders: providers, logSeverityLevel: 3 });
  const bits = about.get("storage") === "float16" ? "fp16" : about.get("precision");
  const most = { fp32: 1e-3, fp16: 0.02 }[bits] ?? 0.2;
  return { session, ort, most, wants: JSON.parse(about.get("input")), labels: JSON.parse(about.get("labels")) };
}

/** What the file says of itself: field 14 of ONNX's ModelProto, which onnxruntime-web does not give. */
export function metadata(bytes) {
  const text = new TextDecoder();
  const fields = function* (from, to) {
    const number = () => {
      let value = 0;
      for (let scale = 1; ; scale *= 128) {
        const byte = bytes[from++];
        value += (byte & 127) * scale;
        if (!(byte & 128)) return value;
      }
    };
    while (from < to) {
      const key = number();
      const kind = key & 7;
      const length = kind === 2 ? number() : kind === 1 ? 8 : kind === 5 ? 4 : (number(), 0);
      yield [key >>> 3, from, from + length];
      from += length;
    }
  };
  const entries = new Map();
  for (const [field, from, to] of fields(0, bytes.length)) {
    if (field !== 14) continue;
    const [key, value] = [...fields(from, to)].map(([, start, end]) => text.decode(bytes.subarray(start, end)));
    entries.set(key, value);
  }
  if (!entries.has("input")) throw new Error("this is no file that stzoo has written");
  return entries;
}

/** When each frame is shown and how long all are, in seconds from the first, how a frame stands (quarter turns, mirrored,
    wide pixels), and what the file says of its colours. */
export async function look(video, media) {
  const input = new media.Input({ source: new media.BlobSource(video), formats: media.ALL_FORMATS });
  const track = await input.getPrimaryVideoTrack();
  if (!track) throw new Error("there are no pictures in this file");
  if (!(await track.canDecode())) throw new Error(`this browser cannot decode ${await track.getCodec()}`);
  const packets = [];
  const sink = new media.EncodedPacketSink(track);
  for await (const packet of sink.packets(undefined, undefined, { metadataOnly: true })) packets.push(packet);
  const shown = packets.map(({ timestamp }) => timestamp).filter((stamp) => stamp >= 0).sort((a, b) => a - b);
  if (!shown.length) throw new Error("there is no frame in this file");
  const { num, den } = await track.getPixelAspectRatio();
  const aspect = num / den;
  return {
    track,
    stamps: shown,
    times: shown.map((stamp) => stamp - shown[0]),
    seconds: Math.max(...packets.map(({ timestamp, duration }) => timestamp + duration)) - shown[0],
    turns: (await track.getRotation()) / 90,
    mirrored: await track.getFlip(),
    aspect: aspect >= 1 / 8 && aspect <= 8 ? aspect : 1,
    colours: await track.getColorSpace(),
  };
}

/** The frames of every clip, as indices into `times`. */
export function plan(times, wants, clips = wants.clips) {
  const count = times.length;
  const range = (length) => Array.from({ length }, (_, index) => index);
  const spread = (last, number) => range(number).map((index) => (number > 1 ? (last * index) / (number - 1) : last / 2));
  if (wants.sampling === "segments") {
    const within = range(clips).map((clip) => (clip + 0.5) / clips);
    return within.map((part) => range(wants.frames).map((frame) => Math.floor(((frame + part) * count) / wants.frames)));
  }
  const timed = wants.fps !== null;
  const positions = timed ? times : range(count);
  const last = positions[count - 1];
  let offsets = range(wants.frames).map((frame) => (timed ? frame / wants.fps : frame * wants.stride_frames));
  const spare = last - offsets[wants.frames - 1];
  if (spare < 0 && wants.short_video === "stretch" && wants.frames > 1) offsets = spread(last, wants.frames);
  const nearest = (wished) => {
    // Half-way between two frames the earlier one is nearest in time; counted, it is the later one.
    const place = wished + (timed ? -1e-6 : 1e-6);
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((positions[middle] + positions[middle + 1]) / 2 < place) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return spread(Math.max(0, spare), clips).map((start) => offsets.map((offset) => nearest(start + offset)));
}

/** The wanted frames of a video that was looked at, each with its index, as `squares` gives them. */
export async function* views(looked, indices, wants, media) {
  const { stamps, track, turns, mirrored, colours } = looked;
  const ordered = [...new Set(indices)].sort((a, b) => a - b);
  // Asked for in the middle of the time that it is shown, a frame is found however its time was rounded.
  const middle = (index) => stamps[index] + (index + 1 < stamps.length ? (stamps[index + 1] - stamps[index]) / 2 : 1e-3);
  let place = 0;
  for await (const sample of new media.VideoSampleSink(track).samplesAtTimestamps(ordered.map(middle))) {
    const index = ordered[place++];
    if (!sample) throw new Error(`the frame at ${looked.times[index].toFixed(2)} s cannot be decoded`);
    const picture = upright(await rgb(sample, colours), turns, mirrored);
    sample.close();
    yield [index, squares(picture, turns % 2 ? 1 / looked.aspect : looked.aspect, wants)];
  }
}

/** The pixels of a decoded frame as FFmpeg converts them, where the browser hands out what was decoded: it takes BT.601
    where the file does not say, and a browser another one. */
async function rgb(sample, { matrix, fullRange }) {
  const { width, height } = sample.visibleRect;
  const data = new Uint8Array(width * height * 3);
  if (sample.format === "I420" || sample.format === "NV12") {
    const bytes = new Uint8Array(sample.allocationSize());
    const planes = await sample.copyTo(bytes);
    const [red, blue] = { bt709: [0.2126, 0.0722], "bt2020-ncl": [0.2627, 0.0593] }[matrix] ?? [0.299, 0.114];
    const [scale, black, wide] = fullRange ? [1, 0, 1] : [255 / 219, 16, 255 / 224];
    const [toRed, toBlue] = [2 * (1 - red) * wide, 2 * (1 - blue) * wide];
    const [redToGreen, blueToGreen] = [(toRed * red) / (1 - red - blue), (toBlue * blue) / (1 - red - blue)];
    const [y, u, v] = planes.length === 3 ? planes : [planes[0], planes[1], { ...planes[1], offset: planes[1].offset + 1 }];
    const step = planes.length === 3 ? 1 : 2;
    const kept = new Uint8ClampedArray(data.buffer);
    const { floor } = Math; // of each product, as FFmpeg does
    for (let row = 0, at = 0; row < height; row++) {
      for (let column = 0; column < width; column++, at += 3) {
        const chroma = (row >> 1) * u.stride + (column >> 1) * step;
        const light = floor(scale * (bytes[y.offset + row * y.stride + column] - black));
        const [cb, cr] = [bytes[u.offset + chroma] - 128, bytes[v.offset + chroma] - 128];
        kept[at] = light + floor(toRed * cr);
        kept[at + 1] = light + floor(-redToGreen * cr) + floor(-blueToGreen * cb);
        kept[at + 2] = light + floor(toBlue * cb);
      }
    }
    return { data, width, height };
  }
  const frame = sample.toVideoFrame();
  const picture = drawn(frame, width, height);
  frame.close();
  return picture;
}

/** The pixels of anything that a canvas draws. */
export function drawn(source, width, height) {
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0, width, height);
  const rgba = context.getImageData(0, 0, width, height).data;
  const data = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < rgba.length; from++) if (from % 4 < 3) data[to++] = rgba[from];
  return { data, width, height };
}

/** A picture turned clockwise by quarters and then mirrored. */
function upright({ data, width, height }, turns, mirrored) {
  if (!turns && !mirrored) return { data, width, height };
  const [wide, tall] = turns % 2 ? [height, width] : [width, height];
  const [first, down, right] = [
    [0, width, 1],
    [(height - 1) * width, 1, -width],
    [height * width - 1, -width, -1],
    [width - 1, -1, width],
  ][turns];
  const turned = new Uint8Array(data.length);
  for (let row = 0, to = 0; row < tall; row++) {
    for (let column = 0; column < wide; column++) {
      let from = (first + row * down + (mirrored ? wide - 1 - column : column) * right) * 3;
      for (const end = from + 3; from < end; from++) turned[to++] = data[from];
    }
  }
  return { data: turned, width: wide, height: tall };
}

/** Of which old rows, and how much of each, a new one is made: areas where it shrinks, else between two neighbours. */
function weights(size, side, shrinks) {
  return Array.from({ length: side }, (_, row) => {
    const scale = size / side;
    if (!shrinks) {
      const centre = Math.min(Math.max((row + 0.5) * scale - 0.5, 0), size - 1);
      const first = Math.floor(centre);
      return centre > first ? [[first, 1 - (centre - first)], [first + 1, centre - first]] : [[first, 1]];
    }
    const shares = [];
    for (let old = Math.floor(row * scale); old < Math.min(size, Math.ceil((row + 1) * scale)); old++) {
      const share = Math.min(old + 1, (row + 1) * scale) - Math.max(old, row * scale);
      if (share > 0) shares.push([old, share / scale]);
    }
    return shares;
  });
}

/** Rounded to the nearest whole number; half-way to the even one, as numpy does. */
function even(value) {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

/** The crops of a picture, each crop x crop x 3 bytes: the square part, scaled, of which the middle is kept. */
export function squares(picture, aspect, wants) {
  const { width, height } = picture;
  const { resize, crop } = wants;
  const places = wants.crops === 3 ? [0, 0.5, 1] : [0.5];
  if (wants.interpolation === "bilinear") {
    const shown = [height, width * aspect];
    const long = Math.trunc((resize * Math.max(...shown)) / Math.min(...shown));
    const [tall, wide] = Array.isArray(resize) ? resize : shown[0] <= shown[1] ? [resize, long] : [long, resize];
    const [rows, columns] = [weights(height, tall, false), weights(width, wide, false)];
    return places.map((place) => {
      const [down, across] = tall > wide ? [place, 0.5] : [0.5, place];
      return scaled(picture, rows, columns, even((tall - crop) * down), even((wide - crop) * across), crop);
    });
  }
  const side = Math.min(height, width * aspect);
  const [tall, wide] = [Math.max(1, even(side)), Math.max(1, Math.min(width, even(side / aspect)))];
  const shrinks = Math.min(tall, wide) >= resize;
  const moved = (size, by) => weights(size, resize, shrinks).map((line) => line.map(([old, share]) => [old + by, share]));
  return places.map((place) => {
    const rows = moved(tall, Math.trunc((height - tall) * place));
    const columns = moved(wide, Math.trunc((width - wide) * place));
    const [across, along] = [(resize - crop) >> 1, Math.trunc((resize - crop) * place)];
    const [top, left] = height > width * aspect ? [along, across] : [across, along];
    return scaled(picture, rows, columns, top, left, crop);
  });
}

function scaled({ data, width }, rows, columns, top, left, crop) {
  const kept = new Uint8Array(crop * crop * 3);
  const line = new Float64Array(width * 3);
  const wanted = columns.slice(left, left + crop);
  const [first, last] = [wanted[0][0][0], wanted[crop - 1].at(-1)[0]];
  for (let row = 0, to = 0; row < crop; row++) {
    line.fill(0);
    for (const [old, share] of rows[top + row]) {
      const start = old * width * 3;
      for (let at = first * 3; at < (last + 1) * 3; at++) line[at] += share * data[start + at];
    }
    for (const shares of wanted) {
      for (let colour = 0; colour < 3; colour++) {
        let sum = 0;
        for (const [old, share] of shares) sum += share * line[old * 3 + colour];
        kept[to++] = even(sum);
      }
    }
  }
  return kept;
}

/** Of frames, each with its crops, the pixels of all clips: for every clip and crop, its frames one behind the other. */
export function stacked(clips, frames) {
  return clips.flatMap((clip) =>
    frames.get(clip[0]).map((_, crop) => {
      const pictures = clip.map((index) => frames.get(index)[crop]);
      const pixels = new Uint8Array(pictures.length * pictures[0].length);
      pictures.forEach((picture, place) => pixels.set(picture, place * picture.length));
      return pixels;
    }),
  );
}

/** The probabilities of a video, out of the pixels of its clips: the mean of the softmax over them. */
export async function answer({ session, ort, wants, labels }, clips) {
  const { mean, std, frames, crop } = wants;
  const [name, area] = [session.inputNames[0], frames * crop * crop];
  const at = session.inputMetadata?.[0]?.shape?.[0];
  const step = typeof at === "number" && at > 0 ? at : 1;
  const sums = new Float64Array(labels.length);
  for (let start = 0; start < clips.length; start += step) {
    const batch = new Float32Array(step * 3 * area);
    for (let place = 0; place < step; place++) {
      const pixels = clips[Math.min(start + place, clips.length - 1)];
      for (let colour = 0; colour < 3; colour++) {
        const to = (place * 3 + colour) * area;
        for (let pixel = 0; pixel < area; pixel++)
          batch[to + pixel] = (pixels[pixel * 3 + colour] / 255 - mean[colour]) / std[colour];
      }
    }
    const tensor = new ort.Tensor("float32", batch, [step, 3, frames, crop, crop]);
    const output = (await session.run({ [name]: tensor }))[session.outputNames[0]];
    for (let place = 0; place < Math.min(step, clips.length - start); place++) {
      const logits = output.data.slice(place * labels.length, (place + 1) * labels.length);
      const highest = Math.max(...logits);
      const powers = Array.from(logits, (logit) => Math.exp(logit - highest));
      const all = powers.reduce((sum, power) => sum + power, 0);
      powers.forEach((power, label) => (sums[label] += power / all / clips.length));
    }
  }
  return Array.from(sums);
}

/** The pixels of the clips of a video, and when each of their frames is shown. */
export async function see(video, wants, media) {
  const looked = await look(video, media);
  const clips = plan(looked.times, wants);
  const frames = new Map();
  for await (const [index, crops] of views(looked, clips.flat(), wants, media)) frames.set(index, crops);
  return { clips: stacked(clips, frames), times: clips.map((clip) => clip.map((index) => looked.times[index])) };
}

/** The probabilities that a model gives for a video. */
export async function predict(model, video, media) {
  return answer(model, (await see(video, model.wants, media)).clips);
}

/** The pixels of a PNG of 8 bits in RGB, read here: what a canvas gives may be altered by a browser's privacy. */
export async function unpacked(png) {
  const bytes = Uint8Array.from(atob(png.slice(png.indexOf(",") + 1)), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const width = view.getUint32(16);
  const parts = [];
  for (let at = 8; at < bytes.length; at += 12 + view.getUint32(at))
    if (view.getUint32(at + 4) === 0x49444154) parts.push(bytes.subarray(at + 8, at + 8 + view.getUint32(at)));
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  const rows = new Uint8Array(await new Response(stream).arrayBuffer());
  const [stride, height] = [width * 3, view.getUint32(20)];
  const data = new Uint8Array(stride * height);
  for (let row = 0; row < height; row++) {
    const filter = rows[row * (stride + 1)];
    for (let column = 0; column < stride; column++) {
      const at = row * stride + column;
      const left = column >= 3 ? data[at - 3] : 0;
      const above = row ? data[at - stride] : 0;
      const corner = row && column >= 3 ? data[at - stride - 3] : 0;
      const [toLeft, toAbove] = [Math.abs(above - corner), Math.abs(left - corner)];
      const toCorner = Math.abs(left + above - 2 * corner);
      const paeth = toLeft <= toAbove && toLeft <= toCorner ? left : toAbove <= toCorner ? above : corner;
      data[at] = rows[row * (stride + 1) + 1 + column] + [0, left, above, (left + above) >> 1, paeth][filter];
    }
  }
  return data;
}

const farthest = (some, others) => Math.max(...some.map((value, index) => Math.abs(value - others[index])));

const MISTAKES = {
  "its colours are in the order BGR": (pixels) => {
    const other = pixels.slice();
    for (let at = 0; at < pixels.length; at += 3) [other[at], other[at + 2]] = [pixels[at + 2], pixels[at]];
    return other;
  },
  "its frames run backwards": (pixels, { frames }) => {
    const [other, size] = [new pixels.constructor(pixels.length), pixels.length / frames];
    for (let frame = 0; frame < frames; frame++)
      other.set(pixels.subarray(frame * size, (frame + 1) * size), (frames - 1 - frame) * size);
    return other;
  },
};

/** What is wrong, where `differs` says whether clips differ from the golden ones once they are altered so. */
async function named(differs, otherwise) {
  for (const [what, how] of Object.entries(MISTAKES)) if (!(await differs(how))) return what;
  return otherwise;
}

/** What this program or this browser does otherwise than the model's makers, by golden clips.

    Gives `fault`, which is null where nothing is, the largest `difference` of a probability, and whether the video was
    `read` anew too: that needs the file that the clips are of. */
export async function check(model, golden, sample, media) {
  const { wants, most } = model;
  const kept = await Promise.all(golden.clips.map((clip) => unpacked(clip.pixels)));
  const off = async (how) => {
    const each = [];
    for (const [place, clip] of golden.clips.entries())
      each.push(farthest(await answer(model, [how(kept[place], wants)]), clip.probabilities));
    return Math.max(...each);
  };
  const difference = await off((pixels) => pixels);
  if (!(difference <= most)) {
    const other = "it normalises by another mean or std, or the file is of another net";
    return { fault: await named(async (how) => !((await off(how)) <= most), other), difference, read: false };
  }
  const same = sample && golden.video && (await digest(sample)) === golden.video.sha256;
  if (!same) return { fault: null, difference, read: false };
  const fault = await faultInReading(model, golden, kept, sample, media);
  return { fault, difference, read: true };
}

async function digest(blob) {
  if (!globalThis.crypto?.subtle) return null; // a browser has it on https and localhost alone
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", await blob.arrayBuffer()));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function faultInReading(model, golden, kept, sample, media) {
  const { wants, most } = model;
  const { clips, times } = await see(sample, { ...wants, clips: golden.clips.length, crops: 1 }, media);
  if (times.some((shown, clip) => farthest(shown, golden.clips[clip].times_seconds) > 1e-3))
    return "it takes other frames: by another rate or stride, or clips that begin elsewhere";
  const means = clips.map((pixels) => blocks(pixels, golden));
  const pixelsDiffer = async (how) => {
    const largest = means.map((mean, clip) => {
      const [ours, theirs] = [how(mean, wants), blocks(kept[clip], golden)];
      return ours.reduce((sum, value, at) => sum + Math.abs(value - theirs[at]), 0) / ours.length;
    });
    return largest.reduce((sum, one) => sum + one, 0) / largest.length > 2;
  };
  if (await pixelsDiffer((pixels) => pixels)) return named(pixelsDiffer, "it resizes or crops otherwise");
  const mostOfAll = Math.max(most, 0.03); // where the browser converts colours, they differ a little
  if (farthest(await predict(model, sample, media), golden.video.probabilities) > mostOfAll)
    return "it puts the crops or the answers of several clips together otherwise";
  return null;
}

/** The mean colour of every square of `block` pixels. */
function blocks(pixels, { size, block, frames }) {
  const across = size / block;
  const means = new Float64Array(frames * across * across * 3);
  for (let at = 0; at < pixels.length; at++) {
    const [colour, place] = [at % 3, Math.floor(at / 3)];
    const [frame, row, column] = [Math.floor(place / size / size), Math.floor(place / size) % size, place % size];
    const square = (frame * across + Math.floor(row / block)) * across + Math.floor(column / block);
    means[square * 3 + colour] += pixels[at] / block / block;
  }
  return means;
}
