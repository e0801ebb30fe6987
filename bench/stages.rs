//! How long the stages take that every statement passes, whatever is known of it: the lexer, the key of its shape, and the
//! frames of the protocol. `make bench`.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

mod cases;

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pgscrim::{
    sql::{
        lex::{Lexer, lex},
        shape::Shape,
    },
    wire::{frame::Header, frontend},
};

fn lexer(criterion: &mut Criterion) {
    for (name, sql) in cases::statements() {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(sql.len() as u64));
        group.bench_function("lexed", |bencher| {
            bencher.iter(|| {
                let mut lexer = Lexer::new(black_box(&sql));
                let mut count = 0;
                while lexer.read().unwrap().is_some() {
                    count += 1;
                }
                count
            });
        });
        group.bench_function("tokens", |bencher| bencher.iter(|| lex(black_box(&sql)).unwrap()));
        group.bench_function("shape", |bencher| bencher.iter(|| Shape::of(black_box(&sql)).unwrap()));
        group.finish();
    }
}

/// A frame of a type.
fn framed(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap().to_be_bytes();
    [&[kind], length.as_slice(), body].concat()
}

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frames");
    // What one read of the server may hold: small rows, and long ones.
    for (name, size) in [("rows of 40 bytes", 35), ("rows of 4 KiB", 4091)] {
        let row = framed(b'D', &vec![b'x'; size]);
        let rows = row.repeat(65536 / row.len());
        group.throughput(Throughput::Bytes(rows.len() as u64));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut rest = black_box(&rows[..]);
                let mut count = 0;
                while let Some(header) = Header::read(rest).unwrap() {
                    count += usize::from(header.kind == b'D');
                    rest = rest.get(header.total..).unwrap();
                }
                count
            });
        });
    }
    let parse = b"statement\0SELECT id, full_name FROM customers WHERE id = $1\0\0\x01\0\0\0\x17";
    let bind = b"\0statement\0\0\x01\0\x01\0\x01\0\0\0\x04\0\0\0\x2a\0\x01\0\x01";
    group.throughput(Throughput::Elements(1));
    group.bench_function("Parse", |bencher| bencher.iter(|| frontend::parse(black_box(parse)).unwrap()));
    group.bench_function("Bind", |bencher| bencher.iter(|| frontend::check_bind(black_box(bind)).unwrap()));
    group.finish();
}

criterion_group! {
    name = stages;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    targets = lexer, frames
}
criterion_main!(stages);
