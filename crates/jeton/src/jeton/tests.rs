use super::turn::Turn;
use super::*;
use crate::cache::lease::{Hold, PATIENCE};
use crate::context::Observer;
use crate::{Clock, Env, source};
use jeton_core::UnixTime;
use jeton_issuer::{Issuer, Options, RunningIssuer};
use std::sync::Mutex;

const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

/// Collects warnings.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Observer for Told {
    fn warning(&self, message: &str) {
        self.0.lock().unwrap().push(message.to_owned());
    }
}

/// An issuer that looks like GitHub, a cache folder, and a clock that is moved by hand.
struct Stage {
    issuer: RunningIssuer,
    clock: Clock,
    told: Arc<Told>,
    dir: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        let clock = Clock::manual(NOW);
        let theirs = clock.clone();
        let mut options =
            Options::new(move || theirs.now().wall).with_algorithm(jeton_issuer::Algorithm::Es256);
        options.token_life = Duration::from_secs(300);
        Self {
            issuer: Issuer::start(options).await.unwrap(),
            clock,
            told: Arc::default(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn context(&self, change: impl FnOnce(Env) -> Env) -> Context {
        let env: Env = self.issuer.environment("github").unwrap().into_iter().collect();
        let mut cx = Context::new(change(env), self.clock.clone());
        cx.policy.backoff = Duration::from_millis(1);
        cx.observer = self.told.clone();
        cx
    }

    fn builder(&self) -> Builder {
        let chain = Chain::ambient(vec![source::named("github").unwrap()]);
        Jeton::builder(self.context(|env| env), chain).cache_folder(self.dir.path().join("jeton"))
    }

    /// What another process would have.
    fn jeton(&self) -> Jeton {
        self.builder().build()
    }

    fn calls(&self) -> usize {
        self.issuer.requests_of("github").len()
    }

    fn files(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("jeton")).map_or(0, Iterator::count)
    }

    fn warnings(&self) -> usize {
        self.told.0.lock().unwrap().len()
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

fn request() -> TokenRequest {
    TokenRequest::audience("aud")
}

fn needing(seconds: u64) -> TokenRequest {
    request().min_validity(Duration::from_secs(seconds))
}

#[tokio::test]
async fn fault_74_no_home_is_said_once_and_costs_the_disk_cache_alone() {
    let stage = Stage::new().await;
    let chain = Chain::ambient(vec![source::named("github").unwrap()]);
    let jeton = Jeton::builder(stage.context(|env| env), chain).build();
    for audience in ["a", "b"] {
        let token = jeton.token(&TokenRequest::audience(audience)).await;
        assert!(!token.unwrap().cached);
    }
    assert_eq!((stage.calls(), stage.files(), stage.warnings()), (2, 0, 1));
}

#[tokio::test]
async fn c7_one_call_serves_this_process_and_the_next() {
    let stage = Stage::new().await;
    let jeton = stage.jeton();
    assert!(jeton.token_now(&request()).is_none());
    let fresh = jeton.token(&request()).await.unwrap();
    assert!(!fresh.cached);
    let kept = jeton.token(&request()).await.unwrap();
    assert!(kept.cached);
    assert_eq!(kept.value, fresh.value);
    let other = stage.jeton();
    let found = other.token_now(&request()).unwrap();
    assert_eq!((found.value, found.cached), (fresh.value, true));
    assert_eq!(found.audience, ["aud"]);
    assert_eq!(stage.calls(), 1);
    let elsewhere = TokenRequest::audience("elsewhere");
    assert_eq!(other.token(&elsewhere).await.unwrap().audience, ["elsewhere"]);
    assert_eq!(stage.calls(), 2);
}

#[tokio::test]
async fn c5_a_token_is_re_used_for_the_given_time_and_with_zero_not_at_all() {
    let stage = Stage::new().await;
    let minute = || stage.builder().cache_ttl(Some(Duration::from_secs(60))).build();
    let jeton = minute();
    // (seconds later, calls in all)
    for (after, calls) in [(0, 1), (59, 1), (2, 2), (30, 2), (31, 3)] {
        stage.pass(after);
        jeton.token(&request()).await.unwrap();
        minute().token(&request()).await.unwrap();
        assert_eq!(stage.calls(), calls, "after {after}");
    }
    let stage = Stage::new().await;
    let off = stage.builder().cache_ttl(Some(Duration::ZERO)).build();
    for calls in 1..=3 {
        off.token(&request()).await.unwrap();
        assert_eq!(stage.calls(), calls);
    }
    assert!(off.token_now(&request()).is_none());
    assert_eq!(stage.files(), 0);
}

#[tokio::test]
async fn c6_no_token_is_given_that_lives_shorter_than_needed() {
    let stage = Stage::new().await;
    let jeton = stage.jeton();
    // (seconds later, needed, calls in all); tokens live 300 s
    for (after, need, calls) in [
        (0, 300, 1),
        (100, 200, 1),
        (0, 210, 2),
        (0, 300, 2),
        (1, 300, 3),
        (270, 30, 3),
    ] {
        stage.pass(after);
        let token = jeton.token(&needing(need)).await.unwrap();
        let left = token.life.unwrap().left(stage.clock.now());
        assert!(left >= Duration::from_secs(need), "{after} {need}");
        assert_eq!(stage.calls(), calls, "{after} {need}");
    }
    assert_eq!(stage.warnings(), 0);
}

#[tokio::test]
async fn a_token_that_lives_shorter_than_needed_is_asked_for_twice_given_with_a_warning_and_not_kept() {
    let stage = Stage::new().await;
    let jeton = stage.jeton();
    let token = jeton.token(&needing(600)).await.unwrap();
    assert!(!token.cached);
    assert_eq!((stage.calls(), stage.warnings()), (2, 1));
    assert!(jeton.token_now(&needing(0)).is_none());
    let strict = stage.builder().strict(true).build();
    let error = strict.token(&needing(600)).await.unwrap_err();
    assert_eq!(error.kind(), Class::Token);
    assert_eq!(stage.calls(), 4);
}

#[tokio::test]
async fn a_herd_makes_one_call_and_shares_its_answer() {
    let stage = Stage::new().await;
    let jeton = stage.jeton();
    let herd: Vec<_> = (0..1000)
        .map(|_| {
            let jeton = jeton.clone();
            tokio::spawn(async move { jeton.token(&request()).await })
        })
        .collect();
    let mut values = Vec::new();
    for one in herd {
        values.push(one.await.unwrap().unwrap().value);
    }
    assert!(values.iter().all(|value| *value == values[0]));
    assert_eq!(stage.calls(), 1);
}

#[tokio::test]
async fn a_herd_shares_a_failure_and_nobody_asks_again_before_the_pause_is_over() {
    let stage = Stage::new().await;
    stage.issuer.fault("github", "s403").unwrap();
    let jeton = stage.jeton();
    let requested = request();
    let calls = (0..100).map(|_| jeton.token(&requested));
    for answer in futures_util::future::join_all(calls).await {
        assert_eq!(answer.unwrap_err().kind(), Class::Refused);
    }
    assert_eq!(stage.calls(), 1);
    let again = jeton.token(&requested).await.unwrap_err();
    assert_eq!((again.kind(), stage.calls()), (Class::Refused, 1));
    stage.pass(2);
    stage.issuer.clear_faults();
    jeton.token(&requested).await.unwrap();
    assert_eq!(stage.calls(), 2);
}

#[tokio::test]
async fn fifty_processes_make_one_call() {
    let stage = Stage::new().await;
    let requested = request();
    let processes: Vec<_> = (0..50).map(|_| stage.jeton()).collect();
    let calls = processes.iter().map(|jeton| jeton.token(&requested));
    for token in futures_util::future::join_all(calls).await {
        token.unwrap();
    }
    assert_eq!(stage.calls(), 1);
    assert_eq!(stage.files(), 1, "an entry, and nothing of the lease");
}

#[tokio::test]
async fn fifty_processes_share_a_failure_and_the_next_one_asks_for_itself() {
    let stage = Stage::new().await;
    stage.issuer.fault("github", "s403").unwrap();
    let requested = request();
    let processes: Vec<_> = (0..50).map(|_| stage.jeton()).collect();
    let calls = processes.iter().map(|jeton| jeton.token(&requested));
    for token in futures_util::future::join_all(calls).await {
        let error = token.unwrap_err();
        assert_eq!((error.kind(), error.status()), (Class::Refused, Some(403)));
        assert!(error.to_string().contains("403"), "{error}");
    }
    assert_eq!(stage.calls(), 1);
    stage.issuer.clear_faults();
    stage.pass(1);
    stage.jeton().token(&requested).await.unwrap();
    assert_eq!(stage.calls(), 2);
}

#[tokio::test]
async fn a_leader_who_gives_up_leaves_the_call_to_the_others() {
    let stage = Stage::new().await;
    let (jeton, requested) = (stage.jeton(), request());
    let mut leader = Box::pin(jeton.token(&requested));
    let mut follower = Box::pin(jeton.token(&requested));
    assert!(leader.as_mut().now_or_never().is_none());
    assert!(follower.as_mut().now_or_never().is_none());
    drop(leader);
    follower.await.unwrap();
    assert_eq!(stage.calls(), 1);
    let other = TokenRequest::audience("b");
    let mut lonely = Box::pin(jeton.token(&other));
    assert!(lonely.as_mut().now_or_never().is_none());
    drop(lonely);
    assert!(!jeton.slot(&other).is_fetching());
}

#[tokio::test]
async fn nobody_waits_while_a_valid_token_exists() {
    let stage = Stage::new().await;
    let slot = stage.jeton().slot(&request());
    let first = slot.token().await.unwrap();
    stage.issuer.fault("github", "stall").unwrap();
    stage.pass(250);
    for _ in 0..10 {
        let current = slot.current().expect("alive");
        assert_eq!(current.value, first.value);
        tokio::task::yield_now().await;
    }
    assert!(
        slot.is_fetching(),
        "a new one is being fetched behind their backs"
    );
}

#[tokio::test]
async fn a_token_is_replaced_ahead_of_need_and_kept_when_that_fails() {
    let stage = Stage::new().await;
    let slot = stage.jeton().slot(&request());
    let first = slot.token().await.unwrap();
    assert_eq!(slot.refresh_in(), Some(Duration::from_secs(240)));
    stage.pass(250);
    stage.issuer.fault("github", "s503-x5").unwrap();
    assert!(slot.refresh().await.is_err());
    assert_eq!(slot.token().await.unwrap().value, first.value);
    stage.issuer.clear_faults();
    stage.pass(1);
    let second = slot.refresh().await.unwrap();
    assert_ne!(second.value, first.value);
    assert_eq!(slot.current().unwrap().value, second.value);
    assert_eq!(stage.jeton().token_now(&request()).unwrap().value, second.value);
}

#[tokio::test]
async fn the_newest_that_can_be_had_is_given_while_the_source_is_down() {
    let stage = Stage::new().await;
    let first = stage.jeton().token(&request()).await.unwrap();
    stage.pass(280);
    stage.issuer.fault("github", "s503").unwrap();
    // Another process, which finds the old one on disk.
    let token = stage.jeton().token(&request()).await.unwrap();
    assert_eq!(token.value, first.value);
    assert_eq!(stage.warnings(), 1);
    stage.pass(1);
    let strict = stage.builder().strict(true).build();
    assert_eq!(
        strict.token(&request()).await.unwrap_err().kind(),
        Class::Unavailable
    );
    let refreshing = stage.builder().refresh(true).build();
    assert_eq!(
        refreshing.token(&request()).await.unwrap_err().kind(),
        Class::Unavailable
    );
    stage.issuer.clear_faults();
    stage.issuer.fault("github", "s403").unwrap();
    stage.pass(1);
    assert_eq!(
        stage.jeton().token(&request()).await.unwrap_err().kind(),
        Class::Refused
    );
    stage.pass(30);
    assert!(stage.jeton().token_now(&needing(0)).is_none(), "dead is dead");
}

#[tokio::test]
async fn c12_a_refused_token_is_forgotten_once() {
    let stage = Stage::new().await;
    let jeton = stage.jeton();
    let first = jeton.token(&request()).await.unwrap();
    jeton.invalidate(&first);
    assert!(stage.jeton().token_now(&request()).is_none());
    let second = jeton.token(&request()).await.unwrap();
    jeton.invalidate(&first);
    assert_eq!(jeton.token(&request()).await.unwrap().value, second.value);
    assert_eq!(stage.calls(), 2);
}

#[tokio::test]
async fn c12_another_job_on_the_same_machine_never_gets_this_jobs_token() {
    let stage = Stage::new().await;
    stage.jeton().token(&request()).await.unwrap();
    let chain = || Chain::ambient(vec![source::named("github").unwrap()]);
    let other_job = stage.context(|env| env.with("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "another-jobs-token"));
    let other = Jeton::builder(other_job, chain()).cache_folder(stage.dir.path().join("jeton"));
    assert!(other.build().token_now(&request()).is_none());
    let other = Jeton::builder(stage.context(|env| env), chain()).profile("p");
    assert!(
        other
            .cache_folder(stage.dir.path().join("jeton"))
            .build()
            .token_now(&request())
            .is_none()
    );
}

#[tokio::test]
async fn refresh_ignores_what_is_kept_and_stores_the_new_one() {
    let stage = Stage::new().await;
    let first = stage.jeton().token(&request()).await.unwrap();
    stage.pass(1);
    let refreshing = stage.builder().refresh(true).build();
    assert!(refreshing.token_now(&request()).is_none());
    let second = refreshing.token(&request()).await.unwrap();
    assert_ne!(first.value, second.value);
    assert_eq!(stage.jeton().token_now(&request()).unwrap().value, second.value);
}

#[tokio::test]
async fn the_profiles_issuer_is_held_against_the_token() {
    let stage = Stage::new().await;
    let wrong = stage.builder().issuer("https://somebody.else.example").build();
    assert_eq!(wrong.token(&request()).await.unwrap_err().kind(), Class::Token);
    stage.pass(1);
    let right = stage.builder().issuer(stage.issuer.url()).build();
    right.token(&request()).await.unwrap();
}

#[tokio::test]
async fn nowhere_to_write_costs_one_warning_and_nothing_else() {
    let stage = Stage::new().await;
    let file = stage.dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let jeton = stage.builder().cache_folder(file.join("jeton")).build();
    jeton.token(&request()).await.unwrap();
    jeton.token(&TokenRequest::audience("b")).await.unwrap();
    assert_eq!(stage.warnings(), 1);
}

#[tokio::test]
async fn a5_a_variable_is_read_each_time_and_never_kept() {
    let stage = Stage::new().await;
    let token = stage.issuer.mint(serde_json::Map::new());
    let chain = || Chain::named(vec![source::spec::parse("env:TOKEN").unwrap()]);
    let cx = stage.context(|env| env.with("TOKEN", token.as_str()));
    let jeton = Jeton::builder(cx, chain())
        .cache_folder(stage.dir.path().join("jeton"))
        .build();
    let got = jeton.token(&TokenRequest::default()).await.unwrap();
    assert_eq!((got.value.reveal(), got.cached), (token.as_str(), false));
    assert!(!jeton.token(&TokenRequest::default()).await.unwrap().cached);
    assert_eq!(stage.files(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_lease_held_for_ever_is_waited_for_no_longer_than_patience_lasts() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, key) = (Disk::at(dir.path().join("jeton")), Key::of_document("k", "u"));
    let cx = Context::new(Env::default(), Clock::manual(NOW));
    let holder = disk.lease(&key).unwrap();
    assert_eq!(holder.try_hold(), Hold::Mine);
    let started = tokio::time::Instant::now();
    let turn = Turn::wait(&disk, &key, &cx, cx.clock.now(), || None)
        .await
        .unwrap();
    assert!(matches!(turn, Turn::Alone));
    let waited = started.elapsed();
    assert!(
        waited >= PATIENCE && waited < Duration::from_secs(5),
        "{waited:?}"
    );

    // A holder that shows that it is alive is waited for.
    let beats = async {
        for beat in 0..10 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            holder.beat(Moment {
                uptime: Duration::from_secs(beat),
                ..cx.clock.now()
            });
        }
        drop(holder);
    };
    let wait = Turn::wait(&disk, &key, &cx, cx.clock.now(), || None);
    let (turn, ()) = tokio::join!(wait, beats);
    assert!(matches!(turn.unwrap(), Turn::Mine(_)));
}

#[test]
fn slots_are_bounded_and_idle_ones_go() {
    use crate::cache::memory::{IDLE, MOST_SLOTS};
    let memory = Memory::default();
    let slot = |n: usize, seconds| {
        memory.slot(
            &TokenRequest::audience(n.to_string()),
            Duration::from_secs(seconds),
        )
    };
    for n in 0..MOST_SLOTS + 100 {
        slot(n, 10_000);
    }
    assert!(memory.len() <= MOST_SLOTS);
    slot(MOST_SLOTS * 2, 10_000 + IDLE.as_secs() + 1);
    assert_eq!(memory.len(), 1);
    assert!(Arc::ptr_eq(&slot(0, 0), &slot(0, 0)));
}
