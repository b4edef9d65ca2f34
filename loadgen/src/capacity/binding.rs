//! What broke first, by name.

/// What kept a trial from passing. What explains the others comes first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Binding {
    /// The server's process has ended, or nobody answers.
    ServerGone,
    /// The generator ran out of ports or files of its own.
    Generator,
    /// The server's open files are as many as it may have.
    ServerFiles,
    /// Memory: the kernel gave connections up for it, pages were swapped out, the server's grew.
    ServerMemory,
    /// The queue of connections that wait to be accepted was full.
    ServerAccept,
    /// The server's CPU, of all its cores or of one of its threads.
    ServerCpu,
    /// The server turned connections away or ended them.
    ServerRefused,
    /// The cores that server and generator share, so that nobody knows how far the server goes.
    MachineCpu,
    /// The generator did not keep pace, although there was CPU.
    GeneratorPace,
    /// Messages or pings were lost, doubled, reordered or damaged.
    Delivery,
    /// Something took too long.
    Latency,
    /// A storm was not over in time.
    Recovery,
    /// Another objective that was asked for.
    Objective,
    /// Too little was measured to tell.
    Unclear,
}

impl Binding {
    /// The name it has in a result.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ServerGone => "server.gone",
            Self::Generator | Self::GeneratorPace => "generator",
            Self::ServerFiles => "server.files",
            Self::ServerMemory => "server.mem",
            Self::ServerAccept => "server.accept",
            Self::ServerCpu => "server.cpu",
            Self::MachineCpu => "machine.cpu",
            Self::ServerRefused => "server.refused",
            Self::Delivery => "delivery",
            Self::Latency => "latency",
            Self::Recovery => "recovery",
            Self::Objective => "objective",
            Self::Unclear => "unclear",
        }
    }

    /// What it is called in a sentence.
    pub const fn title(self) -> &'static str {
        match self {
            Self::ServerGone => "the server is gone",
            Self::Generator | Self::GeneratorPace => "the generator itself",
            Self::ServerFiles => "the server's limit of open files",
            Self::ServerMemory => "memory",
            Self::ServerAccept => "the server's accept queue",
            Self::ServerCpu => "the server's CPU",
            Self::MachineCpu => "the CPU that server and generator share",
            Self::ServerRefused => "the server turns connections away",
            Self::Delivery => "delivery",
            Self::Latency => "latency",
            Self::Recovery => "recovery from a storm",
            Self::Objective => "an objective that was asked for",
            Self::Unclear => "too little was measured to tell",
        }
    }

    /// Whether the server might have gone on, and the generator could not.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Generator | Self::GeneratorPace | Self::MachineCpu)
    }
}
