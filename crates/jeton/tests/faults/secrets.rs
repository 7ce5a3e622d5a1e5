//! B18: no secret in an error, whatever the other side does with it; and what OAuth errors mean (FAULTS rows 33 to 36).
use super::*;

const SECRET: &str = "canary-client-secret-0123456789";

fn form(issuer: &RunningIssuer) -> Request {
    let url = format!("{}/token", issuer.url());
    let fields = [
        ("grant_type", "client_credentials"),
        ("client_id", "c"),
        ("client_secret", SECRET),
    ];
    Request::form(url.parse().unwrap(), &fields)
}

async fn grant(cx: &Context, request: &Request) -> Result<Token, Error> {
    let wanted = TokenRequest::default();
    cx.fetch("grant", request, |response| {
        if response.status != 200 {
            return Err(answer::oauth_fault(response));
        }
        let json = answer::json(response)?;
        let token = jeton::core::oauth::TokenAnswer::read(&json)?;
        let received = Received::over(response)
            .shape(answer::Shape::Any)
            .granted(&wanted, &token)?;
        answer::token(cx, "grant", &wanted, &token.access_token, received)
    })
    .await
}

#[tokio::test]
async fn oauth_errors_are_final_unless_they_say_later() {
    let rows = [
        ("ok", 1, Got, None),
        ("einvalidclient", 1, Fails(Refused), Some("invalid_client")),
        ("einvalidgrant", 1, Fails(Refused), Some("invalid_grant")),
        ("einvalidscope", 1, Fails(Refused), Some("invalid_scope")),
        ("eunauthorized", 1, Fails(Refused), Some("unauthorized_client")),
        ("edenied", 1, Fails(Refused), Some("access_denied")),
        ("etemp", 5, Fails(Unavailable), Some("temporarily_unavailable")),
        ("etemp-x1", 2, Got, None),
        ("eserver", 5, Fails(Unavailable), Some("server_error")),
        ("eansi", 1, Fails(Refused), None),
        ("elong", 1, Fails(Refused), None),
        ("s503-x1", 2, Got, None),
        ("s400", 1, Fails(Refused), None),
        ("expstring", 1, Got, None),
        ("expfloat", 1, Got, None),
        ("expmissing", 1, Got, None),
        ("expzero", 1, Got, None),
        ("expneg", 1, Got, None),
        ("expnull", 1, Got, None),
        ("exphuge", 1, Got, None),
        ("ttlower", 1, Got, None),
        ("ttmac", 1, Fails(Protocol), None),
    ];
    let (issuer, cx) = (issuer(), context());
    for (fault, attempts, wanted, code) in rows {
        issuer
            .set_faults(&format!("[[rule]]\nfault = \"{fault}\"\n"))
            .unwrap();
        let before = issuer.connections();
        let result = grant(&cx, &form(&issuer)).await;
        let found = result.as_ref().map_or_else(|error| Fails(error.kind()), |_| Got);
        assert_eq!(
            (issuer.connections() - before, found),
            (attempts, wanted),
            "{fault} {result:?}"
        );
        if let (Some(code), Err(error)) = (code, &result) {
            assert_eq!(error.oauth(), Some(code), "{fault}");
        }
    }
}

#[tokio::test]
async fn b18_no_fault_puts_a_secret_or_a_control_character_into_an_error() {
    let issuer = issuer();
    let mut cx = context();
    cx.policy.max_attempts = 1;
    cx.policy.attempt_timeout = Duration::from_millis(150);
    let canaries = [SECRET, issuer.request_token(), "eyJ"];
    for (fault, _) in jeton_issuer::faults::vocabulary() {
        let fault = match fault {
            "sNNN" => "s500",
            "gzipbomb" => "gzipbomb-m1",
            "valbig" | "big" => "big-m1",
            other => other,
        };
        issuer
            .set_faults(&format!("[[rule]]\nfault = \"{fault}\"\n"))
            .unwrap();
        let github = get(&cx, &request(&issuer, "/github/idtoken")).await;
        let granted = grant(&cx, &form(&issuer)).await;
        for error in [github, granted].into_iter().filter_map(Result::err) {
            let shown = format!("{error} {error:?} {error:#?} {:?}", error.hint());
            for canary in canaries {
                assert!(!shown.contains(canary), "{fault}: {canary} in {shown}");
            }
            let text = error.to_string();
            assert!(!text.chars().any(char::is_control), "{fault}: {text:?}");
            assert!(text.len() < 700, "{fault}: {} bytes", text.len());
        }
    }
}

#[test]
fn b18_debug_shows_no_secret() {
    let url = "https://example.com/?sig=canary".parse().unwrap();
    let request = Request::form(url, &[("client_secret", SECRET)]).bearer(&Secret::new("canary-bearer"));
    let shown = format!("{request:?} {request:#?}");
    assert!(!shown.contains("canary"), "{shown}");
}
