// The page of `stzoo page` in headless Chromium: `make test-web` says how it is run.
//
// SITE is the page, EXPECTED what `stzoo predict --format json` says of the videos, SHOTS a folder for screenshots,
// VIDEO a second video, VIDEOS a folder of further ones; TOOLS and CHROMIUM are as chromium.mjs has them.
import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { launch } from "./chromium.mjs";

const { SITE, EXPECTED, SHOTS, VIDEO, VIDEOS } = process.env;
const PATIENCE_MS = 240_000; // of a busy machine; a quiet one takes seconds

let browser, address, close;
let page, seen; // one page for all tests of the program as it is, since opening it is what takes long

before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  ({ browser, address, close } = await launch(SITE));
  ({ page, seen } = await opened());
});

after(() => close?.());

/** A page, once its golden check has ended; `altered` are texts of its program that are replaced by others. */
async function opened(altered = []) {
  const page = await browser.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const seen = { requests: [], errors: [] };
  page.on("request", (request) => seen.requests.push(request));
  page.on("pageerror", (error) => seen.errors.push(error.message));
  page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
  if (altered.length) {
    await page.route("**/onnx_predict.js", (route) => {
      let body = readFileSync(join(SITE, "onnx_predict.js"), "utf8");
      for (const [old, other] of altered) {
        assert.equal(body.split(old).length, 2, `${old} stands there once`);
        body = body.replace(old, other);
      }
      return route.fulfill({ body, contentType: "text/javascript" });
    });
  }
  await page.goto(address);
  await page.waitForSelector("#golden.right, #golden.wrong");
  return { page, seen };
}

/** So that the next answer is waited for, and not found there already. */
const forget = () => page.evaluate(() => delete document.getElementById("result").dataset.done);
const golden = (page) => page.textContent("#golden");
const scores = (page) => page.$$eval("#scores li", (lines) => lines.map(({ dataset }) => [dataset.label, Number(dataset.score)]));

function assertAnswer(shown, video) {
  const { predictions } = JSON.parse(readFileSync(EXPECTED, "utf8")).find(({ path }) => path.endsWith(video));
  assert.equal(shown[0][0], predictions[0].label);
  const expected = new Map(predictions.map(({ label, score }) => [label, score]));
  const off = shown.filter(([label]) => expected.has(label)).map(([label, score]) => Math.abs(score - expected.get(label)));
  assert.ok(off.length >= 3);
  console.log(`${video}: largest difference of a probability ${Math.max(...off).toExponential(1)}`);
  assert.ok(Math.max(...off) <= 1e-3);
}

test("is reached by keyboard, and fits desktops and phones in light and dark", async () => {
  const reached = [];
  for (let step = 0; step < 4; step++) {
    await page.keyboard.press("Tab");
    reached.push(await page.evaluate(() => document.activeElement.id));
  }
  assert.deepEqual(reached, ["file", "camera", "sample", "provider"]);
  await page.focus("#sample");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#result[data-done]");
  for (const [device, width, height] of [["desktop", 1100, 800], ["phone", 360, 740]]) {
    await page.setViewportSize({ width, height });
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `a ${device} cuts nothing off`);
      await page.waitForFunction(() => document.querySelector("#plot svg").viewBox.baseVal.width === Math.max(280, document.getElementById("plot").clientWidth));
      await page.screenshot({ path: join(SHOTS, `${device}-${colorScheme}.png`), fullPage: true });
    }
  }
});

