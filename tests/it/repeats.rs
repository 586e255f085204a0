//! Pushes that repeat earlier ones are recognised and take a short way. Here two gateways are told the same,
//! one that recognises them and one that does not: they must never differ, neither in an answer nor in a
//! scrape.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::Index;
use tallygate::aggregation::UntypedMode;
use tallygate::gateway::{Effect, Options};
use tallygate::http;
use tallygate::storage::MemoryEngine;

use crate::support::in_process::InProcess;

/// Paths, two of which lead to one group.
const PATHS: [&str; 4] =
    ["/metrics/job/a", "/metrics/job/a/i/1", "/metrics/job/b/i/1", "/metrics/job/a/i@base64/MQ"];

/// Texts of pushes; a number goes where there is a `@`.
const TEXTS: [&str; 17] = [
    "# TYPE m_total counter\nm_total @\nm_total{a=\"1\"} @\n",
    // The same samples under no type and under another one.
    "m_total @\nm_total{a=\"1\"} @\n",
    "# TYPE m_total gauge\nm_total @\nm_total{a=\"1\"} @\n",
    // The same series in another order, with other labels first, and spelt otherwise.
    "# TYPE m_total counter\nm_total{a=\"1\"} @\nm_total @\n",
    "# TYPE m_total counter\nm_total{a=\"1\",b=\"2\"} @\n",
    "# TYPE m_total counter\nm_total{b=\"2\",a=\"1\"} @\n",
    "#  TYPE  m_total  COUNTER\n\n m_total { a = \"1\" , b=\"2\",c=\"\", } @\n{\"m_total\",a=\"1\"}@\n",
    // The same series twice; one that the grouping key overrides.
    "# TYPE m_total counter\nm_total{a=\"1\",b=\"2\"} @\nm_total{b=\"2\",a=\"1\"} @\n",
    "# TYPE m_total counter\nm_total{i=\"9\",job=\"x\"} @\n",
    "# HELP g One text.\n# TYPE g gauge\ng @\n",
    "# HELP g Another text.\n# TYPE g gauge\ng @\n",
    "# TYPE h histogram\nh_bucket{le=\"1\"} @\nh_bucket{le=\"+Inf\"} @\nh_sum @\nh_count @\n",
    "# TYPE h histogram\nh_bucket{le=\"+Inf\"} @\nh_bucket{le=\"0.5\"} @\nh_bucket{le=\"1.0\"} @\nh_sum @\n",
    "# TYPE s summary\ns{quantile=\"0.5\"} @\ns_sum @\ns_count @\nu @\n",
    "# TYPE m_total counter\nm_total @\n# TYPE m_created gauge\nm_created @\nu_count @\nu @\n",
    "u @\n# a comment } 1\nv{x=\"} \\\" 1 2\"} @\n",
    "push_time_seconds @\nu @\nu{l=\"\\n\\\\\"} @\n",
];

/// Numbers as clients write them, and what is none.
const NUMBERS: [&str; 16] = [
    "0",
    "1",
    "1",
    "2",
    "2",
    "3",
    "3.5",
    "1e3",
    "+4.25",
    "-1",
    "NaN",
    "+Inf",
    "1 1700000000",
    "x",
    "",
    "0x1",
];

#[derive(Clone, Debug)]
enum Step {
    /// A text with numbers, pushed several times with others.
    Push {
        put: bool,
        path: usize,
        text: usize,
        numbers: Vec<Vec<Index>>,
    },
    /// A text with numbers of which one byte is another one.
    Mutated {
        path: usize,
        text: usize,
        numbers: Vec<Index>,
        at: Index,
        byte: u8,
    },
    Delete {
        path: usize,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    let numbers = || prop::collection::vec(any::<Index>(), 6);
    let byte = prop_oneof![prop::sample::select(b"\n {}\",=_0123 abml#".to_vec()), any::<u8>()];
    prop_oneof![
        12 => (any::<bool>(), 0..PATHS.len(), 0..TEXTS.len(), prop::collection::vec(numbers(), 1..5))
            .prop_map(|(put, path, text, numbers)| Step::Push { put, path, text, numbers }),
        3 => (0..PATHS.len(), 0..TEXTS.len(), numbers(), any::<Index>(), byte)
            .prop_map(|(path, text, numbers, at, byte)| Step::Mutated { path, text, numbers, at, byte }),
        1 => (0..PATHS.len()).prop_map(|path| Step::Delete { path }),
    ]
}

/// The text with numbers in place.
fn body(text: usize, numbers: &[Index]) -> Vec<u8> {
    let mut body = String::new();
    let mut parts = TEXTS[text].split('@');
    body.push_str(parts.next().unwrap_or_default());
    for (part, number) in parts.zip(numbers) {
        write!(body, "{}{part}", number.get(&NUMBERS)).unwrap();
    }
    body.into_bytes()
}

/// An error text, less the group named in it: where several hold a metric, any of them may be.
fn up_to_group(error: &str) -> &str {
    error.split("the group").next().unwrap_or_default()
}

/// The gateway that recognises repeated pushes, and the one that does not.
struct Both {
    quick: InProcess,
    plain: InProcess,
}

impl Both {
    fn open(untyped: UntypedMode) -> Self {
        Self::open_as(untyped, [Effect::Merge; 2])
    }

