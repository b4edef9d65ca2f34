//! What others make of our certificates, and we of theirs: openssl, Node and Python.

use crate::program::Program;
use crate::workshop::Workshop;

const KINDS: [&str; 4] = ["ed25519", "p256", "p384", "rsa2048"];

/// Makes an authority, a server and a client, all with keys of one kind.
fn family(kind: &str) -> Workshop {
    let here = Workshop::new();
    here.cert(&["ca", "--key", kind]);
    here.cert(&["server", "--ca", ".", "--key", kind]);
    here.cert(&["client", "--ca", ".", "--key", kind, "--name", "ann,ann@example.com"]);
    here
}

#[test]
fn openssl_verifies_what_we_make_as_strictly_as_it_can() {
    for kind in KINDS {
        let here = family(kind);
        let strictly = "verify -x509_strict -policy_check -check_ss_sig -CAfile ca.pem";
        for check in [
            "-purpose sslserver -verify_hostname localhost localhost.pem",
            "-purpose sslserver -verify_ip 127.0.0.1 localhost.pem",
            "-purpose sslserver -verify_ip ::1 localhost.pem",
            "-purpose sslclient -verify_email ann@example.com ann.pem",
            "ca.pem",
        ] {
            let Some(said) = here.openssl(&format!("{strictly} {check}")) else { return };
            assert!(said.ends_with("pem: OK\n"), "{kind}: {said}");
        }
        for key in ["ca-key.pem", "localhost-key.pem", "ann-key.pem"] {
            let said = here.openssl(&format!("pkey -check -noout -in {key}")).unwrap();
            assert!(said.contains("Key is valid"), "{kind} {key}: {said}");
        }
    }
}

#[test]
fn openssl_finds_our_certificates_on_no_list_of_ours() {
    for kind in KINDS {
        let here = Workshop::new();
        here.cert(&["ca", "--key", kind]);
        let url = "http://ca.example/ca.crl";
        here.cert(&["server", "--ca", ".", "--crl-url", url]);
        here.cert(&["client", "--ca", ".", "--crl-url", url, "--name", "ann"]);
        for file in ["localhost.pem", "ann.pem"] {
            let check = "verify -x509_strict -crl_check -CRLfile ca.crl -CAfile ca.pem";
            let Some(said) = here.openssl(&format!("{check} {file}")) else { return };
            assert_eq!(said, format!("{file}: OK\n"), "{kind}");
            let text = here.openssl(&format!("x509 -noout -text -in {file}")).unwrap();
            assert!(text.contains(&format!("URI:{url}\n")), "{text}");
            let shown = here.cert(&["show", file]);
            assert!(shown.contains(&format!("revoked      listed at {url}\n")), "{shown}");
        }
        let list = here.openssl("crl -noout -text -in ca.crl -inform DER").unwrap();
        assert!(list.contains("No Revoked Certificates."), "{kind}: {list}");
    }
}

#[test]
fn a_server_of_ours_lets_in_who_is_not_on_our_list() {
    let here = Workshop::new();
    here.cert(&["ca"]);
    here.cert(&["client", "--ca", ".", "--name", "ann"]);
    let file = |name: &str| here.path(name).to_str().unwrap().to_owned();
    let serving = Program::start(&[
        "--listen-tls=127.0.0.1:0",
        "--admin=off",
        "--workers=1",
        &format!("--client-ca={}", file("ca.pem")),
        &format!("--client-crl={}", file("ca.crl")),
    ]);
    let (ca, port) = (serving.authority(), serving.address("https://").port());
    let url = format!("https://localhost:{port}/");
    let trust = ["--no-progress-meter", "-o", "page", "--cacert", ca.to_str().unwrap(), &url];
    let ann = ["--cert", "ann.pem", "--key", "ann-key.pem"];
    let Some(said) = here.stranger("curl", &[&trust[..], &ann].concat()) else { return };
    assert_eq!(said.well(), "");
    assert!(here.text("page").contains("<html"));
}

