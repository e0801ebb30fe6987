//! Stage `wire`: bodies of the messages of servers that a proxy reads.

use super::{Fields, Malformed};

/// Table OID and column number of each column of a RowDescription; zeros where a column is computed.
///
/// # Errors
/// [`Malformed`]
pub fn row_description(body: &[u8]) -> Result<Vec<(u32, i16)>, Malformed> {
    let mut fields = Fields::new(body);
    let count = usize::try_from(fields.i16()?).map_err(|_| Malformed)?;
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
    let count = usize::try_from(fields.i16()?).map_err(|_| Malformed)?;
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

/// The tag of a CommandComplete.
///
/// # Errors
/// [`Malformed`]
pub fn command_tag(body: &[u8]) -> Result<&str, Malformed> {
    let mut fields = Fields::new(body);
    let tag = fields.cstr()?;
    fields.end()?;
    std::str::from_utf8(tag).map_err(|_| Malformed)
}

/// Rows that a command tag counts: its last number.
pub fn tag_rows(tag: &str) -> u64 {
    let bytes = tag.as_bytes();
    let start = bytes.iter().rposition(|byte| *byte == b' ').map_or(0, |space| space + 1);
    tag.get(start..).and_then(|count| count.parse().ok()).unwrap_or(0)
}

/// The values of a DataRow in text format.
///
/// # Errors
/// [`Malformed`]
pub fn text_row(body: &[u8]) -> Result<Vec<Option<String>>, Malformed> {
    let mut fields = Fields::new(body);
    let count = usize::try_from(fields.i16()?).map_err(|_| Malformed)?;
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
