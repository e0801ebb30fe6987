//! The bodies of messages, read by `wire` and by pgwire: an independent pair of eyes on what the proxy looks at. pgwire
//! encodes; what we read of it is what went in, and nothing is read of a body that was cut or has something behind it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use bytes::BytesMut;
use pgscrim::wire::{Header, backend, build, frame, frontend};
use pgwire::messages::{
    DecodeContext, Message, PgWireBackendMessage, ProtocolVersion,
    data::{FieldDescription, RowDescription},
    extendedquery::{Bind, Close, Describe, Execute, Parse},
    response::{CommandComplete, ErrorResponse},
    simplequery::Query,
    startup::ParameterStatus,
};
use proptest::{collection::vec, option, prelude::*, test_runner::TestCaseError};

fn encoded(message: &impl Message) -> BytesMut {
    let mut out = BytesMut::new();
    message.encode(&mut out).unwrap();
    out
}

/// The body, after a look at the header.
fn body(frame: &[u8]) -> Result<&[u8], TestCaseError> {
    let header = Header::read(frame).unwrap().unwrap();
    prop_assert_eq!(header.total, frame.len());
    Ok(frame::body(frame))
}

/// What is cut, or longer than it says, is malformed.
fn exact<T>(body: &[u8], read: impl Fn(&[u8]) -> Option<T>) -> Result<T, TestCaseError> {
    for end in 0..body.len() {
        prop_assert!(read(&body[..end]).is_none(), "cut at {}", end);
    }
    let longer = [body, b"x"].concat();
    prop_assert!(read(&longer).is_none(), "one byte more");
    read(body).ok_or_else(|| TestCaseError::fail("not read"))
}

/// A string of the protocol.
fn text() -> impl Strategy<Value = String> {
    "[^\\x00]{0,12}"
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_of_clients(name in text(), sql in text(), other in text(), types in vec(any::<u32>(), 0..4),
                           values in vec(option::of(vec(any::<u8>(), 0..6)), 0..4), formats in vec(0_i16..2, 0..3)) {
        let query = encoded(&Query::new(sql.clone()));
        prop_assert_eq!(exact(body(&query)?, |body| frontend::query(body).ok().map(<[u8]>::to_vec))?, sql.as_bytes());

        let parse = encoded(&Parse::new(Some(name.clone()), sql.clone(), types.clone()));
        let read = exact(body(&parse)?, |body| {
            frontend::parse(body).ok().map(|parse| (parse.name.to_vec(), parse.text.to_vec(), parse.types.len()))
        })?;
        prop_assert_eq!(read, (name.clone().into_bytes(), sql.clone().into_bytes(), 2 + 4 * types.len()));

        let values = values.into_iter().map(|value| value.map(bytes::Bytes::from)).collect();
        let bind = encoded(&Bind::new(Some(other.clone()), Some(name.clone()), formats.clone(), values, formats));
        exact(body(&bind)?, |body| frontend::check_bind(body).ok())?;
        let names = frontend::bind_names(body(&bind)?).map(|(portal, statement)| (portal.to_vec(), statement.to_vec()));
        prop_assert_eq!(names, Some((other.clone().into_bytes(), name.clone().into_bytes())));

        for kind in [b'S', b'P'] {
            let of = |body: &[u8]| frontend::target(body).ok().map(|(kind, name)| (kind, name.to_vec()));
            let expected = (kind, name.clone().into_bytes());
            let describe = encoded(&Describe::new(kind, Some(name.clone())));
            prop_assert_eq!(exact(body(&describe)?, of)?, expected.clone());
            let close = encoded(&Close::new(kind, Some(name.clone())));
            prop_assert_eq!(exact(body(&close)?, of)?, expected);
        }
        let execute = encoded(&Execute::new(Some(name.clone()), 7));
        prop_assert_eq!(exact(body(&execute)?, |body| frontend::execute(body).ok().map(<[u8]>::to_vec))?, name.as_bytes());
    }

    #[test]
    fn messages_of_servers(columns in vec((text(), any::<i32>(), any::<i16>()), 0..5), tag in text(), rows in any::<u64>(),
                           fields in vec((1_u8.., text()), 0..5)) {
        let described = columns.iter().map(|(name, table, number)| {
            FieldDescription::new(name.clone(), *table, *number, 25, -1, -1, 0)
        });
        let description = encoded(&RowDescription::new(described.collect()));
        let expected: Vec<_> = columns.iter().map(|(_, table, number)| (table.cast_unsigned(), *number)).collect();
        prop_assert_eq!(exact(body(&description)?, |body| backend::row_description(body).ok())?, expected);

        let complete = encoded(&CommandComplete::new(format!("{tag} {rows}")));
        prop_assert_eq!(exact(body(&complete)?, |body| backend::command_rows(body).ok())?, rows);

        let status = encoded(&ParameterStatus::new("TimeZone".to_owned(), tag.clone()));
        let pair = exact(body(&status)?, |body| {
            backend::parameter_status(body).ok().map(|(name, value)| (name.to_vec(), value.to_vec()))
        })?;
        prop_assert_eq!(pair, (b"TimeZone".to_vec(), tag.into_bytes()));

        let error = encoded(&ErrorResponse::new(fields.clone()));
        let read = exact(body(&error)?, |body| {
            let fields = backend::error_fields(body).ok()?;
            Some(fields.into_iter().map(|(kind, value)| (kind, value.to_vec())).collect::<Vec<_>>())
        })?;
        let expected: Vec<_> = fields.into_iter().map(|(kind, value)| (kind, value.into_bytes())).collect();
        prop_assert_eq!(read, expected);
    }

    /// What we write ourselves, read by pgwire: one message each, whatever the values.
    #[test]
    fn messages_of_our_own(value in vec(any::<u8>(), 0..24), process in any::<i32>()) {
        for kind in [b'E', b'N', b'A'] {
            let mut out = BytesMut::new();
            if kind == b'A' {
                build::notification(&mut out, process, &value);
            } else {
                build::error(&mut out, kind, [(b'S', b"ERROR".as_slice()), (b'M', value.as_slice())]);
            }
            let context = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
            let read = PgWireBackendMessage::decode(&mut out, &context).unwrap().unwrap();
            let as_meant = matches!(
                (kind, read),
                (b'E', PgWireBackendMessage::ErrorResponse(_))
                    | (b'N', PgWireBackendMessage::NoticeResponse(_))
                    | (b'A', PgWireBackendMessage::NotificationResponse(_))
            );
            prop_assert!(as_meant);
            prop_assert!(out.is_empty(), "one message");
        }
    }
}
