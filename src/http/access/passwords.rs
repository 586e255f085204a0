//! Checking passwords.
//!
//! bcrypt is slow on purpose: a check takes a processor tens of milliseconds. So one thread of low priority does them
//! all, one after the other, and what it has found out is remembered, under digests that are keyed with a secret of
//! this process: nobody can tell from what is remembered, or from how long looking it up takes, what a password is.
//!
//! Who waits stands in the lane of the address that asks, and the lanes take turns: whoever sends many wrong
//! passwords waits for his own. After a wrong one the thread rests for longer than it has worked, so that guessing
//! leaves the processor to others even where their priority does not give it to them at once. Lanes without a wrong
//! password lately do not wait for that.
//!
//! Invariants: right answers are not pushed out by wrong ones; what is kept, and what waits, is bounded.

use std::collections::VecDeque;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::iter;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use quick_cache::sync::Cache;
use ring::hmac;
use ring::rand::SystemRandom;
use tokio::sync::oneshot;

use super::Denied;
use super::hashes::Compared;
use crate::net;

/// Answers that are remembered, of right passwords and of wrong ones.
const RIGHT_MAX: usize = 4_096;
const WRONG_MAX: usize = 4_096;

/// Addresses are spread over so many lanes.
const LANES: usize = 64;

/// Different passwords that may wait in one lane.
const WAITING_PER_LANE_MAX: usize = 32;

/// Requests that may wait for one and the same password.
const WAITING_PER_CHECK_MAX: usize = 1_024;

/// After a wrong password the thread rests for so many times the time that it has worked.
const REST_SHARE: u32 = 3;

/// For so long after a wrong password its lane has to wait while the thread rests.
const SUSPICION: Duration = Duration::from_mins(1);

/// Whoever waits for longer is told to try again. The check stays in its lane, so that the answer may be known then.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// bcrypt looks at no more of a password.
const PASSWORD_BYTES_MAX: usize = 72;

type Digest = [u8; 32];

/// The thread that checks, and what it has found out. It ends when this is dropped.
pub(super) struct Passwords(Arc<Shared>);

struct Shared {
    key: hmac::Key,
    right: Cache<Digest, ()>,
    wrong: Cache<Digest, ()>,
    lanes_of: RandomState,
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

/// What is to be checked.
struct Waiting {
    lanes: [Lane; LANES],
    /// The lane whose turn it is.
    turn: usize,
    /// Until then lanes that have had a wrong password lately have to wait.
    rest_until: Option<Instant>,
    ended: bool,
}

#[derive(Default)]
struct Lane {
    checks: VecDeque<Check>,
    /// When it had a wrong password last.
    wrong_at: Option<Instant>,
}

/// What the thread is to do next.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Check what is in front of this lane.
    Check(usize),
    /// Rest, unless something comes.
    RestUntil(Instant),
    /// Wait until something comes.
    Wait,
}

/// A password to be checked, and who wants to know.
struct Check {
    digest: Digest,
    password: Vec<u8>,
    compared: Compared,
    askers: Vec<oneshot::Sender<bool>>,
}

impl Passwords {
    /// Starts the thread.
    pub(super) fn new() -> io::Result<Self> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| io::Error::other("the system has no random numbers"))?;
        let shared = Arc::new(Shared {
            key,
            right: Cache::new(RIGHT_MAX),
            wrong: Cache::new(WRONG_MAX),
            lanes_of: RandomState::new(),
            waiting: Mutex::new(Waiting::default()),
            arrived: Condvar::new(),
        });
        let checking = Arc::clone(&shared);
        thread::Builder::new().name("passwords".to_owned()).spawn(move || {
            net::give_way();
            checking.check_all();
        })?;
        Ok(Self(shared))
    }

    /// Whether a password is the user's. `user` keeps two users with one hash apart, and strangers from each other.
    pub(super) async fn is_right(
        &self,
        user: &str,
        password: &[u8],
        compared: &Compared,
        peer: Option<IpAddr>,
    ) -> Result<bool, Denied> {
        let password = &password[..password.len().min(PASSWORD_BYTES_MAX)];
        let digest = self.0.digest(user, password, compared);
        if let Some(known) = self.0.known(&digest) {
            return Ok(known);
        }
        let answer = self.0.ask(digest, password, compared, self.0.lane(peer)).ok_or(Denied::Busy)?;
        match tokio::time::timeout(WAIT_MAX, answer).await {
            Ok(Ok(is_right)) => Ok(is_right),
            Ok(Err(_)) | Err(_) => Err(Denied::Busy),
        }
    }
}

impl Drop for Passwords {
    fn drop(&mut self) {
        self.0.waiting.lock().ended = true;
        self.0.arrived.notify_all();
    }
}

