//! Tests of the cache: what is served, what is set aside, and that a folder in use can be looked over.

use std::sync::Arc;
use std::sync::Mutex;

use proptest::prelude::*;

use super::*;
use crate::clock::UtcMillis;

const POLICY: LockPolicy = LockPolicy { timeout_ms: 2_000, sleep_ms: 5, max_attempts: 20_000, max_age_ms: 30_000 };

fn cache(folder: &tempfile::TempDir) -> Cache {
    Cache::open(&folder.path().join("cache"), POLICY, Durability::None, Clock::real()).expect("the cache opens")
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder is made")
}

fn facts() -> Facts {
    Facts::from([("provider".to_owned(), "mock".to_owned())])
}

fn payload(lookup: Lookup) -> Vec<u8> {
    match lookup {
        Lookup::Hit(entry) => entry.payload,
        other => panic!("a hit, not {other:?}"),
    }
}

#[test]
fn a_missing_entry_is_absent_and_a_stored_one_reads_back() {
    let folder = folder();
    let cache = cache(&folder);
    let key = Digest::of(b"key");
    assert_eq!(cache.get(&key).expect("reads"), Lookup::Absent);
    let nested = br#"{"a":{"b":[1,2,{"c":"d"}]}}"#;
    cache.put(&key, &facts(), nested).expect("stores");
    let Lookup::Hit(entry) = cache.get(&key).expect("reads") else { panic!("a hit") };
    assert_eq!((entry.payload.as_slice(), &entry.facts), (&nested[..], &facts()));
    assert_eq!(entry.durability, Durability::None, "an entry says how durably it was stored");
    assert!(cache.age_ms(&entry) < 60_000);
    assert!(cache.evict(&key).expect("evicts"));
    assert!(!cache.evict(&key).expect("evicting nothing is no error"));
    assert_eq!(cache.get(&key).expect("reads"), Lookup::Absent);
    assert_eq!(cache.stats().expect("counts"), Stats::default(), "no lock or temporary is left");
}

#[test]
fn hrd_22_an_empty_reply_is_never_stored() {
    let folder = folder();
    let cache = cache(&folder);
    let key = Digest::of(b"key");
    assert_eq!(cache.put(&key, &facts(), b"").expect_err("empty").word(), "STORE_INVALID");
    assert_eq!(cache.get(&key).expect("reads"), Lookup::Absent);
}

