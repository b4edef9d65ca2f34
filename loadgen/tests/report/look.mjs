// Looks at pages as a reader's browser does, and tells as JSON what is there: complaints of the
// browser, requests that left the page, how far it is wider than its screen, what each plot draws,
// and what is given away when somebody asks for a table.
//
//   look.mjs PAGE.html...
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

setTimeout(() => process.exit(3), 90_000).unref();
const profile = mkdtempSync(join(tmpdir(), "look-"));
const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe"];
const browser = spawn("chromium", [...flags, `--user-data-dir=${profile}`, "about:blank"], {
  stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
});

// The DevTools protocol over the pipe: JSON with a nought after each message.
const [, , , asked, answered] = browser.stdio;
const waiting = new Map();
let listener = () => {};
let last = 0;
let rest = "";
answered.on("data", (bytes) => {
  const messages = (rest + bytes).split("\0");
  rest = messages.pop();
  for (const message of messages.map((text) => JSON.parse(text))) {
    if (message.id) waiting.get(message.id)?.(message);
    else listener(message);
  }
});
const call = (method, params = {}, sessionId) =>
  new Promise((resolve, reject) => {
    const id = ++last;
    waiting.set(id, ({ error, result }) => (error ? reject(new Error(`${method}: ${error.message}`)) : resolve(result)));
    asked.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  });

const { targetId } = await call("Target.createTarget", { url: "about:blank" });
const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
const page = (method, params) => call(method, params, sessionId);
for (const domain of ["Page", "Runtime", "Log", "Network"]) await page(`${domain}.enable`);

const evaluate = async (expression) => {
  const answer = await page("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
  if (answer.exceptionDetails) throw new Error(JSON.stringify(answer.exceptionDetails));
  return answer.result.value;
};

// A mark counts if it is there to be seen: it has an extent, and a colour.
const PLOTS = `[...document.querySelectorAll("main section")].map((part) => ({
  id: part.id,
  plots: [...part.querySelectorAll("svg")].map((svg) => ({
    named: Boolean(svg.querySelector("title").textContent && svg.querySelector("desc").textContent),
    marks: [...svg.querySelectorAll("polyline, polygon, rect, circle")].filter((mark) => {
      const { width, height } = mark.getBBox();
      const style = getComputedStyle(mark);
      const ink = mark.classList.contains("s") ? style.stroke : style.fill;
      return !/grid|quiet|phase/.test(mark.getAttribute("class")) && width + height > 0 && ink !== "none";
    }).length,
  })),
}))`;

const GIVEN = `(async () => {
  const given = [];
  URL.createObjectURL = (blob) => (given.push(blob), "blob:kept");
  HTMLAnchorElement.prototype.click = () => {};
  const buttons = [...document.querySelectorAll("button")];
  buttons.forEach((button) => button.dispatchEvent(new MouseEvent("click", { bubbles: true })));
  const texts = await Promise.all(given.map((blob) => blob.text()));
  return { buttons: buttons.length, empty: texts.filter((text) => text.trim() === "").length, texts };
})()`;

const looked = [];
for (const path of process.argv.slice(2)) {
  const complaints = [];
  const requests = [];
  const overflows = [];
  listener = ({ method, params }) => {
    if (method === "Log.entryAdded") complaints.push(params.entry.text);
    if (method === "Runtime.exceptionThrown") complaints.push(params.exceptionDetails.text);
    if (method === "Runtime.consoleAPICalled") complaints.push(JSON.stringify(params.args));
    if (method === "Network.requestWillBeSent" && params.request.url !== `file://${path}`) {
      requests.push(params.request.url);
    }
  };
  for (const [width, scheme] of [[1280, "light"], [360, "dark"], [360, "light"]]) {
    const features = [{ name: "prefers-color-scheme", value: scheme }];
    await page("Emulation.setDeviceMetricsOverride", { width, height: 800, deviceScaleFactor: 1, mobile: width < 500 });
    await page("Emulation.setEmulatedMedia", { features });
    await page("Page.navigate", { url: `file://${path}` });
    while ((await evaluate("location.protocol + document.readyState")) !== "file:complete");
    await evaluate("document.querySelectorAll('details').forEach((part) => (part.open = true))");
    overflows.push(await evaluate(`document.documentElement.scrollWidth - ${width}`));
  }
  looked.push({
    complaints,
    requests,
    overflows,
    parts: await evaluate(PLOTS),
    told: await evaluate("[...document.querySelectorAll('#rest dt')].map((part) => part.id)"),
    scripts: await evaluate("document.scripts.length"),
    given: await evaluate(GIVEN),
    printed: (await page("Page.printToPDF", { printBackground: true, preferCSSPageSize: true })).data.length,
  });
}
console.log(JSON.stringify(looked));
browser.kill();
await new Promise((resolve) => browser.on("exit", resolve));
rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
process.exit(0);
