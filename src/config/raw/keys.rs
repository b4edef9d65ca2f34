//! The one list of keys: a flag, a key of the file and a variable of the environment all come from
//! the name of a field here, and their help from its comment.
//!
//! To add a key, add a field; then a rule in `config::rules`, and what it means in
//! `config::checked`.

use super::written::{Slot, Written};

/// Keys that belong together.
pub(in crate::config) trait Keys {
    /// Their names, with underscores for dashes.
    fn names(&self) -> &'static [&'static str];

    /// Where what was written for `name` is kept.
    fn slot(&mut self, name: &str) -> Option<&mut dyn Slot>;

    /// The first of them for which anything was written.
    fn first_written(&self) -> Option<&'static str>;

    /// What was written here, and in `other` where nothing was written here.
    fn or(self, other: Self) -> Self
    where
        Self: Sized;
}

/// Makes [`Keys`] of the fields of a struct.
macro_rules! keys {
    ($(#[$of_group:meta])* $of:vis struct $group:ident {
        $($(#[$of_key:meta])* $key:ident: $written:ty,)*
    }) => {
        $(#[$of_group])*
        #[derive(Clone, Debug, Default, Eq, PartialEq)]
        $of struct $group {
            $($(#[$of_key])* $of $key: $written,)*
        }

        impl Keys for $group {
            fn names(&self) -> &'static [&'static str] {
                &[$(stringify!($key)),*]
            }

            fn slot(&mut self, name: &str) -> Option<&mut dyn Slot> {
                match name {
                    $(stringify!($key) => Some(&mut self.$key),)*
                    _ => None,
                }
            }

            fn first_written(&self) -> Option<&'static str> {
                None$(.or(self.$key.is_some().then_some(stringify!($key))))*
            }

            fn or(self, other: Self) -> Self {
                Self { $($key: self.$key.or(other.$key),)* }
            }
        }
    };
}

keys! {
    /// Where to listen, and for what.
    #[derive(clap::Args)]
    #[command(next_help_heading = "Listeners")]
    pub(in crate::config) struct Listeners {
        /// Serve http and ws on this address; repeatable [default: 127.0.0.1:8080]
        #[arg(long, value_name = "IP:PORT")]
        listen: Option<Vec<Written>>,
        /// Serve https and wss on this address; repeatable [default: 127.0.0.1:8443]
        #[arg(long, value_name = "IP:PORT")]
        listen_tls: Option<Vec<Written>>,
        /// Serve byte streams through TLS on this address: a welcome, then an echo; repeatable
        #[arg(long, value_name = "IP:PORT")]
        listen_stream: Option<Vec<Written>>,
    }
}

keys! {
    /// Which proxies stand in front: of one listener, or of all that do not say otherwise.
    #[derive(clap::Args)]
    #[command(next_help_heading = "Listeners")]
    pub(in crate::config) struct Proxies {
        /// Believe the proxies in this network when they say who their client is, by
        /// X-Forwarded-For or by the PROXY protocol; repeatable
        #[arg(long, value_name = "IP[/BITS]")]
        trusted_proxy: Option<Vec<Written>>,
        /// Expect the PROXY protocol (version 1 or 2) on every connection, and refuse those that
        /// are not of a trusted proxy
        #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
              default_missing_value = "true")]
        proxy_protocol: Option<Written>,
    }
}

keys! {
    /// What proves who is who: for one listener, or for all that do not say otherwise.
    #[derive(clap::Args)]
    #[command(next_help_heading = "TLS")]
    #[allow(clippy::struct_field_names)] // a field is called as its flag
    pub(in crate::config) struct Tls {
        /// Certificate chain in PEM [default: a development certificate]; repeatable, chosen by the
        /// name that a client asks for, the first for all others
        #[arg(long, value_name = "FILE")]
        tls_cert: Option<Vec<Written>>,
        /// Private key of the certificate in PEM; one for each, in the same order
        #[arg(long, value_name = "FILE")]
        tls_key: Option<Vec<Written>>,
        /// Staple this OCSP response (DER) to the certificate that it is about; repeatable
        #[arg(long, value_name = "FILE")]
        tls_ocsp: Option<Vec<Written>>,
        /// Ask clients for a certificate of these authorities (PEM)
        #[arg(long, value_name = "FILE")]
        client_ca: Option<Written>,
        /// Whether clients may come without one [default: require, if there is --client-ca]
        #[arg(long, value_name = "off|request|require")]
        client_auth: Option<Written>,
        /// Turn away clients on this list of revoked certificates (PEM or DER); repeatable, one for
        /// each authority of a chain
        #[arg(long, value_name = "FILE")]
        client_crl: Option<Vec<Written>>,
    }
}

keys! {
    /// How messages are sent: on one listener, or on all that do not say otherwise.
    #[derive(clap::Args)]
    #[command(next_help_heading = "WebSockets")]
    pub(in crate::config) struct WebSockets {
        /// Deflate messages for clients that offer it (RFC 7692): each by itself (on), or with what
        /// came before it, which costs up to 450 KB a connection (takeover) [default: off]
        #[arg(long, value_name = "off|on|takeover", num_args = 0..=1, require_equals = true,
              default_missing_value = "on")]
        deflate: Option<Written>,
    }
}

