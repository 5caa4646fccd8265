// The page: a model that checks itself, a video or a camera, and answers as they come.
import { answer, check, drawn, look, open, plan, squares, stacked, views } from "./onnx_predict.js";
import { element, showCaptions, showFrames, showPlot, showScores, showStrategy, state } from "./show.js";
import { runsOf, windowsOf } from "./windows.js";
import * as media from "./vendor/mediabunny/mediabunny.min.mjs";

const WINDOW_SECONDS = 2;
const CAMERA_SECONDS = 30; // that stay in the plot
const ORT = {
  wasm: "./vendor/onnxruntime-web/ort.wasm.min.mjs",
  webgpu: "./vendor/onnxruntime-web/ort.webgpu.min.mjs",
};

const file = async (name) => {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name} is missing here (${response.status})`);
  return response;
};
const json = async (name) => (await file(name)).json();
const bytes = (await_) => await_.then((response) => response.arrayBuffer()).then((buffer) => new Uint8Array(buffer));

let model = null;
let about = null;
let sample = null;
let job = { cancelled: true, done: Promise.resolve() };

/** Opens the model on a provider and checks it with its golden clips; says how that went in the corner. */
async function opened(provider) {
  const ort = await import(ORT[provider]);
  if (!globalThis.crossOriginIsolated) ort.env.wasm.numThreads = 1;
  const candidate = await open(await bytes(file("model.onnx")), ort, [provider]);
  const golden = await json("model.golden.json");
  const decodes = "VideoDecoder" in globalThis;
  const found = await check(candidate, golden, decodes ? sample : null, media);
  return { candidate, ...found };
}

async function choose(provider) {
  const corner = element("golden");
  corner.className = "";
  corner.textContent = `Golden check on ${provider} …`;
  let found;
  try {
    found = await opened(provider);
  } catch (error) {
    found = { fault: `it cannot be run: ${error.message}` };
  }
  corner.className = found.fault ? "wrong" : "right";
  corner.dataset.provider = provider;
  if (found.fault) {
    corner.textContent = `Golden check on ${provider} failed: ${found.fault}.`;
    return false;
  }
  corner.dataset.difference = found.difference;
  corner.textContent =
    `Golden check on ${provider} passed: answers as its makers' do, to ${found.difference.toExponential(0)}; ` +
    (found.read ? "reads the sample as they do." : "how it reads videos was not checked: this browser does not let it.");
  model = found.candidate;
  return true;
}

/** Ends what is going on, and begins something else once it has ended. */
async function begin(what) {
  job.cancelled = true;
  await job.done;
  const mine = { cancelled: false };
  job = mine;
  element("stop").hidden = false;
  mine.done = what(mine)
    .catch((error) => state(`That did not work: ${error.message}.`, true))
    .finally(() => (element("stop").hidden = true));
  return mine.done;
}

async function watchFile(video, name, mine) {
  const result = element("result");
  delete result.dataset.done;
  if (!("VideoDecoder" in globalThis)) {
    throw new Error("this browser decodes no video for a page, or not here: it does on https and on localhost alone");
  }
  state(`Looking into ${name} …`);
  const looked = await look(video, media);
  const spans = windowsOf(looked.times, looked.seconds, WINDOW_SECONDS, Math.max(1, looked.seconds / 600));
  const plans = spans.map(({ low, high }) => plan(looked.times.slice(low, high), model.wants).map((clip) => clip.map((index) => low + index)));
  const whole = plan(looked.times, model.wants);
  const kept = new Set(whole.flat());
  show(video);
  const frames = new Map();
  const scored = [];
  const wanted = [...kept, ...plans.flat(2)];
  for await (const [index, crops] of views(looked, wanted, model.wants, media)) {
    if (mine.cancelled) return;
    frames.set(index, crops);
    while (scored.length < plans.length && Math.max(...plans[scored.length].flat()) <= index) {
      const clips = plans[scored.length];
      const scores = await answer(model, stacked(clips, frames));
      scored.push({ ...spans[scored.length], scores });
      if (mine.cancelled) return;
      const next = plans[scored.length] ? Math.min(...plans[scored.length].flat()) : Infinity;
      for (const old of frames.keys()) if (old < next && !kept.has(old)) frames.delete(old);
      state(`${scored.length} of ${plans.length} windows of ${name}`);
      showTimes(scored, 0, looked.seconds);
      const clip = clips[clips.length >> 1];
      if (clip.every((frame) => frames.has(frame))) pictures(clip, frames, looked.times);
      showScores(scores, model.labels);
      element("result-note").textContent = "Of the latest window; the whole video's follow.";
      await new Promise((go) => setTimeout(go)); // lets the browser draw
    }
  }
  const scores = await answer(model, stacked(whole, frames));
  if (mine.cancelled) return;
  showScores(scores, model.labels);
  pictures(whole[whole.length >> 1], frames, looked.times);
  element("result-note").textContent = `Of the whole video, ${about.input}.`;
  state(`${name}: done, on this device.`);
  result.dataset.done = "yes";
}

