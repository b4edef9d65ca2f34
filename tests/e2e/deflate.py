"""A WebSocket of Python's own zlib: does the server deflate as RFC 7692 has it?

Its only argument is what it offers; it says what was agreed on."""

import base64
import os
import re
import socket
import ssl
import struct
import sys
import zlib

TAIL = b"\0\0\xff\xff"

host, port = os.environ["ADDRESS"].rsplit(":", 1)
trust = ssl.create_default_context(cafile=os.environ["AUTHORITY"])
plain = socket.create_connection((host, int(port)), timeout=20)
stream = trust.wrap_socket(plain, server_hostname=host)
reader = stream.makefile("rb")

key = base64.b64encode(os.urandom(16)).decode()
stream.sendall(
    f"GET /echo HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Extensions: {sys.argv[1]}\r\n\r\n".encode()
)
head = iter(reader.readline, b"\r\n")
assert next(head).startswith(b"HTTP/1.1 101 ")
fields = dict(line.decode().strip().split(": ", 1) for line in head)
agreed = fields["Sec-WebSocket-Extensions"]


def bits(side):
    found = re.search(rf"{side}_max_window_bits=(\d+)", agreed)
    return int(found[1]) if found else 15


def deflater():
    return zlib.compressobj(wbits=-bits("client"))


def inflater():
    return zlib.decompressobj(wbits=-bits("server"))


ours, theirs = deflater(), inflater()


def say(text):
    global ours
    if "client_no_context_takeover" in agreed:
        ours = deflater()
    payload = ours.compress(text) + ours.flush(zlib.Z_SYNC_FLUSH)
    assert payload.endswith(TAIL)
    payload = payload[: -len(TAIL)]
    mask, length = os.urandom(4), len(payload)
    if length < 126:
        header = struct.pack("!BB", 0xC1, 0x80 | length)
    else:
        header = struct.pack("!BBH", 0xC1, 0x80 | 126, length)
    stream.sendall(header + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload)))


def hear():
    global theirs
    first, length = reader.read(2)
    if length == 126:
        (length,) = struct.unpack("!H", reader.read(2))
    elif length == 127:
        (length,) = struct.unpack("!Q", reader.read(8))
    payload = reader.read(length)
    if first == 0x81:
        return payload, None
    assert first == 0xC1, hex(first)
    if "server_no_context_takeover" in agreed:
        theirs = inflater()
    return theirs.decompress(payload + TAIL), length


lengths = []
for text in [b"hello", b"deflate me " * 1_000, base64.b64encode(os.urandom(3_000))] * 2:
    say(text)
    heard, length = hear()
    assert heard == text
    # What is too short to be deflated comes as it is.
    assert (length is None) == (len(text) < 128), (len(text), length)
    lengths.append(length)
# A message that came before is not said again, if it can be pointed to.
keeps = "server_no_context_takeover" not in agreed and bits("server") == 15
assert (lengths[5] < lengths[2] / 4) == keeps, lengths
print(agreed)
