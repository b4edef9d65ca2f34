"""A WebSocket of nothing but Python's own library: is what it says echoed over TLS?"""

import base64
import hashlib
import os
import socket
import ssl
import struct

host, port = os.environ["ADDRESS"].rsplit(":", 1)
trust = ssl.create_default_context(cafile=os.environ["AUTHORITY"])
plain = socket.create_connection((host, int(port)), timeout=20)
stream = trust.wrap_socket(plain, server_hostname=host)
reader = stream.makefile("rb")

key = base64.b64encode(os.urandom(16)).decode()
stream.sendall(
    f"GET /echo HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
    "Connection: keep-alive, Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
)
guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
accept = base64.b64encode(hashlib.sha1((key + guid).encode()).digest())
head = iter(reader.readline, b"\r\n")
assert next(head).startswith(b"HTTP/1.1 101 ")
fields = dict(line.strip().lower().split(b": ", 1) for line in head)
assert fields[b"sec-websocket-accept"] == accept.lower()


def say(first, payload):
    mask = os.urandom(4)
    length = len(payload)
    if length < 126:
        header = struct.pack("!BB", first, 0x80 | length)
    else:
        header = struct.pack("!BBH", first, 0x80 | 126, length)
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    stream.sendall(header + mask + masked)


def hear():
    first, length = reader.read(2)
    if length == 126:
        (length,) = struct.unpack("!H", reader.read(2))
    return first, reader.read(length)


for payload in [b"", b"hello", "grün".encode() * 5000]:
    say(0x81, payload)
    assert hear() == (0x81, payload)
# In pieces, with a ping between them.
say(0x02, b"one ")
say(0x89, b"here?")
say(0x80, b"two")
assert hear() == (0x8A, b"here?")
assert hear() == (0x82, b"one two")
say(0x88, struct.pack("!H", 1000))
assert hear() == (0x88, struct.pack("!H", 1000))
assert reader.read() == b""
print("echoed")
