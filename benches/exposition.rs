//! The text format: our parser beside prometheus-parse on the same bodies, and our writer.

#![allow(clippy::unwrap_used, reason = "writing to a string does not fail")]

use std::fmt::Write as _;
use std::hint::black_box;

use divan::Bencher;
use divan::counter::BytesCount;
use tallygate::exposition::text;
use tallygate::model::Label;

fn main() {
    divan::main();
}

/// The bodies, by name.
const BODIES: [&str; 4] = ["small", "medium", "large", "interleaved"];

fn body(name: &str) -> String {
    match name {
        "small" => "# TYPE jobs_total counter\njobs_total{queue=\"default\",status=\"ok\"} 1\n".to_owned(),
        "medium" => medium(),
        "large" => large(),
        "interleaved" => interleaved(),
        _ => unreachable!("every name in BODIES has its body"),
    }
}

/// 50 counters and 5 histograms: what one job pushes.
fn medium() -> String {
    let mut out = String::new();
    for i in 0..50 {
        let name = format!("service_requests_{}_total", i % 10);
        if i < 10 {
            writeln!(out, "# HELP {name} Requests of kind {i}.\n# TYPE {name} counter").unwrap();
        }
        let third = if i % 2 == 0 { ",zone=\"eu-central-1\"" } else { "" };
        writeln!(out, "{name}{{method=\"GET\",code=\"{}\"{third}}} {}", 200 + i, i * 1_327).unwrap();
    }
    for i in 0..5 {
        let name = format!("service_latency_{i}_seconds");
        writeln!(out, "# HELP {name} Latency of kind {i}.\n# TYPE {name} histogram").unwrap();
        histogram(&mut out, &name, "method=\"GET\",handler=\"/api/v1/items\"", i);
    }
    out
}

fn histogram(out: &mut String, name: &str, labels: &str, seed: i32) {
    let bounds = ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"];
    for (i, bound) in (1..).zip(bounds) {
        writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {}", i * (seed + 17)).unwrap();
    }
    writeln!(out, "{name}_sum{{{labels}}} {}.25", seed * 31 + 5).unwrap();
    writeln!(out, "{name}_count{{{labels}}} {}", 12 * (seed + 17)).unwrap();
}

/// 100,000 counters of one family.
fn large() -> String {
    let mut out = "# TYPE events_total counter\n".to_owned();
    for i in 0..100_000 {
        writeln!(out, "events_total{{host=\"host-{}\",kind=\"k{}\"}} {}", i / 10, i % 10, i * 7).unwrap();
    }
    out
}

/// 20,000 histograms whose samples stand by kind and not by series, the worst order for folding.
fn interleaved() -> String {
    let mut out = "# TYPE d_seconds histogram\n".to_owned();
    for suffix in ["_bucket{le=\"1\",", "_bucket{le=\"+Inf\",", "_sum{", "_count{"] {
        for i in 0..20_000 {
            writeln!(out, "d_seconds{suffix}host=\"host-{i}\"}} {i}").unwrap();
        }
    }
    out
}

/// Recognises a body that is known, and reads its numbers: what a repeated push costs instead of parsing.
#[divan::bench(args = BODIES)]
fn recognise(bencher: Bencher<'_, '_>, name: &str) {
    let body = body(name);
    let template = text::Template::of(body.as_bytes()).expect("its lines are samples");
    let mut numbers = Vec::new();
    bencher.counter(BytesCount::of_str(&body)).bench_local(|| {
        assert!(template.read(black_box(body.as_bytes()), &mut numbers));
        black_box(&numbers).len()
    });
}

#[divan::bench(args = BODIES)]
fn parse_ours(bencher: Bencher<'_, '_>, name: &str) {
    let body = body(name);
    bencher
        .counter(BytesCount::new(body.len()))
        .bench(|| text::parse(black_box(body.as_bytes())).expect("the body is well formed"));
}

#[divan::bench(args = BODIES)]
fn parse_prometheus_parse(bencher: Bencher<'_, '_>, name: &str) {
    let body = body(name);
    bencher.counter(BytesCount::new(body.len())).bench(|| {
        let lines = black_box(body.as_str()).lines().map(|line| Ok(line.to_owned()));
        prometheus_parse::Scrape::parse(lines).expect("the body is well formed")
    });
}

#[divan::bench(args = BODIES)]
fn write(bencher: Bencher<'_, '_>, name: &str) {
    let body = body(name);
    let families = text::parse(body.as_bytes()).expect("the body is well formed");
    let mut out = Vec::with_capacity(2 * body.len());
    bencher.counter(BytesCount::new(body.len())).bench_local(|| {
        out.clear();
        for family in &families.families {
            text::write_header(&mut out, &family.name, family.help.as_deref(), family.metric_type);
            for series in &family.series {
                let labels = families.labels_of(series).iter();
                let labels = labels.map(|label| Label { name: label.name, value: &label.value });
                text::write_series(&mut out, &family.name, labels, &series.value);
            }
        }
        black_box(out.len())
    });
}