#[tokio::test(start_paused = true)]
async fn the_same_data_twice_gives_the_same_bytes() {
    let folder = folder();
    let clock = Clock::virtual_from(UtcMillis(1_767_225_600_000));
    let cache = Cache::open(folder.path(), POLICY, Durability::None, clock).expect("the cache opens");
    let key = Digest::of(b"key");
    let bytes = || {
        cache.put(&key, &facts(), b"reply").expect("stores");
        fs::read(cache.entry_path(&key)).expect("it is there")
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn hrd_21_a_damaged_entry_is_a_counted_miss_and_never_served() {
    let folder = folder();
    let cache = cache(&folder);
    let (key, other) = (Digest::of(b"key"), Digest::of(b"other"));
    let path = cache.entry_path(&key);
    cache.put(&other, &facts(), b"another reply").expect("stores");
    let foreign = fs::read(cache.entry_path(&other)).expect("it is there");
    cache.put(&key, &facts(), b"the reply").expect("stores");
    let good = fs::read(&path).expect("it is there");
    let at_end = good.len() - 1;
    let mut flipped = good.clone();
    flipped[at_end] ^= 1;
    let renamed = String::from_utf8_lossy(&good).replace("mock", "mick").into_bytes();
    let cases = [
        (flipped, Damage::PayloadDigest),
        (good[..at_end].to_vec(), Damage::Length),
        ([&good[..], b"!"].concat(), Damage::Length),
        (renamed, Damage::HeaderDigest),
        (foreign, Damage::Key),
        (Vec::new(), Damage::Header),
        (b"not an entry\nat all\n".to_vec(), Damage::Header),
    ];
    for (count, (bytes, damage)) in cases.into_iter().enumerate() {
        fs::write(&path, bytes).expect("damaged");
        assert_eq!(cache.get(&key).expect("a miss is no error"), Lookup::Quarantined(damage));
        assert_eq!(cache.get(&key).expect("reads"), Lookup::Absent, "it was set aside");
        assert_eq!(cache.stats().expect("counts").quarantined, count as u64 + 1);
        assert_eq!(cache.quarantined(), count as u64 + 1);
    }
}

#[test]
fn hrd_23_verify_sets_damage_aside_and_counts_the_rest() {
    let folder = folder();
    let cache = cache(&folder);
    for word in ["one", "two", "three"] {
        cache.put(&Digest::of(word.as_bytes()), &facts(), word.as_bytes()).expect("stores");
    }
    fs::write(cache.entry_path(&Digest::of(b"two")), "damaged").expect("written");
    let verified = cache.verify().expect("verifies");
    assert_eq!(verified, Verified { good: 2, payload_bytes: 8, quarantined: 1, vanished: 0 });
    let stats = cache.stats().expect("counts");
    assert_eq!((stats.entries, stats.quarantined, stats.locks, stats.temporaries), (2, 1, 0, 0));
    assert_eq!(cache.evict_stored_before(UtcMillis(0)).expect("evicts"), 0);
    assert_eq!(cache.evict_stored_before(UtcMillis(u64::MAX)).expect("evicts"), 2);
}

#[test]
fn hrd_20_put_and_evict_name_their_steps() {
    use Step::{CreateTmp, Lock, Remove, Rename, SyncDir, SyncFile, Unlock, Write};
    let folder = folder();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let cache = Cache::open(folder.path(), POLICY, Durability::Full, Clock::real()).expect("the cache opens");
    let cache = cache.observed(Observer::new(move |step| sink.lock().expect("no panic inside").push(step)));
    let key = Digest::of(b"key");
    cache.put(&key, &facts(), b"reply").expect("stores");
    let put = std::mem::take(&mut *seen.lock().expect("no panic inside"));
    assert_eq!(put, [Lock, CreateTmp, Write, SyncFile, Rename, SyncDir, Unlock]);
    cache.evict(&key).expect("evicts");
    assert_eq!(*seen.lock().expect("no panic inside"), [Lock, Remove, SyncDir, Unlock]);
}

#[test]
fn readers_see_old_or_new_while_writers_replace() {
    let folder = folder();
    let cache = cache(&folder);
    let key = Digest::of(b"key");
    let body = |n: u8| vec![n; 20_000];
    cache.put(&key, &facts(), &body(0)).expect("stores");
    std::thread::scope(|scope| {
        for n in 1..4 {
            let cache = &cache;
            scope.spawn(move || (0..40).for_each(|_| cache.put(&key, &facts(), &body(n)).expect("stores")));
        }
        for _ in 0..300 {
            let seen = payload(cache.get(&key).expect("reads"));
            assert!(seen.len() == 20_000 && seen.iter().all(|byte| *byte == seen[0]), "torn");
        }
    });
}

proptest! {
    #[test]
    fn any_payload_round_trips_and_any_flipped_bit_is_seen(
        bytes in proptest::collection::vec(any::<u8>(), 1..300),
        at in any::<proptest::sample::Index>(),
        bit in 0..8_u8,
    ) {
        let key = Digest::of(b"key");
        let mut stored = entry::encode(&key, UtcMillis(1), Durability::File, &facts(), &bytes).expect("encodes");
        prop_assert_eq!(entry::decode(&key, stored.clone()).map(|entry| entry.payload), Ok(bytes));
        let at = at.index(stored.len());
        stored[at] ^= 1 << bit;
        prop_assert!(entry::decode(&key, stored).is_err());
    }
}