    /// With what PUT and POST do.
    fn open_as(untyped: UntypedMode, [put, post]: [Effect; 2]) -> Self {
        let open = |repeat_bytes_max| {
            let options = Options { untyped, ..Options::default() };
            let http_options = http::Options { repeat_bytes_max, put, post, ..http::Options::default() };
            InProcess::open_with(Box::new(MemoryEngine::default()), options, http_options)
        };
        Self { quick: open(http::Options::default().repeat_bytes_max), plain: open(0) }
    }

    async fn send(&self, method: &str, path: usize, body: Vec<u8>) -> Result<(), TestCaseError> {
        let quick = self.quick.send(method, PATHS[path], body.clone()).await;
        let plain = self.plain.send(method, PATHS[path], body.clone()).await;
        let same = quick.0 == plain.0 && up_to_group(&quick.1) == up_to_group(&plain.1);
        prop_assert!(same, "{}: {quick:?} against {plain:?}", String::from_utf8_lossy(&body));
        prop_assert_eq!(self.quick.scrape().await, self.plain.scrape().await);
        Ok(())
    }

    async fn step(&self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Push { put, path, text, numbers } => {
                for numbers in numbers {
                    self.send(if put { "PUT" } else { "POST" }, path, body(text, &numbers)).await?;
                }
            }
            Step::Mutated { path, text, numbers, at, byte } => {
                let mut body = body(text, &numbers);
                let at = at.index(body.len());
                body[at] = byte;
                self.send("POST", path, body).await?;
            }
            Step::Delete { path } => self.send("DELETE", path, Vec::new()).await?,
        }
        Ok(())
    }

    fn recognised(&self) -> u64 {
        assert_eq!(self.plain.gateway.metrics().pushes_repeated.get(), 0);
        self.quick.gateway.metrics().pushes_repeated.get()
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_recognised_push_does_what_it_would_do_unrecognised(
        steps in prop::collection::vec(any_step(), 1..40),
        untyped in prop::sample::select(vec![UntypedMode::Sum, UntypedMode::Last, UntypedMode::BySuffix]),
        effects in prop::sample::select(vec![
            [Effect::Merge, Effect::Merge],
            [Effect::ReplaceGroup, Effect::Merge],
            [Effect::ReplaceGroup, Effect::ReplaceFamilies],
        ]),
    ) {
        run(async {
            let both = Both::open_as(untyped, effects);
            for (second, step) in (2_000..).zip(steps) {
                both.quick.clock.set_seconds(second);
                both.plain.clock.set_seconds(second);
                both.step(step).await?;
            }
            Ok::<_, TestCaseError>(())
        })?;
    }
}

/// The push that is expected to be recognised, once it was pushed twice.
#[test]
fn what_can_repeat_is_recognised_from_the_third_time_on() {
    run(async {
        for text in [0, 4, 6, 9, 11, 12, 13, 14, 15, 16] {
            let both = Both::open(UntypedMode::Sum);
            for _ in 0..5 {
                // All ones: good as every kind of number, and as every count of one histogram.
                let body = TEXTS[text].replace('@', "1").into_bytes();
                both.send("POST", 1, body).await.unwrap();
            }
            assert_eq!(both.recognised(), 3, "{}", TEXTS[text]);
        }
    });
}

#[test]
fn what_replaces_is_recognised_too() {
    run(async {
        for (method, expected) in [("PUT", [3.0, 0.0]), ("POST", [3.0, 5.0])] {
            let both = Both::open_as(UntypedMode::Sum, [Effect::ReplaceGroup, Effect::ReplaceFamilies]);
            both.send("PUT", 1, b"# TYPE g gauge\ng 5\nm_total{a=\"2\"} 1\n".to_vec()).await.unwrap();
            for number in ["2", "1", "3", "3"] {
                // What takes on no type, since it has one.
                both.send(method, 1, TEXTS[0].replace('@', number).into_bytes()).await.unwrap();
            }
            assert_eq!(both.recognised(), 2, "{method}");
            let scrape = both.quick.scrape().await;
            let shown = |series: &str| crate::support::samples::value(&scrape, series);
            assert_eq!(
                [
                    shown("m_total{i=\"1\",instance=\"\",job=\"a\"}"),
                    shown("g{i=\"1\",instance=\"\",job=\"a\"}")
                ],
                expected
            );
            assert!(!scrape.contains("a=\"2\""), "{scrape}");
        }
    });
}

#[test]
fn a_deleted_group_is_pushed_anew_and_then_recognised_again() {
    run(async {
        let both = Both::open(UntypedMode::Sum);
        for round in 1..=3 {
            for _ in 0..4 {
                both.send("POST", 1, body(0, &[])).await.unwrap();
                both.send("POST", 1, TEXTS[0].replace('@', "1").into_bytes()).await.unwrap();
            }
            assert_eq!(both.recognised(), round * 2);
            both.send("DELETE", 1, Vec::new()).await.unwrap();
        }
    });
}

#[test]
fn texts_that_take_turns_are_recognised_too() {
    run(async {
        let both = Both::open(UntypedMode::Sum);
        for round in 0..10 {
            for text in [0, 4, 9, 13] {
                both.send("POST", 1, TEXTS[text].replace('@', "1").into_bytes()).await.unwrap();
            }
            assert_eq!(both.recognised(), 4 * u64::saturating_sub(round, 1));
        }
    });
}
