"""A TLS server and a client that ask each other for certificates; they lie where this runs."""

import ssl

server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain("localhost.pem", "localhost-key.pem")
server.load_verify_locations("ca.pem")
server.verify_mode = ssl.CERT_REQUIRED

client = ssl.create_default_context(cafile="ca.pem")
client.verify_flags |= getattr(ssl, "VERIFY_X509_STRICT", 0)
client.load_cert_chain("ann.pem", "ann-key.pem")

to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
ends = [
    client.wrap_bio(to_client, to_server, server_hostname="localhost"),
    server.wrap_bio(to_server, to_client, server_side=True),
]
for _ in range(10):
    for end in ends:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            pass

print("server", ends[0].getpeercert()["subjectAltName"])
print("client", ends[1].getpeercert()["subjectAltName"])
