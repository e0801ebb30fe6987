//! Which columns look like personal data: by name, comment, type, and (where it was asked for) by sampled content. In: a
//! column of the catalog, tallies of samples. Out: a [`Guess`] with its reasons, for `discover` and `check`. Invariant: a
//! reason holds no content, neither of a row nor of a comment, but words of our own lists and counts.
//!
//! A guess is made for a person to review: it errs towards personal data.

pub mod content;
pub mod samples;
mod words;

use std::{collections::HashSet, fmt};

use serde::Serialize;

use self::{content::Tally, samples::Samples};
use crate::{
    catalog::{CatalogSnapshot, Column, Relation, data::RelationKind},
    names::Oid,
    policy::masks::keyed,
};

/// A kind of personal data that is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Names of people.
    Name,
    /// Telephone numbers.
    Phone,
    /// E-mail addresses.
    Email,
    /// Postal addresses and their parts.
    Address,
    /// Dates of birth.
    Birth,
    /// Sex.
    Gender,
    /// Identity cards and passports.
    IdCard,
    /// Tax and insurance numbers of people.
    TaxCode,
    /// Numbers of payment cards.
    Card,
    /// Bank accounts.
    BankAccount,
    /// Log-in names and accounts in social networks.
    Account,
    /// Passwords, tokens, answers to secret questions.
    Secret,
    /// Where somebody is.
    Location,
    /// Addresses of devices.
    Network,
    /// Pictures and films of people.
    Media,
    /// Number plates.
    Plate,
    /// Health, belief, ethnicity.
    Special,
    /// Free text, which may hold anything.
    FreeText,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 18] = [
        Self::Name,
        Self::Phone,
        Self::Email,
        Self::Address,
        Self::Birth,
        Self::Gender,
        Self::IdCard,
        Self::TaxCode,
        Self::Card,
        Self::BankAccount,
        Self::Account,
        Self::Secret,
        Self::Location,
        Self::Network,
        Self::Media,
        Self::Plate,
        Self::Special,
        Self::FreeText,
    ];

    /// Name of the category, title, and whether Vietnamese law (Decree 356/2025) takes it for sensitive.
    pub fn category(self) -> (&'static str, &'static str, bool) {
        match self {
            Self::Name => ("name", "Họ và tên / name", false),
            Self::Phone => ("phone", "Số điện thoại / telephone number", false),
            Self::Email => ("email", "Thư điện tử / email address", false),
            Self::Address => ("address", "Địa chỉ / postal address", false),
            Self::Birth => ("birth", "Ngày sinh / date of birth", false),
            Self::Gender => ("gender", "Giới tính / sex", false),
            Self::IdCard => ("id_card", "CCCD, CMND, hộ chiếu / identity card, passport", true),
            Self::TaxCode => ("tax_code", "Mã số thuế, bảo hiểm / tax and insurance number", false),
            Self::Card => ("card", "Số thẻ / payment card", true),
            Self::BankAccount => ("bank_account", "Tài khoản ngân hàng / bank account", true),
            Self::Account => ("account", "Tài khoản, mạng xã hội / log-in name, social network", false),
            Self::Secret => ("secret", "Mật khẩu, mã bí mật / password, token", true),
            Self::Location => ("location", "Vị trí / location", true),
            Self::Network => ("network", "Địa chỉ mạng / network address", false),
            Self::Media => ("media", "Hình ảnh, video / picture, film", false),
            Self::Plate => ("plate", "Biển số xe / number plate", false),
            Self::Special => ("special", "Sức khỏe, tôn giáo, dân tộc / health, belief, ethnicity", true),
            Self::FreeText => ("free_text", "Văn bản tự do / free text", false),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.category().0)
    }
}

/// What a column looks like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Guess {
    /// The kind.
    pub kind: Kind,
    /// Why, for people: `its name holds "phone"`.
    pub reason: String,
}

/// What `column` of `relation` looks like; none when nothing speaks for personal data. Content speaks before the name,
/// and the name before the comment: what is there counts more than what it is called, where it cannot be mistaken.
pub fn guess(relation: &Relation, column: &Column, sampled: Option<&Tally>) -> Option<Guess> {
    let by_name = by_name(relation, column);
    let by_content = sampled.and_then(Tally::verdict);
    match (by_content, by_name) {
        // Free text by content says less than a name that says what kind.
        (Some(content), Some(name)) if content.kind == Kind::FreeText => {
            Some(Guess { reason: format!("{}, and {}", name.reason, content.reason), ..name })
        }
        (Some(content), Some(name)) if content.kind == name.kind => {
            Some(Guess { reason: format!("{}, and {}", name.reason, content.reason), ..name })
        }
        // Cities look like names of people (Hồ Chí Minh), and some names like addresses: there the name of the column knows better.
        (Some(content), Some(name)) if matches!(content.kind, Kind::Name | Kind::Address) => Some(name),
        (Some(content), _) => Some(content),
        (None, name) => name.or_else(|| by_comment(column)),
    }
}

