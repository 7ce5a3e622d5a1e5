use super::*;
use crate::Env;
use crate::cache::Particulars;
use jeton_core::{Life, TokenRequest};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::sync::{LazyLock, Mutex};

const SECRET: &str = "canary-5f1d0c";

struct Place {
    dir: tempfile::TempDir,
    disk: Disk,
    particulars: Particulars,
    request: TokenRequest,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::at(dir.path().join("jeton"));
    Place {
        dir,
        disk,
        particulars: Particulars::default(),
        request: TokenRequest::audience("aud"),
    }
}

/// The present of all tests here: read once, so that a slow machine changes nothing.
fn now() -> Moment {
    static PRESENT: LazyLock<Moment> = LazyLock::new(|| {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap();
        Moment {
            wall: UnixTime::from_millis(i64::try_from(since.as_millis()).unwrap()),
            uptime: Duration::from_secs(5000),
        }
    });
    *PRESENT
}

fn later(span: u64) -> Moment {
    let now = now();
    let span = Duration::from_secs(span);
    Moment {
        wall: now.wall.plus(span),
        uptime: now.uptime + span,
    }
}

fn token(life: u64) -> Token {
    Token {
        value: Secret::new(SECRET),
        token_type: "Bearer".to_owned(),
        issuer: Some("https://issuer.example".to_owned()),
        subject: Some("me".to_owned()),
        audience: vec!["aud".to_owned()],
        scopes: vec!["read".to_owned()],
        source: "github".to_owned(),
        expires_at: Some(now().wall.plus(Duration::from_secs(life))),
        life: Some(Life::from_expires_in(Duration::from_secs(life), now())),
        cached: false,
    }
}

impl Place {
    fn scope(&self) -> Scope<'_> {
        self.scope_of("", &self.request)
    }

    fn scope_of<'a>(&'a self, profile: &'a str, request: &'a TokenRequest) -> Scope<'a> {
        Scope {
            profile,
            source: "github",
            particulars: &self.particulars,
            request,
            fingerprint: b"job",
        }
    }

    fn write(&self, life: u64) {
        let scope = self.scope();
        self.disk
            .write(&Key::of(&scope), &scope, &token(life), now())
            .unwrap();
    }

    fn read(&self, wanted: &Wanted, now: Moment) -> Found {
        let scope = self.scope();
        self.disk.read(&Key::of(&scope), &scope, wanted, now)
    }

    fn file(&self) -> PathBuf {
        self.disk.path().join(entry_name(&Key::of(&self.scope())))
    }

    /// What a look says in a word.
    fn look(&self) -> &'static str {
        match self.read(&Wanted::living(Duration::ZERO), now()) {
            Found::Token(_) => "token",
            Found::Miss => "miss",
            Found::Suspect(_) => "suspect",
        }
    }
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_is_written_is_read_and_says_that_it_is_cached() {
    let place = place();
    assert_eq!(place.look(), "miss");
    place.write(300);
    let Found::Token(found) = place.read(&Wanted::living(Duration::ZERO), now()) else {
        panic!("not found");
    };
    let given = token(300);
    assert_eq!(found.value, given.value);
    assert_eq!((found.issuer, found.subject), (given.issuer, given.subject));
    assert_eq!((found.audience, found.scopes), (given.audience, given.scopes));
    assert!(found.cached);
    assert!(found.life.is_some());
}

#[test]
fn c6_a_token_is_given_while_it_lives_long_enough_and_is_young_enough() {
    let place = place();
    place.write(300);
    let minutes = |n: u64| Some(Duration::from_secs(60 * n));
    // (seconds later, least life wanted, longest re-use, found)
    let rows = [
        (0, 300, None, true),
        (0, 301, None, false),
        (200, 99, None, true),
        (200, 102, None, false),
        (299, 0, None, true),
        (300, 0, None, false),
        (59, 0, minutes(1), true),
        (62, 0, minutes(1), false),
    ];
    for (after, min_left, ttl, found) in rows {
        let wanted = Wanted {
            min_left: Duration::from_secs(min_left).saturating_sub(Duration::from_millis(500)),
            ttl,
            since: None,
        };
        let got = place.read(&wanted, later(after));
        assert_eq!(
            matches!(got, Found::Token(_)),
            found,
            "{after} {min_left} {ttl:?}"
        );
    }
}