#[test]
fn openssl_reads_in_our_certificates_what_we_wrote() {
    let here = family("rsa2048");
    let Some(server) = here.openssl("x509 -in localhost.pem -noout -text") else { return };
    for line in [
        "DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1",
        "X509v3 Key Usage: critical\n                Digital Signature, Key Encipherment\n",
        "X509v3 Extended Key Usage: \n                TLS Web Server Authentication\n",
        "X509v3 Basic Constraints: critical\n                CA:FALSE\n",
        "X509v3 Subject Key Identifier",
        "X509v3 Authority Key Identifier",
        "Public-Key: (2048 bit)",
        "Issuer: CN = corecast CA",
    ] {
        assert!(server.contains(line), "{line}: {server}");
    }
    let client = here.openssl("x509 -in ann.pem -noout -text").unwrap();
    assert!(client.contains("TLS Web Client Authentication"), "{client}");
    assert!(client.contains("DNS:ann, email:ann@example.com"), "{client}");
    let authority = here.openssl("x509 -in ca.pem -noout -text").unwrap();
    for line in
        ["CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign", "X509v3 Subject Key Identifier"]
    {
        assert!(authority.contains(line), "{line}: {authority}");
    }
}

#[test]
fn we_show_what_openssl_shows() {
    let here = family("p256");
    let facts = "x509 -in localhost.pem -noout -fingerprint -sha256 -serial";
    let Some(theirs) = here.openssl(facts) else { return };
    let ours = here.cert(&["show", "localhost.pem"]);
    let fact = |text: &str, name: &str, behind: &str| {
        let line = text.lines().find(|line| line.to_lowercase().starts_with(name)).unwrap();
        line.split_once(behind).unwrap().1.trim().to_owned()
    };
    assert_eq!(fact(&ours, "sha-256", "6 "), fact(&theirs, "sha256", "="));
    assert_eq!(fact(&ours, "serial", " ").replace(':', ""), fact(&theirs, "serial", "="));
    // A file as openssl writes it, with text around the PEM, and one in DER.
    here.openssl("x509 -in localhost.pem -text -out text.pem").unwrap();
    here.openssl("x509 -in localhost.pem -outform DER -out binary").unwrap();
    for file in ["text.pem", "binary"] {
        assert_eq!(here.cert(&["show", file]), ours, "{file}");
    }
}

#[test]
fn openssl_reads_our_requests() {
    for kind in KINDS {
        let here = Workshop::new();
        here.cert(&["csr", "--key", kind, "--name", "push.example,10.0.0.1"]);
        let Some(said) = here.openssl("req -in push.example.csr -verify -noout -text") else {
            return;
        };
        assert!(said.contains("verify OK"), "{kind}: {said}");
        assert!(said.contains("DNS:push.example, IP Address:10.0.0.1"), "{kind}: {said}");
        let shown = here.cert(&["show", "push.example.csr"]);
        assert!(shown.contains("names        push.example, 10.0.0.1\n"), "{shown}");
    }
}

/// Makes a request with openssl: a key, what else is to be in it, and perhaps more.
fn their_request(here: &Workshop, key: &str, more: &str) -> Option<String> {
    here.openssl(&format!("req -new {key} -nodes -keyout key.pem -out their.csr {more}"))
}

#[test]
fn we_sign_requests_that_openssl_made() {
    for (key, more, names) in [
        ("-newkey rsa:2048", "-subj /O=Example/CN=push.example", "push.example"),
        ("-newkey rsa:3072 -sha512", "-subj /CN=a.example", "a.example"),
        ("-newkey ec -pkeyopt ec_paramgen_curve:P-256", "-subj /CN=10.0.0.1", "10.0.0.1"),
        // The hash is not the one that belongs to the curve.
        ("-newkey ec -pkeyopt ec_paramgen_curve:P-384 -sha256", "-subj /CN=b.example", "b.example"),
        (
            "-newkey ed25519",
            "-subj / -addext subjectAltName=DNS:c.example,IP:::1",
            "c.example, ::1",
        ),
        ("-newkey rsa:2048 -newhdr", "-subj /CN=d.example -outform PEM", "d.example"),
        ("-newkey rsa:2048", "-subj /CN=e.example -outform DER", "e.example"),
    ] {
        let here = Workshop::new();
        here.cert(&["ca"]);
        if their_request(&here, key, more).is_none() {
            return;
        }
        let said = here.cert(&["sign", "their.csr", "--ca", "."]);
        assert!(said.contains(&format!("names        {names}\n")), "{key}: {said}");
        let verify = "verify -x509_strict -CAfile ca.pem -purpose sslserver their.pem";
        assert_eq!(here.openssl(verify).unwrap(), "their.pem: OK\n", "{key}");
        // It is the very key that asked.
        let form = if more.contains("DER") { "-inform DER" } else { "-inform PEM" };
        let asked = here.openssl(&format!("req -in their.csr {form} -noout -pubkey")).unwrap();
        let got = here.openssl("x509 -in their.pem -noout -pubkey").unwrap();
        assert_eq!(asked, got, "{key}");
    }
}

