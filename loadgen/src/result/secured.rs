//! What handshakes of TLS agreed on, in the result file.

use std::collections::{BTreeMap, BTreeSet};

use corecast::tls::config::NamedGroup;
use corecast::tls::suite_name;
use serde::{Deserialize, Serialize};

use crate::sessions::Agreement;

/// What handshakes of TLS agreed on; where they differ, all of it, joined by ` + `.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct TlsSheet {
    /// The version of the protocol, such as `TLS 1.3`.
    pub version: String,
    /// The cipher suite, as the registry of IANA has it.
    pub suite: String,
    /// The group in which keys were exchanged; unknown if none were.
    pub kx: Option<String>,
    /// Handshakes that were done.
    pub handshakes: u64,
    /// Those of them that came back to a session.
    pub resumed: u64,
    /// The same in per cent.
    pub resumed_pct: f64,
}

impl TlsSheet {
    /// What is told of `agreements`; `None` if there were none.
    pub fn of(agreements: &BTreeMap<Agreement, u64>) -> Option<Self> {
        let each = agreements.iter().map(|(agreement, count)| Self {
            version: agreement.version.to_owned(),
            suite: suite_name(agreement.suite.into()),
            kx: agreement.group.map(|group| format!("{:?}", NamedGroup::from(group))),
            handshakes: *count,
            resumed: if agreement.is_resumed { *count } else { 0 },
            resumed_pct: 0.0,
        });
        let each: Vec<_> = each.collect();
        Self::together(&each.iter().collect::<Vec<_>>())
    }

    /// All of `sheets` as one; `None` if there are none.
    #[allow(clippy::cast_precision_loss)] // counts far below 2^53
    pub fn together(sheets: &[&Self]) -> Option<Self> {
        let joined = |of: fn(&Self) -> &str| {
            let all: BTreeSet<_> = sheets.iter().flat_map(|it| of(it).split(" + ")).collect();
            all.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join(" + ")
        };
        let handshakes: u64 = sheets.iter().map(|it| it.handshakes).sum();
        let resumed: u64 = sheets.iter().map(|it| it.resumed).sum();
        let kx = joined(|it| it.kx.as_deref().unwrap_or_default());
        (handshakes > 0).then(|| Self {
            version: joined(|it| &it.version),
            suite: joined(|it| &it.suite),
            kx: Some(kx).filter(|kx| !kx.is_empty()),
            handshakes,
            resumed,
            resumed_pct: resumed as f64 * 100.0 / handshakes as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_stands_side_by_side() {
        let agreement = |group, is_resumed| Agreement {
            version: "TLS 1.3",
            suite: 0x1302,
            group: Some(group),
            is_resumed,
        };
        let agreements = [(agreement(29, false), 3), (agreement(23, true), 1)].into();
        let sheet = TlsSheet::of(&agreements).unwrap();
        assert_eq!(
            (sheet.version.as_str(), sheet.suite.as_str()),
            ("TLS 1.3", "TLS_AES_256_GCM_SHA384")
        );
        assert_eq!(sheet.kx.as_deref(), Some("X25519 + secp256r1"));
        assert_eq!((sheet.handshakes, sheet.resumed), (4, 1));
        assert!((sheet.resumed_pct - 25.0).abs() < 1e-9);
        assert_eq!(TlsSheet::of(&BTreeMap::new()), None);
    }
}
