//! What commands have in common that measure the same load at several sizes.

use std::time::Duration;

use clap::Args;

use super::{
    GeneratorArgs, MeasureArgs, NetworkArgs, OpeningArgs, OutputArgs, RunArgs, ScenarioArgs,
    ServerArgs, TlsArgs, TurnoverArgs, WebSocketArgs,
};
use crate::remote::RemoteArgs;
use crate::target::Target;
use crate::turnover::Reconnect;

/// What is the same at every size. Refers to a positional argument `url`.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// How connections come to be, and what is around a hold.
    #[command(flatten)]
    pub opening: OpeningArgs,

    /// What they do.
    #[command(flatten)]
    pub scenario: ScenarioArgs,

    /// Between which addresses.
    #[command(flatten)]
    pub network: NetworkArgs,

    /// How they speak TLS.
    #[command(flatten)]
    pub tls: TlsArgs,

    /// How they ask for a WebSocket.
    #[command(flatten)]
    pub websocket: WebSocketArgs,

    /// What the generator is, and what it may take.
    #[command(flatten)]
    pub generator: GeneratorArgs,

    /// How the server is looked at.
    #[command(flatten)]
    pub server: ServerArgs,

    /// What is told of it.
    #[command(flatten)]
    pub measure: MeasureArgs,
}

impl BenchArgs {
    /// The run of `conns` connections to `url`, held for `hold`, of which nobody leaves and nothing
    /// is told but what `output` says.
    pub fn run(
        &self,
        url: Option<&Target>,
        conns: u64,
        hold: Duration,
        output: OutputArgs,
    ) -> RunArgs {
        let Self { opening, scenario, network, tls, websocket, generator, server, measure } =
            self.clone();
        let turnover =
            TurnoverArgs { storm: None, lifetime: None, reconnect: Reconnect::ExpJitter };
        RunArgs {
            remote: RemoteArgs::default(),
            url: url.cloned(),
            conns,
            replay: None,
            hold,
            duration: None,
            server_cores: None,
            opening,
            scenario,
            turnover,
            network,
            tls,
            websocket,
            generator,
            server,
            measure,
            output,
        }
    }
}
