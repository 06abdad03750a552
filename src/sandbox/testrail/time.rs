//! Spans of time as people write them: `1m 45s`.

/// The units with their seconds, longest first.
const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads a span. Fractions are misread as the vendor does: of `0.035s` the part behind the point counts.
/// None if it is no span, or none at all.
pub(super) fn read(text: &str) -> Option<u32> {
    let mut total = 0_u64;
    let mut digits = String::new();
    for c in text.trim().chars() {
        match c {
            '0'..='9' => digits.push(c),
            '.' => digits.clear(),
            ' ' | ',' => {}
            unit => {
                let (_, seconds) = UNITS.iter().find(|(u, _)| *u == unit.to_ascii_lowercase())?;
                total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(*seconds)?)?;
                digits.clear();
            }
        }
    }
    if !digits.is_empty() {
        return None;
    }
    u32::try_from(total).ok().filter(|total| *total > 0)
}

/// Writes a span.
pub(super) fn write(seconds: u32) -> String {
    let mut left = u64::from(seconds);
    let mut parts = Vec::new();
    for (unit, size) in UNITS {
        if left >= size {
            parts.push(format!("{}{unit}", left / size));
            left %= size;
        }
    }
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_the_vendor_reads_them() {
        let cases = [("30s", Some(30)), ("1m 45s", Some(105)), ("2h", Some(7_200)), ("0s", None)];
        let odd = [("0.035s", Some(35)), ("5", None), ("soon", None), ("", None), ("90s", Some(90))];
        for (text, seconds) in cases.into_iter().chain(odd) {
            assert_eq!(read(text), seconds, "{text}");
        }
        assert_eq!(write(90), "1m 30s");
        assert_eq!(write(93_600), "1d 2h");
    }
}
