//! Sampled values → what they look like. In: one value at a time, which is looked at and let go. Out: counts, and from them
//! a [`Guess`]. Invariant: nothing of a value is kept, so that nothing of it can be printed or logged.

use super::{Guess, Kind, words};

/// Surnames that nine of ten Vietnamese have, without diacritics.
const SURNAMES: &[&str] = &[
    "nguyen", "tran", "le", "pham", "hoang", "huynh", "phan", "vu", "vo", "dang", "bui", "do", "ho", "ngo", "duong",
    "ly", "dinh", "truong", "lam", "mai", "trinh", "dao", "cao", "doan", "luong", "ha", "ta", "thai", "chau", "luu",
    "to", "quach",
];

/// Words of Vietnamese and English addresses, without diacritics.
const ADDRESS_WORDS: &[&str] = &[
    "duong",
    "pho",
    "phuong",
    "quan",
    "huyen",
    "xa",
    "tinh",
    "tp",
    "thon",
    "ap",
    "ngo",
    "hem",
    "ngach",
    "to dan pho",
    "khu pho",
    "street",
    "road",
    "avenue",
    "ward",
    "district",
    "city",
    "lane",
];

/// What the values of one column were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    number: bool,
    values: u32,
    emails: u32,
    phones: u32,
    cards: u32,
    ids: u32,
    ibans: u32,
    names: u32,
    addresses: u32,
    /// Texts in which an e-mail address or a telephone number stands among other words.
    containing: u32,
}

impl Tally {
    /// An empty tally; `number` for columns of numbers, where a leading zero cannot stand.
    pub fn new(number: bool) -> Self {
        Self { number, ..Self::default() }
    }

    /// Counts one value; empty ones are left out.
    pub fn look(&mut self, value: &str) {
        let value = value.trim();
        if value.is_empty() {
            return;
        }
        self.values += 1;
        let digits = digits(value);
        if is_email(value) {
            self.emails += 1;
        } else if digits.as_deref().is_some_and(is_card) {
            self.cards += 1;
        } else if !self.number && digits.as_deref().is_some_and(is_citizen_id) {
            self.ids += 1;
        } else if digits.as_deref().is_some_and(|digits| is_phone(value, digits, self.number)) {
            self.phones += 1;
        } else if is_iban(value) {
            self.ibans += 1;
        } else if contains_contact(value) {
            self.containing += 1;
        } else if is_name(value) {
            self.names += 1;
        } else if is_address(value) {
            self.addresses += 1;
        }
    }

    /// How many values were looked at.
    pub fn values(&self) -> u32 {
        self.values
    }

    /// What the column looks like by its values; none when too few agree.
    pub fn verdict(&self) -> Option<Guess> {
        let Self { number: _, values, emails, phones, cards, ids, ibans, names, addresses, containing } = *self;
        let whole = [
            (Kind::Email, emails, "e-mail addresses"),
            (Kind::Phone, phones, "telephone numbers"),
            (Kind::Card, cards, "card numbers with a valid check digit"),
            (Kind::IdCard, ids, "numbers of identity cards (CCCD)"),
            (Kind::BankAccount, ibans, "IBANs with valid check digits"),
            (Kind::Name, names, "names of people"),
            (Kind::Address, addresses, "addresses"),
        ];
        let (kind, hits, what) = whole.into_iter().max_by_key(|(_, hits, _)| *hits)?;
        // One number in ten has a valid check digit by accident, and a single value is no pattern.
        if hits >= 2 && u64::from(hits) * 10 >= u64::from(values) * 6 {
            let reason = format!("{hits} of {values} sampled values look like {what}");
            return Some(Guess { kind, reason });
        }
        let inside = containing + emails + phones;
        if inside >= 2 && u64::from(inside) * 100 >= u64::from(values) {
            let reason = format!("{inside} of {values} sampled values contain an e-mail address or a telephone number");
            return Some(Guess { kind: Kind::FreeText, reason });
        }
        None
    }
}

/// The digits of a value that consists of digits and what people put between them; none for other values.
fn digits(value: &str) -> Option<String> {
    let rest = value.strip_prefix('+').unwrap_or(value);
    if rest.chars().any(|c| !(c.is_ascii_digit() || " .-()".contains(c))) {
        return None;
    }
    Some(rest.chars().filter(char::is_ascii_digit).collect())
}

fn is_email(value: &str) -> bool {
    let Some((local, domain)) = value.split_once('@') else { return false };
    let part = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "._%+-'".contains(c));
    let ending = domain.rsplit('.').next().unwrap_or_default();
    part(local)
        && part(domain)
        && domain.contains('.')
        && ending.chars().count() >= 2
        && ending.chars().all(char::is_alphabetic)
}

/// Vietnamese numbers with 0 or 84, and any number with a plus (ITU-T E.164).
fn is_phone(value: &str, digits: &str, number: bool) -> bool {
    let mobile = |rest: &str| rest.len() == 9 && rest.starts_with(['3', '5', '7', '8', '9']);
    let landline = |rest: &str| rest.len() == 10 && rest.starts_with('2');
    let national = |rest: &str| mobile(rest) || landline(rest);
    let by_country = digits.strip_prefix("84").is_some_and(national);
    if number {
        return by_country;
    }
    (value.starts_with('+') && (8..=15).contains(&digits.len()))
        || by_country
        || digits.strip_prefix('0').is_some_and(national)
}

