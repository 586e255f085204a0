//! Pushes that repeat earlier ones are recognised and take a short way. Here two gateways are told the same,
//! one that recognises them and one that does not: they must never differ, neither in an answer nor in a
//! scrape.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::join_all;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use tallygate::aggregation::UntypedMode;
use tallygate::gateway::{Effect, Options};
use tallygate::http;

use crate::support::in_process::InProcess;
use crate::support::records::Disk;

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

/// The texts that can be recognised once the group has their series.
const RECOGNISABLE: [usize; 10] = [0, 4, 6, 9, 11, 12, 13, 14, 15, 16];

/// The texts of counters and histograms alone.
const ADDED: [usize; 7] = [0, 3, 4, 5, 6, 11, 12];

/// The numbers of one push.
#[derive(Clone, Debug)]
enum Numbers {
    /// Whatever a client may write.
    Any(Vec<Index>),
    /// Such as the text can have: the counts of a histogram ascend. All of one push are different, so that none
    /// can stand in the place of another and not be missed.
    Good([u8; 3]),
}

/// One request.
#[derive(Clone, Debug)]
struct Push {
    put: bool,
    path: usize,
    text: usize,
    numbers: Numbers,
}

#[derive(Clone, Debug)]
enum Step {
    /// One after the other.
    InTurn(Vec<Push>),
    /// At the same time, so that they are carried out as one batch, or a few. What comes of them must not depend on
    /// their order, which nobody promises.
    Together(Vec<Push>),
    /// A push of which one byte is another one.
    Mutated(Push, Index, u8),
    Delete(usize),
    Restart,
}

fn any_numbers() -> impl Strategy<Value = Numbers> {
    prop_oneof![
        prop::collection::vec(any::<Index>(), 6).prop_map(Numbers::Any),
        any::<[u8; 3]>().prop_map(Numbers::Good),
    ]
}

fn any_push() -> impl Strategy<Value = Push> {
    (any::<bool>(), 0..PATHS.len(), 0..TEXTS.len(), any_numbers())
        .prop_map(|(put, path, text, numbers)| Push { put, path, text, numbers })
}

/// What only adds, where POST merges.
fn added_push() -> impl Strategy<Value = Push> {
    (0..PATHS.len(), prop::sample::select(&ADDED[..]), any::<[u8; 3]>())
        .prop_map(|(path, text, numbers)| Push { put: false, path, text, numbers: Numbers::Good(numbers) })
}

/// The same text to the same path with other numbers each time: all of them good ones, or any.
fn repeated_push() -> impl Strategy<Value = Vec<Push>> {
    let numbers = prop_oneof![
        prop::collection::vec(any::<[u8; 3]>().prop_map(Numbers::Good), 1..7),
        prop::collection::vec(any_numbers(), 1..5),
    ];
    (any_push(), numbers).prop_map(|(push, numbers)| {
        numbers.into_iter().map(|numbers| Push { numbers, ..push.clone() }).collect()
    })
}

fn any_step() -> impl Strategy<Value = Step> {
    let byte = prop_oneof![prop::sample::select(b"\n {}\",=_0123 abml#".to_vec()), any::<u8>()];
    prop_oneof![
        12 => repeated_push().prop_map(Step::InTurn),
        3 => prop::collection::vec(added_push(), 2..8).prop_map(Step::Together),
        3 => (any_push(), any::<Index>(), byte).prop_map(|(push, at, byte)| Step::Mutated(push, at, byte)),
        1 => (0..PATHS.len()).prop_map(Step::Delete),
        1 => Just(Step::Restart),
    ]
}

impl Numbers {
    /// In the order in which the text has them.
    fn of(&self, text: usize) -> Vec<String> {
        let [a, b, c] = match self {
            Self::Any(numbers) => {
                return numbers.iter().map(|number| (*number.get(&NUMBERS)).to_owned()).collect();
            }
            Self::Good(seeds) => seeds.map(u32::from),
        };
        let (least, more, most) = (a + 1, a + b + 2, a + b + c + 3);
        let sum = format!("{}.25", 2 * most);
        let whole = |number: u32| number.to_string();
        match text {
            11 => vec![whole(least), whole(most), sum, whole(most)],
            12 => vec![whole(most), whole(least), whole(more), sum],
            _ => vec![whole(least), sum, whole(most), whole(more)],
        }
    }
}

impl Push {
    fn method(&self) -> &'static str {
        if self.put { "PUT" } else { "POST" }
    }

    /// The text with its numbers in place.
    fn body(&self) -> Vec<u8> {
        let mut body = String::new();
        let mut parts = TEXTS[self.text].split('@');
        body.push_str(parts.next().unwrap_or_default());
        for (part, number) in parts.zip(self.numbers.of(self.text)) {
            write!(body, "{number}{part}").unwrap();
        }
        body.into_bytes()
    }
}

/// An error text, less the group named in it: where several hold a metric, any of them may be.
fn up_to_group(error: &str) -> &str {
    error.split("the group").next().unwrap_or_default()
}

/// A gateway, and what outlives it.
struct Kept {
    gateway: InProcess,
    disk: Disk,
    options: Options,
    http_options: http::Options,
}

impl Kept {
    fn open(options: Options, http_options: http::Options) -> Self {
        let disk = Disk::default();
        let gateway = InProcess::open_with(disk.engine(), options.clone(), http_options.clone());
        Self { gateway, disk, options, http_options }
    }

    /// Another gateway on what this one has stored. A kill could lose the time of a refusal, which is written with
    /// the next commit.
    async fn restart(&mut self) {
        self.gateway.gateway.stop().await.unwrap();
        self.gateway =
            InProcess::open_with(self.disk.engine(), self.options.clone(), self.http_options.clone());
    }

