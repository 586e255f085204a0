//! Kept text is what would be written from nothing, whatever happens between two scrapes.

use std::fmt::{Display, Write as _};

use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

use super::*;
use crate::exposition::ReadLimits;
use crate::exposition::names::Escaping;
use crate::exposition::negotiation::Format;
use crate::exposition::text;
use crate::gateway::{Effect, Gateway, Submitted};
use crate::http::testing;
use crate::model::{GroupingKey, NameScheme};

/// A gateway, and what a scrape keeps of it.
struct Scraped {
    gateway: Gateway,
    kept: Kept,
    runtime: Runtime,
    scrapes: usize,
}

impl Scraped {
    fn new() -> Self {
        Self::in_view(View::default())
    }

    fn in_view(view: View) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        Self { gateway: testing::gateway(), kept: Kept::new(view), runtime, scrapes: 0 }
    }

    fn push(&self, group: &str, body: &str) {
        self.push_as(Effect::Merge, group, body);
    }

    fn push_as(&self, effect: Effect, group: &str, body: &str) {
        let families = text::parse_up_to(body.as_bytes(), NameScheme::Utf8, ReadLimits::NONE).unwrap();
        let push = self.gateway.resolve_as(effect, &key(group), &families, body.len()).unwrap();
        assert_eq!(self.runtime.block_on(self.gateway.submit(push)).unwrap(), Submitted::Applied, "{body}");
    }

    fn delete(&self, group: &str) {
        self.runtime.block_on(self.gateway.delete(&key(group))).unwrap();
    }

    /// The text of all families by what is kept, which must be that from nothing; by chunks.
    fn scrape(&mut self, bytes_max: usize) -> Vec<Bytes> {
        let snapshot = self.gateway.snapshot();
        let mut update = self.kept.update(&snapshot, bytes_max);
        self.scrapes += 1;
        // Every other time beforehand and on several threads.
        if self.scrapes.is_multiple_of(2) {
            update.prepare_on(3);
        }
        let mut families = update.families();
        families.sort_by(|a, b| a.name.cmp(&b.name));
        let chunks: Vec<Bytes> =
            families.iter().flat_map(|family| update.text(family, true).unwrap()).collect();
        update.finish();
        assert_eq!(chunks.concat(), from_nothing(self.kept.view, &snapshot));
        assert!(self.kept_bytes() <= bytes_max, "{} of {bytes_max}", self.kept_bytes());
        chunks
    }

    fn kept_bytes(&self) -> usize {
        self.kept.families.values().filter_map(|kept| kept.text.as_ref()).map(FamilyText::bytes).sum()
    }
}

fn key(group: &str) -> GroupingKey {
    GroupingKey::new("j", [("b", group)]).unwrap()
}

fn from_nothing(view: View, snapshot: &Snapshot) -> Vec<u8> {
    let times: Vec<&str> = snapshot.push_times().iter().map(|family| family.name).collect();
    let mut out = Vec::new();
    for family in snapshot.families().iter().filter(|family| !times.contains(&family.name)) {
        let name = view.name(family.name, family.metric_type);
        view.write_header(
            &mut out,
            &name,
            family.help.as_deref(),
            family.metric_type,
            family.unit.as_deref(),
        );
        for series in family.series() {
            view.write_series(&mut out, &name, series.labels(), &series.value(), &view.extras(&series));
        }
    }
    out
}

/// All views that differ in what they show.
fn any_view() -> impl Strategy<Value = View> {
    let format = prop::sample::select(vec![Format::Text, Format::OpenMetrics, Format::Protobuf]);
    let escaping = prop::sample::select(Escaping::ALL.to_vec());
    (format, escaping, any::<bool>()).prop_map(|(format, escaping, with_created)| View {
        format,
        escaping,
        with_created,
    })
}

/// Something that happens to one of a few groups.
#[derive(Clone, Debug)]
enum Event {
    Delete,
    /// So many counters from some number on, of a family, with labels of this length beside.
    Counters {
        family: u8,
        from: u16,
        count: u16,
        long: usize,
        value: f64,
    },
    Histogram {
        label: u8,
        bound: u8,
    },
    Help(u8),
    Scrape {
        bytes_max: usize,
    },
}

impl Event {
    fn body(&self) -> Option<String> {
        let mut body = String::new();
        match self {
            Self::Delete | Self::Scrape { .. } => return None,
            Self::Counters { family, from, count, long, value } => {
                writeln!(body, "# TYPE c{family} counter").unwrap();
                for i in *from..from + count {
                    let (a, c) = (i % 7, i % 5);
                    let own = if i % 3 == 0 { "" } else { ",z=\"\\\"\\n \"" };
                    let long = "x".repeat(*long);
                    writeln!(body, "c{family}{{\"l.m\"=\"n\",a=\"{a} {i}\",c=\"{c}{long}\"{own}}} {value}")
                        .unwrap();
                }
            }
            Self::Histogram { label, bound } => {
                writeln!(body, "# TYPE h histogram\nh_bucket{{a=\"{label}\",le=\"{bound}\"}} 1").unwrap();
                writeln!(body, "h_bucket{{a=\"{label}\",le=\"+Inf\"}} 12").unwrap();
                writeln!(body, "# TYPE \"g.h\" gauge\n{{\"g.h\",a=\"{label}\"}} {bound}").unwrap();
            }
            Self::Help(help) => {
                let help = "h".repeat(*help as usize);
                write!(body, "# HELP c0 {help}\n# TYPE c0 counter\nc0 1\n").unwrap();
            }
        }
        Some(body)
    }
}

