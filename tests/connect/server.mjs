// HTTPS of node: asks for a certificate, tells whether it verifies, answers in chunks.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

const [cert, key, ca] = process.argv.slice(2).map((path) => readFileSync(path));
const server = createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: false });
server.on("request", async (request, response) => {
  let body = "";
  for await (const chunk of request) body += chunk;
  const { authorized } = request.socket;
  const name = authorized ? ` ${request.socket.getPeerCertificate().subject.CN}` : "";
  response.write(`${request.method} ${body}`);
  response.write(` ${authorized ? "authorized" : "unauthorized"}`);
  response.end(`${name}\n`);
});
server.listen(0, "127.0.0.1", () => console.log(`port ${server.address().port}`));
