// The page of `stzoo page` in headless Chromium: `make test-web` says how it is run.
//
// SITE is the page, EXPECTED what `stzoo predict --format json` says of the videos, TOOLS where playwright-core is, SHOTS
// a folder for screenshots.
import assert from "node:assert/strict";
import { createReadStream, existsSync, mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, normalize } from "node:path";
import { after, before, test } from "node:test";

const { SITE, EXPECTED, TOOLS, SHOTS } = process.env;
const { chromium } = createRequire(join(TOOLS, "/"))("playwright-core");
const TYPES = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json", ".wasm": "application/wasm" };
const FLAGS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];
const PATIENCE = { timeout: 90_000 };

let browser, server, address;

before(async () => {
  mkdirSync(SHOTS, { recursive: true });
  server = createServer((request, response) => {
    const path = join(SITE, normalize(new URL(request.url, "http://localhost").pathname));
    const file = path.endsWith("/") ? join(path, "index.html") : path;
    if (!existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
    return createReadStream(file).pipe(response);
  });
  await new Promise((go) => server.listen(0, "127.0.0.1", go));
  address = `http://127.0.0.1:${server.address().port}/`;
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
});

after(async () => {
  await browser?.close();
  server?.close();
});

/** The page, once its golden check has ended; `altered` are texts of its program that are replaced by others. */
async function opened({ altered = [], ...options } = {}) {
  const page = await browser.newPage(options);
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
  await page.waitForSelector("#golden.right, #golden.wrong", PATIENCE);
  return { page, seen };
}

const golden = (page) => page.textContent("#golden");
const scores = (page) => page.$$eval("#scores li", (lines) => lines.map(({ dataset }) => [dataset.label, Number(dataset.score)]));

function assertAnswer(shown, video) {
  const { predictions } = JSON.parse(readFileSync(EXPECTED, "utf8")).find(({ path }) => path.endsWith(video));
  assert.equal(shown[0][0], predictions[0].label);
  const expected = new Map(predictions.map(({ label, score }) => [label, score]));
  const off = shown.filter(([label]) => expected.has(label)).map(([label, score]) => Math.abs(score - expected.get(label)));
  assert.ok(off.length >= 3);
  console.log(`${video}: largest difference of a probability ${Math.max(...off).toExponential(1)}`);
  assert.ok(Math.max(...off) <= 0.03);
}

test("checks itself, answers as stzoo does, and speaks with nobody else", async () => {
  const { page, seen } = await opened();
  console.log(await golden(page));
  assert.match(await golden(page), /wasm passed.*reads the sample as they do/);
  await page.click("#sample");
  await page.waitForSelector("#result[data-done]", PATIENCE);
  assertAnswer(await scores(page), "basketball.mp4");
  await page.setInputFiles("#file", process.env.VIDEO);
  await page.waitForFunction(() => !document.querySelector("#result[data-done]"));
  await page.waitForSelector("#result[data-done]", PATIENCE);
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
  await page.close();
});

test("runs on WebGPU where that passes its golden check", async (context) => {
  const { page } = await opened();
  if (!(await page.$('#provider option[value="webgpu"]'))) return context.skip("this Chromium has no WebGPU adapter");
  await page.selectOption("#provider", "webgpu");
  try {
    await page.waitForSelector("#golden[data-provider=webgpu], #state.wrong", { timeout: 60_000 });
  } catch (error) {
    if (error.name !== "TimeoutError") throw error;
    return context.skip("WebGPU, perhaps in software, took longer than a minute");
  }
  console.log(await golden(page), await page.textContent("#state"));
  assert.match(await golden(page), /webgpu passed/);
  return page.close();
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
    const { page } = await opened({ altered });
    assert.ok((await golden(page)).includes(named), await golden(page));
    assert.ok(await page.isDisabled("#file"));
    await page.close();
  });
}

test("follows a camera until it is stopped", async () => {
  const { page } = await opened();
  await page.click("#camera");
  await page.waitForSelector("#result[data-done]", PATIENCE);
  await page.click("#stop");
  await page.waitForSelector("#stop", { state: "hidden" });
  assert.equal(await page.textContent("#state"), "The camera is off.");
  assert.equal((await scores(page)).length, 5);
  await page.close();
});

test("says so where a file is no video", async () => {
  const { page } = await opened();
  await page.setInputFiles("#file", { name: "notes.mp4", mimeType: "video/mp4", buffer: Buffer.from("no video") });
  await page.waitForSelector("#state.wrong");
  assert.match(await page.textContent("#state"), /did not work/);
  await page.close();
});

for (const colorScheme of ["light", "dark"]) {
  for (const [device, width, height] of [["desktop", 1100, 800], ["phone", 360, 740]]) {
    test(`fits a ${device} in ${colorScheme}, and is reached by keyboard`, async () => {
      const { page } = await opened({ colorScheme, viewport: { width, height } });
      const reached = [];
      for (let step = 0; step < 4; step++) {
        await page.keyboard.press("Tab");
        reached.push(await page.evaluate(() => document.activeElement.id));
      }
      assert.deepEqual(reached, ["file", "camera", "sample", "provider"]);
      await page.focus("#sample");
      await page.keyboard.press("Enter");
      await page.waitForSelector("#result[data-done]", PATIENCE);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "nothing is cut off");
      await page.screenshot({ path: join(SHOTS, `${device}-${colorScheme}.png`), fullPage: true });
      await page.close();
    });
  }
}
