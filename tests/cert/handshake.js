// A TLS server and a client that ask each other for certificates; they lie where this runs.
const fs = require('fs');
const tls = require('tls');
const { X509Certificate } = require('crypto');

const read = (file) => fs.readFileSync(file);
const ca = read('ca.pem');

const own = new X509Certificate(read('localhost.pem'));
const authority = new X509Certificate(ca);
if (!own.checkHost('localhost') || !own.checkIP('::1') || !own.checkIssued(authority)
    || !own.verify(authority.publicKey) || own.ca || !authority.ca) {
  throw new Error('the certificate is not what it should be');
}

const server = tls.createServer(
  { ca, cert: read('localhost.pem'), key: read('localhost-key.pem'), requestCert: true },
  (socket) => socket.end(`client ${socket.authorized} ${socket.getPeerCertificate().subjectaltname}\n`),
);
server.listen(0, '127.0.0.1', () => {
  const client = tls.connect({
    port: server.address().port,
    host: '127.0.0.1',
    servername: 'localhost',
    ca,
    cert: read('ann.pem'),
    key: read('ann-key.pem'),
  });
  client.setTimeout(20000, () => client.destroy(new Error('too late')));
  client.on('secureConnect', () => {
    console.log(`server ${client.getPeerCertificate().subjectaltname}`);
  });
  client.on('data', (data) => process.stdout.write(data));
  client.on('close', () => server.close());
});