/// 13 to 19 digits of a known scheme with a valid Luhn digit (ISO/IEC 7812-1).
fn is_card(digits: &str) -> bool {
    let schemes = digits.starts_with(['3', '4', '5', '6']) || digits.starts_with('2') || digits.starts_with("9704");
    if !(13..=19).contains(&digits.len()) || !schemes {
        return false;
    }
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, byte)| {
            let digit = u32::from(byte - b'0') * if place % 2 == 1 { 2 } else { 1 };
            digit / 10 + digit % 10
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The citizen identity number: province 001 to 096, century and sex, year of birth, six digits (Circular 59/2021/TT-BCA).
fn is_citizen_id(digits: &str) -> bool {
    let province = digits.get(..3).and_then(|code| code.parse::<u32>().ok()).unwrap_or(0);
    digits.len() == 12 && (1..=96).contains(&province) && digits.as_bytes().get(3).is_some_and(|sex| *sex <= b'3')
}

/// ISO 13616: two letters, two check digits, the account; the whole is 1 modulo 97.
fn is_iban(value: &str) -> bool {
    let compact: String = value.chars().filter(|c| *c != ' ').collect();
    let letters = compact.bytes().take(2).all(|b| b.is_ascii_uppercase());
    if !(15..=34).contains(&compact.len()) || !letters || !compact.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return false;
    }
    let rest = compact.chars().skip(4).chain(compact.chars().take(4)).try_fold(0_u32, |rest, c| {
        let digit = c.to_digit(36)?;
        Some((rest * if digit > 9 { 100 } else { 10 } + digit) % 97)
    });
    rest == Some(1)
}

/// Two to six capitalised words, the first a Vietnamese surname.
fn is_name(value: &str) -> bool {
    let parts: Vec<&str> = value.split_whitespace().collect();
    let capitalised = |part: &&str| {
        part.chars().next().is_some_and(char::is_uppercase)
            && part.chars().all(|c| c.is_alphabetic() || ('\u{300}'..='\u{36f}').contains(&c))
    };
    let first = parts.first().map(|part| words::split(&part.to_lowercase()).concat()).unwrap_or_default();
    (2..=6).contains(&parts.len()) && parts.iter().all(capitalised) && SURNAMES.contains(&first.as_str())
}

/// Two words of addresses, or one and a number, among words: letters and digits of a key may look like both.
fn is_address(value: &str) -> bool {
    if value.split_whitespace().nth(1).is_none() {
        return false;
    }
    let words = words::split(&value.to_lowercase());
    let known = ADDRESS_WORDS.iter().filter(|word| words.iter().any(|own| own == *word)).count();
    words.len() >= 3
        && (known >= 2 || (known == 1 && words.iter().any(|word| word.bytes().all(|b| b.is_ascii_digit()))))
}

/// Whether an e-mail address or a telephone number stands among other words.
fn contains_contact(value: &str) -> bool {
    let edges = |c: char| !(c.is_alphanumeric() || c == '+' || c == '@');
    let part = |c: char| c.is_whitespace() || "\"',;:<>()[]{}/".contains(c);
    value.split(part).map(|word| word.trim_matches(edges)).any(|word| {
        is_email(word) || digits(word).is_some_and(|digits| digits.len() >= 9 && is_phone(word, &digits, false))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(values: &[&str]) -> Option<Kind> {
        let mut tally = Tally::new(false);
        for value in values {
            tally.look(value);
        }
        tally.verdict().map(|guess| guess.kind)
    }

    #[test]
    fn values_are_recognised() {
        for (values, expected) in [
            (["khai@gmail.com", "a.b+c@x.vn"], Kind::Email),
            (["0901234567", "+84 90 123 45 67"], Kind::Phone),
            (["(028) 3822 1234", "84901234567"], Kind::Phone),
            (["4111 1111 1111 1111", "9704 0000 0000 0018"], Kind::Card),
            (["079190001234", "001085012345"], Kind::IdCard),
            (["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432"], Kind::BankAccount),
            (["Nguyễn Thị Minh Khai", "TRẦN VĂN AN"], Kind::Name),
            (["12 Lê Lợi, Phường Bến Thành, Quận 1, TP. HCM", "Số 3 ngõ 5, phố Huế"], Kind::Address),
            (["gọi 0901234567 sau 18h", "mail: an@gmail.com."], Kind::FreeText),
            (["{\"phone\": \"0901234567\"}", "{\"email\": \"an@gmail.com\"}"], Kind::FreeText),
        ] {
            assert_eq!(kind(&values), Some(expected), "{values:?}");
        }
    }

    #[test]
    fn other_values_are_not() {
        for values in [
            ["", " "],
            ["1", "2"],
            ["2026-01-01", "2026-01-02"],
            ["pending", "paid"],
            ["4111111111111112", "4111111111111113"],
            ["@", "a@b"],
            ["Nguyễn", "khai"],
            ["SP-0001", "SP-0002"],
            ["tag_01_xa_tp", "tag_02_ap_tp"],
            ["199000", "250000.00"],
            ["100000000000", "200000000000"],
            ["550e8400-e29b-41d4-a716-446655440000", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"],
            ["0901234567", "x"],
        ] {
            assert_eq!(kind(&values), None, "{values:?}");
        }
        // Ten digits of a number are no telephone number: zeros do not lead there.
        let mut tally = Tally::new(true);
        for n in 1..50 {
            tally.look(&(900_000_000 + n).to_string());
        }
        assert_eq!(tally.verdict(), None);
        tally = Tally::new(true);
        for n in 1..50 {
            tally.look(&(84_901_000_000_u64 + n).to_string());
        }
        assert_eq!(tally.verdict().map(|guess| guess.kind), Some(Kind::Phone));
    }

    #[test]
    fn a_reason_holds_counts_alone() {
        let mut tally = Tally::new(false);
        for _ in 0..3 {
            tally.look("bimat@geheim.vn");
        }
        let reason = tally.verdict().unwrap().reason;
        assert_eq!(reason, "3 of 3 sampled values look like e-mail addresses");
        assert!(!format!("{tally:?}").contains("bimat"));
    }
}