async function watchCamera(mine) {
  if (!navigator.mediaDevices) throw new Error("a browser opens the camera on https and on localhost alone");
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment", width: { ideal: 640 } } });
  try {
    const player = show(stream);
    await player.play();
    const [held, scored] = [[], []];
    const { wants } = model;
    const span = wants.fps ? (wants.frames - 1) / wants.fps : WINDOW_SECONDS;
    const seconds = Math.max(WINDOW_SECONDS, span);
    const began = performance.now() / 1000;
    state("The camera is on. Its pictures stay on this device.");
    while (!mine.cancelled && stream.active) {
      await new Promise((go) => (player.requestVideoFrameCallback ?? requestAnimationFrame).call(player.requestVideoFrameCallback ? player : window, go));
      const now = performance.now() / 1000 - began;
      held.push({ now, crops: squares(drawn(player, player.videoWidth, player.videoHeight), 1, wants) });
      while (held[0].now < now - seconds) held.shift();
      const isDue = now - (scored.at(-1)?.end ?? 0) >= 0.5 && now >= span;
      if (!isDue) continue;
      const times = held.map((one) => one.now - held[0].now);
      const clips = plan(times, wants, 1);
      const frames = new Map(held.map((one, index) => [index, one.crops]));
      const scores = await answer(model, stacked(clips, frames));
      scored.push({ start: Math.max(0, now - seconds), end: now, scores });
      while (scored[0].end < now - CAMERA_SECONDS) scored.shift();
      showScores(scores, model.labels);
      showTimes(scored, Math.max(0, now - CAMERA_SECONDS), now);
      pictures(clips[0], frames, times);
      element("result-note").textContent = `Of the last ${seconds.toFixed(1)} seconds.`;
      element("result").dataset.done = "yes";
    }
  } finally {
    for (const track of stream.getTracks()) track.stop();
    element("player").hidden = true;
    state("The camera is off.");
  }
}

/** Shows the results, with a player of a file or of a camera's stream. */
function show(source) {
  const player = element("player");
  if (player.src) URL.revokeObjectURL(player.src);
  player.removeAttribute("src");
  player.srcObject = null;
  const isFile = source instanceof Blob;
  if (isFile) player.src = URL.createObjectURL(source);
  else player.srcObject = source;
  player.controls = isFile;
  player.hidden = false;
  element("result").hidden = false;
  return player;
}

let drawAgain = () => {};

function showTimes(scored, from, to) {
  drawAgain = () => showPlot(scored, model.labels, from, to);
  drawAgain();
  showCaptions(runsOf(scored, model.labels));
}

function pictures(clip, frames, times) {
  showFrames(clip.map((index) => ({ pixels: frames.get(index)[frames.get(index).length >> 1], seconds: times[index] })), model.wants.crop);
}

function listen() {
  const [drop, chosen] = [element("drop"), element("file")];
  const take = (one) => one && begin((mine) => watchFile(one, one.name ?? "the video", mine));
  chosen.addEventListener("change", () => take(chosen.files[0]));
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragenter" || kind === "dragover");
    });
  }
  document.addEventListener("drop", (event) => !chosen.disabled && take(event.dataTransfer?.files[0]));
  element("sample").addEventListener("click", () => take(sample));
  element("camera").addEventListener("click", () => begin(watchCamera));
  window.addEventListener("resize", () => drawAgain()); // a phone that is turned
  element("stop").addEventListener("click", () => (job.cancelled = true));
  element("player").addEventListener("error", () => (element("player").hidden = true));
  element("provider").addEventListener("change", (event) => switchTo(event.target));
}

/** Another provider, unless its golden check fails: then what ran stays. */
async function switchTo(select) {
  job.cancelled = true;
  await job.done;
  enable(false);
  const isRight = await choose(select.value);
  if (!isRight && select.value !== "wasm") {
    const failed = element("golden").textContent;
    select.value = "wasm";
    await choose("wasm");
    state(`${failed} It runs on wasm.`, true);
  }
  enable(true);
}

function enable(yes) {
  for (const name of ["file", "camera", "sample", "provider"]) element(name).disabled = !yes;
}

async function start() {
  about = await json("model.json");
  document.title = `${about.name}: what happens in a video`;
  element("about").textContent = `${about.name}, ${about.labels} labels; ${about.input}.`;
  showStrategy(about.sites);
  sample = await file(about.sample).then((response) => response.blob());
  sample = new File([sample], about.sample, { type: "video/mp4" });
  listen();
  if (await navigator.gpu?.requestAdapter().catch(() => null)) element("provider").append(new Option("WebGPU", "webgpu"));
  if (!(await choose("wasm"))) {
    state("No answers are given: they would not be the model's.", true);
    return;
  }
  enable(true);
}

start().catch((error) => {
  element("golden").className = "wrong";
  element("golden").textContent = `This page does not work here: ${error.message}.`;
});
