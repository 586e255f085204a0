//! What is known of pushes that repeat earlier ones: clients push the same lines again and again, with
//! other numbers.
//!
//! Knows how to recognise a body; where its numbers go is the gateway's to know. Invariants: a body is
//! recognised by all of its bytes, never by a hash alone; what is kept is bounded in bytes; what is not
//! recognised is read and resolved as if nothing were kept.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{OptionsBuilder, Weighter};

use crate::exposition::ReadLimits;
use crate::exposition::text::{self, Template};
use crate::gateway::{Effect, Gateway, PushError, Repeat, RepeatedGroup, ResolvedPush};
use crate::model::{GroupingKey, NameScheme};

/// How many texts are known for one path: forked workers that share a path may push different ones.
const TEXTS_PER_PATH_MAX: usize = 4;

/// After this many texts at most that were learned in vain, the next is learned.
const PATIENCE_MAX: u32 = 255;

/// A text that takes more than this share of what may be kept is not kept.
const SHARE: usize = 8;

/// A cache that is bounded in bytes.
type Bounded<K, V, S> = Cache<K, V, ByWeight, S, DefaultLifecycle<K, V>>;

/// The caches of [`Repeats`], which share its bytes evenly.
const CACHES: usize = 3;

/// What is known of repeated pushes, by path.
pub(super) struct Repeats<S: BuildHasher + Clone = RandomState> {
    /// The texts, each once however many paths it is pushed to, by hash.
    templates: Bounded<u64, Arc<Template>, S>,
    /// Where their numbers go, each once as well, by hash.
    places: Bounded<u64, Arc<Repeat>, S>,
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
    /// Neither of the two is kept alive: they have bounds of their own.
    template: Weak<Template>,
    repeat: Weak<Repeat>,
    group: RepeatedGroup,
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

impl Weighter<u64, Arc<Repeat>> for ByWeight {
    fn weight(&self, _: &u64, repeat: &Arc<Repeat>) -> u64 {
        repeat.weight() as u64
    }
}

impl Weighter<Box<str>, Arc<Known>> for ByWeight {
    fn weight(&self, path: &Box<str>, known: &Arc<Known>) -> u64 {
        (size_of::<Known>() + path.len() + known.learned.len() * size_of::<Learned>()) as u64
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
        let weight_max = bytes_max / CACHES;
        Self {
            templates: bounded(weight_max, &hasher),
            places: bounded(weight_max, &hasher),
            paths: bounded(weight_max, &hasher),
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
        let Some((group, repeat)) = gateway.learn(key, &places) else { return };
        let template = self.shared(&self.templates, template);
        let repeat = self.shared(&self.places, repeat);
        let learned = Arc::new(Learned { template, repeat, group, was_used: AtomicBool::new(false) });
        self.paths.insert(path.into(), Arc::new(Known::with(known.as_deref(), learned)));
    }

    /// Forgets what is known of a path.
    pub(super) fn forget(&self, path: &str) {
        self.paths.remove(path);
    }

    /// What is kept and equals this one, which is kept from now on if there was nothing.
    fn shared<T: PartialEq + Hash>(&self, all: &Bounded<u64, Arc<T>, S>, new: T) -> Weak<T>
    where
        ByWeight: Weighter<u64, Arc<T>>,
    {
        let hash = self.hasher.hash_one(&new);
        if let Some(kept) = all.get(&hash)
            && *kept == new
        {
            return Arc::downgrade(&kept);
        }
        let new = Arc::new(new);
        let shared = Arc::downgrade(&new);
        all.insert(hash, new);
        shared
    }
}

/// A cache that keeps at most so many bytes.
fn bounded<K, V, S>(weight_max: usize, hasher: &S) -> Bounded<K, V, S>
where
    K: Eq + Hash,
    V: Clone,
    S: BuildHasher + Clone,
    ByWeight: Weighter<K, V>,
{
    let options = OptionsBuilder::new()
        .shards(2)
        .weight_capacity(weight_max as u64)
        .estimated_items_capacity(weight_max / 4096)
        .build()
        .expect("every option that has no default is given");
    Cache::with_options(options, ByWeight, hasher.clone(), DefaultLifecycle::default())
}

impl Known {
    /// What is known once a text is learned beside the others.
    fn with(known: Option<&Self>, learned: Arc<Learned>) -> Self {
        let mut all = vec![learned];
        let mut patience = 0;
        if let Some(known) = known {
            all.extend(known.learned.iter().filter(|old| old.is_kept()).cloned());
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
            let Some(repeat) = learned.repeat.upgrade() else { continue };
            if let Some(push) = gateway.repeat(effect, &learned.group, &repeat, &numbers, body.len())? {
                learned.was_used.store(true, Relaxed);
                return Ok(Some(push));
            }
        }
        Ok(None)
    }
}

impl Learned {
    /// Whether both of what it needs are still kept.
    fn is_kept(&self) -> bool {
        self.template.strong_count() > 0 && self.repeat.strong_count() > 0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::hash::{BuildHasherDefault, Hasher};

    use super::*;
    use crate::gateway::{FamilyView, SeriesView};
    use crate::http::path;
    use crate::http::testing::gateway;
    use crate::model::Value;

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

    /// The push that the text is recognised as on the path.
    fn recognised<S: BuildHasher + Clone>(
        repeats: &Repeats<S>,
        gateway: &Gateway,
        at: &str,
        text: &str,
    ) -> Option<ResolvedPush> {
        repeats.of(at).and_then(|known| known.resolve(gateway, Effect::Merge, text.as_bytes()).unwrap())
    }

    fn is_recognised<S: BuildHasher + Clone>(
        repeats: &Repeats<S>,
        gateway: &Gateway,
        at: &str,
        text: &str,
    ) -> bool {
        recognised(repeats, gateway, at, text).is_some()
    }

    /// What is kept of texts and of where their numbers go displaces each other here, and nothing else: each number
    /// arrives where it belongs, whether its push was recognised or not.
    #[tokio::test]
    async fn texts_of_one_hash_are_told_apart_by_their_bytes() {
        let gateway = gateway();
        let repeats = Repeats::with_hasher(1 << 20, BuildHasherDefault::<Colliding>::default());
        let paths = ["/metrics/job/a", "/metrics/job/b", "/metrics/job/c"];
        let names = [["x", "y"], ["y", "x"], ["x", "z"], ["z", "v"]];
        let mut expected = BTreeMap::<(&str, &str), f64>::new();
        let mut known = 0;
        for number in 0..90_u32 {
            // The same a few times, then another text on another path.
            let turn = number as usize / 3;
            let at = paths[turn % paths.len()];
            let [one, other] = names[turn % names.len()];
            let numbers = [f64::from(number), f64::from(number) + 0.5];
            let text = format!("{one} {}\n{other} {}\n", numbers[0], numbers[1]);
            let key = path::parse(at).unwrap();
            if let Some(push) = recognised(&repeats, &gateway, at, &text) {
                gateway.submit(push).await.unwrap();
                known += 1;
            } else {
                push(&gateway, &key, &text).await;
                repeats.learn(&gateway, at, &key, text.as_bytes());
            }
            *expected.entry((at, one)).or_default() += numbers[0];
            *expected.entry((at, other)).or_default() += numbers[1];
        }
        let snapshot = gateway.snapshot();
        let mut shown = BTreeMap::new();
        for family in snapshot.families().iter().filter(|family| !family.name.starts_with("push_")) {
            for series in family.series() {
                let Value::Untyped(value) = series.value() else { panic!("{} has a type", family.name) };
                let job = series.labels().find(|label| label.name == "job").unwrap().value.to_owned();
                shown.insert((format!("/metrics/job/{job}"), family.name.to_owned()), value);
            }
        }
        let owned = |((at, name), value): ((&str, &str), f64)| ((at.to_owned(), name.to_owned()), value);
        assert_eq!(shown, expected.into_iter().map(owned).collect());
        assert!((45..=60).contains(&known), "{known} of 90 were recognised");
        assert_eq!((repeats.templates.len(), repeats.places.len()), (1, 1));
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
        assert_eq!((repeats.templates.len(), repeats.places.len()), (1, 1));
        assert!(repeats.paths.len() < 500);
        let weights = [repeats.templates.weight(), repeats.places.weight(), repeats.paths.weight()];
        assert!(weights.iter().sum::<u64>() <= 64 << 10, "{weights:?}");
    }

    #[tokio::test]
    async fn groups_share_where_numbers_go_only_if_their_series_stand_alike() {
        let gateway = gateway();
        let repeats = Repeats::new(1 << 20);
        let text = "x 1\ny 2\n";
        let paths = ["/metrics/job/a", "/metrics/job/b", "/metrics/job/c"];
        for (at, kept) in paths.into_iter().zip([1, 1, 2]) {
            let key = path::parse(at).unwrap();
            if at == paths[2] {
                push(&gateway, &key, "y 2\n").await;
            }
            push(&gateway, &key, text).await;
            repeats.learn(&gateway, at, &key, text.as_bytes());
            assert_eq!((repeats.templates.len(), repeats.places.len()), (1, kept), "{at}");
        }
        for at in paths {
            let known = repeats.of(at).unwrap();
            let push = known.resolve(&gateway, Effect::Merge, b"x 10\ny 20\n").unwrap().unwrap();
            gateway.submit(push).await.unwrap();
        }
        let snapshot = gateway.snapshot();
        let values = |family: &FamilyView<'_>| family.series().iter().map(SeriesView::value).collect();
        let values: Vec<Vec<Value>> = snapshot.families().iter().map(values).collect();
        let untyped = |all: [f64; 3]| all.map(Value::Untyped).to_vec();
        assert_eq!(values[2..], [untyped([11.0; 3]), untyped([22.0, 22.0, 24.0])]);
    }

    #[tokio::test]
    async fn what_differs_in_anything_does_not_push_each_other_out() {
        let gateway = gateway();
        let repeats = Repeats::new(1 << 20);
        let texts = [
            "# TYPE x counter\nx 1\n",
            "x 1\n",
            "# HELP x Text.\n# TYPE x counter\nx 1\n",
            "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\n",
            "# TYPE h histogram\nh_bucket{le=\"2\"} 1\nh_count 1\n",
            "# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 1\n",
            "# TYPE s summary\ns{quantile=\"0.6\"} 1\ns_sum 1\n",
            "# TYPE s summary\ns{quantile=\"0.6\"} 1\ns_count 1\n",
        ];
        // Each its own path, of whose group it is the first series.
        for (number, text) in texts.into_iter().enumerate() {
            let at = format!("/metrics/job/{number}");
            let key = path::parse(&at).unwrap();
            push(&gateway, &key, text).await;
            repeats.learn(&gateway, &at, &key, text.as_bytes());
            assert_eq!(repeats.places.len(), number + 1, "{text}");
        }
        for (number, text) in texts.into_iter().enumerate() {
            assert!(is_recognised(&repeats, &gateway, &format!("/metrics/job/{number}"), text), "{text}");
        }
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
