// Node's tls and https as clients that show a certificate, and that do not.
// The files lie where this runs.
import { readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { connect } from "node:tls";

const read = (file) => readFileSync(file);
const trust = { host: "127.0.0.1", servername: "localhost", ca: read("ca.pem") };
const ann = { cert: read("ann.pem"), key: read("ann-key.pem") };

const echoed = (shown) =>
  new Promise((resolve, reject) => {
    const socket = connect({ ...trust, ...shown, port: process.env.STREAM_PORT });
    let heard = "";
    socket.setTimeout(20000, () => reject(new Error("too late")));
    socket.on("error", reject);
    socket.on("data", (data) => {
      const before = heard;
      heard += data;
      if (before === "" && heard.endsWith("\n")) socket.end("hello");
    });
    socket.on("end", () => resolve(`tls ${socket.authorized} ${heard.replace("\n", " ")}`));
  });

const agent = new Agent({ keepAlive: true, maxSockets: 1 });
const asked = () =>
  new Promise((resolve, reject) => {
    const options = { ...trust, ...ann, agent, port: process.env.HTTPS_PORT, timeout: 20000 };
    const asking = request(options, (response) => {
      response.resume();
      response.on("end", () => resolve([response.statusCode, asking.reusedSocket]));
    });
    asking.on("error", reject);
    asking.on("timeout", () => reject(new Error("too late")));
    asking.end();
  });

console.log(await echoed(ann));
console.log(await echoed({}));
const [first] = await asked();
// The socket is free again in the next turn of the loop.
await new Promise(setImmediate);
const [second, isReused] = await asked();
console.log(`https ${first} ${second} ${isReused ? "reused" : "anew"}`);
agent.destroy();
