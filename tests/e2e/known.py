"""Python's ssl as a client that shows a certificate, and that does not; the files lie here."""

import http.client
import os
import socket
import ssl


def trust(is_known):
    context = ssl.create_default_context(cafile="ca.pem")
    if is_known:
        context.load_cert_chain("ann.pem", "ann-key.pem")
    return context


for is_known in [True, False]:
    plain = socket.create_connection(("127.0.0.1", int(os.environ["STREAM_PORT"])), timeout=20)
    with trust(is_known).wrap_socket(plain, server_hostname="localhost") as stream:
        reader = stream.makefile("rb")
        welcome = reader.readline().decode().strip()
        stream.sendall(b"hello\n")
        print("ssl", welcome, reader.readline().decode().strip())

port = int(os.environ["HTTPS_PORT"])
client = http.client.HTTPSConnection("localhost", port, timeout=20, context=trust(True))
client.sock = client._context.wrap_socket(
    socket.create_connection(("127.0.0.1", port), timeout=20), server_hostname="localhost"
)
statuses = []
for _ in range(2):
    client.request("GET", "/")
    answer = client.getresponse()
    answer.read()
    statuses.append(answer.status)
print("https", *statuses)
