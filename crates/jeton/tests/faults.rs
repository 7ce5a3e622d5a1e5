//! The fault table (B1 to B5, B8, B18): what the other side does, how many attempts it sees, and what comes of it.
//!
//! The other side is `jeton-issuer`, on real sockets; so the waits are real too, and a thousandth of the defaults.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]
#![cfg(test)]

#[path = "faults/deadline.rs"]
mod deadline;
#[path = "faults/proxies.rs"]
mod proxies;
#[path = "faults/secrets.rs"]
mod secrets;
#[path = "faults/tls.rs"]
mod tls;
#[path = "faults/unreachable.rs"]
mod unreachable;

use jeton::answer::{self, Received};
use jeton::http::Request;
use jeton::{Class, Clock, Context, Env, Error, RetryPolicy, Secret, Token, TokenRequest};
use jeton_issuer::{Algorithm, Issuer, Options, RunningIssuer};
use std::time::Duration;
use tokio::time::Instant;

/// What comes of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Token,
    Fails(Class),
}
use Class::{Protocol, Refused, Throttled, Trust, Unavailable};
use Outcome::{Fails, Token as Got};

const AUDIENCE: &str = "https://api.example.com";

fn issuer() -> RunningIssuer {
    let clock = Clock::system();
    let options = Options::new(move || clock.now().wall).with_algorithm(Algorithm::Es256);
    Issuer::in_thread(options).unwrap()
}

/// The defaults, with short waits.
fn quick() -> RetryPolicy {
    RetryPolicy {
        backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(4),
        connect_timeout: Duration::from_millis(300),
        attempt_timeout: Duration::from_millis(400),
        ..RetryPolicy::default()
    }
}

fn context() -> Context {
    let mut cx = Context::new(Env::default(), Clock::system());
    cx.policy = quick();
    cx.within(Duration::from_secs(20))
}

fn request(issuer: &RunningIssuer, route: &str) -> Request {
    let url = format!("{}{route}?audience={AUDIENCE}", issuer.url());
    Request::get(url.parse().unwrap()).bearer(&Secret::new(issuer.request_token()))
}

/// What GitHub's source does with an answer, without GitHub.
async fn get(cx: &Context, request: &Request) -> Result<Token, Error> {
    let wanted = TokenRequest::audience(AUDIENCE);
    cx.fetch("test", request, |response| {
        answer::success(response)?;
        let value = answer::secret_member(&answer::json(response)?, "value")?;
        answer::token(cx, "test", &wanted, &value, Received::over(response))
    })
    .await
}

