//! Stage `wire`: bodies of the messages of clients. Invariant: each is read to its last byte, so that nothing hides
//! behind the part that was looked at.

use super::{Fields, Malformed};

/// Parse.
#[derive(Clone, Copy, Debug)]
pub struct Parse<'a> {
    /// Statement name.
    pub name: &'a [u8],
    /// The text.
    pub text: &'a [u8],
    /// Number and OIDs of parameter types, as on the wire.
    pub types: &'a [u8],
}

/// The text of a Query body.
///
/// # Errors
/// [`Malformed`]
pub fn query(body: &[u8]) -> Result<&[u8], Malformed> {
    let mut fields = Fields::new(body);
    let text = fields.cstr()?;
    fields.end()?;
    Ok(text)
}

/// A Parse body.
///
/// # Errors
/// [`Malformed`]
pub fn parse(body: &[u8]) -> Result<Parse<'_>, Malformed> {
    let mut fields = Fields::new(body);
    let (name, text) = (fields.cstr()?, fields.cstr()?);
    let mut rest = fields;
    let count = fields.count()?;
    fields.bytes(count * 4)?;
    fields.end()?;
    let types = rest.bytes(2 + count * 4)?;
    Ok(Parse { name, text, types })
}

/// The OIDs in [`Parse::types`]; 0 where the server chooses.
pub fn types(types: &[u8]) -> impl Iterator<Item = u32> + Clone + '_ {
    types.get(2..).unwrap_or_default().chunks_exact(4).filter_map(|oid| Some(u32::from_be_bytes(oid.try_into().ok()?)))
}

/// Portal and statement at the start of a Bind body; none when the NULs are not at hand yet.
pub fn bind_names(start: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Fields::new(start);
    Some((fields.cstr().ok()?, fields.cstr().ok()?))
}

/// Checks that a Bind body is exactly its parameters and formats.
///
/// # Errors
/// [`Malformed`]
pub fn check_bind(body: &[u8]) -> Result<(), Malformed> {
    let mut fields = Fields::new(body);
    fields.cstr()?;
    fields.cstr()?;
    let formats = fields.count()?;
    fields.bytes(formats * 2)?;
    let values = fields.count()?;
    for _ in 0..values {
        let length = fields.u32()?;
        if length != u32::MAX {
            fields.bytes(usize::try_from(length).map_err(|_| Malformed)?)?;
        }
    }
    let results = fields.count()?;
    fields.bytes(results * 2)?;
    fields.end()
}

/// The value of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundValue<'a> {
    /// Whether it is in binary format.
    pub binary: bool,
    /// Its bytes; none for NULL.
    pub bytes: Option<&'a [u8]>,
}

/// The values of a Bind body that [`check_bind`] passed.
pub fn bound_values(body: &[u8]) -> Option<Vec<BoundValue<'_>>> {
    let mut fields = Fields::new(body);
    fields.cstr().ok()?;
    fields.cstr().ok()?;
    let given = fields.count().ok()?;
    let formats: Vec<bool> = fields.bytes(given * 2).ok()?.chunks_exact(2).map(|format| format != [0, 0]).collect();
    let values = fields.count().ok()?;
    let mut found = Vec::with_capacity(values);
    for at in 0..values {
        // None: all text. One: that of all.
        let binary = formats.get(if formats.len() == 1 { 0 } else { at }).copied().unwrap_or_default();
        let length = fields.u32().ok()?;
        let bytes = match length {
            u32::MAX => None,
            length => Some(fields.bytes(usize::try_from(length).ok()?).ok()?),
        };
        found.push(BoundValue { binary, bytes });
    }
    Some(found)
}

/// Kind (`S` or `P`) and name of a Describe or Close body.
///
/// # Errors
/// [`Malformed`]
pub fn target(body: &[u8]) -> Result<(u8, &[u8]), Malformed> {
    let mut fields = Fields::new(body);
    let (kind, name) = (fields.u8()?, fields.cstr()?);
    fields.end()?;
    if matches!(kind, b'S' | b'P') { Ok((kind, name)) } else { Err(Malformed) }
}

/// Portal of an Execute body.
///
/// # Errors
/// [`Malformed`]
pub fn execute(body: &[u8]) -> Result<&[u8], Malformed> {
    let mut fields = Fields::new(body);
    let portal = fields.cstr()?;
    fields.u32()?;
    fields.end()?;
    Ok(portal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_may_stand_behind_the_text() {
        assert_eq!(query(b"SELECT 1\0"), Ok(b"SELECT 1".as_slice()));
        for body in [b"SELECT 1".as_slice(), b"SELECT 1\0x\0", b"a\0b\0", b""] {
            assert_eq!(query(body), Err(Malformed));
        }
        assert!(parse(b"n\0SELECT 1\0\0\x01\0\0\0\x17").is_ok());
        for body in [b"n\0SELECT 1\0\0\x01\0\0\0".as_slice(), b"n\0t\0\0\0x", b"n\0t\0\xff\xff", b"n\0t"] {
            assert!(parse(body).is_err());
        }
        let most = [b"n\0t\0\xff\xff".as_slice(), &vec![0; 4 * 0xffff]].concat();
        assert_eq!(parse(&most).map(|parsed| types(parsed.types).count()), Ok(0xffff));
    }

    #[test]
    fn bind_is_walked_to_its_end() {
        assert_eq!(check_bind(b"\0s\0\0\0\0\x01\0\0\0\x01x\0\0"), Ok(()));
        assert_eq!(check_bind(b"\0s\0\0\0\0\x01\xff\xff\xff\xff\0\0"), Ok(()));
        assert_eq!(check_bind(b"\0s\0\0\0\0\x01\0\0\0\x09x\0\0"), Err(Malformed));
        assert_eq!(check_bind(b"\0s\0\0\0\0\0\0\0x"), Err(Malformed));
        let value = |binary, bytes| BoundValue { binary, bytes };
        let two = &b"\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\0"[..];
        for (formats, first, second) in [
            (&b"\0\0"[..], false, false),
            (b"\0\x01\0\x01", true, true),
            (b"\0\x02\0\x01\0\0", true, false),
            (b"\0\x02\0\0\0\x01", false, true),
        ] {
            let body = [b"\0s\0", formats, two].concat();
            assert_eq!(check_bind(&body), Ok(()));
            assert_eq!(bound_values(&body), Some(vec![value(first, Some(&b"x"[..])), value(second, None)]));
        }
    }
}