#[test]
fn a_token_received_before_the_given_moment_is_passed_over() {
    let place = place();
    place.write(300);
    let wanted = |since| Wanted {
        since: Some(since),
        ..Wanted::living(Duration::ZERO)
    };
    let earlier = Moment {
        uptime: Duration::from_secs(4999),
        ..now()
    };
    assert!(matches!(place.read(&wanted(earlier), now()), Found::Token(_)));
    assert!(matches!(place.read(&wanted(now()), now()), Found::Miss));
}

#[test]
fn a_clock_put_back_makes_nothing_younger() {
    let place = place();
    place.write(300);
    let back = Moment {
        wall: now().wall.minus(Duration::from_secs(3600)),
        uptime: later(301).uptime,
    };
    assert!(matches!(
        place.read(&Wanted::living(Duration::ZERO), back),
        Found::Miss
    ));
}

#[test]
fn a_file_cut_anywhere_filled_with_zeros_or_changed_is_no_token() {
    let place = place();
    place.write(300);
    let whole = std::fs::read(place.file()).unwrap();
    for length in 0..whole.len() {
        std::fs::write(place.file(), &whole[..length]).unwrap();
        assert_eq!(place.look(), "suspect", "cut at {length}");
    }
    for changed in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[changed] ^= 1;
        std::fs::write(place.file(), &bytes).unwrap();
        assert_eq!(place.look(), "suspect", "changed at {changed}");
    }
    std::fs::write(place.file(), vec![0; whole.len()]).unwrap();
    assert_eq!(place.look(), "suspect");
    std::fs::write(place.file(), vec![b'x'; usize::try_from(ENTRY_CAP).unwrap() + 1]).unwrap();
    assert_eq!(place.look(), "suspect");
    let text = String::from_utf8(whole.clone()).unwrap();
    let other_version = text.replace("\"jeton\":1", "\"jeton\":2");
    std::fs::write(place.file(), other_version).unwrap();
    assert_eq!(place.look(), "suspect");
    place.write(300);
    assert_eq!(place.look(), "token");
}

#[test]
fn a_file_put_in_anothers_place_answers_nothing() {
    let place = place();
    place.write(300);
    let other = TokenRequest::audience("other");
    let scope = place.scope_of("", &other);
    let key = Key::of(&scope);
    std::fs::copy(place.file(), place.disk.path().join(entry_name(&key))).unwrap();
    let found = place
        .disk
        .read(&key, &scope, &Wanted::living(Duration::ZERO), now());
    assert!(matches!(found, Found::Suspect(_)), "{found:?}");
}

#[test]
fn c4_links_strangers_and_open_doors_are_not_trusted_and_are_replaced() {
    let victim_text = "do not touch";
    type Plant = fn(&Path, &Path);
    let rows: [(&str, Plant); 8] = [
        ("symlink", |file, victim| symlink(victim, file).unwrap()),
        ("dangling symlink", |file, _| {
            symlink("/nowhere/at/all", file).unwrap()
        }),
        ("hard link", |file, victim| {
            std::fs::hard_link(victim, file).unwrap()
        }),
        ("fifo", |file, _| {
            rustix::fs::mknodat(
                rustix::fs::CWD,
                file,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::RWXU,
                0,
            )
            .unwrap();
        }),
        ("folder", |file, _| std::fs::create_dir(file).unwrap()),
        ("group may read", |file, _| chmodded(file, 0o640)),
        ("world may read", |file, _| chmodded(file, 0o644)),
        ("world may write", |file, _| chmodded(file, 0o606)),
    ];
    for (name, plant) in rows {
        let place = place();
        place.write(300);
        let victim = place.dir.path().join("victim");
        std::fs::copy(place.file(), place.dir.path().join("good")).unwrap();
        std::fs::write(&victim, victim_text).unwrap();
        if name != "group may read" && name != "world may read" && name != "world may write" {
            std::fs::remove_file(place.file()).unwrap();
        }
        plant(&place.file(), &victim);
        assert_eq!(place.look(), "suspect", "{name}");
        place.write(300);
        assert_eq!(place.look(), "token", "{name} is replaced");
        assert_eq!(mode(&place.file()), 0o600, "{name}");
        assert_eq!(std::fs::read_to_string(&victim).unwrap(), victim_text, "{name}");
    }
}

