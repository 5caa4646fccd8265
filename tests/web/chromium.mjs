// A folder that is served on this machine, and headless Chromium to look at it with. TOOLS says
// where playwright-core is, CHROMIUM where the browser is.
import { createReadStream, existsSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { extname, join, normalize } from "node:path";

const TYPES = { ".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".mjs": "text/javascript", ".json": "application/json", ".wasm": "application/wasm" };
const FLAGS = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"];
/** WebGPU without a GPU: it is slow, and so only there where it is asked for. */
const SOFTWARE_GPU = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

/** The address of a folder's pages, a browser, and what ends both. */
export async function launch(folder) {
  const { chromium } = createRequire(join(process.env.TOOLS, "/"))("playwright-core");
  const server = createServer((request, response) => {
    const path = join(folder, normalize(new URL(request.url, "http://localhost").pathname));
    const file = path.endsWith("/") ? join(path, "index.html") : path;
    if (!existsSync(file)) return response.writeHead(404).end();
    response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream" });
    return createReadStream(file).pipe(response);
  });
  await new Promise((go) => server.listen(0, "127.0.0.1", go));
  const args = process.env.WEBGPU === "software" ? [...FLAGS, ...SOFTWARE_GPU] : FLAGS;
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args });
  const close = async () => {
    await browser.close();
    server.close();
  };
  return { address: `http://127.0.0.1:${server.address().port}/`, browser, close };
}
