use super::*;

fn lease(dir: &std::path::Path) -> Lease {
    Lease::open(Folder::make(&dir.join("jeton")).unwrap(), "k.lock".to_owned()).unwrap()
}

fn at(seconds: u64) -> Moment {
    Moment {
        wall: UnixTime::from_seconds(1_800_000_000 + i64::try_from(seconds).unwrap()),
        uptime: Duration::from_secs(1000 + seconds),
    }
}

#[test]
fn c11_one_holds_it_and_a_dead_holder_leaves_it_free() {
    let dir = tempfile::tempdir().unwrap();
    let (one, two) = (lease(dir.path()), lease(dir.path()));
    assert_eq!(one.try_hold(), Hold::Mine);
    assert_eq!(two.try_hold(), Hold::Busy);
    // What the system does for a process that was killed: its open files are closed, and nothing is removed.
    one.left_word.store(true, Ordering::Relaxed);
    drop(one);
    assert_eq!(two.try_hold(), Hold::Mine);
}

#[test]
fn a_lease_file_that_was_removed_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let one = lease(dir.path());
    let folder = Folder::open(&dir.path().join("jeton")).unwrap();
    Lease::remove_if_free(&folder, "k.lock");
    assert_eq!(one.try_hold(), Hold::Gone);
    let two = lease(dir.path());
    assert_eq!(two.try_hold(), Hold::Mine);
    Lease::remove_if_free(&folder, "k.lock");
    assert!(folder.names("k.lock", &two.file), "a held one is not removed");
}

#[test]
fn a_link_in_its_place_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let victim = dir.path().join("victim");
    std::fs::write(&victim, "x").unwrap();
    Folder::make(&dir.path().join("jeton")).unwrap();
    std::os::unix::fs::symlink(&victim, dir.path().join("jeton/k.lock")).unwrap();
    let lease = lease(dir.path());
    assert_eq!(lease.try_hold(), Hold::Mine);
    lease.beat(at(0));
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "x");
}

#[test]
fn a_failure_is_for_those_who_waited_and_for_nobody_later() {
    let dir = tempfile::tempdir().unwrap();
    let lease = lease(dir.path());
    let error = Error::new(Class::Refused, "status 403")
        .with_hint("ask for it")
        .with_status(403)
        .with_oauth("access_denied")
        .with_retry_after(Duration::from_secs(7));
    lease.fail(&error, at(10));
    // (started waiting, looks, is told)
    let rows = [(9, 10, true), (10, 11, true), (11, 12, false), (0, 9, false)];
    for (started, now, told) in rows {
        let found = lease.failure_since(at(started), at(now));
        assert_eq!(found.is_some(), told, "{started} {now}");
    }
    let told = lease.failure_since(at(9), at(10)).unwrap();
    assert_eq!(told.kind(), Class::Refused);
    assert_eq!(told.to_string(), "status 403");
    assert_eq!(told.hint(), Some("ask for it"));
    assert_eq!((told.status(), told.oauth()), (Some(403), Some("access_denied")));
    assert_eq!(told.retry_after(), Some(Duration::from_secs(7)));
    let another_start = Moment {
        wall: at(0).wall.plus(Duration::from_secs(86_400)),
        ..at(9)
    };
    assert!(lease.failure_since(another_start, another_start).is_none());
}

#[test]
fn a_deadline_and_a_cancellation_are_the_holders_own() {
    let dir = tempfile::tempdir().unwrap();
    let lease = lease(dir.path());
    for class in [Class::Timeout, Class::Cancelled, Class::Other] {
        lease.fail(&Error::new(class, "mine"), at(10));
        assert!(lease.failure_since(at(9), at(10)).is_none(), "{class:?}");
    }
}

#[test]
fn a_beat_is_seen_and_rubbish_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let lease = lease(dir.path());
    assert_eq!(lease.last_beat(), None);
    lease.beat(at(1));
    assert_eq!(lease.last_beat(), Some(1_001_000));
    lease.file.write_all_at(b"{{{{", 0).unwrap();
    assert_eq!(lease.last_beat(), None);
}

#[test]
fn nothing_is_left_of_a_lease_that_was_given_back_without_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("jeton/k.lock");
    for (word, stays) in [(false, false), (true, true)] {
        let (holder, waiter) = (lease(dir.path()), lease(dir.path()));
        assert_eq!(holder.try_hold(), Hold::Mine);
        assert_eq!(waiter.try_hold(), Hold::Busy);
        if word {
            holder.fail(&Error::new(Class::Refused, "no"), at(1));
        }
        drop(holder);
        assert_eq!(file.exists(), stays);
        let expected = if stays { Hold::Mine } else { Hold::Gone };
        assert_eq!(waiter.try_hold(), expected);
    }
}
