//! Tests of the lock inside one process. Kernel locks belong to open files, so a second handle stands for a second
//! process here; killed and stopped processes are tested with real ones in `tests/concurrency.rs`.

use std::sync::atomic::{AtomicU64, Ordering};

use super::holder::FACTS_BYTES;
use super::*;

const QUICK: LockPolicy = LockPolicy { timeout_ms: 60, sleep_ms: 5, max_attempts: 20_000, max_age_ms: 30_000 };
const PATIENT: LockPolicy = LockPolicy { timeout_ms: 10_000, ..QUICK };

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder is made")
}

/// Holds the kernel lock of `path` as another process would.
fn foreign(path: &Path) -> File {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).expect("opens");
    file.try_lock().expect("nobody holds it yet");
    file
}

#[test]
fn acquire_and_release_leave_nothing_behind() {
    let folder = folder();
    let path = folder.path().join("made/on/the/way/key.lock");
    let guard = acquire(&path, &QUICK, "test").expect("nobody holds it");
    let holder = read_holder(&path).expect("the holder wrote its facts");
    assert_eq!((holder.pid, holder.purpose.as_str()), (std::process::id(), "test"));
    guard.release().expect("release works");
    assert!(!path.exists());
    assert_eq!(read_holder(&path), None);
}

#[test]
fn a_second_acquire_times_out_inside_its_limit_and_names_the_holder() {
    let folder = folder();
    let path = folder.path().join("key.lock");
    let _held = acquire(&path, &QUICK, "long work").expect("nobody holds it");
    // Another process would be stopped by the kernel lock, a thread by the turn: both must name the holder.
    let error = acquire(&path, &QUICK, "impatient").expect_err("it is held");
    assert_eq!(error.word(), "LOCK_TIMEOUT");
    let Cause::LockTimeout(facts) = &error.cause else { panic!("{error}") };
    assert!(facts.waited_ms >= QUICK.timeout_ms, "{facts:?}");
    assert_eq!(facts.holder.as_ref().map(|holder| holder.purpose.as_str()), Some("long work"));
    assert!(!facts.stuck);
}

#[test]
fn hrd_10_attempts_bound_the_wait_and_a_stuck_holder_is_named_but_not_robbed() {
    let folder = folder();
    let path = folder.path().join("key.lock");
    let holder = foreign(&path);
    holder.write_all_at(&facts("stuck work"), 0).expect("facts are written");
    let age_ms = 20;
    std::thread::sleep(Duration::from_millis(age_ms + 5));
    let policy = LockPolicy { max_attempts: 7, max_age_ms: age_ms, ..PATIENT };
    let error = acquire(&path, &policy, "waiter").expect_err("it is held");
    let Cause::LockTimeout(facts) = &error.cause else { panic!("{error}") };
    assert_eq!((facts.attempts, facts.stuck), (7, true));
    assert!(error.to_string().contains("stuck work") && error.to_string().contains("stuck"), "{error}");
    assert!(same_inode(&holder, &path).expect("both are there"), "the lock file is still the holder's");
}

#[test]
fn a_foreign_lock_is_never_released() {
    let folder = folder();
    let path = folder.path().join("key.lock");
    let holder = foreign(&path);
    assert!(try_acquire(&path, "thief").expect("trying is no error").is_none());
    assert!(acquire(&path, &QUICK, "thief").is_err());
    assert!(same_inode(&holder, &path).expect("both are there"));
    assert!(try_acquire(&path, "thief").expect("trying is no error").is_none(), "it is still locked");
}

#[test]
fn releasing_an_absent_lock_is_harmless() {
    let folder = folder();
    let path = folder.path().join("key.lock");
    let guard = acquire(&path, &QUICK, "test").expect("nobody holds it");
    fs::remove_file(&path).expect("an operator cleared the folder");
    let other = acquire_as_another_process(&path);
    guard.release().expect("nothing to remove is no error");
    assert!(same_inode(&other, &path).expect("both are there"), "the other's file was not unlinked");
}

fn acquire_as_another_process(path: &Path) -> File {
    let file = open_lock_file(path).expect("opens");
    file.try_lock().expect("a new file is free");
    file
}

#[test]
fn a_lock_on_an_unlinked_file_does_not_count() {
    let folder = folder();
    let path = folder.path().join("key.lock");
    let holder = foreign(&path);
    let stale = File::open(&path).expect("opens");
    fs::remove_file(&path).expect("the holder releases");
    drop(holder);
    let mut claim = Claim { file: Arc::new(stale), path: path.clone(), keep: false, held: false };
    assert_eq!(claim.try_lock().expect("the kernel grants it"), Tried::Stale);
    assert!(!path.exists(), "a stale claim makes nothing");
}

#[test]
fn a_kept_lock_keeps_its_file_and_survives_its_removal() {
    let folder = folder();
    let path = folder.path().join("ledger.lock");
    let lock = KeptLock::new(path.clone());
    for _ in 0..3 {
        lock.acquire(&QUICK, "first").expect("free").release().expect("release works");
        assert!(path.exists());
    }
    fs::remove_file(&path).expect("a sweeper took the cold file");
    let guard = lock.acquire(&QUICK, "second").expect("a new file is made");
    assert_eq!(read_holder(&path).map(|holder| holder.purpose), Some("second".into()));
    assert!(try_acquire(&path, "other").expect("trying is no error").is_none());
    drop(guard);
}

#[test]
fn hrd_12_threads_take_turns_and_none_is_lost() {
    let folder = folder();
    let path = folder.path().join("key.lock");
    let (inside, done) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let guard = acquire(&path, &PATIENT, "thread").expect("a turn comes");
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                    inside.fetch_sub(1, Ordering::SeqCst);
                    done.fetch_add(1, Ordering::SeqCst);
                    guard.release().expect("release works");
                }
            });
        }
    });
    assert_eq!(done.load(Ordering::SeqCst), 400);
    assert!(!path.exists());
}

#[test]
fn hrd_11_polls_start_at_a_tenth_of_a_millisecond_and_stay_under_the_cap() {
    let mut poll = Poll::new(&LockPolicy { sleep_ms: 5, ..QUICK });
    let pauses: Vec<u64> = (0..40).map(|_| u64::try_from(poll.next().as_micros()).expect("microseconds")).collect();
    assert!((50..=100).contains(&pauses[0]), "{pauses:?}");
    assert!((75..=150).contains(&pauses[1]), "{pauses:?}");
    assert!(pauses.iter().all(|pause| *pause <= 5_000), "{pauses:?}");
    let late: std::collections::BTreeSet<_> = pauses[20..].iter().collect();
    assert!(late.len() > 10 && **late.first().expect("not empty") >= 2_500, "jitter draws from the upper half");
}

#[test]
fn a_planted_symbolic_link_is_not_followed() {
    let folder = folder();
    let (path, victim) = (folder.path().join("key.lock"), folder.path().join("victim"));
    fs::write(&victim, "precious").expect("written");
    std::os::unix::fs::symlink(&victim, &path).expect("linked");
    assert_eq!(acquire(&path, &QUICK, "test").expect_err("links are refused").word(), "STORAGE_SYMLINK");
    assert_eq!(fs::read_to_string(&victim).expect("still there"), "precious");
}

#[test]
fn facts_fit_their_padding_and_hold_no_line_breaks() {
    let line = facts(&"p\n".repeat(500));
    assert_eq!((line.len(), line.iter().filter(|byte| **byte == b'\n').count()), (FACTS_BYTES, 1));
}
