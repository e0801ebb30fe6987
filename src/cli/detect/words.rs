//! Names and comments → kinds, by lists of words in Vietnamese (without diacritics, which are taken off first) and
//! English. In: identifiers in any spelling (`hoTen`, `ho_ten`, `Họ tên`). Out: a kind and the words of our list that were
//! found, never the text itself.

use super::Kind;

/// Words, divided by commas, that mean a kind wherever they stand, in order: the first match counts, so that `email_address` is no postal
/// address. Written in full words; a name may run them together.
const PHRASES: &[(Kind, &str)] = &[
    (
        Kind::Secret,
        "password, passwd, pwd, user pass, pass hash, mat khau, mk, passcode, pin code, ma pin, otp, cvv, cvc, secret, api key, private \
         key, access token, refresh token, auth token, session token, token, security answer, session key, code hash, auth hash, session \
         data, activation key, reset key, recovery code, backup code",
    ),
    (Kind::Email, "email, mail, e mail, mail address, thu dien tu, hop thu, dia chi mail"),
    (Kind::Network, "ip address, ip addr, ip, dia chi ip, mac address, mac addr, device id, imei, user agent"),
    (
        Kind::Card,
        "bank card, card number, card no, card num, card pan, pan, credit card, debit card, so the, so the tin dung, the \
         tin dung, ma the",
    ),
    (
        Kind::BankAccount,
        "bank account, account number, account no, so tai khoan, tai khoan ngan hang, so tk, stk, iban, so tai \
         khoan ngan hang",
    ),
    (
        Kind::Name,
        "card holder, cardholder, account holder, full name, ho ten, ho va ten, ho dem, ten dem, ten day du, \
         first name, last name, middle name, given name, family name, surname, customer name, client name, \
         contact name, recipient name, receiver name, sender name, ship name, ship to name, shipping name, \
         bill name, billing name, holder name, owner name, employee name, staff name, patient name, student \
         name, member name, guest name, buyer name, seller name, display name, nickname, nick name, nicename, comment author, \
         attendee name, participant name, passenger name, visitor name, subscriber name, applicant name, candidate name, driver name, payer \
         name, payee name, author name, person name, to name, from name, name parts, name cached, biet danh, \
         ten khach hang, ten khach, ten kh, ten nguoi nhan, ten nguoi gui, ten nguoi mua, ten nhan vien, ten \
         nguoi dung, ten thanh vien, ten lien he, maiden name",
    ),
    (
        Kind::Phone,
        "phone, phone number, telephone, mobile, mobile number, cellphone, cell number, tel, fax, msisdn, \
         hotline, so dien thoai, dien thoai, sdt, so dt, dtdd, di dong, so di dong, so may",
    ),
    (
        Kind::IdCard,
        "cccd, cmnd, cmtnd, cmt, so cccd, so cmnd, can cuoc, can cuoc cong dan, chung minh, chung minh nhan dan, \
         chung minh thu, ho chieu, passport, identity card, id card, identity number, id number, national id, \
         citizen id, ssn, social security, driver license, driving licence, giay phep lai xe, gplx, bang lai",
    ),
    (
        Kind::TaxCode,
        "tax code, tax id, tax number, vat number, vat id, vat no, ma so thue, mst, bhxh, so bhxh, bao hiem xa hoi, bhyt, bao \
         hiem y te",
    ),
    (
        Kind::Birth,
        "birth, birthday, birth date, date of birth, dob, birth year, year of birth, ngay sinh, nam sinh, ngay \
         thang nam sinh, sinh nhat",
    ),
    (Kind::Gender, "gender, sex, gioi tinh"),
    (
        Kind::Address,
        "address, addr, dia chi, diachi, street, house number, so nha, ten duong, duong pho, ward, phuong, \
         phuong xa, district, quan huyen, tinh thanh, tinh thanh pho, province, thanh pho, city, postcode, \
         postal code, zip, zipcode, zip code, ma buu chinh, ma buu dien, noi giao, noi giao hang, noi nhan, noi nhan hang, noi o, thuong tru, tam tru, que quan, \
         noi sinh, birth place, place of birth, residence, home town",
    ),
    (Kind::Location, "latitude, longitude, lat, lng, lon, geo, gps, geolocation, vi do, kinh do, toa do, vi tri"),
    (
        Kind::Media,
        "avatar, photo, portrait, selfie, signature, fingerprint, face image, video url, url video, video mo hop, video khui hop, video bao hanh, unboxing video, anh dai dien, hinh \
         anh, anh the, chu ky, van tay, anh chan dung",
    ),
    (
        Kind::Plate,
        "plate, plate number, license plate, licence plate, number plate, bien so, bien so xe, bien kiem soat",
    ),
    (
        Kind::Account,
        "username, user name, login name, login, ten dang nhap, tai khoan dang nhap, facebook, zalo, telegram, \
         whatsapp, viber, instagram, tiktok, skype",
    ),
    (
        Kind::Special,
        "religion, ton giao, ethnicity, ethnic, dan toc, blood type, nhom mau, diagnosis, chan doan, benh an, \
         tien su benh, suc khoe, health, disability, khuyet tat, political, salary, wage, tien luong, muc luong, \
         luong co ban, luong thang",
    ),
    (
        Kind::FreeText,
        "answer, answers, cau tra loi, body, body text, body html, object repr, note, notes, remark, remarks, comment, comments, message, feedback, meta value, ghi chu, loi nhan, tin nhan, noi \
         dung, binh luan, nhan xet, gop y, phan hoi, yeu cau khach hang",
    ),
];

