//! Durations as libpa has them.

use std::time::Duration;

/// What is too long for libpa is as good as the longest: 292 years.
pub(crate) fn nanoseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
