"""A byte stream of Python's ssl: 64 MiB out and back at the same time, as each way has room.

One thread, since two may not use one connection of OpenSSL at once.
"""

import hashlib
import os
import select
import socket
import ssl

host, port = os.environ["ADDRESS"].rsplit(":", 1)
length = int(os.environ["LONG_BYTES"])
block = os.urandom(1 << 20)
PATIENCE_S = 60

context = ssl.create_default_context(cafile=os.environ["AUTHORITY"])
plain = socket.create_connection((host, int(port)), timeout=PATIENCE_S)
with context.wrap_socket(plain, server_hostname="localhost") as stream:
    said = stream.recv(100)
    assert said == b"welcome!\n", said

    stream.setblocking(False)
    wanted, heard = hashlib.sha256(), hashlib.sha256()
    unsent = memoryview(b"")
    sent = count = 0
    while count < length:
        writing = [stream] if sent < length or unsent else []
        # What TLS has decrypted already shows on no socket.
        patience = 0 if stream.pending() else PATIENCE_S
        readable, writable, _ = select.select([stream], writing, [], patience)
        assert readable or writable or stream.pending(), f"silence after {count} bytes"
        try:
            if not unsent and sent < length:
                unsent = memoryview(block)
                wanted.update(block)
                sent += len(block)
            if unsent:
                unsent = unsent[stream.send(unsent) :]
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        try:
            part = stream.recv(10_000)
            assert part, f"ended after {count} bytes"
            heard.update(part)
            count += len(part)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
    assert heard.digest() == wanted.digest(), "other bytes came back"
    # It sends close_notify and waits for ours.
    stream.settimeout(PATIENCE_S)
    stream.unwrap().close()

print("welcomed, echoed, ended")