fn chmodded(file: &Path, mode: u32) {
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn c4_a_folder_that_is_a_link_or_open_to_others_is_not_used() {
    let place = place();
    let real = place.dir.path().join("real");
    std::fs::create_dir(&real).unwrap();
    chmodded(&real, 0o700);
    symlink(&real, place.disk.path()).unwrap();
    let scope = place.scope();
    let write = || place.disk.write(&Key::of(&scope), &scope, &token(300), now());
    assert!(write().is_err());
    assert_eq!(std::fs::read_dir(&real).unwrap().count(), 0);

    std::fs::remove_file(place.disk.path()).unwrap();
    std::fs::create_dir(place.disk.path()).unwrap();
    for (given, result) in [
        (0o777, None),
        (0o770, None),
        (0o755, Some(0o700)),
        (0o700, Some(0o700)),
    ] {
        chmodded(place.disk.path(), given);
        assert_eq!(write().is_ok(), result.is_some(), "{given:o}");
        if let Some(result) = result {
            assert_eq!(mode(place.disk.path()), result, "{given:o}");
        }
    }
}

#[test]
fn nowhere_to_write_is_told_and_fails_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let disk = Disk::at(dir.path().join("file/jeton"));
    let place = place();
    let scope = place.scope();
    let key = Key::of(&scope);
    assert!(disk.write(&key, &scope, &token(300), now()).is_err());
    assert!(disk.list(now()).is_empty());
    assert_eq!(disk.clear(None), 0);
}

/// Collects warnings.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Observer for Told {
    fn warning(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

#[test]
fn one_warning_is_enough() {
    let (disk, told) = (Disk::at("/x"), Told::default());
    disk.warn(&told, "it is a link");
    disk.clone().warn(&told, "it is full");
    assert_eq!(
        *told.0.lock().unwrap(),
        ["cache /x: it is a link; going on without it"]
    );
}

#[test]
fn c4_modes_hold_whatever_the_umask() {
    const FOLDER: &str = "JETON_TEST_FOLDER";
    const TEST: &str = "cache::disk::tests::c4_modes_hold_whatever_the_umask";
    if let Some(folder) = Env::from_process().get(FOLDER) {
        let place = Place {
            disk: Disk::at(Path::new(folder).join("a/b/jeton")),
            ..place()
        };
        place.write(300);
        let _lease = place.disk.lease(&Key::of(&place.scope())).unwrap();
        return;
    }
    for umask in ["000", "077", "022"] {
        let dir = tempfile::tempdir().unwrap();
        let exe = std::env::current_exe().unwrap();
        let script = format!("umask {umask}; exec \"$0\" --exact {TEST}");
        let output = std::process::Command::new("sh")
            .args(["-c", &script])
            .arg(exe)
            .env(FOLDER, dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let folder = dir.path().join("a/b/jeton");
        for above in [&dir.path().join("a"), &dir.path().join("a/b"), &folder] {
            assert_eq!(mode(above), 0o700, "umask {umask}");
        }
        let files: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|f| f.unwrap().path())
            .collect();
        assert_eq!(files.len(), 2, "an entry and a lease, no temporary file");
        for file in files {
            assert_eq!(mode(&file), 0o600, "umask {umask}");
        }
    }
}

#[test]
fn old_leftovers_go_with_the_next_write() {
    let place = place();
    place.write(300);
    let old = |name: &str, hours: u64| {
        let path = place.disk.path().join(name);
        let file = std::fs::File::create(&path).unwrap();
        chmodded(&path, 0o600);
        #[allow(
            clippy::disallowed_methods,
            reason = "the file system stamps files with this clock"
        )]
        let at = std::time::SystemTime::now() - Duration::from_secs(hours * 3600);
        file.set_modified(at).unwrap();
        path
    };
    let dead = "d".repeat(64);
    let rows = [
        (old(".1-abc.tmp", 2), false),
        (old(".1-def.tmp", 0), true),
        (old(&format!("{dead}.json"), 25), false),
        (old(&format!("{}.json", "e".repeat(64)), 2), true),
        (old(&format!("{dead}.lock"), 25), false),
        (old("somebody-elses", 999), true),
    ];
    place.write(300);
    for (path, stays) in rows {
        assert_eq!(path.exists(), stays, "{}", path.display());
    }
}

