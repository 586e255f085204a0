//! What is known of pushes that repeat earlier ones: clients push the same lines again and again, with
//! other numbers.
//!
//! Knows how to recognise a body; where its numbers go is the gateway's to know. Invariants: a body is
//! recognised by all of its bytes, never by a hash alone; what is kept is bounded in bytes; what is not
//! recognised is read and resolved as if nothing were kept.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use crate::exposition::ReadLimits;
use crate::exposition::text::{self, Template};
use crate::gateway::{Effect, Gateway, PushError, Repeat, ResolvedPush};
use crate::model::{GroupingKey, NameScheme};

/// How many texts are known for one path: forked workers that share a path may push different ones.
const TEXTS_PER_PATH_MAX: usize = 4;

/// After this many texts at most that were learned in vain, the next is learned.
const PATIENCE_MAX: u32 = 255;

/// A text that takes more than this share of what may be kept is not kept.
const SHARE: usize = 8;

/// A cache that is bounded in bytes.
type Bounded<K, V, S> = Cache<K, V, ByWeight, S, DefaultLifecycle<K, V>>;

/// What is known of repeated pushes, by path.
pub(super) struct Repeats<S: BuildHasher + Clone = RandomState> {
    /// The texts, each once however many paths it is pushed to, by hash.
    templates: Bounded<u64, Arc<Template>, S>,
    paths: Bounded<Box<str>, Arc<Known>, S>,
    hasher: S,
    weight_max: usize,
}

/// What is known of the pushes to one path.
pub(super) struct Known {
    /// The newest first.
    learned: Vec<Arc<Learned>>,
    /// How many texts are passed over before the next one is learned.
    patience: u32,
    passed_over: AtomicU32,
}

/// One text that is pushed to a path.
struct Learned {
    /// Not kept alive: the texts have a bound of their own.
    template: Weak<Template>,
    repeat: Repeat,
    /// Whether it was of use since the last time that one had to go.
    was_used: AtomicBool,
}

/// Counts bytes.
#[derive(Clone)]
struct ByWeight;

impl Weighter<u64, Arc<Template>> for ByWeight {
    fn weight(&self, _: &u64, template: &Arc<Template>) -> u64 {
        template.weight() as u64
    }
}

impl Weighter<Box<str>, Arc<Known>> for ByWeight {
    fn weight(&self, path: &Box<str>, known: &Arc<Known>) -> u64 {
        const LEARNED: usize = size_of::<Learned>();
        let learned = known.learned.iter().map(|learned| LEARNED + learned.repeat.weight());
        (size_of::<Known>() + path.len() + learned.sum::<usize>()) as u64
    }
}

impl Repeats {
    /// Knows nothing yet, and keeps at most `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self::with_hasher(bytes_max, RandomState::new())
    }
}

impl<S: BuildHasher + Clone> Repeats<S> {
    fn with_hasher(bytes_max: usize, hasher: S) -> Self {
        let weight_max = bytes_max / 2;
        let options = OptionsBuilder::new()
            .shards(2)
            .weight_capacity(weight_max as u64)
            .estimated_items_capacity(weight_max / 4096)
            .build()
            .expect("every option that has no default is given");
        Self {
            templates: Cache::with_options(
                options.clone(),
                ByWeight,
                hasher.clone(),
                DefaultLifecycle::default(),
            ),
            paths: Cache::with_options(options, ByWeight, hasher.clone(), DefaultLifecycle::default()),
            hasher,
            weight_max,
        }
    }

    /// What is known of the pushes to a path, as it stands in the request.
    pub(super) fn of(&self, path: &str) -> Option<Arc<Known>> {
        self.paths.get(path)
    }

    /// Learns from a body that was just accepted, so that its like is recognised.
    pub(super) fn learn(&self, gateway: &Gateway, path: &str, key: &GroupingKey, body: &[u8]) {
        let known = self.of(path);
        if body.len() > self.weight_max / SHARE || known.as_ref().is_some_and(|known| known.passes_over()) {
            return;
        }
        let Some(template) = Template::of(body) else { return };
        let with_places = template.with_places();
        // The body was accepted, by whichever scheme.
        let places = text::parse_up_to(&with_places, NameScheme::Utf8, ReadLimits::NONE);
        let Ok(places) = places else { return };
        let Some(repeat) = gateway.learn(key, &places) else { return };
        let template = Arc::downgrade(&self.shared(template));
        let learned = Arc::new(Learned { template, repeat, was_used: AtomicBool::new(false) });
        self.paths.insert(path.into(), Arc::new(Known::with(known.as_deref(), learned)));
    }

    /// Forgets what is known of a path.
    pub(super) fn forget(&self, path: &str) {
        self.paths.remove(path);
    }

    /// The kept template that equals this one, which is kept from now on if there was none.
    fn shared(&self, template: Template) -> Arc<Template> {
        let hash = self.hasher.hash_one(&template);
        if let Some(kept) = self.templates.get(&hash)
            && *kept == template
        {
            return kept;
        }
        let template = Arc::new(template);
        self.templates.insert(hash, Arc::clone(&template));
        template
    }
}

