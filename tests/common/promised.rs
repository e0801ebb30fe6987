//! What each mask of texts may show of a value at most, written down apart from the SQL of the masks: for masks of which no number of characters
//! says it.

const PUBLIC_DOMAINS: &str = "gmail.com,yahoo.com,yahoo.com.vn,hotmail.com,outlook.com,icloud.com,live.com";
const PIXEL: &str = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNoAAAAggCB2kUIOwAAAABJRU5ErkJggg==";
/// What is a space beside these depends on the collation.
const SPACES: &[char] = &[' ', '\t', '\n', '\r'];
const EXTENSIONS: &[&str] = &["", ".jpg", ".jpeg", ".png", ".webp", ".mp4", ".mov", ".m3u8", ".pdf"];

/// Whether `once`, the mask of `stored`, shows more than the manual says of the mask `name`.
pub fn shows_more(name: &str, parameters: &str, stored: &str, once: &str) -> bool {
    if once.is_empty() || once == "*****" {
        return false;
    }
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).count();
    let label = |text: &str| {
        let letters = text.strip_prefix('.').unwrap_or_default();
        text.is_empty() || (2..=18).contains(&letters.len()) && letters.chars().all(|c| c.is_ascii_alphabetic())
    };
    let length = |text: &str| text.chars().count();
    let kept = match name {
        "data_uri" => once == PIXEL,
        "range_text" => ["<10", "10–999999", "≥1000000"].contains(&once),
        "name_family" => {
            let first = once.strip_suffix("***").map(|text| text.trim_end_matches(SPACES));
            let begins = |first: &str| {
                [stored.trim_start(), stored.trim_start_matches(SPACES)].iter().any(|text| text.starts_with(first))
            };
            first.is_some_and(|first| !first.contains(SPACES) && begins(first))
        }
        "name_given" => {
            let last = once.strip_prefix("***").map(|text| text.trim_start_matches(SPACES));
            let ends = |last: &str| {
                [stored.trim_end(), stored.trim_end_matches(SPACES)].iter().any(|text| text.ends_with(last))
            };
            last.is_some_and(|last| !last.contains(SPACES) && ends(last))
        }
        "name_words" => {
            let space = |c: char| c.is_whitespace() || c.is_control() || "\u{200b}\u{feff}".contains(c);
            once.split(|c| c == '*' || space(c)).all(|letters| length(letters) <= 1)
        }
        "phone_format" => digits(once) <= 3 && !once.chars().any(char::is_alphabetic),
        "email" => once.rsplit_once("***@").is_some_and(|(local, domain)| {
            let hidden = match parameters {
                "" => domain.strip_prefix("***").is_some_and(label),
                _ => domain == "example.com",
            };
            length(local) <= 1 && (hidden || PUBLIC_DOMAINS.split(',').any(|public| public == domain))
        }),
        "email_domain" => once.strip_prefix("***@").is_some_and(|domain| {
            domain.chars().all(|c| c.is_ascii_alphanumeric() || ".-".contains(c)) && stored.ends_with(domain)
        }),
        "email_anon" => once.split_once("***@").is_some_and(|(local, domain)| {
            let (first, rest) = domain.rsplit_once("***").unwrap_or((domain, "@"));
            length(local) <= 2 && length(first.trim_end_matches('*')) <= 2 && label(rest)
        }),
        // Parts between commas, the street never among them.
        "address_province" => {
            once.starts_with("***,") && once.matches(',').count() == 1 && digits(once) == 0 && stored.contains(',')
        }
        "address_area" => {
            let parts = once.matches(',').count();
            let stays = stored == once && stored.starts_with("***,");
            stays || once.starts_with("***,") && (1..=2).contains(&parts) && parts < stored.matches(',').count() + 1
        }
        "address_street_hidden" => {
            let rest = once.strip_prefix("***,");
            let behind = stored.split_once(',').map(|(_, rest)| rest);
            rest.zip(behind).is_some_and(|(rest, behind)| digits(rest) == 0 && length(rest) == length(behind))
        }
        "url_host" | "url_ext" => once.split_once("://").is_some_and(|(scheme, rest)| {
            let (host, end) = rest.split_once("/***").unwrap_or((rest, "?"));
            let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
            let end = end.to_ascii_lowercase();
            plain(scheme) && plain(host) && EXTENSIONS.contains(&end.as_str()) && (name == "url_ext" || end.is_empty())
        }),
        "url_signed_strip" => once.contains("://") && !once.contains(['?', '#', '@']),
        "text_scrub" => {
            let number = |text: &str| text.len() >= 9;
            let address = |word: &str| word.find('@').is_some_and(|at| at > 0 && at + 1 < word.len());
            let apart = |c: char| c.is_whitespace() || r#"[]<>(),;:""#.contains(c);
            !once.split(|c: char| !c.is_ascii_digit()).any(number) && !once.split(apart).any(address)
        }
        other => panic!("nothing is promised of {other}"),
    };
    !kept
}
