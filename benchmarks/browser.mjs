// One model in headless Chromium, as benchmarks/browser.py asks for it: node browser.mjs FOLDER SECONDS. FOLDER has
// model.onnx, case.json and vendor/onnxruntime-web; logits and times are printed as JSON.
import { launch } from "../tests/web/chromium.mjs";

const [folder, seconds] = process.argv.slice(2);
const { address, browser, close } = await launch(folder);

async function run() {
  const { provider, shape, clip } = await (await fetch("case.json")).json();
  const ort = await import(`/vendor/onnxruntime-web/ort.${provider}.min.mjs`);
  ort.env.wasm.numThreads = 1;
  const began = performance.now();
  const session = await ort.InferenceSession.create("model.onnx", { executionProviders: [provider], logSeverityLevel: 3 });
  const opening = (performance.now() - began) / 1000;
  const taken = [];
  let logits = [];
  for (let turn = 0; turn < 8; turn++) {
    const from = performance.now();
    const outputs = await session.run({ [session.inputNames[0]]: new ort.Tensor("float32", Float32Array.from(clip), shape) });
    taken.push(performance.now() - from);
    logits = Array.from(outputs[session.outputNames[0]].data);
  }
  const later = taken.slice(1).sort((a, b) => a - b);
  return { logits, opening, milliseconds: later[3] };
}

try {
  const page = await browser.newPage();
  await page.goto(address);
  const late = new Promise((_, fail) => setTimeout(() => fail(new Error(`not done after ${seconds} seconds`)), seconds * 1000).unref());
  console.log(JSON.stringify(await Promise.race([page.evaluate(run), late])));
} catch (error) {
  console.log(error.message.split("\n")[0]);
  process.exitCode = 1;
} finally {
  await close();
}
