// A byte stream of Node's tls: all is said, our direction ends, and only then the reading begins.

import { randomBytes, createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:tls";

const [host, port] = process.env.ADDRESS.split(":");
const length = Number(process.env.LONG_BYTES);
const block = randomBytes(1 << 20);
const welcome = Buffer.from("welcome!\n");

const [wanted, heard] = [createHash("sha256"), createHash("sha256")];
let [said, count, waits, ended] = [0, 0, 0, false];
wanted.update(welcome);

const ca = readFileSync(process.env.AUTHORITY);
const options = { host, port, ca, servername: "localhost", allowHalfOpen: true };
const stream = connect(options, () => {
  const speak = () => {
    while (said < length) {
      said += block.length;
      wanted.update(block);
      if (!stream.write(block)) {
        waits += 1;
        // Nobody reads yet: the server has to stop reading, too, until we do.
        setImmediate(() => stream.resume());
        return;
      }
    }
    stream.end();
  };
  stream.on("drain", speak);
  speak();
});
stream.pause();
stream.on("data", (part) => {
  heard.update(part);
  count += part.length;
  // A slow reader: one part a turn of the loop.
  stream.pause();
  setImmediate(() => stream.resume());
});
stream.on("end", () => {
  ended = true;
});
stream.on("error", (error) => {
  console.error(error);
  process.exit(1);
});
stream.on("close", () => {
  const same = wanted.digest("hex") === heard.digest("hex");
  if (!ended || !same || waits === 0) {
    console.error({ ended, same, waits, count });
    process.exit(1);
  }
  console.log(`${count - welcome.length} bytes came back, held back at times, ended`);
});