    /// All of the requests, which are there at once, in order.
    async fn send(&self, requests: &[(&'static str, usize, Vec<u8>)]) -> Vec<(u16, String)> {
        let send = async |(method, path, body): &(&str, usize, Vec<u8>)| {
            let (status, text) = self.gateway.send(method, PATHS[*path], body.clone()).await;
            (status.as_u16(), up_to_group(&text).to_owned())
        };
        join_all(requests.iter().map(send)).await
    }
}

/// The gateway that recognises repeated pushes, and the one that does not.
struct Both {
    quick: Kept,
    plain: Kept,
}

impl Both {
    fn open(untyped: UntypedMode) -> Self {
        Self::open_as(untyped, [Effect::Merge; 2])
    }

    /// With what PUT and POST do.
    fn open_as(untyped: UntypedMode, [put, post]: [Effect; 2]) -> Self {
        let open = |repeat_bytes_max| {
            let options = Options { untyped, ..Options::default() };
            Kept::open(options, http::Options { repeat_bytes_max, put, post, ..http::Options::default() })
        };
        Self { quick: open(http::Options::default().repeat_bytes_max), plain: open(0) }
    }

    async fn send(&self, method: &'static str, path: usize, body: Vec<u8>) -> Result<(), TestCaseError> {
        self.send_together(&[(method, path, body)]).await
    }

    async fn send_together(&self, requests: &[(&'static str, usize, Vec<u8>)]) -> Result<(), TestCaseError> {
        let (quick, plain) = (self.quick.send(requests).await, self.plain.send(requests).await);
        for ((quick, plain), (method, path, body)) in quick.iter().zip(&plain).zip(requests) {
            let body = String::from_utf8_lossy(body);
            prop_assert!(quick == plain, "{method} {path} {body}: {quick:?} against {plain:?}");
        }
        self.compare().await
    }

    async fn compare(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.quick.gateway.scrape().await, self.plain.gateway.scrape().await);
        Ok(())
    }

    fn set_seconds(&self, seconds: u64) {
        self.quick.gateway.clock.set_seconds(seconds);
        self.plain.gateway.clock.set_seconds(seconds);
    }

    /// Carries out a step, and adds to `recognised`, by text, the pushes that were.
    async fn step(&mut self, step: Step, recognised: &[AtomicU64]) -> Result<(), TestCaseError> {
        match step {
            Step::Together(pushes) if self.quick.http_options.post == Effect::Merge => {
                let requests: Vec<_> =
                    pushes.iter().map(|push| (push.method(), push.path, push.body())).collect();
                self.send_together(&requests).await?;
            }
            Step::InTurn(pushes) | Step::Together(pushes) => {
                for push in pushes {
                    let before = self.recognised();
                    self.send(push.method(), push.path, push.body()).await?;
                    recognised[push.text].fetch_add(self.recognised() - before, Ordering::Relaxed);
                }
            }
            Step::Mutated(push, at, byte) => {
                let mut body = push.body();
                let at = at.index(body.len());
                body[at] = byte;
                self.send("POST", push.path, body).await?;
            }
            Step::Delete(path) => self.send("DELETE", path, Vec::new()).await?,
            Step::Restart => {
                self.quick.restart().await;
                self.plain.restart().await;
                self.compare().await?;
            }
        }
        Ok(())
    }

    fn recognised(&self) -> u64 {
        assert_eq!(self.plain.gateway.gateway.metrics().pushes_repeated.get(), 0);
        self.quick.gateway.gateway.metrics().pushes_repeated.get()
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_recognised_push_does_what_it_would_do_unrecognised() {
    let config = ProptestConfig { source_file: Some(file!()), ..ProptestConfig::with_cases(96) };
    let untyped = prop::sample::select(vec![UntypedMode::Sum, UntypedMode::Last, UntypedMode::BySuffix]);
    let effects = prop::sample::select(vec![
        [Effect::Merge, Effect::Merge],
        [Effect::ReplaceGroup, Effect::Merge],
        [Effect::ReplaceGroup, Effect::ReplaceFamilies],
    ]);
    let inputs = (prop::collection::vec(any_step(), 1..40), untyped, effects);
    let recognised: [AtomicU64; TEXTS.len()] = Default::default();
    let outcome = TestRunner::new(config).run(&inputs, |(steps, untyped, effects)| {
        run(async {
            let mut both = Both::open_as(untyped, effects);
            for (second, step) in (2_000..).zip(steps) {
                both.set_seconds(second);
                both.step(step, &recognised).await?;
            }
            both.step(Step::Restart, &recognised).await
        })
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    // It says something only about what was recognised.
    for text in RECOGNISABLE {
        let times = recognised[text].load(Ordering::Relaxed);
        assert!(times >= 5, "recognised {times} times: {}", TEXTS[text]);
    }
}

/// The push that is expected to be recognised, once it was pushed twice.
#[test]
fn what_can_repeat_is_recognised_from_the_third_time_on() {
    run(async {
        for text in RECOGNISABLE {
            let both = Both::open(UntypedMode::Sum);
            for seed in 0..5 {
                let numbers = Numbers::Good([seed, 7 * seed, 3]);
                let push = Push { put: false, path: 1, text, numbers };
                both.send(push.method(), push.path, push.body()).await.unwrap();
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
            let scrape = both.quick.gateway.scrape().await;
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
                both.send("POST", 1, b"# TYPE m_total counter\nm_total ".to_vec()).await.unwrap();
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
