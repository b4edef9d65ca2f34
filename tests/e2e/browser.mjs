// What a page does: a WebSocket with subprotocols, a topic, a publication, a close.

const address = process.env.ADDRESS;
setTimeout(() => process.exit(3), 20_000).unref();

const next = (socket, kind) =>
  new Promise((resolve, reject) => {
    socket.addEventListener(kind, resolve, { once: true });
    if (kind !== "close") {
      socket.addEventListener("close", (event) => reject(new Error(`closed ${event.code}`)));
    }
  });

const expect = (found, wanted) => {
  if (found !== wanted) throw new Error(`found ${found}, wanted ${wanted}`);
};

const socket = new WebSocket(`wss://${address}/echo`, ["v1", "v2"]);
socket.binaryType = "arraybuffer";
await next(socket, "open");
expect(socket.protocol, "v2");
for (const text of ["", "hello", "grün".repeat(5_000)]) {
  socket.send(text);
  expect((await next(socket, "message")).data, text);
}
socket.send(new Uint8Array(60_000).fill(255));
expect((await next(socket, "message")).data.byteLength, 60_000);

const topic = new WebSocket(`wss://${address}/topics/demo`);
await next(topic, "open");
const published = fetch(`https://${address}/topics/demo`, {
  method: "POST",
  headers: { "Content-Type": "text/plain" },
  body: "posted",
});
expect((await next(topic, "message")).data, "posted");
expect((await published).status, 200);
topic.send("said");
expect((await next(topic, "message")).data, "said");

for (const one of [socket, topic]) {
  const closed = next(one, "close");
  one.close(3000, "bye");
  const { code, wasClean } = await closed;
  expect(`${code} ${wasClean}`, "3000 true");
}
console.log("echoed, published, closed");
process.exit(0); // the connection of fetch would keep it waiting
