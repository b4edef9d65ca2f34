//! What happened, told a line a step, and as one number by which two histories are compared.

use std::fmt::Arguments;

/// The account of one history.
#[derive(Debug, Default)]
pub struct Trace {
    /// Whether each line is printed.
    pub is_told: bool,
    pub step: u64,
    pub hash: u64,
}

impl Trace {
    /// Adds a line.
    pub fn note(&mut self, line: Arguments<'_>) {
        let line = line.to_string();
        self.step += 1;
        self.hash = line.bytes().fold(self.hash, fold);
        if self.is_told {
            println!("{:>6} {line}", self.step);
        }
    }
}

/// Bytes as a line shows them: how many, and which.
pub fn digest(bytes: &[u8]) -> String {
    format!("{} bytes, {:08x}", bytes.len(), bytes.iter().copied().fold(0, fold) >> 32)
}

/// FNV-1a, which is enough to tell two histories apart.
fn fold(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
}