/// Plays each row and compares all of them at once.
async fn play(issuer: &RunningIssuer, rows: &[(&str, u64, Outcome)]) {
    let (cx, request) = (context(), request(issuer, "/github/idtoken"));
    let mut wrong = Vec::new();
    for &(fault, attempts, outcome) in rows {
        issuer
            .set_faults(&format!("[[rule]]\nfault = \"{fault}\"\n"))
            .unwrap();
        let before = issuer.connections();
        let result = get(&cx, &request).await;
        let seen = (
            issuer.connections() - before,
            match &result {
                Ok(_) => Got,
                Err(error) => Fails(error.kind()),
            },
        );
        if seen != (attempts, outcome) {
            wrong.push(format!(
                "{fault}: wanted {attempts} {outcome:?}, got {seen:?} {:?}",
                result.err()
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[tokio::test]
async fn b3_transport_faults_are_tried_again() {
    let rows = [
        ("ok", 1, Got),
        ("rst-x2", 3, Got),
        ("rst", 5, Fails(Unavailable)),
        ("fin", 5, Fails(Unavailable)),
        ("connrst", 5, Fails(Unavailable)),
        ("connfin-x1", 2, Got),
        ("rsthead", 5, Fails(Unavailable)),
        ("rstbody", 5, Fails(Unavailable)),
        ("trunc", 5, Fails(Unavailable)),
        ("trunc-x2", 3, Got),
        ("chunktrunc", 5, Fails(Unavailable)),
        ("keepclose", 1, Got),
    ];
    play(&issuer(), &rows).await;
}

#[tokio::test]
async fn b3_silence_ends_and_is_tried_again_on_a_new_connection() {
    let rows = [
        ("connstall", 3, Fails(Unavailable)),
        ("stall", 3, Fails(Unavailable)),
        ("stall-x1", 2, Got),
        ("stallhead", 3, Fails(Unavailable)),
        ("stallmidhead", 3, Fails(Unavailable)),
        ("stallbody", 3, Fails(Unavailable)),
        ("slowbody-ms50", 2, Fails(Unavailable)),
        ("slowhead-ms50", 2, Fails(Unavailable)),
    ];
    play(&issuer(), &rows).await;
}

#[tokio::test]
async fn answers_that_two_readers_could_read_differently_are_none() {
    let rows = [
        ("chunkbad", 2, Fails(Protocol)),
        ("chunkhuge", 2, Fails(Protocol)),
        ("cldup", 2, Fails(Protocol)),
        ("clsame", 2, Fails(Protocol)),
        ("clte", 2, Fails(Protocol)),
        ("teunk", 2, Fails(Protocol)),
        ("clneg", 2, Fails(Protocol)),
        ("clplus", 2, Fails(Protocol)),
        ("http09", 2, Fails(Protocol)),
        ("badstatus", 2, Fails(Protocol)),
        ("garbage", 2, Fails(Protocol)),
        ("hdrnul", 2, Fails(Protocol)),
        ("hdrfold", 2, Fails(Protocol)),
        ("hdrspace", 2, Fails(Protocol)),
        ("hdrnocolon", 2, Fails(Protocol)),
        ("unsolicited", 1, Got),
        ("early103", 1, Got),
    ];
    play(&issuer(), &rows).await;
}

#[tokio::test]
async fn b8_what_is_too_large_is_not_read_to_its_end() {
    let rows = [
        ("info100-n100", 1, Got),
        ("info100-n101", 1, Fails(Protocol)),
        ("info100-n9000", 1, Fails(Protocol)),
        ("bighead", 1, Fails(Protocol)),
        ("manyheads", 1, Fails(Protocol)),
        ("endlesshead", 1, Fails(Protocol)),
        ("big-m64", 1, Fails(Protocol)),
        ("bigchunk", 1, Fails(Protocol)),
        ("gzip", 1, Fails(Protocol)),
        ("gzip2", 1, Fails(Protocol)),
        ("gzipbomb-m4", 1, Fails(Protocol)),
        ("badcoding", 1, Fails(Protocol)),
        ("unkcoding", 1, Fails(Protocol)),
        ("switch101", 1, Fails(Protocol)),
    ];
    play(&issuer(), &rows).await;
}

#[tokio::test]
async fn b1_b2_statuses() {
    let rows = [
        ("s503-x1", 2, Got),
        ("s500-x2", 3, Got),
        ("s503-x3", 4, Got),
        ("s502", 5, Fails(Unavailable)),
        ("s504", 5, Fails(Unavailable)),
        ("s500", 5, Fails(Unavailable)),
        ("s408-x1", 2, Got),
        ("s425", 5, Fails(Unavailable)),
        ("s429", 5, Fails(Throttled)),
        ("s400", 1, Fails(Refused)),
        ("s401", 1, Fails(Refused)),
        ("s403", 1, Fails(Refused)),
        ("s404", 1, Fails(Refused)),
        ("s405", 1, Fails(Refused)),
        ("s410", 1, Fails(Refused)),
        ("s413", 1, Fails(Refused)),
        ("s415", 1, Fails(Refused)),
        ("s422", 1, Fails(Refused)),
        ("s501", 1, Fails(Refused)),
        ("s505", 1, Fails(Refused)),
        ("s511", 1, Fails(Refused)),
        ("s204", 1, Fails(Protocol)),
        ("s206", 1, Fails(Protocol)),
        ("s304", 1, Fails(Protocol)),
        ("redirnone", 1, Fails(Protocol)),
        ("proxy407", 1, Fails(Class::Config)),
    ];
    play(&issuer(), &rows).await;
}

#[tokio::test]
async fn b5_retry_after() {
    let rows = [
        ("ra99999", 1, Fails(Unavailable)),
        ("s429-ra99999", 1, Fails(Throttled)),
        ("rahuge", 1, Fails(Unavailable)),
        ("raneg", 5, Fails(Unavailable)),
        ("rafrac", 5, Fails(Unavailable)),
        ("raempty", 5, Fails(Unavailable)),
        ("rabad", 5, Fails(Unavailable)),
        ("rapast", 5, Fails(Unavailable)),
    ];
    let issuer = issuer();
    play(&issuer, &rows).await;
    for (fault, least) in [("s429-ra1-x1", 1.0), ("radate-n2-x1", 1.0)] {
        issuer.clear_faults();
        issuer.fault("github", fault).unwrap();
        let started = Instant::now();
        get(&context(), &request(&issuer, "/github/idtoken"))
            .await
            .unwrap();
        let took = started.elapsed().as_secs_f64();
        assert!((least..least + 2.0).contains(&took), "{fault}: {took}");
    }
}

#[tokio::test]
async fn b4_bad_bodies_of_a_success() {
    let rows = [
        ("empty200", 3, Fails(Protocol)),
        ("empty200-x1", 2, Got),
        ("html200", 2, Fails(Protocol)),
        ("html200-x1", 2, Got),
        ("htmljson", 2, Fails(Protocol)),
        ("truncjson", 2, Fails(Protocol)),
        ("jsonarray", 1, Fails(Protocol)),
        ("jsonstring", 1, Fails(Protocol)),
        ("jsonnull", 1, Fails(Protocol)),
        ("jsonnumber", 1, Fails(Protocol)),
        ("jsonempty", 1, Fails(Protocol)),
        ("valmissing", 1, Fails(Protocol)),
        ("valnull", 1, Fails(Protocol)),
        ("valempty", 1, Fails(Protocol)),
        ("valnumber", 1, Fails(Protocol)),
        ("valobject", 1, Fails(Protocol)),
        ("valarray", 1, Fails(Protocol)),
        ("dup", 1, Fails(Protocol)),
        ("deep", 1, Fails(Protocol)),
        ("bom", 1, Fails(Protocol)),
        ("latin1", 1, Fails(Protocol)),
        ("textct", 1, Got),
        ("noct", 1, Got),
        ("badct", 1, Got),
        ("charset", 1, Got),
        ("htmlct", 2, Fails(Protocol)),
    ];
    play(&issuer(), &rows).await;
}

#[tokio::test]
async fn texts_that_are_no_token_and_tokens_that_are_of_no_use() {
    use Class::Token;
    let rows = [
        ("notjwt", 1, Fails(Token)),
        ("seg2", 1, Fails(Token)),
        ("jwe", 1, Fails(Token)),
        ("bearer", 1, Fails(Token)),
        ("newline", 1, Fails(Token)),
        ("valcrlf", 1, Fails(Token)),
        ("wrongaud", 1, Fails(Token)),
        ("noaud", 1, Fails(Token)),
        ("audlist", 1, Got),
        ("expired", 2, Fails(Token)),
        ("expired-x1", 2, Got),
        ("noexp", 1, Got),
        ("future-n120", 1, Got),
        ("ahead-n600", 1, Got),
        ("behind-n600", 1, Got),
        ("algnone", 1, Got),
        ("badsig", 1, Got),
    ];
    play(&issuer(), &rows).await;
}

#[tokio::test]
async fn redirects_of_a_credential_are_not_followed() {
    let rows = [
        ("redirect", 1, Fails(Trust)),
        ("redirloop", 1, Fails(Trust)),
        ("redirother", 1, Fails(Trust)),
        ("redirfile", 1, Fails(Trust)),
        ("redirdata", 1, Fails(Trust)),
        ("redirmeta", 1, Fails(Trust)),
    ];
    play(&issuer(), &rows).await;
}

#[tokio::test]
async fn redirects_without_a_credential_stay_in_the_origin_and_are_few() {
    let issuer = issuer();
    let cx = context();
    let rows = [
        ("ok", 1, Got),
        ("redirect-x1", 2, Got),
        ("redirect-x3", 4, Got),
        ("redirloop", 4, Fails(Trust)),
        ("redirother", 1, Fails(Trust)),
        ("redirfile", 1, Fails(Trust)),
        ("redirdata", 1, Fails(Trust)),
        ("redirmeta", 1, Fails(Trust)),
        ("redirnone", 1, Fails(Protocol)),
    ];
    for (fault, attempts, outcome) in rows {
        issuer.clear_faults();
        issuer.fault("jwks", fault).unwrap();
        let before = issuer.connections();
        let url = format!("{}/jwks", issuer.url());
        let result = cx
            .fetch("test", &Request::get(url.parse().unwrap()), |response| {
                answer::success(response)?;
                answer::json(response)
            })
            .await;
        let seen = match &result {
            Ok(_) => Got,
            Err(error) => Fails(error.kind()),
        };
        assert_eq!(
            (issuer.connections() - before, seen),
            (attempts, outcome),
            "{fault} {result:?}"
        );
    }
}