fn any_event() -> impl Strategy<Value = Event> {
    let value = prop::sample::select(vec![0.0, 1.0, 0.1, 1e9, 90.0]);
    let long = prop_oneof![4 => Just(0_usize), 1 => Just(400)];
    let counters = (0..3_u8, 0..900_u16, prop_oneof![0..4_u16, 0..300_u16], long, value);
    let bytes_max = prop_oneof![4 => Just(usize::MAX), 1 => Just(0), 1 => 0..200_000_usize];
    prop_oneof![
        1 => Just(Event::Delete),
        6 => counters
            .prop_map(|(family, from, count, long, value)| Event::Counters { family, from, count, long, value }),
        2 => (0..4_u8, 0..30_u8).prop_map(|(label, bound)| Event::Histogram { label, bound }),
        1 => (0..5_u8).prop_map(Event::Help),
        6 => bytes_max.prop_map(|bytes_max| Event::Scrape { bytes_max }),
    ]
}

fn any_effect() -> impl Strategy<Value = Effect> {
    prop_oneof![4 => Just(Effect::Merge), 1 => Just(Effect::ReplaceFamilies), 1 => Just(Effect::ReplaceGroup)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_is_what_would_be_written_from_nothing(
        view in any_view(),
        events in proptest::collection::vec((0..4_u8, any_event(), any_effect()), 1..50)
    ) {
        let mut scraped = Scraped::in_view(view);
        let mut earlier = Vec::new();
        for (group, event, effect) in &events {
            let group = group.to_string();
            match (event, event.body()) {
                (Event::Delete, _) => scraped.delete(&group),
                (Event::Scrape { bytes_max }, _) => {
                    let chunks = scraped.scrape(*bytes_max);
                    // Some are still read while the next ones are made: they must not change any more.
                    if earlier.len() < 3 {
                        earlier.push((chunks.concat(), chunks));
                    }
                }
                (_, body) => scraped.push_as(*effect, &group, &body.unwrap()),
            }
        }
        scraped.scrape(usize::MAX);
        for (text, chunks) in earlier {
            prop_assert!(text == chunks.concat());
        }
    }
}

#[test]
fn of_series_that_look_alike_the_one_that_is_shown_as_it_was_pushed_stays() {
    let mut scraped = Scraped::new();
    scraped.push("1", "a{\"l.m\"=\"1\"} 1\nb{\"l.m\"=\"1\"} 1\nb{l_n=\"1\"} 1\n");
    let mut left_out = Vec::new();
    let mut text = |scraped: &mut Scraped| {
        let snapshot = scraped.gateway.snapshot();
        let mut update = scraped.kept.update(&snapshot, usize::MAX);
        let mut families = update.families();
        families.sort_by(|a, b| a.name.cmp(&b.name));
        let texts: Vec<_> = families.iter().map(|family| update.text(family, false)).collect();
        left_out.push(update.series_left_out());
        update.finish();
        texts
            .into_iter()
            .map(|text| text.map(|text| String::from_utf8(text.concat()).unwrap()))
            .collect::<Vec<_>>()
    };
    let shown =
        |line: &str| -> Result<String, LeftOut> { Ok(line.replace('?', "b=\"1\",instance=\"\",job=\"j\",")) };
    let a = shown("a{?l_m=\"1\"} 1\n");
    let b = shown("b{?l_m=\"1\"} 1\nb{?l_n=\"1\"} 1\n");
    assert_eq!(text(&mut scraped), [a.clone(), b]);
    scraped.push("1", "b{l_m=\"1\"} 5\n");
    let b = shown("b{?l_m=\"1\"} 5\nb{?l_n=\"1\"} 1\n");
    assert_eq!(text(&mut scraped), [a.clone(), b.clone()]);
    scraped.push("1", "a{\"l.m\"=\"1\",l_m=\"1\"} 1\nb{\"l m\"=\"1\"} 7\n");
    assert_eq!(text(&mut scraped), [a, b]);
    scraped.push("1", "c{\"l.m\"=\"1\",l_m=\"1\"} 1\n");
    assert_eq!(text(&mut scraped)[2], Err(LeftOut::Name));
    // In another view they can be told apart.
    let view = View { escaping: Escaping::AllowUtf8, ..View::default() };
    scraped.kept = Kept::new(view);
    let quoted = "b{?\"l m\"=\"1\"} 7\nb{?\"l.m\"=\"1\"} 1\nb{?l_m=\"1\"} 5\nb{?l_n=\"1\"} 1\n";
    assert_eq!(text(&mut scraped)[1], shown(quoted));
    assert_eq!(left_out, [0, 1, 3, 3, 0]);
}

#[test]
fn lines_that_cannot_be_shown_for_a_while_come_back() {
    let mut scraped = Scraped::in_view(View { format: Format::OpenMetrics, ..View::default() });
    // Several chunks of it.
    let body = |value: &str| counters(0, 3_000, value);
    for value in ["5", "NaN", "NaN", "6", "-1"] {
        scraped.push_as(Effect::ReplaceFamilies, "1", &body(value));
        let shown = if value.len() == 1 { 3_000 } else { 0 };
        let text = String::from_utf8(scraped.scrape(usize::MAX).concat()).unwrap();
        assert_eq!(text.lines().filter(|line| !line.starts_with('#')).count(), shown, "{value}");
    }
    scraped.push("2", "# TYPE c counter\nc{a=\"001500\"} 1\n");
    scraped.scrape(usize::MAX);
    scraped.delete("2");
    scraped.scrape(usize::MAX);
    scraped.push_as(Effect::ReplaceFamilies, "1", &body("7"));
    assert!(scraped.scrape(usize::MAX).len() > 1);
}

#[test]
fn lines_that_could_never_be_shown_come_in_many_pieces() {
    let mut scraped = Scraped::in_view(View { format: Format::OpenMetrics, ..View::default() });
    for (value, series) in [("NaN", 20_000), ("NaN", 20_100), ("6", 20_100)] {
        scraped.push_as(Effect::ReplaceFamilies, "1", &counters(0, series, value));
        scraped.scrape(usize::MAX);
    }
    let chunks = scraped.scrape(usize::MAX);
    let longest = chunks.iter().map(Bytes::len).max().unwrap();
    assert!(longest < 256 << 10, "{longest} bytes in one of {}", chunks.len());
}

/// So many counters, numbered from `from` on.
fn counters(from: usize, count: usize, value: impl Display) -> String {
    (from..from + count)
        .fold("# TYPE c counter\n".to_owned(), |body, i| body + &format!("c{{a=\"{i:06}\"}} {value}\n"))
}

fn addresses(chunks: &[Bytes]) -> Vec<*const u8> {
    chunks.iter().map(|chunk| chunk.as_ptr()).collect()
}

#[test]
fn unchanged_text_is_handed_out_again_and_changed_text_overwritten() {
    let mut scraped = Scraped::new();
    scraped.push("1", &counters(0, 5_000, 1));
    scraped.push("2", &counters(5_000, 10, 1));
    let first = scraped.scrape(usize::MAX);
    assert!(first.len() > 3);
    assert_eq!(addresses(&scraped.scrape(usize::MAX)), addresses(&first));
    // Somebody holds the first text: what changes is copied, the rest is not.
    scraped.push("2", &counters(5_000, 10, 1));
    let second = scraped.scrape(usize::MAX);
    let same = addresses(&first).iter().zip(addresses(&second)).filter(|(a, b)| **a == *b).count();
    assert_eq!((first.len(), same), (second.len(), first.len() - 1));
    let before = addresses(&second);
    drop((first, second));
    scraped.push("2", &counters(5_000, 10, 1));
    assert_eq!(addresses(&scraped.scrape(usize::MAX)), before);
}

#[test]
fn many_series_of_several_groups_are_put_into_one_order() {
    let mut scraped = Scraped::new();
    // Of two groups the series stand one by one in turn, and those of the third behind them.
    for (group, from) in [("1", 0), ("2", 0), ("3", 90_000)] {
        (0..12_000).step_by(4_000).for_each(|more| scraped.push(group, &counters(from + more, 4_000, 1)));
    }
    assert_eq!(scraped.scrape(usize::MAX).concat().split(|byte| *byte == b'\n').count(), 36_000 + 2);
    // Too many to be put in one by one.
    scraped.push("4", &counters(50_000, 4_000, 1));
    scraped.scrape(usize::MAX);
}

#[test]
fn many_small_additions_and_deletions_leave_neither_many_chunks_nor_places() {
    let mut scraped = Scraped::new();
    for i in 0..400 {
        scraped.push(&i.to_string(), &counters(i, 20, 1));
        scraped.scrape(usize::MAX);
        if i >= 100 {
            scraped.delete(&(i - 100).to_string());
        }
    }
    let chunks = scraped.scrape(usize::MAX);
    assert!(chunks.len() <= 17 + 4 * chunks.concat().len() / (64 << 10), "{}", chunks.len());
    assert!(scraped.kept.pages.places() <= 102, "{}", scraped.kept.pages.places());
    (0..400).for_each(|i| scraped.delete(&i.to_string()));
    assert!(scraped.scrape(usize::MAX).is_empty());
    assert!(scraped.kept.families.is_empty());
}