impl Shared {
    fn digest(&self, user: &str, password: &[u8], compared: &Compared) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        for part in compared.texts().map(str::as_bytes).chain([user.as_bytes(), password]) {
            context.update(&(part.len() as u64).to_le_bytes());
            context.update(part);
        }
        context.sign().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }

    fn known(&self, digest: &Digest) -> Option<bool> {
        if self.right.get(digest).is_some() {
            return Some(true);
        }
        self.wrong.get(digest).map(|()| false)
    }

    /// The lane of an address. A host has many addresses of IPv6, but all in one network of 64 bits.
    fn lane(&self, peer: Option<IpAddr>) -> usize {
        // On a socket for both, addresses of IPv4 look like those of IPv6.
        let network = match peer.map(|ip| ip.to_canonical()) {
            None => None,
            Some(IpAddr::V4(ip)) => Some(IpAddr::V4(ip)),
            Some(IpAddr::V6(ip)) => Some(IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64))),
        };
        usize::try_from(self.lanes_of.hash_one(network) % LANES as u64).expect("there are few lanes")
    }

    /// Puts a password into a lane, or joins whoever waits for the same; `None` if the lane is full.
    fn ask(
        &self,
        digest: Digest,
        password: &[u8],
        compared: &Compared,
        lane: usize,
    ) -> Option<oneshot::Receiver<bool>> {
        let (asker, answer) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        let lane = &mut waiting.lanes[lane].checks;
        if let Some(check) = lane.iter_mut().find(|check| check.digest == digest) {
            if check.askers.len() >= WAITING_PER_CHECK_MAX {
                return None;
            }
            check.askers.push(asker);
            return Some(answer);
        }
        if lane.len() >= WAITING_PER_LANE_MAX {
            // Those who have gone need no answer. The first may be the one that is being checked.
            let mut position = 0;
            lane.retain(|check| {
                position += 1;
                position == 1 || check.is_wanted()
            });
            if lane.len() >= WAITING_PER_LANE_MAX {
                return None;
            }
        }
        let (password, compared) = (password.to_owned(), compared.clone());
        lane.push_back(Check { digest, password, compared, askers: vec![asker] });
        drop(waiting);
        self.arrived.notify_one();
        Some(answer)
    }

    /// Checks what comes, until the end.
    fn check_all(&self) {
        while let Some((lane, digest, password, compared)) = self.next() {
            let started = processor_time();
            // Another lane may have had the same.
            let known = self.known(&digest);
            let is_right = known.unwrap_or_else(|| compared.is_of(&password));
            let worked = processor_time().saturating_sub(started);
            let cache = if is_right { &self.right } else { &self.wrong };
            cache.insert(digest, ());
            let mut waiting = self.waiting.lock();
            let checked = waiting.lanes[lane].checks.pop_front();
            if known.is_none() && !is_right {
                waiting.note_wrong(lane, worked, Instant::now());
            }
            drop(waiting);
            for asker in checked.into_iter().flat_map(|check| check.askers) {
                // Whoever has gone needs no answer.
                let _ = asker.send(is_right);
            }
        }
    }

    /// Waits for something to check. It stays in front of its lane, so that others can still join. It is checked even
    /// if whoever asked has lost patience: he will ask again, and find the answer.
    fn next(&self) -> Option<(usize, Digest, Vec<u8>, Compared)> {
        let mut waiting = self.waiting.lock();
        while !waiting.ended {
            match waiting.next(Instant::now()) {
                Next::Check(lane) => {
                    waiting.turn = lane + 1;
                    let check = &waiting.lanes[lane].checks[0];
                    return Some((lane, check.digest, check.password.clone(), check.compared.clone()));
                }
                Next::RestUntil(end) => {
                    self.arrived.wait_until(&mut waiting, end);
                }
                Next::Wait => self.arrived.wait(&mut waiting),
            }
        }
        None
    }
}

impl Default for Waiting {
    fn default() -> Self {
        let lanes = std::array::from_fn(|_| Lane::default());
        Self { lanes, turn: 0, rest_until: None, ended: false }
    }
}

impl Waiting {
    /// What is to be done now.
    fn next(&self, now: Instant) -> Next {
        let in_turn = (0..LANES).map(|step| (self.turn + step) % LANES);
        let mut waiting = in_turn.filter(|lane| !self.lanes[*lane].checks.is_empty());
        let Some(first) = waiting.next() else { return Next::Wait };
        let Some(end) = self.rest_until.filter(|end| *end > now) else { return Next::Check(first) };
        let mut trusted = iter::once(first).chain(waiting).filter(|lane| !self.lanes[*lane].is_suspect(now));
        trusted.next().map_or(Next::RestUntil(end), Next::Check)
    }