/// Words for people, which mean their names where nothing says what else of them: `nguoi_nhan`, but not `sdt_nguoi_nhan`.
const PERSONS: &str = "recipient, consignee, attendee, beneficiary, payer, payee, contact person, nguoi nhan, nguoi gui, nguoi mua, nguoi lien he, nguoi dai dien, tai xe, chu \
    the, chu tai khoan";

/// Words that mean a name of a person in a table of people only.
const BARE_NAMES: &str = "name, ten, ho";

/// Words that mean what a person earns in a table of people or of wages only: `luong` is also a quantity, and a part of `chat luong`.
const BARE_WAGES: &str = "luong, luong cb, luong chinh, thuong, bonus, net pay, gross pay, thuc linh";

/// Words of tables that hold wages.
const PAYROLLS: &str = "bang luong, luong, payroll, payrolls, payslip, payslips, salary, salaries";

/// Words that mean a picture of a person in a table of people only.
const BARE_PICTURES: &str = "anh, hinh, image, picture";

/// Words that mean a part of an address in a table of addresses only.
const BARE_ADDRESSES: &str = "line, line 1, line 2, line 3, line 4, line 5, dong 1, dong 2, dong 3, detail, chi tiet, state, region, \
    county, search text";

/// Words of tables that hold addresses.
const ADDRESSES: &str = "address, addresses, dia chi";

/// Words that mean a card's number or its end in a table of cards only.
const BARE_CARDS: &str =
    "number, no, num, so, expiry date, expiry, expires, exp date, exp month, exp year, valid until, ngay het han";

/// Words that mean its holder there.
const BARE_HOLDERS: &str = "name, holder, owner, ten, chu the";

/// Words of tables that hold payment cards.
const CARDS: &str = "card, cards, bank card, bank cards, credit card, credit cards, debit card, payment card, the tin dung, the ngan hang";

/// Words of tables that hold what people have written.
const WRITTEN: &str =
    "review, reviews, testimonial, testimonials, product review, comment, comments, danh gia, binh luan";

/// Words that mean what they wrote there.
const BARE_WRITTEN: &str = "title, subject, content, text, tieu de";

/// Words of tables that hold messages to people.
const MESSAGES: &str = "notification, notifications, message, messages, sms, mail, mails, email, emails, outbox, outgoing mail, outgoing email, sent \
    mail, sent email, mail queue, email queue, mail log, email log, thong bao, tin nhan, thu";

/// Words that mean there whom a message goes to or comes from: by mail as a rule, else by telephone.
const BARE_RECIPIENTS: &str = "to, from, cc, bcc, sender, receiver, den, gui den";

/// Words of tables that hold people.
const PEOPLE: &str = "customer, customers, client, clients, user, users, account, accounts, employee, employees, staff, member, \
    members, person, persons, people, contact, contacts, patient, patients, student, students, teacher, \
    teachers, subscriber, subscribers, recipient, recipients, guest, guests, lead, leads, applicant, \
    applicants, driver, drivers, profile, profiles, khach hang, khach, kh, nguoi dung, nhan vien, thanh vien, \
    hoc sinh, sinh vien, benh nhan, giao vien, tai xe, lien he, nguoi nhan, ho so";

