//! How long plans take: the whole pipeline for a text never seen, the cache for one seen before, and beside them
//! sqlparser's own parse of the same text. `make bench`.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

mod cases;

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use pgscrim::engine::{PlanCache, plan};
use sqlparser::{dialect::PostgreSqlDialect, parser::Parser};

fn benches(criterion: &mut Criterion) {
    let inputs = Arc::new(cases::inputs());
    let context = cases::context(&inputs);
    let cache = PlanCache::new(1 << 24);
    for (name, sql) in cases::statements() {
        let mut group = criterion.benchmark_group(name);
        group.bench_function("sqlparser's parse", |bencher| {
            bencher.iter(|| Parser::parse_sql(&PostgreSqlDialect {}, black_box(&sql)).unwrap());
        });
        group.bench_function("never seen", |bencher| {
            bencher.iter(|| plan(black_box(&sql), &context, &inputs).unwrap());
        });
        let mut number = 0;
        group.bench_function("shape seen", |bencher| {
            bencher.iter_batched(
                || {
                    number += 1;
                    cases::numbered(&sql, number)
                },
                |sql| cache.plan(black_box(&sql), &context, &inputs).0.unwrap(),
                BatchSize::SmallInput,
            );
        });
        group.bench_function("seen", |bencher| {
            bencher.iter(|| cache.plan(black_box(&sql), &context, &inputs).0.unwrap());
        });
        group.finish();
    }
}

criterion_group! {
    name = plans;
    config = Criterion::default().warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(2));
    targets = benches
}
criterion_main!(plans);
