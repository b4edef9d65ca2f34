//! What should have come to connections that ended within a trial, by plan or not.

use std::collections::BTreeMap;

use super::board::Board;
use super::talk::Talk;
use crate::cast::Cast;
use crate::tally::Traffic;

/// The accounts of those that are no more.
#[derive(Debug, Default)]
pub(super) struct Departed {
    /// What should have come to those that had echoes.
    expected: u64,
    /// For each part of the cast that others publish to: how many the server ended, and how many
    /// publications there were when these came, in all. How many there are is known at the end.
    dropped: BTreeMap<usize, (u64, u64)>,
    /// For each connection that left a broadcast by plan and is not back: the part, and how many
    /// publications it has got to.
    away: BTreeMap<u32, (usize, u64)>,
}

impl Departed {
    /// Counts connection `number`, which left by plan: what was on its way is not lost.
    pub(super) fn excuse(&mut self, number: u32, talk: &Talk, traffic: &mut Traffic) {
        let account = talk.farewell();
        if talk.is_slow() {
            traffic.slow.lost += account.missing;
            return;
        }
        self.expected += account.expected;
        traffic.audit.lost += account.missing;
        if let Some(part) = talk.audience() {
            self.away.insert(number, (part, talk.got_to()));
        }
    }

    /// Counts one that the server ended: what came has been counted, and the rest is lost.
    pub(super) fn abandon(&mut self, talk: &Talk, board: &Board, traffic: &mut Traffic) {
        if talk.is_slow() {
            traffic.slow.lost += talk.farewell().missing;
        } else if let Some(part) = talk.audience() {
            let (count, joined_at) = self.dropped.entry(part).or_default();
            *count += 1;
            *joined_at += talk.joined_at();
        } else {
            self.expected += talk.account(board).expected;
        }
    }

    /// Connection `number` is back: what it has not got meanwhile is told apart from loss.
    pub(super) fn welcome(&mut self, number: u32, talk: &Talk, traffic: &mut Traffic) {
        if let Some((_, got_to)) = self.away.remove(&number) {
            traffic.away += talk.joined_at().saturating_sub(got_to);
        }
    }

    /// Closes the accounts, when all has been sent.
    pub(super) fn settle(self, cast: &Cast, board: &Board, traffic: &mut Traffic) {
        let published = |part| cast.publishers_of(part).map(|it| board.sent(it)).sum::<u64>();
        traffic.expected += self.expected;
        for (part, (count, joined_at)) in self.dropped {
            traffic.expected += (count * published(part)).saturating_sub(joined_at);
        }
        for (part, got_to) in self.away.into_values() {
            traffic.away += published(part).saturating_sub(got_to);
        }
    }
}