test("checks itself, answers as stzoo does, and speaks with nobody else", async () => {
  console.log(await golden(page));
  assert.match(await golden(page), /wasm passed.*reads the sample as they do/);
  assertAnswer(await scores(page), "basketball.mp4");
  await forget();
  await page.setInputFiles("#file", VIDEO);
  await page.waitForSelector("#result[data-done]");
  assertAnswer(await scores(page), "sample.mp4");
  assert.equal(await page.$$eval("#frames canvas", (all) => all.length), 8);
  assert.ok((await page.$$eval("#captions tr", (all) => all.length)) >= 1);
  assert.ok((await page.$$eval("#sites li", (all) => all.length)) > 1);
  const elsewhere = seen.requests.filter((request) => !request.url().startsWith(address) && !/^(data|blob):/.test(request.url()));
  assert.deepEqual(elsewhere.map((request) => request.url()), []);
  assert.ok(seen.requests.every((request) => request.method() === "GET"));
  assert.deepEqual(seen.errors, []);
  const refused = await page.evaluate(() => fetch("http://127.0.0.1:9/", { method: "POST", body: "a" }).then(() => "sent", (error) => error.name));
  assert.equal(refused, "TypeError");
  assert.ok(seen.errors.some((error) => error.includes("Content Security Policy")));
  const milliseconds = await page.evaluate(async () => {
    const [{ open, answer }, ort] = await Promise.all([import("./onnx_predict.js"), import("./vendor/onnxruntime-web/ort.wasm.min.mjs")]);
    const model = await open(new Uint8Array(await (await fetch("model.onnx")).arrayBuffer()), ort);
    const clip = [new Uint8Array(3 * model.wants.frames * model.wants.crop ** 2)];
    const taken = [];
    for (let run = 0; run < 12; run++) {
      const began = performance.now();
      await answer(model, clip);
      taken.push(performance.now() - began);
    }
    return taken.sort((a, b) => a - b)[6];
  });
  console.log(`wasm: ${milliseconds.toFixed(1)} ms a clip, one thread`);
});

test("answers as stzoo does of videos that are turned, mirrored, wide, short or of other colours", async () => {
  const videos = readdirSync(VIDEOS);
  assert.equal(videos.length, 5);
  for (const video of videos) {
    await forget();
    await page.setInputFiles("#file", join(VIDEOS, video));
    await page.waitForSelector("#result[data-done]");
    assertAnswer(await scores(page), video);
  }
});

test("runs on WebGPU where that passes its golden check", async (context) => {
  if (!(await page.$('#provider option[value="webgpu"]'))) return context.skip("this Chromium has no WebGPU adapter");
  await page.selectOption("#provider", "webgpu");
  await page.waitForSelector("#golden[data-provider=webgpu], #state.wrong");
  console.log(await golden(page), await page.textContent("#state"));
  assert.match(await golden(page), /webgpu passed/);
});

const READS = "it resizes or crops otherwise";
for (const [mistake, named, altered] of [
  ["BGR for RGB", "its colours are in the order BGR", [["pixels[pixel * 3 + colour] / 255", "pixels[pixel * 3 + 2 - colour] / 255"]]],
  ["another mean", "it normalises by another mean or std", [["const { mean, std, frames, crop } = wants;", "const { std, frames, crop } = wants, mean = [0.5, 0.5, 0.5];"]]],
  ["reversed frames", "its frames run backwards", [["const pictures = clip.map(", "const pictures = clip.toReversed().map("]]],
  ["another rate", "it takes other frames", [["timed ? frame / wants.fps", "timed ? (2 * frame) / wants.fps"]]],
  ["no crop", READS, [["const { resize, crop } = wants;", "const { crop } = wants, resize = crop;"]]],
]) {
  test(`finds ${mistake}, and gives no answer`, async () => {
    const { page } = await opened(altered);
    assert.ok((await golden(page)).includes(named), await golden(page));
    assert.ok(await page.isDisabled("#file"));
    await page.close();
  });
}

test("follows a camera until it is stopped", async () => {
  await forget();
  await page.click("#camera");
  await page.waitForSelector("#result[data-done]");
  await page.click("#stop");
  await page.waitForSelector("#stop", { state: "hidden" });
  assert.equal(await page.textContent("#state"), "The camera is off.");
  assert.equal((await scores(page)).length, 5);
});

test("says so where a file is no video", async () => {
  await page.setInputFiles("#file", { name: "notes.mp4", mimeType: "video/mp4", buffer: Buffer.from("no video") });
  await page.waitForSelector("#state.wrong");
  assert.match(await page.textContent("#state"), /did not work/);
});