/// Words that make a name one of something about personal data, not of the data.
const VETOES: &str = "verified, confirmed, count, is, has, enabled, status, type, template, format, length, valid, required, \
    opt, subscribed, sent, bounced, trang thai, loai, so luong, da xac nhan, da xac minh, da gui, product, san \
    pham, file, field, method, phuong thuc, phuong tien, phuong phap, phuong an, phi, fee, cost, gia";

/// Words in which shorter ones stand by accident.
const ACCIDENTS: &str = "microphone, headphone, headphones, earphone, earphones, smartphone, smartphones, phonetic, automobile, \
    automobiles, secretary, template, templates";

/// The kind of a column by its name, and the words that tell.
pub(super) fn of_name(table: &str, column: &str) -> Option<(Kind, &'static str)> {
    let words = split(column);
    let last = words.last().map(String::as_str).unwrap_or_default();
    let vetoed = VETOES.split(", ").any(|veto| find(&words, veto, false));
    let found = PHRASES.iter().find_map(|(kind, phrases)| {
        let phrase = longest(&words, phrases, true)?;
        // `address_id` is a key and `phone_at` a time; `national_id` is neither.
        let own = split(phrase);
        let names_it = own.last().map(String::as_str) == Some(last);
        let keyed = (matches!(last, "id" | "at" | "on" | "uuid") && !names_it)
            || (words.first().map(String::as_str) == Some("ma") && own.first().map(String::as_str) != Some("ma"));
        (*kind == Kind::Secret || !(vetoed || keyed)).then_some((*kind, phrase))
    });
    if found.is_some() || vetoed {
        return found;
    }
    let keyed = matches!(last, "id" | "at" | "on" | "uuid") || words.first().map(String::as_str) == Some("ma");
    if let Some(phrase) = longest(&words, PERSONS, true).filter(|_| !keyed) {
        return Some((Kind::Name, phrase));
    }
    let table = split(table);
    let bare = |kind: Kind, list: &'static str, tables: &str, inside: bool| {
        let whole = words.concat();
        let found = list.split(", ").find(|word| word.split(' ').collect::<String>() == whole);
        found.filter(|_| tables.split(", ").any(|word| find(&table, word, inside))).map(|word| (kind, word))
    };
    // `order_billingaddress` runs the word together with another; the words for people are too short for that.
    bare(Kind::Name, BARE_NAMES, PEOPLE, false)
        .or_else(|| bare(Kind::Name, BARE_NAMES, WRITTEN, true))
        .or_else(|| bare(Kind::Special, BARE_WAGES, PEOPLE, false))
        .or_else(|| bare(Kind::Special, BARE_WAGES, PAYROLLS, false))
        .or_else(|| bare(Kind::Media, BARE_PICTURES, PEOPLE, false))
        .or_else(|| bare(Kind::Address, BARE_ADDRESSES, ADDRESSES, true))
        .or_else(|| bare(Kind::Card, BARE_CARDS, CARDS, false))
        .or_else(|| bare(Kind::Name, BARE_HOLDERS, CARDS, false))
        .or_else(|| bare(Kind::FreeText, BARE_WRITTEN, WRITTEN, true))
        .or_else(|| bare(Kind::Email, BARE_RECIPIENTS, MESSAGES, false))
        .or_else(|| bare(Kind::FreeText, BARE_WRITTEN, MESSAGES, false))
}

/// Whether a column is the tax code of goods, by which a shop knows their rate, in a table that also has prices with and without tax, or rates.
pub(super) fn is_rate_of_goods<'c>(column: &str, mut others: impl Iterator<Item = &'c str>) -> bool {
    let of_goods = |word: &String| ["tax", "code", "line", "item", "shipping", "product"].contains(&word.as_str());
    split(column).iter().all(of_goods)
        && others
            .any(|other| ["incl tax", "excl tax", "tax rate"].iter().any(|words| find(&split(other), words, false)))
}

/// The kind of a column by its comment, and the words that tell.
pub(super) fn of_comment(comment: &str) -> Option<(Kind, &'static str)> {
    // Short words mean too many things in a sentence.
    const SHORT: usize = 4;
    let words = split(comment);
    PHRASES.iter().find_map(|(kind, phrases)| {
        let phrase = longest(&words, phrases, false)?;
        (phrase.len() >= SHORT).then_some((*kind, phrase))
    })
}