#[test]
fn we_refuse_requests_that_must_not_be_signed() {
    for (key, more, reason) in [
        ("-newkey rsa:1024", "-subj /CN=a.example", "RSA keys of 1024 bits can be broken"),
        ("-newkey rsa:2048", "-subj /CN=Ann!", "it names no host"),
        ("-newkey rsa:2048", "-subj /", "it names nobody"),
        (
            "-newkey rsa:2048",
            "-subj /CN=a.example -addext basicConstraints=CA:TRUE",
            "it asks for an authority",
        ),
        ("-newkey ec -pkeyopt ec_paramgen_curve:P-521", "-subj /CN=a.example", "neither ed25519"),
        ("-newkey rsa:2048 -md5", "-subj /CN=a.example", "of a kind that cannot be checked"),
        (
            "-newkey rsa:2048",
            "-subj /CN=a.example -addext subjectAltName=DNS:a.example,dirName:dn -config ours.cnf",
            "of a kind that is not signed",
        ),
    ] {
        let here = Workshop::new();
        here.cert(&["ca"]);
        let config = "[req]\ndistinguished_name=dn\n[dn]\nCN=x\n";
        std::fs::write(here.path("ours.cnf"), config).unwrap();
        if their_request(&here, key, more).is_none() {
            return;
        }
        let (code, said) = here.refused(&["sign", "their.csr", "--ca", "."]);
        assert_eq!(code, Some(1));
        assert!(said.starts_with("corecast: their.csr: ") && said.contains(reason), "{said}");
        assert!(!here.path("their.pem").exists());
    }
}

#[test]
fn a_request_that_was_changed_on_its_way_is_refused() {
    let here = Workshop::new();
    here.cert(&["ca"]);
    let der = "-newkey rsa:2048 -outform DER";
    if their_request(&here, der, "-subj /CN=good.example").is_none() {
        return;
    }
    let mut request = std::fs::read(here.path("their.csr")).unwrap();
    let at = request.windows(4).position(|part| part == b"good").unwrap();
    request[at..at + 4].copy_from_slice(b"evil");
    std::fs::write(here.path("their.csr"), request).unwrap();
    let (_, said) = here.refused(&["sign", "their.csr", "--ca", "."]);
    assert!(said.contains("its signature was not made with the key that it carries"), "{said}");
}

#[test]
fn an_authority_that_openssl_made_signs_with_us() {
    for key in ["rsa:2048", "ec -pkeyopt ec_paramgen_curve:P-256", "ed25519"] {
        let here = Workshop::new();
        let make =
            "-x509 -nodes -keyout ca-key.pem -out ca.pem -days 3650 -subj /O=Example/CN=Root";
        if here.openssl(&format!("req {make} -newkey {key}")).is_none() {
            return;
        }
        here.cert(&["server", "--ca", "."]);
        let verify = "verify -CAfile ca.pem -purpose sslserver -verify_hostname localhost";
        let said = here.openssl(&format!("{verify} localhost.pem")).unwrap();
        assert_eq!(said, "localhost.pem: OK\n", "{key}");
        let said = here.cert(&["show", "localhost.pem"]);
        assert!(said.contains("issuer       O=Example, CN=Root\n"), "{said}");
    }
}

#[test]
fn node_shakes_hands_with_our_certificates_on_both_sides() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cert/handshake.js");
    for kind in KINDS {
        let here = family(kind);
        let Some(said) = here.stranger("node", &[script]) else { return };
        let said = said.well();
        assert!(said.contains("server DNS:localhost, IP Address:127.0.0.1"), "{kind}: {said}");
        assert!(said.contains("client true DNS:ann, email:ann@example.com"), "{kind}: {said}");
    }
}

#[test]
fn python_shakes_hands_with_our_certificates_on_both_sides() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cert/handshake.py");
    for kind in KINDS {
        let here = family(kind);
        let Some(said) = here.stranger("python3", &[script]) else { return };
        let said = said.well();
        assert!(
            said.contains("server (('DNS', 'localhost'), ('IP Address', '127.0.0.1')"),
            "{said}"
        );
        assert!(said.contains("client (('DNS', 'ann'), ('email', 'ann@example.com'))"), "{said}");
    }
}
