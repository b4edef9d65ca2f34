//! Findings about the server and who answers in its place.

use super::facts::Facts;
use super::finding::{Amount, Finding, Level, Mend};
use super::need::{Need, Route};

/// Whether anybody is there.
pub fn reachable(facts: &Facts, _: &Need) -> Finding {
    let name = "server reachable";
    match &facts.server.reached {
        None => Finding::new(name, None, None).because("it was not tried"),
        Some(Ok(address)) => {
            Finding::new(name, Some(Level::Ok), Some(Amount::Word(address.to_string())))
                .because("it takes connections")
        }
        Some(Err(reason)) => Finding::new(name, Some(Level::Fail), Some("no".into()))
            .because(reason)
            .mended(|| Mend::by_choice("ss -ltn   # there: does it listen, and at which address?")),
    }
}

/// Whether the certificate verifies.
pub fn certificate(facts: &Facts, need: &Need) -> Finding {
    let name = "certificate";
    match &facts.server.secured {
        _ if !need.is_secure => Finding::new(name, Some(Level::Ok), Some("no TLS".into()))
            .because("the URL asks for none"),
        None => Finding::new(name, None, None).because("TLS was not tried"),
        Some(Ok(parameters)) => {
            Finding::new(name, Some(Level::Ok), Some(Amount::Word(parameters.clone())))
                .because("it verifies")
        }
        Some(Err(reason)) => Finding::new(name, Some(Level::Fail), Some("refused".into()))
            .because(reason)
            .mended(|| {
                Mend::by_choice(
                    "corecast cert show URL   # then --ca FILE, --sni NAME or --insecure",
                )
            }),
    }
}

/// Whether a second connection resumes the first.
pub fn resumption(facts: &Facts, need: &Need) -> Finding {
    let name = "TLS resumption";
    if !need.is_secure {
        return Finding::new(name, Some(Level::Ok), Some("no TLS".into()))
            .because("the URL asks for none");
    }
    let resumes = facts.server.resumes;
    let level = resumes.map(|resumes| if resumes { Level::Ok } else { Level::Warn });
    let word = |resumes| Amount::from(if resumes { "works" } else { "does not work" });
    Finding::new(name, level, resumes.map(word))
        .because("who comes back without a ticket costs the server a whole handshake")
        .mended(|| {
            Mend::by_choice("openssl s_client -connect HOST:PORT -reconnect   # at the server")
        })
}

/// Whether it opens a WebSocket.
pub fn upgrade(facts: &Facts, _: &Need) -> Finding {
    let name = "WebSocket opens";
    match &facts.server.upgraded {
        None => Finding::new(name, None, None).because("it was not tried"),
        Some(Ok(())) => Finding::new(name, Some(Level::Ok), Some("yes".into()))
            .because("the answer was a proper 101"),
        Some(Err(reason)) => Finding::new(name, Some(Level::Fail), Some("no".into()))
            .because(reason)
            .mended(|| Mend::by_choice("corecast connect URL   # which path opens a WebSocket?")),
    }
}

/// Whether a message comes back.
pub fn echo(facts: &Facts, need: &Need) -> Finding {
    let otherwise = if need.echoes { Level::Fail } else { Level::Ok };
    let echoes = facts.server.echoes;
    let level = echoes.map(|echoes| if echoes { Level::Ok } else { otherwise });
    let word = |echoes| Amount::from(if echoes { "yes" } else { "no" });
    let why = if need.echoes {
        "the scenario needs a path that sends messages back"
    } else {
        "only --scenario echo needs it"
    };
    Finding::new("one message comes back", level, echoes.map(word)).because(why).mended(|| {
        Mend::by_choice("corecast connect URL   # which path echoes? name it in the URL")
    })
}

/// Whether the server is on loopback, and what that means.
pub fn route(_: &Facts, need: &Need) -> Finding {
    let (word, why) = match need.route {
        Route::Loopback => {
            ("loopback", "server and generator share the cores: figures are a lower bound")
        }
        Route::Machine => {
            ("this machine", "server and generator share the cores: figures are a lower bound")
        }
        Route::Network => ("network", "server and generator have a machine each"),
    };
    let level = if need.route.is_here() && !need.is_own_server { Level::Warn } else { Level::Ok };
    Finding::new("way to the server", Some(level), Some(word.into())).because(why).mended(|| {
        Mend::by_choice("loadgen ...   # on another machine, against this one's address")
    })
}

/// Whether this is a container.
pub fn container(facts: &Facts, _: &Need) -> Finding {
    let container = facts.place.container.clone();
    let level = if container.is_some() { Level::Warn } else { Level::Ok };
    let found = container.map_or_else(|| "none seen".into(), Amount::Word);
    Finding::new("container", Some(level), Some(found))
        .because("in one, settings of the kernel are partly the host's, and its bridge is measured")
        .mended(|| Mend::by_choice("docker run --network host --ulimit nofile=1048576:1048576 ..."))
}

/// Whether somebody stands between us and the server.
pub fn proxy(facts: &Facts, need: &Need) -> Finding {
    let name = "proxy in between";
    let relay = facts.place.relay.clone().filter(|_| need.route.is_here() && !need.is_own_server);
    let seen = facts.server.between.clone().or(relay);
    let was_asked = matches!(facts.server.reached, Some(Ok(_)));
    let level = match &seen {
        Some(_) => Some(Level::Warn),
        None => was_asked.then_some(Level::Ok),
    };
    let found = seen.map(Amount::Word).or_else(|| was_asked.then(|| "none seen".into()));
    Finding::new(name, level, found)
        .because("one that answers in the server's place is measured with it")
        .mended(|| Mend::by_choice("loadgen ... URL   # with the address of the server itself"))
}
