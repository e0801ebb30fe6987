//! Stage `wire`: frames that the proxy writes: statements to the server, errors, notices and notifications to clients.
//! Invariant: text of a client reaches the server only from a [`Permit`]. What is relayed is never encoded anew.

use bytes::{BufMut, BytesMut};
use pgwire::messages::{
    Message,
    response::{ErrorResponse, NoticeResponse, NotificationResponse},
};

use crate::engine::Permit;

/// Appends a frame of type `kind` whose body `write` appends.
pub fn frame(out: &mut BytesMut, kind: u8, write: impl FnOnce(&mut BytesMut)) {
    out.put_u8(kind);
    let at = out.len();
    out.put_u32(0);
    write(out);
    let length = u32::try_from(out.len() - at).unwrap_or(u32::MAX);
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// A Query with what the engine permitted.
pub fn query(out: &mut BytesMut, permit: &Permit) {
    frame(out, b'Q', |body| cstr(body, permit.text().as_bytes()));
}

/// A Query with a text of our own.
pub fn own_query(out: &mut BytesMut, text: &'static str) {
    frame(out, b'Q', |body| cstr(body, text.as_bytes()));
}

/// A Parse with what the engine permitted; `types` as on the wire.
pub fn parse(out: &mut BytesMut, name: &[u8], permit: &Permit, types: &[u8]) {
    frame(out, b'P', |body| {
        cstr(body, name);
        cstr(body, permit.text().as_bytes());
        body.put_slice(types);
    });
}

/// A Parse with a text of our own and no parameter types.
pub fn own_parse(out: &mut BytesMut, name: &[u8], text: &'static str) {
    frame(out, b'P', |body| {
        cstr(body, name);
        cstr(body, text.as_bytes());
        body.put_u16(0);
    });
}

/// A Describe of a prepared statement.
pub fn describe_statement(out: &mut BytesMut, name: &[u8]) {
    frame(out, b'D', |body| {
        body.put_u8(b'S');
        cstr(body, name);
    });
}

/// A Close of a prepared statement.
pub fn close_statement(out: &mut BytesMut, name: &[u8]) {
    frame(out, b'C', |body| {
        body.put_u8(b'S');
        cstr(body, name);
    });
}

/// A question of our own, asked so that nothing of the client's is touched: statement and portal have a `name` that no client
/// may use, and are gone behind the answer (`3`, `1`, `2`, `D`, `C`, `3`, `3`). A Sync ends it where `rests`, else a Flush.
pub fn question(out: &mut BytesMut, name: &[u8], text: &'static str, rests: bool) {
    // What a failed question has left behind.
    close_statement(out, name);
    own_parse(out, name, text);
    // No parameters, and everything as text.
    let rest = [0; 6];
    bind_start(out, name, name, rest.len());
    out.put_slice(&rest);
    frame(out, b'E', |body| {
        cstr(body, name);
        body.put_u32(0);
    });
    frame(out, b'C', |body| {
        body.put_u8(b'P');
        cstr(body, name);
    });
    close_statement(out, name);
    frame(out, if rests { b'S' } else { b'H' }, |_| {});
}

/// A Flush: what was answered is sent.
pub fn flush(out: &mut BytesMut) {
    frame(out, b'H', |_| {});
}

/// A Sync.
pub fn sync(out: &mut BytesMut) {
    frame(out, b'S', |_| {});
}

/// The beginning of a Bind, up to the names of portal and statement; `rest` bytes follow.
pub fn bind_start(out: &mut BytesMut, portal: &[u8], statement: &[u8], rest: usize) {
    let length = 4 + portal.len() + 1 + statement.len() + 1 + rest;
    out.put_u8(b'B');
    out.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    cstr(out, portal);
    cstr(out, statement);
}

/// An ErrorResponse (`E`) or NoticeResponse (`N`) with these fields.
pub fn error<'a>(out: &mut BytesMut, kind: u8, fields: impl IntoIterator<Item = (u8, &'a [u8])>) {
    let text = |(field, value): (u8, &[u8])| (field, without_nul(&String::from_utf8_lossy(value)));
    let fields = fields.into_iter().map(text).collect();
    if kind == b'N' {
        own(out, &NoticeResponse::new(fields));
    } else {
        own(out, &ErrorResponse::new(fields));
    }
}

/// A NotificationResponse without its payload.
pub fn notification(out: &mut BytesMut, process: i32, channel: &[u8]) {
    let channel = without_nul(&String::from_utf8_lossy(channel));
    own(out, &NotificationResponse::new(process, channel, String::new()));
}

/// A message that is not relayed but our own.
fn own(out: &mut BytesMut, message: &impl Message) {
    let mark = out.len();
    if message.encode(out).is_err() {
        // Longer than a message can be: it is left out whole.
        out.truncate(mark);
    }
}

fn without_nul(text: &str) -> String {
    text.replace('\0', "")
}

/// Appends `text` and a NUL. NULs inside would end it early: they are left out.
fn cstr(body: &mut BytesMut, text: &[u8]) {
    if memchr::memchr(0, text).is_none() {
        body.put_slice(text);
    } else {
        body.extend(text.iter().filter(|byte| **byte != 0));
    }
    body.put_u8(0);
}