    /// Notes that a password of a lane was found to be wrong after so much work. Rests add up, so that the thread works
    /// a quarter of the time in the long run, however many lanes guess.
    fn note_wrong(&mut self, lane: usize, worked: Duration, now: Instant) {
        self.lanes[lane].wrong_at = Some(now);
        let begin = self.rest_until.map_or(now, |end| end.max(now));
        self.rest_until = Some(begin + worked * REST_SHARE);
    }
}

impl Lane {
    /// Whether it had a wrong password lately.
    fn is_suspect(&self, now: Instant) -> bool {
        self.wrong_at.is_some_and(|at| now.saturating_duration_since(at) < SUSPICION)
    }
}

/// How long this thread has worked, as against waited for the processor.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

impl Check {
    fn is_wanted(&self) -> bool {
        self.askers.iter().any(|asker| !asker.is_closed())
    }
}

#[cfg(test)]
mod tests {
    use super::super::hashes::{Decoys, PasswordHash};
    use super::*;

    fn hash(password: &str) -> PasswordHash {
        bcrypt::hash(password, 4).unwrap().parse().unwrap()
    }

    /// With the hash of the only user.
    fn only(hash: &PasswordHash) -> Compared {
        Compared::with(Some(hash), &Decoys::beside([hash].into_iter()))
    }

    #[test]
    fn other_costs_are_other_questions() {
        // Otherwise an answer that is remembered tells whether there is a user of that name.
        let passwords = Passwords::new().unwrap();
        let (cheap, dear) = (hash("x"), PasswordHash::of_nobody(5));
        let digest = |own: Option<&PasswordHash>, users: &[&PasswordHash]| {
            let decoys = Decoys::beside(users.iter().copied());
            passwords.0.digest("u", b"p", &Compared::with(own, &decoys))
        };
        for own in [None, Some(&cheap)] {
            assert_eq!(digest(own, &[&cheap]), digest(own, &[&cheap]));
            assert_ne!(digest(own, &[&cheap]), digest(own, &[&cheap, &dear]));
        }
    }

    #[tokio::test]
    async fn right_and_wrong_ones_are_told_apart_and_remembered() {
        let passwords = Passwords::new().unwrap();
        let hash = only(&hash("secret"));
        for _ in 0..2 {
            assert_eq!(passwords.is_right("u", b"secret", &hash, None).await, Ok(true));
            assert_eq!(passwords.is_right("u", b"Secret", &hash, None).await, Ok(false));
        }
        assert_eq!((passwords.0.right.len(), passwords.0.wrong.len()), (1, 1));
        assert_eq!(passwords.is_right("u", b"", &hash, None).await, Ok(false));
        // Users with the same hash are not each other.
        let digests = ["a", "b"].map(|user| passwords.0.digest(user, b"p", &hash));
        assert_ne!(digests[0], digests[1]);
    }

    #[tokio::test]
    async fn only_what_bcrypt_looks_at_counts() {
        let passwords = Passwords::new().unwrap();
        let long = "x".repeat(100);
        let hash = only(&hash(&long));
        assert_eq!(passwords.is_right("u", long.as_bytes(), &hash, None).await, Ok(true));
        assert_eq!(passwords.is_right("u", &long.as_bytes()[..71], &hash, None).await, Ok(false));
    }

    /// With a check that takes seconds under way, nothing else is done until it is over.
    fn slow() -> Compared {
        only(&format!("$2y$16${}", ".".repeat(53)).parse().unwrap())
    }

    #[tokio::test]
    async fn a_full_lane_is_busy_and_other_lanes_are_not() {
        let passwords = Passwords::new().unwrap();
        let ask = |number: usize, lane: usize| {
            let password = number.to_string().into_bytes();
            let digest = passwords.0.digest("u", &password, &slow());
            passwords.0.ask(digest, &password, &slow(), lane)
        };
        let mut answers: Vec<_> =
            (0..WAITING_PER_LANE_MAX).map(|number| ask(number, 0).expect("there is room")).collect();
        assert!(ask(WAITING_PER_LANE_MAX, 0).is_none());
        answers.push(ask(1, 0).expect("it waits with the one who asked before"));
        answers.push(ask(WAITING_PER_LANE_MAX, 1).expect("another lane has room"));
        // Whoever leaves makes room.
        answers.drain(1..).for_each(drop);
        assert!(ask(WAITING_PER_LANE_MAX, 0).is_some());
    }