fn by_name(relation: &Relation, column: &Column) -> Option<Guess> {
    if column.type_category == 'I' {
        return Some(Guess { kind: Kind::Network, reason: "its type is one of network addresses".to_owned() });
    }
    let (kind, phrase) = words::of_name(&relation.name, &column.name)?;
    let others = relation.columns.iter().map(|column| column.name.as_str());
    if kind == Kind::TaxCode && words::is_rate_of_goods(&column.name, others) {
        return None;
    }
    // Masks of names or addresses are for texts. What a document holds beside what its name says, nobody knows.
    let of_document = is_document(column) && kind != Kind::Secret;
    let (kind, more) = if of_document { (Kind::FreeText, ", and it is a document") } else { (kind, "") };
    fits(kind, column).then(|| Guess { kind, reason: format!("its name holds \"{phrase}\"{more}") })
}

fn by_comment(column: &Column) -> Option<Guess> {
    let (kind, phrase) = words::of_comment(column.comment.as_deref()?)?;
    fits(kind, column).then(|| Guess { kind, reason: format!("its comment holds \"{phrase}\"") })
}

/// Whether a relation holds rows of its own, unlike a view; materialized views take what their sources have.
pub(super) fn holds_rows(relation: &Relation) -> bool {
    let kind = match relation.kind {
        RelationKind::Table | RelationKind::PartitionedTable | RelationKind::ForeignTable => true,
        RelationKind::View
        | RelationKind::MaterializedView
        | RelationKind::Sequence
        | RelationKind::Toast
        | RelationKind::Composite => false,
    };
    kind && is_of_people(relation)
}

/// Whether it is neither the server's nor pgscrim's own.
pub(super) fn is_of_people(relation: &Relation) -> bool {
    !relation.is_system() && relation.schema != keyed::SCHEMA
}

/// Names of the columns that the parents of a table have, which stand for those of the table.
pub(super) fn inherited(table: Oid, catalog: &CatalogSnapshot) -> HashSet<&str> {
    let parents = catalog.parents(table).iter().filter_map(|parent| catalog.relation(*parent));
    parents.flat_map(|parent| parent.columns.iter().map(|column| column.name.as_str())).collect()
}

/// Columns of documents of which nothing is known: no schema says what of a person is in them, and no values were looked at.
pub(super) fn documents<'c>(relation: &'c Relation, samples: &Samples) -> Vec<&'c Column> {
    let unknown = |column: &&Column| {
        let seen = samples.of(relation.oid, column.attnum);
        is_document(column) && seen.is_none_or(|tally| tally.values() == 0)
    };
    relation.columns.iter().filter(unknown).collect()
}

fn is_document(column: &Column) -> bool {
    matches!(column.type_name.as_str(), "json" | "jsonb" | "hstore" | "xml")
}

