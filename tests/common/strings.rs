//! Texts for the tests of masks: what masks are likely to stumble over.

/// Strings that masks are likely to stumble over, and random ones from an alphabet of such pieces.
pub fn strings<'a>(known: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut all: Vec<String> = known.into_iter().map(str::to_owned).collect();
    let pieces = [
        "a",
        "Z",
        "0",
        "1",
        "9",
        "84",
        "+84",
        "090",
        "ễ",
        "e\u{0302}\u{0303}",
        "\u{0301}",
        "Nguyễn",
        "Nguye\u{0302}\u{0303}n",
        "ß",
        "İ",
        "😀",
        "👩\u{200d}👧",
        "字",
        "０",
        "٣",
        " ",
        "  ",
        "\t",
        "\n",
        "\r\n",
        "\u{a0}",
        "\u{200b}",
        "\u{feff}",
        "@",
        "@@",
        ".",
        "..",
        ",",
        ", ",
        "-",
        "_",
        "/",
        "//",
        "://",
        "https://",
        "?",
        "#",
        ":",
        "%",
        "'",
        "\"",
        "\\",
        "\\1",
        "&",
        "*",
        "***",
        "*****",
        "[",
        "]",
        "{",
        "}",
        "{}",
        "(",
        ")",
        "$",
        "^",
        "|",
        "gmail.com",
        ".vn",
        "Việt Nam",
        "null",
        "\u{202e}",
        "\u{10ffff}",
    ];
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = |bound: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % bound as u64) as usize
    };
    for _ in 0..3000 {
        let bound = if next(10) == 0 { 40 } else { 9 };
        let length = 1 + next(bound);
        all.push((0..length).map(|_| pieces[next(pieces.len())]).collect());
    }
    for _ in 0..1000 {
        let digits: String = (0..next(22)).map(|_| ["0", "1", "7", "9", " ", "-", ".", "*"][next(8)]).collect();
        all.push(["", "0", "+84", "84", "VN"][next(5)].to_owned() + &digits);
    }
    all
}
