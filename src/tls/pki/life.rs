//! How long a certificate lasts.

use std::time::{Duration, SystemTime};

use rcgen::CertificateParams;

use super::text::unix_seconds;
use super::{DAY, Refusal};

/// The most days that anything lasts: a hundred years, behind which no key is good.
pub const DAYS_MAX: u64 = 36_500;

/// How long before it is made a certificate begins to hold: clocks of other machines are late.
const BACKDATED: Duration = Duration::from_secs(60 * 60);

/// The last second that a certificate can write down (RFC 5280 §4.1.2.5): the end of 9999.
const UNIX_SECONDS_MAX: u64 = 253_402_300_799;

/// From when to when a certificate holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Life {
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

impl Life {
    /// So many days from `now`, and from a little earlier.
    ///
    /// # Errors
    ///
    /// [`Refusal::BeyondCalendar`].
    pub fn days(days: u64, now: SystemTime) -> Result<Self, Refusal> {
        // Certificates count whole seconds, and a life must not be longer for the rest of one.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(unix_seconds(now));
        let not_after = Duration::from_secs(days.min(DAYS_MAX) * DAY.as_secs());
        let not_after = now.checked_add(not_after).ok_or(Refusal::BeyondCalendar)?;
        if unix_seconds(not_after) > UNIX_SECONDS_MAX {
            return Err(Refusal::BeyondCalendar);
        }
        // Whoever's clock says 1970 has other troubles, but gets a certificate.
        let not_before = SystemTime::UNIX_EPOCH.max(now.checked_sub(BACKDATED).unwrap_or(now));
        Ok(Self { not_before, not_after })
    }

    pub(super) fn write(self, params: &mut CertificateParams) {
        params.not_before = self.not_before.into();
        params.not_after = self.not_after.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_begins_a_little_earlier_and_ends_in_time() {
        let now = SystemTime::UNIX_EPOCH + 20_000 * DAY;
        let life = Life::days(365, now).unwrap();
        assert_eq!(life.not_before, now - BACKDATED);
        assert_eq!(life.not_after, now + 365 * DAY);
        assert_eq!(Life::days(365, now + Duration::from_millis(999)), Ok(life));
        assert_eq!(Life::days(u64::MAX, now).unwrap().not_after, now + 36_500 * DAY);
    }

    #[test]
    fn no_life_goes_beyond_what_can_be_written() {
        let last = SystemTime::UNIX_EPOCH + Duration::from_secs(UNIX_SECONDS_MAX);
        assert!(Life::days(1, last - DAY).is_ok());
        assert_eq!(Life::days(1, last), Err(Refusal::BeyondCalendar));
        assert!(Life::days(1, SystemTime::UNIX_EPOCH).is_ok());
    }
}
