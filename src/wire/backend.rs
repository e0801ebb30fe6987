//! Stage `wire`: bodies of the messages of servers that a proxy reads.

use super::{Fields, Malformed};

/// Table OID and column number of each column of a RowDescription; zeros where a column is computed.
///
/// # Errors
/// [`Malformed`]
pub fn row_description(body: &[u8]) -> Result<Vec<(u32, i16)>, Malformed> {
    let mut fields = Fields::new(body);
    let count = fields.count()?;
    let mut columns = Vec::with_capacity(count.min(2048));
    for _ in 0..count {
        fields.cstr()?;
        columns.push((fields.u32()?, fields.i16()?));
        // Type OID, length, modifier, format.
        fields.bytes(4 + 2 + 4 + 2)?;
    }
    fields.end()?;
    Ok(columns)
}

/// A RowDescription without what it says of tables: names, types and formats of the columns.
///
/// # Errors
/// [`Malformed`]
pub fn row_shape(body: &[u8]) -> Result<Vec<[Vec<u8>; 2]>, Malformed> {
    let mut fields = Fields::new(body);
    let count = fields.count()?;
    let mut columns = Vec::with_capacity(count.min(2048));
    for _ in 0..count {
        let name = fields.cstr()?.to_vec();
        fields.bytes(4 + 2)?;
        columns.push([name, fields.bytes(4 + 2 + 4 + 2)?.to_vec()]);
    }
    fields.end()?;
    Ok(columns)
}

/// The fields of an ErrorResponse or NoticeResponse, in order.
///
/// # Errors
/// [`Malformed`]
pub fn error_fields(body: &[u8]) -> Result<Vec<(u8, &[u8])>, Malformed> {
    let mut fields = Fields::new(body);
    let mut found = Vec::with_capacity(12);
    loop {
        let kind = fields.u8()?;
        if kind == 0 {
            fields.end()?;
            return Ok(found);
        }
        found.push((kind, fields.cstr()?));
    }
}

/// Name and value of a ParameterStatus.
///
/// # Errors
/// [`Malformed`]
pub fn parameter_status(body: &[u8]) -> Result<(&[u8], &[u8]), Malformed> {
    let mut fields = Fields::new(body);
    let both = (fields.cstr()?, fields.cstr()?);
    fields.end()?;
    Ok(both)
}

/// Rows that the tag of a CommandComplete counts: its last word, if that is a number.
///
/// # Errors
/// [`Malformed`]
pub fn command_rows(body: &[u8]) -> Result<u64, Malformed> {
    let mut fields = Fields::new(body);
    let tag = fields.cstr()?;
    fields.end()?;
    let mut rows: u64 = 0;
    let mut place: u64 = 1;
    for byte in tag.iter().rev() {
        match byte {
            b'0'..=b'9' => {
                rows = rows.saturating_add(place.saturating_mul(u64::from(byte - b'0')));
                place = place.saturating_mul(10);
            }
            b' ' => return Ok(rows),
            _ => return Ok(0),
        }
    }
    Ok(rows)
}

/// The values of a DataRow in text format.
///
/// # Errors
/// [`Malformed`]
pub fn text_row(body: &[u8]) -> Result<Vec<Option<String>>, Malformed> {
    let mut fields = Fields::new(body);
    let count = fields.count()?;
    let mut values = Vec::new();
    for _ in 0..count {
        let length = fields.u32()?;
        if length == u32::MAX {
            values.push(None);
            continue;
        }
        let bytes = fields.bytes(usize::try_from(length).map_err(|_| Malformed)?)?;
        values.push(Some(String::from_utf8(bytes.to_vec()).map_err(|_| Malformed)?));
    }
    fields.end()?;
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_end_in_their_rows() {
        for (tag, rows) in [
            ("SELECT 0", 0),
            ("SELECT 120", 120),
            ("INSERT 0 1000000", 1_000_000),
            ("COPY 18446744073709551615", u64::MAX),
            ("CREATE TABLE", 0),
            ("BEGIN", 0),
            ("CREATE MATERIALIZED VIEW v2", 0),
            ("", 0),
        ] {
            assert_eq!(command_rows(format!("{tag}\0").as_bytes()), Ok(rows), "{tag}");
        }
        assert_eq!(command_rows(b"SELECT 1"), Err(Malformed));
        assert_eq!(command_rows(b"SELECT 1\0x"), Err(Malformed));
    }
}