/// Whether a column of this type can hold the kind.
fn fits(kind: Kind, column: &Column) -> bool {
    let document = is_document(column) || column.type_name == "bytea";
    let text = matches!(column.type_category, 'S' | 'A') || document;
    let number = column.type_category == 'N';
    match kind {
        // Cards end on a day.
        Kind::Birth | Kind::Card => text || number || column.type_category == 'D',
        Kind::Gender => text || number || matches!(column.type_category, 'E' | 'B'),
        Kind::Phone | Kind::IdCard | Kind::TaxCode | Kind::BankAccount => text || number,
        Kind::Location => column.type_category != 'B' && column.type_category != 'D',
        // A wage is a number.
        Kind::Special => text || number || column.type_category == 'E',
        Kind::Address => text || column.type_category == 'E',
        Kind::Name
        | Kind::Email
        | Kind::Account
        | Kind::Secret
        | Kind::Network
        | Kind::Media
        | Kind::Plate
        | Kind::FreeText => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::testing::{database, table};

    fn kinds(name: &str, columns: &str) -> Vec<Option<Kind>> {
        let mut data = database();
        table(&mut data, name, columns);
        let relation = data.relations.last().unwrap();
        relation.columns.iter().map(|column| guess(relation, column, None).map(|guess| guess.kind)).collect()
    }

    #[test]
    fn names_are_recognised_in_vietnamese_and_english() {
        for (column, kind) in [
            ("ho_ten", Kind::Name),
            ("hoTen", Kind::Name),
            ("HoVaTen", Kind::Name),
            ("họ_và_tên", Kind::Name),
            ("ho\u{323}_te\u{302}n", Kind::Name),
            ("tenKhachHang", Kind::Name),
            ("full_name", Kind::Name),
            ("recipient_name", Kind::Name),
            ("nguoi_nhan", Kind::Name),
            ("recipient_phone", Kind::Phone),
            ("sdt_nguoi_nhan", Kind::Phone),
            ("dia_chi_nguoi_nhan", Kind::Address),
            ("email_khach_hang", Kind::Email),
            ("e_mail", Kind::Email),
            ("chu_the", Kind::Name),
            ("so_the", Kind::Card),
            ("mail", Kind::Email),
            ("cmtnd", Kind::IdCard),
            ("video_mo_hop", Kind::Media),
            ("url_video", Kind::Media),
            ("noi_giao", Kind::Address),
            ("mk", Kind::Secret),
            ("sdt", Kind::Phone),
            ("SĐT", Kind::Phone),
            ("so_dt", Kind::Phone),
            ("so_dien_thoai", Kind::Phone),
            ("sodienthoai", Kind::Phone),
            ("điện_thoại", Kind::Phone),
            ("mobilePhone", Kind::Phone),
            ("ship_phone", Kind::Phone),
            ("phone2", Kind::Phone),
            ("customerphone", Kind::Phone),
            ("email", Kind::Email),
            ("email_address", Kind::Email),
            ("thu_dien_tu", Kind::Email),
            ("dia_chi", Kind::Address),
            ("địa chỉ giao hàng", Kind::Address),
            ("ship_address", Kind::Address),
            ("phuong_xa", Kind::Address),
            ("postcode", Kind::Address),
            ("ngay_sinh date", Kind::Birth),
            ("dob date", Kind::Birth),
            ("birth_date date", Kind::Birth),
            ("nam_sinh int", Kind::Birth),
            ("gioi_tinh", Kind::Gender),
            ("cccd", Kind::IdCard),
            ("so_cmnd", Kind::IdCard),
            ("passport_no", Kind::IdCard),
            ("ma_so_thue", Kind::TaxCode),
            ("card_pan", Kind::Card),
            ("so_the", Kind::Card),
            ("so_tai_khoan", Kind::BankAccount),
            ("stk", Kind::BankAccount),
            ("iban", Kind::BankAccount),
            ("username", Kind::Account),
            ("password_hash", Kind::Secret),
            ("mat_khau", Kind::Secret),
            ("ip_address", Kind::Network),
            ("last_ip inet", Kind::Network),
            ("avatar_url", Kind::Media),
            ("bien_so_xe", Kind::Plate),
            ("ghi_chu", Kind::FreeText),
            ("longitude float8", Kind::Location),
            ("ton_giao", Kind::Special),
            ("luong_co_ban int", Kind::Special),
            ("user_pass", Kind::Secret),
            ("comment_author", Kind::Name),
            ("user_nicename", Kind::Name),
            ("tai_xe", Kind::Name),
            ("attendee_name_cached", Kind::Name),
            ("invoice_to_name", Kind::Name),
            ("payer", Kind::Name),
            ("vat_id", Kind::TaxCode),
            ("answer", Kind::FreeText),
            ("name_parts jsonb", Kind::FreeText),
            ("shipping_address jsonb", Kind::FreeText),
            // What WordPress and its like keep of people beside their tables.
            ("meta_value", Kind::FreeText),
        ] {
            let column = if column.contains(" int")
                || column.contains(" date")
                || column.contains(" float8")
                || column.contains(" inet")
                || column.contains(" jsonb")
            {
                column.to_owned()
            } else {
                // The helper splits name and type at the first blank.
                format!("{} text", column.replace(' ', "_"))
            };
            assert_eq!(kinds("things", &column), [Some(kind)], "{column}");
        }
    }

    #[test]
    fn words_mean_more_in_tables_of_people_and_of_wages() {
        let wages = [None, Some(Kind::Special), Some(Kind::Special), None];
        assert_eq!(kinds("bang_luong", "id int, luong numeric, thuong numeric, thang date"), wages);
        assert_eq!(kinds("nhan_vien", "luong numeric, anh bytea"), [Some(Kind::Special), Some(Kind::Media)]);
        assert_eq!(kinds("san_pham", "luong numeric, thuong numeric, anh bytea"), [None; 3]);
    }

    #[test]
    fn what_only_sounds_like_it_is_left_alone() {
        for column in [
            "id bigint",
            "email_verified boolean",
            "email_verified_at timestamptz",
            "address_id bigint",
            "phone_count int",
            "customer_id bigint",
            "ma_dia_chi text",
            "microphone text",
            "product_name text",
            "ten_san_pham text",
            "name text",
            "ten text",
            "file_name text",
            "total numeric(12,2)",
            "status text",
            "created_at timestamptz",
            "descriptor text",
            "phone timestamptz",
            "trang_thai_email text",
            "shipping_method text",
            "phuong_thuc_thanh_toan text",
            "chat_luong text",
            "so_luong_ton text",
            "so_the_loai text",
            "secretary_desk text",
            "template_body text",
            "dt text",
            "recipient_id bigint",
            "ma_nguoi_nhan text",
            "line text",
        ] {
            assert_eq!(kinds("products", column), [None], "{column}");
        }
        // A name alone is one of a person in a table of people.
        assert_eq!(kinds("customers", "name text, ten text, total int"), [Some(Kind::Name), Some(Kind::Name), None]);
        assert_eq!(kinds("KhachHang", "ten text"), [Some(Kind::Name)]);
        assert_eq!(
            kinds("addresses", "line text, line2 text, name text"),
            [Some(Kind::Address), Some(Kind::Address), None]
        );
        assert_eq!(
            kinds("order_billingaddress", "line1 text, line4 text, state text, title text"),
            [Some(Kind::Address), Some(Kind::Address), Some(Kind::Address), None]
        );
        // So is a number one of a card in a table of cards.
        assert_eq!(
            kinds("payment_bankcard", "id int, number text, name text, expiry_date date, card_type text"),
            [None, Some(Kind::Card), Some(Kind::Name), Some(Kind::Card), None]
        );
        assert_eq!(
            kinds("reviews_productreview", "name text, title text, body text, score int"),
            [Some(Kind::Name), Some(Kind::FreeText), Some(Kind::FreeText), None]
        );
        // Whom a message goes to is an address of some kind; what it says may be anything.
        assert_eq!(
            kinds("notification", "id text, to text, from text, channel text, subject text"),
            [None, Some(Kind::Email), Some(Kind::Email), None, Some(Kind::FreeText)]
        );
        assert_eq!(
            kinds("app_outgoingmail", "to jsonb, sender text, headers jsonb, subject text"),
            [Some(Kind::FreeText), Some(Kind::Email), None, Some(Kind::FreeText)]
        );
        assert_eq!(kinds("sms_outbox", "to text, content text"), [Some(Kind::Email), Some(Kind::FreeText)]);
        assert_eq!(kinds("transfers", "to text, from text, content text"), [None; 3]);
        assert_eq!(kinds("auth_mfa_recovery_code", "code_hash text"), [Some(Kind::Secret)]);
        assert_eq!(kinds("django_session", "session_key text, session_data text"), [Some(Kind::Secret); 2]);
        // The tax code of goods is nobody's; that of a buyer is, also beside prices.
        assert_eq!(
            kinds("order_line", "tax_code text, price_incl_tax numeric, customer_tax_code text"),
            [None, None, Some(Kind::TaxCode)]
        );
        assert_eq!(kinds("order_fee", "tax_code text, tax_rate numeric"), [None, None]);
        assert_eq!(kinds("buyers", "tax_code text"), [Some(Kind::TaxCode)]);
    }

    #[test]
    fn comments_speak_where_names_do_not_and_are_not_repeated() {
        let mut data = database();
        table(&mut data, "t", "c1 text, c2 bigint, c3 date");
        let relation = data.relations.last_mut().unwrap();
        for column in &mut relation.columns {
            column.comment = Some("Số điện thoại của bà Bí Mật".to_owned());
        }
        let relation = data.relations.last().unwrap();
        let found: Vec<_> = relation.columns.iter().map(|column| guess(relation, column, None)).collect();
        let reason = found[0].as_ref().unwrap().reason.clone();
        assert_eq!(reason, "its comment holds \"so dien thoai\"");
        assert_eq!(found[1].as_ref().unwrap().kind, Kind::Phone);
        assert_eq!(found[2], None);
    }

    #[test]
    fn content_speaks_louder_than_a_name() {
        let mut data = database();
        table(&mut data, "t", "ghi_chu text, code text, so_dien_thoai text, city text");
        let relation = data.relations.last().unwrap();
        let mut tally = Tally::new(false);
        for n in 0..20 {
            tally.look(&format!("0901234{n:03}"));
        }
        let mut names = Tally::new(false);
        (0..9).for_each(|_| names.look("Hồ Chí Minh"));
        let by_names = |column: usize| guess(relation, &relation.columns[column], Some(&names)).unwrap().kind;
        assert_eq!((by_names(1), by_names(3)), (Kind::Name, Kind::Address));
        let found = |column: usize| guess(relation, &relation.columns[column], Some(&tally)).unwrap();
        assert_eq!((found(0).kind, found(1).kind), (Kind::Phone, Kind::Phone));
        assert_eq!(found(1).reason, "20 of 20 sampled values look like telephone numbers");
        assert_eq!(
            found(2).reason,
            "its name holds \"so dien thoai\", and 20 of 20 sampled values look like telephone numbers"
        );
    }
}