/// The longest of `phrases` that `words` hold.
fn longest(words: &[String], phrases: &'static str, inside: bool) -> Option<&'static str> {
    phrases.split(", ").filter(|phrase| find(words, phrase, inside)).max_by_key(|phrase| phrase.len())
}

/// Whether `words` hold `phrase`, its own words run together or not; `inside` also finds it within one longer word.
fn find(words: &[String], phrase: &str, inside: bool) -> bool {
    /// Shorter ones stand in other words by accident.
    const INSIDE: usize = 5;
    let glued: String = phrase.split(' ').collect();
    let runs = (0..words.len()).any(|start| {
        let mut run = String::new();
        words.iter().skip(start).any(|word| {
            run += word;
            run == glued
        })
    });
    let within = |word: &String| word.contains(&glued) && !ACCIDENTS.split(", ").any(|known| known == word);
    runs || (inside && glued.len() >= INSIDE && words.iter().any(within))
}

/// The words of an identifier or a sentence: lower-case, without diacritics, split where case or class changes.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    let chars: Vec<char> = text.chars().collect();
    for (at, &c) in chars.iter().enumerate() {
        if ('\u{300}'..='\u{36f}').contains(&c) {
            continue;
        }
        let next_lower = chars.get(at + 1).is_some_and(|next| next.is_lowercase());
        let starts = (c.is_uppercase() && (before.is_lowercase() || (before.is_uppercase() && next_lower)))
            || c.is_ascii_digit() != before.is_ascii_digit();
        if (starts || !c.is_alphanumeric()) && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase().filter(|c| !('\u{300}'..='\u{36f}').contains(c)).map(plain));
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// A lower-case letter without its Vietnamese diacritics.
pub(super) fn plain(c: char) -> char {
    match c {
        'à' | 'á' | 'ả' | 'ã' | 'ạ' | 'ă' | 'ằ' | 'ắ' | 'ẳ' | 'ẵ' | 'ặ' | 'â' | 'ầ' | 'ấ' | 'ẩ' | 'ẫ' | 'ậ' => {
            'a'
        }
        'è' | 'é' | 'ẻ' | 'ẽ' | 'ẹ' | 'ê' | 'ề' | 'ế' | 'ể' | 'ễ' | 'ệ' => 'e',
        'ì' | 'í' | 'ỉ' | 'ĩ' | 'ị' => 'i',
        'ò' | 'ó' | 'ỏ' | 'õ' | 'ọ' | 'ô' | 'ồ' | 'ố' | 'ổ' | 'ỗ' | 'ộ' | 'ơ' | 'ờ' | 'ớ' | 'ở' | 'ỡ' | 'ợ' => {
            'o'
        }
        'ù' | 'ú' | 'ủ' | 'ũ' | 'ụ' | 'ư' | 'ừ' | 'ứ' | 'ử' | 'ữ' | 'ự' => 'u',
        'ỳ' | 'ý' | 'ỷ' | 'ỹ' | 'ỵ' => 'y',
        'đ' => 'd',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_split_in_any_spelling() {
        for (text, words) in [
            ("ho_ten", "ho ten"),
            ("hoTen", "ho ten"),
            ("HTTPServer", "http server"),
            ("Số Điện-thoại 2", "so dien thoai 2"),
            ("phone2b", "phone 2 b"),
            ("SDT", "sdt"),
            ("", ""),
            ("ho\u{323}", "ho"),
        ] {
            assert_eq!(split(text).join(" "), words, "{text}");
        }
    }

    #[test]
    fn the_lists_are_written_as_they_are_compared() {
        let others = [
            PERSONS,
            BARE_NAMES,
            BARE_WAGES,
            BARE_ADDRESSES,
            BARE_CARDS,
            BARE_HOLDERS,
            BARE_WRITTEN,
            ADDRESSES,
            CARDS,
            WRITTEN,
            MESSAGES,
            BARE_RECIPIENTS,
            PEOPLE,
            VETOES,
            ACCIDENTS,
        ];
        for list in PHRASES.iter().map(|(_, list)| *list).chain(others) {
            for phrase in list.split(", ") {
                assert_eq!(split(phrase).join(" "), *phrase);
            }
        }
    }
}
