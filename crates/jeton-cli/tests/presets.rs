//! Exchange presets from outside: the request each target gets, and what is made of its answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]
use jeton_test::Sandbox;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A server that answers each path with one body, and remembers what it was asked.
struct Target {
    address: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Target {
    fn start(answers: &'static [(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(stream.unwrap(), answers, &record);
            }
        });
        Self { address, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, answers: &[(&str, &str)], record: &Mutex<Vec<String>>) {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    let whole = loop {
        let read = stream.read(&mut chunk).unwrap();
        bytes.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if read == 0 {
            break text;
        }
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            break text;
        }
    };
    let path = whole.split(' ').nth(1).unwrap_or_default().to_owned();
    let answer = answers.iter().find(|(start, _)| path.starts_with(start));
    record.lock().unwrap().push(whole);
    let (status, body) = answer.map_or((404, "{}"), |(_, body)| (200, *body));
    let head = format!(
        "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
}

/// One preset: its keys, the paths that answer, and what the last request must hold.
struct Row {
    preset: &'static str,
    keys: &'static str,
    answers: &'static [(&'static str, &'static str)],
    asked: &'static [&'static str],
}

const ROWS: &[Row] = &[
    Row {
        preset: "anthropic",
        keys: "federation_rule = \"fdrl_1\"\norganization = \"org-1\"\nservice_account = \"svac_1\"",
        answers: &[(
            "/v1/oauth/token",
            r#"{"access_token":"result","token_type":"Bearer","expires_in":3600}"#,
        )],
        asked: &[
            "POST /v1/oauth/token HTTP/1.1",
            r#""assertion":"identity""#,
            r#""federation_rule_id":"fdrl_1""#,
            r#""organization_id":"org-1""#,
            r#""service_account_id":"svac_1""#,
            r#""grant_type":"urn:ietf:params:oauth:grant-type:jwt-bearer""#,
        ],
    },
    Row {
        preset: "azure",
        keys: "tenant = \"t-1\"\nclient_id = \"app\"\nscopes = [\"https://vault.example.com/.default\"]",
        answers: &[(
            "/t-1/oauth2/v2.0/token",
            r#"{"access_token":"result","token_type":"Bearer","expires_in":3599}"#,
        )],
        asked: &[
            "POST /t-1/oauth2/v2.0/token HTTP/1.1",
            "grant_type=client_credentials",
            "client_id=app",
            "client_assertion=identity",
            "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer",
            "scope=https%3A%2F%2Fvault.example.com%2F.default",
        ],
    },
    Row {
        preset: "buildkite",
        keys: "client_id = \"app\"",
        answers: &[(
            "/oauth/token",
            r#"{"access_token":"result","token_type":"Bearer","expires_in":3600}"#,
        )],
        asked: &[
            "POST /oauth/token HTTP/1.1",
            "client_assertion=identity",
            "client_id=app",
        ],
    },
    Row {
        preset: "crates-io",
        keys: "",
        answers: &[("/api/v1/trusted_publishing/tokens", r#"{"token":"result"}"#)],
        asked: &[
            "POST /api/v1/trusted_publishing/tokens HTTP/1.1",
            r#"{"jwt":"identity"}"#,
        ],
    },
    Row {
        preset: "octo-sts",
        keys: "identity = \"ci\"\nscopes = [\"acme/prod\"]",
        answers: &[("/sts/exchange", r#"{"token":"result"}"#)],
        asked: &[
            "GET /sts/exchange?scope=acme%2Fprod&identity=ci HTTP/1.1",
            "authorization: Bearer identity",
        ],
    },
    Row {
        preset: "github-app-broker",
        keys: "identity = \"ci\"\nscopes = [\"acme/prod\"]",
        answers: &[("/sts/exchange", r#"{"token":"result"}"#)],
        asked: &["GET /sts/exchange?", "authorization: Bearer identity"],
    },
    Row {
        preset: "jfrog",
        keys: "provider = \"github\"",
        answers: &[(
            "/access/api/v1/oidc/token",
            r#"{"access_token":"result","expires_in":600}"#,
        )],
        asked: &[
            "POST /access/api/v1/oidc/token HTTP/1.1",
            r#""provider_name":"github""#,
            r#""subject_token":"identity""#,
            r#""subject_token_type":"urn:ietf:params:oauth:token-type:id_token""#,
        ],
    },
    Row {
        preset: "npm",
        keys: "package = \"@acme/tool\"",
        answers: &[("/-/npm/v1/oidc/token/exchange/package/", r#"{"token":"result"}"#)],
        asked: &[
            "POST /-/npm/v1/oidc/token/exchange/package/%40acme%2Ftool HTTP/1.1",
            "authorization: Bearer identity",
        ],
    },
    Row {
        preset: "pypi",
        keys: "",
        answers: &[
            ("/_/oidc/audience", r#"{"audience":"pypi"}"#),
            ("/_/oidc/mint-token", r#"{"success":true,"token":"result"}"#),
        ],
        asked: &["POST /_/oidc/mint-token HTTP/1.1", r#"{"token":"identity"}"#],
    },
    Row {
        preset: "vault",
        keys: "role = \"deploy\"",
        answers: &[(
            "/v1/auth/jwt/login",
            r#"{"auth":{"client_token":"result","lease_duration":3600}}"#,
        )],
        asked: &[
            "POST /v1/auth/jwt/login HTTP/1.1",
            r#""role":"deploy""#,
            r#""jwt":"identity""#,
        ],
    },
    Row {
        preset: "json",
        keys: "audience = \"api\"",
        answers: &[("/", r#"{"token":"result","expires_in":600}"#)],
        asked: &["POST / HTTP/1.1", r#""token":"identity""#, r#""audience":"api""#],
    },
    Row {
        preset: "gcp",
        keys: "provider = \"//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/r\"\n\
               service_account = \"sa@p.iam.gserviceaccount.com\"",
        answers: &[
            (
                "/v1/token",
                r#"{"access_token":"federated","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":3600}"#,
            ),
            (
                "/v1/projects/-/serviceAccounts/",
                r#"{"accessToken":"result","expireTime":"2099-01-01T00:00:00Z"}"#,
            ),
        ],
        asked: &[
            "POST /v1/projects/-/serviceAccounts/sa@p.iam.gserviceaccount.com:generateAccessToken HTTP/1.1",
            "authorization: Bearer federated",
            r#""scope":["https://www.googleapis.com/auth/cloud-platform"]"#,
        ],
    },
];

fn run(row: &Row, target: &Target, keys: &str) -> (Sandbox, jeton_test::Run) {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    let (preset, address) = (row.preset, &target.address);
    sandbox.config(&format!(
        "[profiles.p]\ngrant = \"token-exchange\"\nfrom = \"env:ID\"\npreset = \"{preset}\"\nendpoint = \"{address}\"\n{keys}\n"
    ));
    let run = sandbox.command(["token", "p"]).env("ID", "identity").run();
    (sandbox, run)
}

#[test]
fn each_target_is_asked_in_its_own_way_and_its_token_is_kept() {
    for row in ROWS {
        let target = Target::start(row.answers);
        let (sandbox, first) = run(row, &target, row.keys);
        assert_eq!(
            (first.code, first.stdout.as_str()),
            (Some(0), "result\n"),
            "{}: {first:#?}",
            row.preset
        );
        let heard = target.heard();
        assert_eq!(heard.len(), row.answers.len(), "{}: {heard:#?}", row.preset);
        for part in row.asked {
            assert!(
                heard.last().unwrap().contains(part),
                "{}: {part}: {heard:#?}",
                row.preset
            );
        }
        let again = sandbox
            .command(["token", "p"])
            .env("ID", "identity")
            .run()
            .ended(0);
        assert_eq!(again.stdout, "result\n", "{}", row.preset);
        assert_eq!(
            target.heard().len(),
            heard.len(),
            "{}: the second is from the cache",
            row.preset
        );
        // Another identity is another token.
        let other = sandbox
            .command(["token", "p"])
            .env("ID", "somebody-else")
            .run()
            .ended(0);
        assert!(target.heard().len() > heard.len(), "{}: {other:?}", row.preset);
    }
}

#[test]
fn a_missing_key_is_named_before_anything_is_sent() {
    for row in ROWS
        .iter()
        .filter(|row| row.keys.contains("provider") || row.preset == "azure")
    {
        let target = Target::start(row.answers);
        let (_, run) = run(row, &target, "");
        run.ended(2);
        assert!(target.heard().is_empty(), "{}", row.preset);
    }
}

#[test]
fn an_answer_without_a_token_is_a_breach_of_protocol_and_a_refusal_is_one() {
    let answers: &[(&str, &str)] = &[("/", r#"{"nothing":true}"#)];
    for row in ROWS.iter().filter(|row| !matches!(row.preset, "gcp" | "pypi")) {
        let target = Target::start(answers);
        let (_, run) = run(row, &target, row.keys);
        assert_eq!(run.code, Some(8), "{}: {run:#?}", row.preset);
        let target = Target::start(&[]);
        let (_, run) = self::run(row, &target, row.keys);
        assert_eq!(run.code, Some(4), "{}: {run:#?}", row.preset);
        assert!(!run.stderr.contains("identity\n"), "{run:#?}");
    }
}

/// A profile of one preset, with its input from the variable `ID`.
fn profile(preset: &str, more: &str) -> Sandbox {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    sandbox.config(&format!(
        "[profiles.p]\ngrant = \"token-exchange\"\nfrom = \"env:ID\"\npreset = \"{preset}\"\n{more}\n"
    ));
    sandbox
}

#[test]
fn aws_gives_a_roles_credentials_for_a_web_identity() {
    let issuer = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    let issuer = issuer.issuer([""; 0]);
    let role = "role = \"arn:aws:iam::123456789012:role/deploy\"";
    let own = format!("{role}\nendpoint = \"{}/aws/sts\"", issuer.url());
    let sts = format!("{}/aws/sts", issuer.url());
    let token = issuer.mint(&serde_json::json!({"sub": "me", "aud": "sts.amazonaws.com"}));
    // Where STS is: the profile's word, or the variable that AWS' own tools read.
    for (more, variable) in [(own.as_str(), ""), (role, sts.as_str())] {
        issuer.forget();
        let sandbox = profile("aws", more);
        let run = || {
            let command = sandbox.command(["token", "p"]).env("ID", &token);
            command
                .env("AWS_ENDPOINT_URL_STS", variable)
                .env("AWS_REGION", "eu-west-1")
                .run()
        };
        let (first, second) = (run().ended(0), run().ended(0));
        let document = first.json();
        for name in ["AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"] {
            assert!(
                document[name].as_str().is_some_and(|value| !value.is_empty()),
                "{name}"
            );
        }
        assert_eq!(document["Version"], 1);
        assert_eq!(first.stdout, second.stdout, "kept to its end");
        let asked = issuer.requests_of("aws-sts");
        assert_eq!(asked.len(), 1, "{asked:?}");
        let body = asked[0]["body"].as_str().unwrap();
        for part in [
            "Action=AssumeRoleWithWebIdentity",
            "role%2Fdeploy",
            "RoleSessionName=jeton",
            "WebIdentityToken=eyJ",
        ] {
            assert!(body.contains(part), "{part}: {body}");
        }
        let sent = asked[0]["headers"].to_string().to_ascii_lowercase();
        assert!(
            !sent.contains("authorization"),
            "no credential is needed, none is sent: {sent}"
        );
    }
    let ended = issuer.mint(&serde_json::json!({"sub": "me", "exp": 1_000_000_000}));
    let sandbox = profile("aws", &own);
    let run = sandbox.command(["token", "p"]).env("ID", &ended).run();
    assert!(matches!(run.code, Some(4 | 8)), "{run:?}");
    assert!(!run.stderr.contains(&ended), "{run:?}");
    profile("aws", "")
        .command(["token", "p"])
        .env("ID", &token)
        .run()
        .ended(2);
}

#[test]
fn d23_a_result_is_given_back_in_the_targets_own_way() {
    // (preset, keys, how it is given, how it is given back)
    let rows: [(&str, &str, &str, &[&str]); 3] = [
        (
            "vault",
            "role = \"ci\"",
            r#"{"auth":{"client_token":"result","lease_duration":600}}"#,
            &["POST /v1/auth/token/revoke-self ", "x-vault-token: result"],
        ),
        (
            "crates-io",
            "",
            r#"{"token":"result"}"#,
            &[
                "DELETE /api/v1/trusted_publishing/tokens ",
                "authorization: Bearer result",
            ],
        ),
        // Whoever cannot take it back is not asked to.
        ("json", "", r#"{"token":"result","expires_in":600}"#, &[]),
    ];
    for (preset, keys, answer, back) in rows {
        let answers: &'static [(&str, &str)] = Box::leak(Box::new([("/", answer)]));
        let target = Target::start(answers);
        let sandbox = profile(preset, &format!("{keys}\nendpoint = \"{}\"", target.address));
        let command = sandbox.command(["exec", "p", "--env", "T", "--revoke", "--", "/bin/true"]);
        command.env("ID", "identity").run().ended(0);
        let heard = target.heard();
        assert_eq!(
            heard.len(),
            1 + usize::from(!back.is_empty()),
            "{preset}: {heard:#?}"
        );
        for part in back {
            assert!(heard[1].contains(part), "{preset}: {part}: {heard:#?}");
        }
    }
}