    #[tokio::test]
    async fn lanes_take_turns() {
        let passwords = Passwords::new().unwrap();
        let cheap = only(&hash("secret"));
        let dear = only(&bcrypt::hash("x", 8).unwrap().parse().unwrap());
        let flood: Vec<_> = (0..WAITING_PER_LANE_MAX)
            .map(|number| {
                let password = number.to_string().into_bytes();
                let digest = passwords.0.digest("f", &password, &dear);
                passwords.0.ask(digest, &password, &dear, 0).expect("there is room")
            })
            .collect();
        let digest = passwords.0.digest("u", b"secret", &cheap);
        let answer = passwords.0.ask(digest, b"secret", &cheap, 1).expect("there is room");
        assert_eq!(tokio::time::timeout(Duration::from_mins(1), answer).await.unwrap(), Ok(true));
        let waiting = passwords.0.waiting.lock().lanes[0].checks.len();
        assert!(waiting > WAITING_PER_LANE_MAX / 2, "only {waiting} of the flood still wait");
        drop(flood);
    }

    /// A check that nobody waits for.
    fn check() -> Check {
        let password = b"x".to_vec();
        Check { digest: [0; 32], password, compared: only(&PasswordHash::of_nobody(4)), askers: Vec::new() }
    }

    #[test]
    fn after_a_wrong_one_the_thread_rests_but_not_for_lanes_that_had_none() {
        const WORKED: Duration = Duration::from_millis(50);
        let mut waiting = Waiting::default();
        let begin = Instant::now();
        assert_eq!(waiting.next(begin), Next::Wait);
        for lane in [3, 5] {
            waiting.lanes[lane].checks.push_back(check());
        }
        assert_eq!(waiting.next(begin), Next::Check(3));
        waiting.note_wrong(3, WORKED, begin);
        assert_eq!(waiting.next(begin), Next::Check(5), "it had no wrong one");
        waiting.lanes[5].checks.clear();
        let end = begin + REST_SHARE * WORKED;
        assert_eq!(waiting.next(begin), Next::RestUntil(end));
        assert_eq!(waiting.next(end), Next::Check(3));
        // The second of two in a row makes the rest longer, be it in another lane.
        waiting.note_wrong(5, WORKED, begin);
        assert_eq!(waiting.next(end), Next::RestUntil(end + REST_SHARE * WORKED));
        // A lane is trusted again in time, and what is over does not count.
        let later = begin + SUSPICION;
        waiting.rest_until = Some(later + WORKED);
        assert_eq!(waiting.next(later), Next::Check(3));
        waiting.note_wrong(3, WORKED, later + 2 * WORKED);
        assert_eq!(waiting.rest_until, Some(later + 2 * WORKED + REST_SHARE * WORKED));
    }

    #[tokio::test]
    async fn a_lane_that_guesses_is_slow_and_others_are_not() {
        let passwords = Passwords::new().unwrap();
        let dear = only(&bcrypt::hash("secret", 10).unwrap().parse().unwrap());
        let ask = |password: &'static [u8], lane: usize| {
            let digest = passwords.0.digest("u", password, &dear);
            passwords.0.ask(digest, password, &dear, lane).expect("there is room")
        };
        let started = Instant::now();
        assert_eq!(ask(b"wrong", 0).await, Ok(false));
        let rest = passwords.0.waiting.lock().rest_until.expect("it rests") - started;
        assert_eq!(ask(b"secret", 0).await, Ok(true));
        assert!(started.elapsed() >= rest, "the lane has to wait");
        assert_eq!(
            passwords.0.waiting.lock().rest_until.map(|end| end - started),
            Some(rest),
            "not for a right one"
        );
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_answered_to_who_asks_again() {
        let passwords = Passwords::new().unwrap();
        let secret = only(&hash("secret"));
        let digest = passwords.0.digest("u", b"secret", &secret);
        drop(passwords.0.ask(digest, b"secret", &secret, 0).expect("there is room"));
        let deadline = Instant::now() + Duration::from_mins(1);
        while passwords.0.known(&digest).is_none() {
            assert!(Instant::now() < deadline, "it was never checked");
            tokio::task::yield_now().await;
        }
        assert_eq!(passwords.0.known(&digest), Some(true));
    }

    #[test]
    fn addresses_of_one_network_share_a_lane() {
        let passwords = Passwords::new().unwrap();
        let lane = |ip: &str| passwords.0.lane(Some(ip.parse().unwrap()));
        assert_eq!(lane("2001:db8::1"), lane("2001:db8::ffff:1"));
        for network in ["10.0.0.", "::ffff:10.0.0."] {
            let lanes: std::collections::BTreeSet<_> =
                (0..64).map(|n| lane(&format!("{network}{n}"))).collect();
            assert!(lanes.len() > 8, "{lanes:?}");
        }
    }
}
