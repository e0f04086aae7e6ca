//! HTTP dates, in the three formats that RFC 9110 section 5.6.7 has.

use std::time::Duration;

use http::HeaderValue;

use super::Timestamp;

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How much of a weekday's name the two newer formats and asctime have.
const SHORT: usize = 3;

/// 9999-12-31 23:59:59, the last time that can be written.
const LAST: u64 = 253_402_300_799;

const DAY: u64 = 86_400;

/// A time as a calendar has it. The order of the fields is the order of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Civil {
    year: u64,
    /// From 1.
    month: u64,
    /// From 1.
    day: u64,
    /// Of the day; 86,400 at a leap second.
    second: u64,
}

/// What is still to be read of a value. Each method takes what it reads off its front, or gives up.
struct Reader<'a>(&'a [u8]);

/// The time that a field says, or nothing if it says none in a form that RFC 9110 has: another zone, a missing comma, two
/// spaces or an hour of one digit are invalid. Names are read in any case. The weekday has to be one, but not the right one.
///
/// `now` decides the century of a year of two digits. A time before 1970 is 1970.
pub(crate) fn parse(value: &HeaderValue, now: Timestamp) -> Option<Timestamp> {
    let text = value.as_bytes().trim_ascii();
    let civil = imf_fixdate(text).or_else(|| rfc_850(text, now)).or_else(|| asctime(text))?;
    civil.is_valid().then(|| civil.timestamp())
}

/// The time as an IMF-fixdate, in whole seconds. What is after the year 9999 is its last second.
pub(crate) fn format(time: Timestamp) -> HeaderValue {
    let Civil { year, month, day, second } = Civil::of(time);
    // The first of January 1970 was a Thursday.
    let weekday = WEEKDAYS[((time.0.as_secs().min(LAST) / DAY + 4) % 7) as usize];
    let (weekday, month) = (&weekday[..SHORT], MONTHS[(month - 1) as usize]);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let text = format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT");
    HeaderValue::try_from(text).expect("a date is visible ASCII")
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(text: &[u8]) -> Option<Civil> {
    let mut read = Reader(text);
    read.weekday(Some(SHORT))?;
    read.text(", ")?;
    let day = read.digits(2)?;
    read.text(" ")?;
    let month = read.month()?;
    read.text(" ")?;
    let year = read.digits(4)?;
    read.text(" ")?;
    let second = read.time()?;
    read.text(" GMT")?;
    read.end()?;
    Some(Civil { year, month, day, second })
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc_850(text: &[u8], now: Timestamp) -> Option<Civil> {
    let mut read = Reader(text);
    read.weekday(None)?;
    read.text(", ")?;
    let day = read.digits(2)?;
    read.text("-")?;
    let month = read.month()?;
    read.text("-")?;
    let year = read.digits(2)?;
    read.text(" ")?;
    let second = read.time()?;
    read.text(" GMT")?;
    read.end()?;

    // The latest year of these two digits that is not more than 50 years ahead.
    let now = Civil::of(now);
    let limit = Civil { year: now.year + 50, ..now };
    let mut civil = Civil { year: now.year / 100 * 100 + 100 + year, month, day, second };
    while civil > limit {
        civil.year -= 100;
    }
    Some(civil)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &[u8]) -> Option<Civil> {
    let mut read = Reader(text);
    read.weekday(Some(SHORT))?;
    read.text(" ")?;
    let month = read.month()?;
    read.text(" ")?;
    let day = if read.text(" ").is_some() { read.digits(1)? } else { read.digits(2)? };
    read.text(" ")?;
    let second = read.time()?;
    read.text(" ")?;
    let year = read.digits(4)?;
    read.end()?;
    Some(Civil { year, month, day, second })
}

// === impl Civil ===

// Both ways by eras of 400 years that begin in March, so that the leap day comes last: "chrono-compatible low-level date
// algorithms", Howard Hinnant, 2014. Years here begin at 0, so that nothing is negative.
impl Civil {
    /// Days from 1 March of the year 0 to 1 January 1970.
    const EPOCH: u64 = 719_468;

    fn of(time: Timestamp) -> Self {
        let seconds = time.0.as_secs().min(LAST);
        let days = seconds / DAY + Self::EPOCH;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        Self { year, month, day, second: seconds % DAY }
    }

    fn timestamp(self) -> Timestamp {
        // January and February of the year 0 are before the first March.
        let Some(year) = self.year.checked_sub(u64::from(self.month <= 2)) else { return Timestamp::default() };
        let (era, year_of_era) = (year / 400, year % 400);
        let from_march = if self.month > 2 { self.month - 3 } else { self.month + 9 };
        let day_of_year = (153 * from_march + 2) / 5 + self.day - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        let days = era * 146_097 + day_of_era;
        let seconds = days.checked_sub(Self::EPOCH).map_or(0, |days| days * DAY + self.second);
        Timestamp(Duration::from_secs(seconds))
    }

    fn is_valid(self) -> bool {
        let leap = self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let days = match self.month {
            2 if leap => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        (1..=days).contains(&self.day)
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn text(&mut self, text: &str) -> Option<()> {
        let (front, rest) = self.0.split_at_checked(text.len())?;
        front.eq_ignore_ascii_case(text.as_bytes()).then(|| self.0 = rest)
    }

    fn digits(&mut self, count: usize) -> Option<u64> {
        let (front, rest) = self.0.split_at_checked(count)?;
        let number = front
            .iter()
            .try_fold(0, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))?;
        self.0 = rest;
        Some(number)
    }

    /// A weekday's name, or so many letters of it.
    fn weekday(&mut self, letters: Option<usize>) -> Option<()> {
        WEEKDAYS.iter().find_map(|name| self.text(&name[..letters.unwrap_or(name.len())]))
    }

    fn month(&mut self) -> Option<u64> {
        MONTHS.iter().position(|name| self.text(name).is_some()).map(|index| index as u64 + 1)
    }

    /// `08:49:37`, as seconds of the day. The grammar has a leap second at the end of any minute.
    fn time(&mut self) -> Option<u64> {
        let hour = self.digits(2)?;
        self.text(":")?;
        let minute = self.digits(2)?;
        self.text(":")?;
        let second = self.digits(2)?;
        (hour < 24 && minute < 60 && second <= 60).then_some(hour * 3_600 + minute * 60 + second)
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests;
