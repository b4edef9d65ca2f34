"""A byte stream of Python's ssl: 64 MiB out on one thread and back on the other."""

import hashlib
import os
import socket
import ssl
import threading

host, port = os.environ["ADDRESS"].rsplit(":", 1)
length = int(os.environ["LONG_BYTES"])
block = os.urandom(1 << 20)

context = ssl.create_default_context(cafile=os.environ["AUTHORITY"])
plain = socket.create_connection((host, int(port)), timeout=60)
with context.wrap_socket(plain, server_hostname="localhost") as stream:
    said = stream.recv(100)
    assert said == b"welcome!\n", said

    def speak():
        for _ in range(length // len(block)):
            stream.sendall(block)

    speaker = threading.Thread(target=speak)
    speaker.start()
    heard, count = hashlib.sha256(), 0
    while count < length:
        part = stream.recv(10_000)
        assert part, f"ended after {count} bytes"
        heard.update(part)
        count += len(part)
    speaker.join()
    wanted = hashlib.sha256()
    for _ in range(length // len(block)):
        wanted.update(block)
    assert heard.digest() == wanted.digest(), "other bytes came back"
    # It sends close_notify and waits for ours.
    stream.unwrap().close()

print("welcomed, echoed, ended")