impl Known {
    /// What is known once a text is learned beside the others.
    fn with(known: Option<&Self>, learned: Arc<Learned>) -> Self {
        let mut all = vec![learned];
        let mut patience = 0;
        if let Some(known) = known {
            all.extend(known.learned.iter().filter(|old| old.template.strong_count() > 0).cloned());
            patience = known.patience;
        }
        if all.len() > TEXTS_PER_PATH_MAX {
            let in_vain = all.iter().rposition(|learned| !learned.was_used.swap(false, Relaxed));
            // The first is new, and has had no chance yet.
            let in_vain = in_vain.filter(|&place| place > 0);
            patience = if in_vain.is_some() { (2 * patience + 1).min(PATIENCE_MAX) } else { 0 };
            all.remove(in_vain.unwrap_or(TEXTS_PER_PATH_MAX));
        }
        Self { learned: all, patience, passed_over: AtomicU32::new(0) }
    }

    /// Whether another text is not worth learning yet: those before it were of no use.
    fn passes_over(&self) -> bool {
        self.passed_over.fetch_add(1, Relaxed) < self.patience
    }

    /// The push that a body is, if it is recognised.
    pub(super) fn resolve(
        &self,
        gateway: &Gateway,
        effect: Effect,
        body: &[u8],
    ) -> Result<Option<ResolvedPush>, PushError> {
        let mut numbers = Vec::new();
        for learned in &self.learned {
            let Some(template) = learned.template.upgrade() else { continue };
            if !template.read(body, &mut numbers) {
                continue;
            }
            if let Some(push) = gateway.repeat_as(effect, &learned.repeat, &numbers, body.len())? {
                learned.was_used.store(true, Relaxed);
                return Ok(Some(push));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasherDefault, Hasher};

    use super::*;
    use crate::http::path;
    use crate::http::testing::gateway;

    /// Everything has one hash.
    #[derive(Default)]
    struct Colliding;

    impl Hasher for Colliding {
        fn finish(&self) -> u64 {
            1
        }

        fn write(&mut self, _: &[u8]) {}
    }

    async fn push(gateway: &Gateway, key: &GroupingKey, body: &str) {
        let push = gateway.resolve(key, &text::parse(body.as_bytes()).unwrap(), body.len()).unwrap();
        gateway.submit(push).await.unwrap();
    }

    fn texts(number: u32) -> [String; 3] {
        [format!("a {number}\n"), format!("b {number}\nc {number}\n"), format!("d{{x=\"1\"}} {number}\n")]
    }

    /// Whether the text is recognised on the path and has as many series as lines.
    fn is_recognised<S: BuildHasher + Clone>(
        repeats: &Repeats<S>,
        gateway: &Gateway,
        at: &str,
        text: &str,
    ) -> bool {
        let known =
            repeats.of(at).and_then(|known| known.resolve(gateway, Effect::Merge, text.as_bytes()).unwrap());
        known.is_some_and(|push| push.brings_nothing_new())
    }

    #[tokio::test]
    async fn texts_of_one_hash_are_told_apart_by_their_bytes() {
        let gateway = gateway();
        let repeats = Repeats::with_hasher(1 << 20, BuildHasherDefault::<Colliding>::default());
        let paths = ["/metrics/job/a", "/metrics/job/b", "/metrics/job/c"];
        for _ in 0..2 {
            for (at, text) in paths.into_iter().zip(texts(1)) {
                let key = path::parse(at).unwrap();
                push(&gateway, &key, &text).await;
                repeats.learn(&gateway, at, &key, text.as_bytes());
                assert!(is_recognised(&repeats, &gateway, at, &text), "{at}");
            }
        }
        // The texts displace each other; no path ever takes the text of another one for its own.
        for (at, own) in paths.into_iter().zip(texts(2)) {
            for text in texts(2) {
                assert!(text == own || !is_recognised(&repeats, &gateway, at, &text), "{at}: {text}");
            }
        }
    }

    #[tokio::test]
    async fn one_text_is_kept_once_and_all_that_is_kept_is_bounded() {
        let gateway = gateway();
        let repeats = Repeats::new(64 << 10);
        let line = |series: usize| format!("m{{l=\"{series}\",of=\"{}\"}} 1\n", "x".repeat(20));
        let text: String = (0..20).map(line).collect();
        for group in 0..500 {
            let at = format!("/metrics/job/{group}");
            let key = path::parse(&at).unwrap();
            push(&gateway, &key, &text).await;
            repeats.learn(&gateway, &at, &key, text.as_bytes());
            assert!(is_recognised(&repeats, &gateway, &at, &text));
        }
        assert_eq!(repeats.templates.len(), 1);
        assert!(repeats.paths.len() < 500);
        assert!(repeats.templates.weight() + repeats.paths.weight() <= 64 << 10);
    }

    #[tokio::test]
    async fn texts_that_never_come_back_are_learned_more_and_more_rarely() {
        let gateway = gateway();
        let repeats = Repeats::new(1 << 20);
        let at = "/metrics/job/a";
        let key = path::parse(at).unwrap();
        let mut learned = 0;
        for number in 0..200 {
            let text = format!("# {number}\nm 1\n");
            push(&gateway, &key, &text).await;
            repeats.learn(&gateway, at, &key, text.as_bytes());
            let known = repeats.of(at).unwrap();
            assert!(known.learned.len() <= TEXTS_PER_PATH_MAX);
            learned +=
                usize::from(known.resolve(&gateway, Effect::Merge, text.as_bytes()).unwrap().is_some());
            known.learned.iter().for_each(|learned| learned.was_used.store(false, Relaxed));
        }
        assert!(learned < 20, "{learned} of 200 were learned");
        assert!(learned > TEXTS_PER_PATH_MAX);
    }
}
