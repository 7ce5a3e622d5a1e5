//! The trust root by way of TUF: kept, verified anew, refused when it is old, older than before, not signed by enough,
//! or put together of parts that do not belong together.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton::{Class, Clock, Context, Env, UnixTime};
use jeton_sign::trust::Repository;
use jeton_test::tuf::{FAR, Key, Release, Tuf};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// The moment at which every test begins: 2026-01-01.
const START: i64 = 1_767_225_600;
/// A day, in seconds.
const DAY: u64 = 24 * 60 * 60;

/// A repository, and somebody who trusts its first root.
struct Scene {
    tuf: Tuf,
    clock: Clock,
    folder: tempfile::TempDir,
}

fn day(day: u64) -> String {
    let seconds = START + i64::try_from(day * DAY).unwrap();
    jiff::Timestamp::from_second(seconds).unwrap().to_string()
}

fn release(version: u64, until: u64) -> Release {
    let root = json!({"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [], "certificateAuthorities": [], "ctlogs": [], "timestampAuthorities": []});
    let services = json!({"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"});
    Release {
        version,
        stamped_until: day(until),
        targets: vec![
            ("trusted_root.json", root),
            ("signing_config.v0.2.json", services),
        ],
    }
}

impl Scene {
    fn new() -> Self {
        Self::with(1, 1)
    }

    fn with(keys: usize, threshold: usize) -> Self {
        Self {
            tuf: Tuf::start(keys, threshold),
            clock: Clock::manual(UnixTime::from_seconds(START)),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Puts a version into the repository whose timestamp expires so many days after the start.
    fn publish(&self, version: u64, until: u64) {
        self.tuf.publish(&release(version, until), &self.tuf.all());
    }

    fn context(&self) -> Context {
        let folder = self.folder.path().join("cache").display().to_string();
        let mut cx = Context::new(Env::default().with("JETON_CACHE_DIR", folder), self.clock.clone());
        cx.policy.backoff = Duration::from_millis(1);
        cx.policy.max_backoff = Duration::from_millis(2);
        cx
    }

    async fn trust(&self) -> Result<(), jeton::Error> {
        let repository = Repository::at(self.tuf.url(), self.tuf.root.clone());
        repository.trust(&self.context()).await.map(drop)
    }

    /// The same, which must be refused with this word.
    async fn refused(&self, name: &str, word: &str) {
        let error = self.trust().await.expect_err(name);
        assert_eq!(error.kind(), Class::Trust, "{name}: {error}");
        assert!(error.to_string().contains(word), "{name}: {error}");
        assert!(error.hint().is_some(), "{name}");
    }

    fn requests(&self) -> usize {
        self.tuf.asked().len()
    }

    fn later(&self, days: u64) {
        self.clock.advance(Duration::from_secs(days * DAY));
    }
}

#[tokio::test]
async fn b15_what_was_fetched_is_used_until_it_expires_and_kept_like_everything_else() {
    let scene = Scene::new();
    scene.publish(1, 7);
    scene.trust().await.unwrap();
    let first = scene.requests();
    assert!(first >= 5, "{first}");
    let cache = scene.folder.path().join("cache");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&cache), 0o700);
    for entry in std::fs::read_dir(&cache).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    scene.later(6);
    scene.trust().await.unwrap();
    assert_eq!(scene.requests(), first, "nothing has expired: nobody is asked");
    scene.later(2);
    scene.publish(2, 14);
    scene.trust().await.unwrap();
    assert!(scene.requests() > first);
}

#[tokio::test]
async fn b15_metadata_that_is_old_or_older_than_before_or_not_signed_is_refused() {
    let scene = Scene::new();
    scene.publish(2, 7);
    scene.trust().await.unwrap();
    scene.later(8);
    scene.refused("frozen", "expired").await;
    scene.publish(1, 30);
    scene.refused("rolled back", "rollback").await;
    scene.publish(3, 30);
    let forged = Scene::new();
    forged.publish(3, 30);
    scene.tuf.put("timestamp.json", forged.tuf.file("timestamp.json"));
    scene.refused("not signed", "threshold").await;
    scene.publish(3, 30);
    scene.trust().await.unwrap();
}

#[tokio::test]
async fn b15_parts_that_do_not_belong_together_are_refused() {
    // What is put in place of a file of version 2 is signed by the right key, and is of another release.
    let rows = [
        (
            "an older snapshot",
            "2.snapshot.json",
            "1.snapshot.json",
            "version",
        ),
        ("newer targets", "2.targets.json", "3.targets.json", "version"),
        ("older targets", "2.targets.json", "1.targets.json", "version"),
        (
            "targets as a snapshot",
            "2.snapshot.json",
            "2.targets.json",
            "type",
        ),
        (
            "a snapshot as a timestamp",
            "timestamp.json",
            "2.snapshot.json",
            "type",
        ),
    ];
    for (name, place, other, word) in rows {
        let scene = Scene::new();
        let mut files = std::collections::BTreeMap::new();
        for version in [1, 3, 2] {
            scene.publish(version, 7);
            for name in scene.tuf.names() {
                files.insert(name.clone(), scene.tuf.file(&name));
            }
        }
        scene.tuf.put(place, files[other].clone());
        scene.refused(name, word).await;
    }
}

#[tokio::test]
async fn b15_a_target_that_is_not_the_one_that_was_signed_for_is_refused() {
    let scene = Scene::new();
    scene.publish(1, 7);
    let of = |name: &str| {
        let names = scene.tuf.names();
        names
            .into_iter()
            .find(|path| path.ends_with(&format!(".{name}")))
            .unwrap()
    };
    let path = of("trusted_root.json");
    let right = scene.tuf.file(&path);
    let mut other = right.clone();
    *other.iter_mut().rfind(|byte| **byte == b']').unwrap() = b' ';
    for (name, content) in [("other bytes", other), ("fewer", right[1..].to_vec())] {
        scene.tuf.put(&path, content);
        let error = scene.trust().await.expect_err(name);
        assert_eq!(error.kind(), Class::Trust, "{name}: {error}");
    }
    scene.tuf.put(&path, right);
    scene.trust().await.unwrap();
}

#[tokio::test]
async fn b15_a_threshold_counts_keys_and_not_signatures() {
    let scene = Scene::with(3, 2);
    let keys = scene.tuf.all();
    let stranger = Key::new("key-1");
    let rows: [(&str, Vec<&Key>, bool); 5] = [
        ("two of three", vec![keys[0], keys[2]], true),
        ("one", vec![keys[1]], false),
        ("one, twice", vec![keys[1], keys[1]], false),
        (
            "one, and one under another's name",
            vec![keys[0], &stranger],
            false,
        ),
        ("nobody", vec![], false),
    ];
    for (name, by, holds) in rows {
        let again = Scene {
            folder: tempfile::tempdir().unwrap(),
            ..Scene::with(3, 2)
        };
        scene.tuf.publish(&release(1, 7), &by);
        let repository = Repository::at(scene.tuf.url(), scene.tuf.root.clone());
        let found = repository.trust(&again.context()).await;
        assert_eq!(found.is_ok(), holds, "{name}");
        if let Err(error) = found {
            assert_eq!(error.kind(), Class::Trust, "{name}: {error}");
        }
    }
}

#[tokio::test]
async fn b15_a_new_root_is_signed_by_the_old_and_by_itself_and_follows_it() {
    let next = Key::new("next");
    let rows: [(&str, u64, &str, bool, bool, Option<&str>); 5] = [
        ("signed by both", 2, FAR, true, true, None),
        ("by the new one alone", 2, FAR, false, true, Some("threshold")),
        ("by the old one alone", 2, FAR, true, false, Some("threshold")),
        ("a version is left out", 3, FAR, true, true, Some("version")),
        (
            "it has expired",
            2,
            "2025-01-01T00:00:00Z",
            true,
            true,
            Some("expired"),
        ),
    ];
    for (name, version, expires, old, new, refusal) in rows {
        let scene = Scene::new();
        let by = [(old, scene.tuf.all()[0]), (new, &next)];
        let by: Vec<&Key> = by
            .into_iter()
            .filter_map(|(signs, key)| signs.then_some(key))
            .collect();
        // All else is signed by the new key: the old one does no longer.
        scene.tuf.publish(&release(1, 7), &[&next]);
        scene
            .tuf
            .put("2.root.json", scene.tuf.root_of(version, expires, &[&next], &by));
        match refusal {
            None => {
                scene.trust().await.unwrap();
                // What was learnt is kept: the next time nobody has to be asked, and the old key is of no use.
                let before = scene.requests();
                scene.trust().await.unwrap();
                assert_eq!(scene.requests(), before);
                scene.later(8);
                scene.publish(2, 30);
                scene.refused("the old key", "threshold").await;
            }
            Some(word) => scene.refused(name, word).await,
        }
    }
}

#[tokio::test]
async fn b15_what_never_ends_is_cut_off() {
    let scene = Scene::new();
    scene.publish(1, 7);
    let names = scene.tuf.names();
    let target = names.iter().find(|name| name.starts_with("targets/")).unwrap();
    for name in [
        "2.root.json",
        "timestamp.json",
        "1.snapshot.json",
        "1.targets.json",
        target,
    ] {
        let scene = Scene::new();
        scene.publish(1, 7);
        scene.tuf.never_end(name);
        let begun = tokio::time::Instant::now();
        let error = scene.trust().await.expect_err(name);
        assert_eq!(error.kind(), Class::Protocol, "{name}: {error}");
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{name}: {:?}",
            begun.elapsed()
        );
    }
}

#[tokio::test]
async fn b15_a_repository_that_names_no_services_still_says_what_is_trusted() {
    let scene = Scene::new();
    let mut only = release(1, 7);
    only.targets.truncate(1);
    scene.tuf.publish(&only, &scene.tuf.all());
    let repository = Repository::at(scene.tuf.url(), scene.tuf.root.clone());
    let trust = repository.trust(&scene.context()).await.unwrap();
    assert!(trust.services.is_none());
    // A repository in which nothing is trusted is of no use.
    only.targets[0] = ("other.json", Value::Null);
    only.version = 2;
    let empty = Scene::new();
    empty.tuf.publish(&only, &empty.tuf.all());
    empty.refused("nothing", "trusted_root.json").await;
}

#[tokio::test]
async fn b15_a_cache_that_was_tampered_with_is_no_trust_root() {
    let scene = Scene::new();
    scene.publish(1, 7);
    scene.trust().await.unwrap();
    let first = scene.requests();
    for entry in std::fs::read_dir(scene.folder.path().join("cache")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    scene.trust().await.unwrap();
    assert!(scene.requests() > first, "fetched anew");
}

#[tokio::test]
async fn b1_b2_a_mirror_that_fails_for_a_while_is_asked_again_and_its_failure_keeps_its_class() {
    let scene = Scene::new();
    scene.publish(1, 7);
    scene.tuf.fail(3);
    scene.trust().await.unwrap();
    scene.later(8);
    scene.tuf.fail(99);
    let before = scene.requests();
    let error = scene.trust().await.unwrap_err();
    assert_eq!(error.kind(), Class::Unavailable, "{error}");
    assert_eq!(scene.requests() - before, 5);
}