keys! {
    /// What is spoken, and who may publish.
    #[derive(clap::Args)]
    #[command(next_help_heading = "Publishing")]
    pub(in crate::config) struct Publishing {
        /// Offer this WebSocket subprotocol; repeatable, in order of preference
        #[arg(long, value_name = "NAME")]
        subprotocol: Option<Vec<Written>>,
        /// Let pages of this origin in, such as `https://*.example.org` (all hosts below), or of
        /// any with *; repeatable [default: pages of the host that they connect to]
        #[arg(long, value_name = "ORIGIN")]
        allow_origin: Option<Vec<Written>>,
        /// Bearer token of backends that publish by POST; better given as `CORECAST_PUBLISH_KEY`
        #[arg(long, value_name = "TOKEN")]
        publish_key: Option<Written>,
        /// Let clients whose verified certificate has this name publish, by POST and WebSocket;
        /// repeatable
        #[arg(long, value_name = "NAME")]
        publish_identity: Option<Vec<Written>>,
        /// Let WebSocket clients publish [default: only while every listener is on loopback]
        #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
              default_missing_value = "true")]
        allow_publish: Option<Written>,
    }
}

keys! {
    /// What a peer may use.
    #[derive(clap::Args)]
    #[command(next_help_heading = "Limits")]
    pub(in crate::config) struct Limits {
        /// How many connections to make room for [default: what the file limit allows]
        #[arg(long, value_name = "N")]
        max_conns: Option<Written>,
        /// Ping a connection after this long a silence [default: 25s]
        #[arg(long, value_name = "TIME")]
        heartbeat: Option<Written>,
        /// End a byte stream after this long a silence of both sides [default: 10m]
        #[arg(long, value_name = "TIME")]
        stream_idle: Option<Written>,
        /// Close a connection that leaves more than this unread [default: 256KiB]
        #[arg(long, value_name = "BYTES")]
        outbox_bytes: Option<Written>,
        /// The largest message a client may send [default: 64KiB]
        #[arg(long, value_name = "BYTES")]
        message_bytes: Option<Written>,
    }
}

