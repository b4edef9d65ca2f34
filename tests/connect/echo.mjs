// TLS of node: asks for a certificate, tells whether it verifies, sends back what it gets.
import { readFileSync } from "node:fs";
import { createServer } from "node:tls";

const [cert, key, ca] = process.argv.slice(2).map((path) => readFileSync(path));
const options = { cert, key, ca, requestCert: true, rejectUnauthorized: false, allowHalfOpen: true };
const server = createServer(options, (socket) => {
  socket.write(socket.authorized ? "authorized\n" : "unauthorized\n");
  socket.pipe(socket);
});
server.listen(0, "127.0.0.1", () => console.log(`port ${server.address().port}`));