#[test]
fn what_is_listed_and_cleared() {
    let place = place();
    place.write(300);
    let other = TokenRequest::audience("other");
    let scope = place.scope_of("prod", &other);
    place
        .disk
        .write(&Key::of(&scope), &scope, &token(100), now())
        .unwrap();
    let listed = place.disk.list(now());
    let rows: Vec<_> = listed
        .iter()
        .map(|l| (l.profile.as_str(), l.source.as_str()))
        .collect();
    assert_eq!(rows, [("", "github"), ("prod", "github")]);
    assert_eq!(place.disk.list(later(200)).len(), 1, "the dead are left out");
    assert!(!format!("{listed:?}").contains(SECRET));
    assert_eq!(place.disk.clear(Some("none")), 0);
    assert_eq!(place.disk.clear(Some("prod")), 1);
    assert_eq!(place.disk.clear(Some("")), 1);
    place.write(300);
    assert_eq!(place.disk.clear(None), 1);
    assert_eq!(std::fs::read_dir(place.disk.path()).unwrap().count(), 0);
}

#[test]
fn a_refused_token_is_forgotten_wherever_it_is() {
    let place = place();
    place.write(300);
    place.disk.forget(&Secret::new("another"));
    assert_eq!(place.look(), "token");
    place.disk.forget(&Secret::new(SECRET));
    assert_eq!(place.look(), "miss");
}

#[test]
fn no_name_shows_what_is_inside() {
    let place = place();
    place.write(300);
    for file in std::fs::read_dir(place.disk.path()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(is_entry(&name), "{name}");
    }
}

#[test]
fn where_the_cache_is() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path().to_str().unwrap();
    let in_home = format!("{home}/.cache/jeton");
    // (variables, folder)
    let rows: &[(&[(&str, &str)], Option<&str>)] = &[
        (
            &[
                ("JETON_CACHE_DIR", "/x/y"),
                ("XDG_CACHE_HOME", "/z"),
                ("HOME", home),
            ],
            Some("/x/y"),
        ),
        (
            &[("JETON_CACHE_DIR", ""), ("XDG_CACHE_HOME", "/z"), ("HOME", home)],
            Some("/z/jeton"),
        ),
        (&[("XDG_CACHE_HOME", "relative"), ("HOME", home)], Some(&in_home)),
        (&[("HOME", home)], Some(&in_home)),
        (&[("HOME", "/")], None),
        (&[("HOME", "relative")], None),
        (&[("HOME", "/nowhere/at/all")], None),
        (&[], None),
    ];
    for (variables, folder) in rows {
        let env: Env = variables.iter().copied().collect();
        assert_eq!(
            crate::cache::locate(&env),
            folder.map(PathBuf::from),
            "{variables:?}"
        );
    }
}