keys! {
    /// What is seldom set: how long to wait for whom, and how much of what to take.
    #[derive(clap::Args)]
    #[command(next_help_heading = "Limits that defend")]
    pub(in crate::config) struct Defences {
        /// Drop a connection that has not established TLS by then [default: 5s]
        #[arg(long, value_name = "TIME")]
        handshake_time: Option<Written>,
        /// Answer a request that is not whole by then with 408 [default: 5s]
        #[arg(long, value_name = "TIME")]
        request_time: Option<Written>,
        /// Wait so long for another request on a connection [default: 60s]
        #[arg(long, value_name = "TIME")]
        keep_alive: Option<Written>,
        /// Refuse a longer head with 431 [default: 8KiB]
        #[arg(long, value_name = "BYTES")]
        head_bytes: Option<Written>,
        /// Refuse a head with more fields with 431 [default: 64]
        #[arg(long, value_name = "N")]
        headers: Option<Written>,
        /// Refuse a longer target with 414 [default: 4KiB]
        #[arg(long, value_name = "BYTES")]
        target_bytes: Option<Written>,
        /// Refuse a message in more frames with 1008 [default: 128]
        #[arg(long, value_name = "N")]
        fragments: Option<Written>,
        /// Refuse a message that is not whole by then with 1008 [default: 10s]
        #[arg(long, value_name = "TIME")]
        message_time: Option<Written>,
        /// Read so many messages and control frames of a WebSocket a second [default: off]
        #[arg(long, value_name = "N|off")]
        frames_per_second: Option<Written>,
        /// Read so many bytes of a connection a second, once it is more than HTTP [default: off]
        #[arg(long, value_name = "BYTES|off")]
        bytes_per_second: Option<Written>,
        /// Close with 1008 who has had more to say than that for so long [default: 10s]
        #[arg(long, value_name = "TIME")]
        rate_time: Option<Written>,
        /// Close with 1013 when more frames wait for a peer [default: 4096]
        #[arg(long, value_name = "N")]
        outbox_frames: Option<Written>,
        /// Close with 1013 when the oldest of them has waited so long [default: 30s]
        #[arg(long, value_name = "TIME")]
        outbox_time: Option<Written>,
        /// Drop a connection whose socket has taken nothing for so long [default: 30s]
        #[arg(long, value_name = "TIME")]
        stall_time: Option<Written>,
        /// Drop a connection after so many unanswered pings [default: 2]
        #[arg(long, value_name = "N")]
        heartbeat_misses: Option<Written>,
        /// Drop a connection that has not answered our close by then [default: 2s]
        #[arg(long, value_name = "TIME")]
        close_time: Option<Written>,
        /// Refuse a connection more topics than this [default: 128]
        #[arg(long, value_name = "N")]
        topics_per_conn: Option<Written>,
        /// Leave a shorter message undeflated, where there is --deflate [default: 128]
        #[arg(long, value_name = "BYTES")]
        deflate_bytes: Option<Written>,
        /// Have so many connections of a worker keep a context, where there is --deflate=takeover;
        /// others do without [default: 256]
        #[arg(long, value_name = "N")]
        deflate_contexts: Option<Written>,
        /// Turn away an address (IPv6: a /64) that has so many connections [default: off]
        #[arg(long, value_name = "N|off")]
        conns_per_address: Option<Written>,
        /// Turn away an address that has brought so many within a second [default: off]
        #[arg(long, value_name = "N|off")]
        connects_per_address: Option<Written>,
        /// How much memory there may be [default: auto, which is what the control group allows, or
        /// all of this machine]
        #[arg(long, value_name = "BYTES|auto|off")]
        memory_max: Option<Written>,
        /// Turn everybody away while so much of it is used [default: 85%]
        #[arg(long, value_name = "PERCENT")]
        memory_stop: Option<Written>,
        /// Close with 1013 those for whom most waits while so much is used [default: 95%]
        #[arg(long, value_name = "PERCENT")]
        memory_shed: Option<Written>,
        /// Open files that no connection gets [default: 64]
        #[arg(long, value_name = "N")]
        spare_files: Option<Written>,
    }
}

keys! {
    /// How the server runs.
    #[derive(clap::Args)]
    #[command(next_help_heading = "Operation")]
    pub(in crate::config) struct Operation {
        /// How many worker threads [default: auto, which is one a core, more if --max-conns needs
        /// them]
        #[arg(long, value_name = "N|auto")]
        workers: Option<Written>,
        /// Serve metrics and health on this address [default: 127.0.0.1:9090]
        #[arg(long, value_name = "IP:PORT|off")]
        admin: Option<Written>,
        /// Read certificates, keys and lists again when their files change [default: true]
        #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true,
              default_missing_value = "true")]
        watch_certs: Option<Written>,
        /// How long connections may take to end when the server shuts down [default: 10s]
        #[arg(long, value_name = "TIME")]
        drain_timeout: Option<Written>,
    }
}

keys! {
    /// What only a table `[[listener]]` says.
    pub(in crate::config) struct Place {
        /// Where it listens.
        address: Option<Written>,
        /// What it serves: http, https or stream-echo.
        kind: Option<Written>,
    }
}
