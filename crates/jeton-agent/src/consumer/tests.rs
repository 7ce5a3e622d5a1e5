//! D15 and the other doors: what each consumer sends, and exactly what it is answered.
use super::*;
use jeton::{Env, Secret, UnixTime};
use serde_json::{Value, json};

/// One host of the configuration, and what was asked.
#[derive(Default)]
struct One {
    username: Option<&'static str>,
    asked: Vec<String>,
    value: Option<&'static str>,
}

const TOKEN: &str = "tok.en.x";
/// 2027-01-15T08:00:00Z
const ENDS: i64 = 1_800_000_000;

impl One {
    fn token_of(&self) -> Token {
        Token {
            value: Secret::new(self.value.unwrap_or(TOKEN)),
            token_type: "Bearer".to_owned(),
            issuer: None,
            subject: None,
            audience: Vec::new(),
            scopes: Vec::new(),
            source: "test".to_owned(),
            expires_at: Some(UnixTime::from_seconds(ENDS)),
            life: None,
            cached: false,
        }
    }
}

impl Vault for One {
    fn offer(&mut self, host: &str) -> Result<Option<Offer>, Error> {
        self.asked.push(host.to_owned());
        let known = matches!(host, "github.com" | "registry.example:5000");
        Ok(known.then(|| Offer {
            token: self.token_of(),
            username: self.username.map(str::to_owned),
        }))
    }

    fn token(&mut self, audience: Option<&str>) -> Result<Token, Error> {
        self.asked.push(format!("audience {}", audience.unwrap_or("-")));
        Ok(self.token_of())
    }

    fn hosts(&self) -> Vec<(String, Option<String>)> {
        vec![("github.com".to_owned(), self.username.map(str::to_owned))]
    }
}

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn d15_git_gets_a_credential_for_exactly_that_host_over_https() {
    let classic = "username=x-access-token\npassword=tok.en.x\npassword_expiry_utc=1800000000\n\n";
    let bearer = "capability[]=authtype\nauthtype=Bearer\ncredential=tok.en.x\nephemeral=1\n\
                  password_expiry_utc=1800000000\n\n";
    let rows = [
        ("protocol=https\nhost=github.com\n\n", classic),
        ("protocol=https\nhost=GitHub.com\n\n", classic),
        ("protocol=https\nhost=github.com:443\n\n", classic),
        (
            "protocol=https\nhost=github.com\npath=a/b\nwwwauth[]=Basic realm=x\nfuture=1\n\n",
            classic,
        ),
        (
            "capability[]=authtype\ncapability[]=state\nprotocol=https\nhost=github.com\n\n",
            bearer,
        ),
        (
            "capability[]=authtype\ncapability[]=\nprotocol=https\nhost=github.com\n\n",
            classic,
        ),
        ("protocol=https\nhost=evil-github.com\n\n", ""),
        ("protocol=https\nhost=github.com.evil.org\n\n", ""),
        ("protocol=https\nhost=evil.org/github.com\n\n", ""),
        ("protocol=https\nhost=github.com@evil.org\n\n", ""),
        ("protocol=https\nhost=github.com:8443\n\n", ""),
        ("protocol=http\nhost=github.com\n\n", ""),
        ("protocol=ssh\nhost=github.com\n\n", ""),
        ("protocol=https\n\n", ""),
        ("host=github.com\n\n", ""),
        ("\n", ""),
        ("protocol=https\n\nhost=github.com\n", ""),
    ];
    for (question, expected) in rows {
        let answer = git::answer("get", question.as_bytes(), &mut One::default()).expect(question);
        assert_eq!(answer, Answer::with(expected), "{question}");
    }
}

#[test]
fn d15_git_questions_with_smuggled_lines_are_refused() {
    let rows = [
        "protocol=https\nhost=github.com\r\n\n",
        "protocol=https\nhost=evil.org\rhost=github.com\n\n",
        "protocol=https\nhost=github.com\0\n\n",
        "protocol=https\nhost=evil.org\nhost=github.com\n\n",
        "protocol=https\nusername=a\rb\nhost=github.com\n\n",
        "protocol\nhost=github.com\n\n",
    ];
    for question in rows {
        let mut vault = One::default();
        let refused = git::answer("get", question.as_bytes(), &mut vault);
        assert_eq!(refused.expect_err(question).kind(), Class::Config, "{question}");
        assert!(vault.asked.is_empty(), "{question}");
    }
    let mut vault = One {
        value: Some("tok\nusername=evil"),
        ..One::default()
    };
    let question = b"protocol=https\nhost=github.com\n\n";
    let refused = git::answer("get", question, &mut vault).expect_err("a token with a line end");
    assert!(!refused.to_string().contains("evil"), "{refused}");
}

#[test]
fn d15_a_configured_user_name_is_offered_and_other_verbs_do_nothing() {
    let question = b"capability[]=authtype\nprotocol=https\nhost=github.com\n\n";
    let mut vault = One {
        username: Some("oauth2"),
        ..One::default()
    };
    let answer = git::answer("get", question, &mut vault).expect("answer");
    assert!(
        answer.output.starts_with("username=oauth2\npassword=tok.en.x\n"),
        "{answer:?}"
    );
    for verb in ["store", "erase", "reject-or-whatever-comes"] {
        let mut vault = One::default();
        assert_eq!(
            git::answer(verb, question, &mut vault).expect(verb),
            Answer::default()
        );
        assert!(vault.asked.is_empty());
    }
    let capability = git::answer("capability", b"", &mut One::default()).expect("capability");
    assert_eq!(capability.output, "version 0\ncapability authtype\n");
}

#[test]
fn docker_gets_a_secret_or_the_words_it_knows() {
    let offered =
        |server: &str| json!({ "ServerURL": server, "Username": "oauth2accesstoken", "Secret": TOKEN });
    let rows = [
        ("github.com", Some(offered("github.com"))),
        (
            "https://github.com/v1/\n",
            Some(offered("https://github.com/v1/")),
        ),
        ("registry.example:5000", Some(offered("registry.example:5000"))),
        ("registry.example", None),
        ("http://github.com", None),
        ("https://u:p@github.com", None),
        ("evil-github.com", None),
        ("github.com.evil.org", None),
    ];
    for (server, expected) in rows {
        let answer = docker::answer("get", server.as_bytes(), &mut One::default()).expect(server);
        match expected {
            Some(document) => assert_eq!((json_of(&answer.output), answer.code), (document, 0), "{server}"),
            None => assert_eq!(
                answer,
                Answer::refusal("credentials not found in native keychain\n"),
                "{server}"
            ),
        }
    }
    let empty = docker::answer("get", b"\n", &mut One::default()).expect("get");
    assert_eq!(empty, Answer::refusal("no credentials server URL\n"));
    let list = docker::answer("list", b"", &mut One::default()).expect("list");
    assert_eq!(
        json_of(&list.output),
        json!({ "https://github.com": "oauth2accesstoken" })
    );
    for verb in ["store", "erase"] {
        assert_eq!(
            docker::answer(verb, b"{}", &mut One::default()).expect(verb),
            Answer::default()
        );
    }
    assert!(docker::answer("nonsense", b"", &mut One::default()).is_err());
}

#[test]
fn kubectl_is_answered_in_the_version_it_asked_for() {
    let info = |version: &str, cluster: Value| json!({ "apiVersion": version, "kind": "ExecCredential", "spec": { "cluster": cluster, "interactive": false } });
    let (v1, beta) = (
        "client.authentication.k8s.io/v1",
        "client.authentication.k8s.io/v1beta1",
    );
    let rows = [
        (None, v1, "audience -"),
        (Some(info(beta, json!(null))), beta, "audience -"),
        (
            Some(info(v1, json!({ "config": { "audience": "k8s" } }))),
            v1,
            "audience k8s",
        ),
        (
            Some(info(v1, json!({ "server": "https://github.com" }))),
            v1,
            "github.com",
        ),
    ];
    for (asked, version, whom) in rows {
        let env = asked.map_or_else(Env::default, |asked| {
            Env::default().with("KUBERNETES_EXEC_INFO", asked.to_string())
        });
        let mut vault = One::default();
        let answer = kubectl::answer(&env, &mut vault).expect("answer");
        let status = json!({ "token": TOKEN, "expirationTimestamp": "2027-01-15T08:00:00Z" });
        assert_eq!(
            json_of(&answer.output),
            json!({ "apiVersion": version, "kind": "ExecCredential", "status": status })
        );
        assert_eq!(vault.asked, [whom]);
    }
    let other = Env::default().with("KUBERNETES_EXEC_INFO", info("v9", json!(null)).to_string());
    assert!(kubectl::answer(&other, &mut One::default()).is_err());
}

#[test]
fn aws_gets_version_one_and_its_own_spelling() {
    let document = r#"{"AccessKeyId":"A","SecretAccessKey":"S","SessionToken":"T","Expiration":"2027-01-15T08:00:00Z","x":1}"#;
    let mut vault = One {
        value: Some(document),
        ..One::default()
    };
    let answer = aws::answer(&mut vault).expect("answer");
    assert_eq!(
        json_of(&answer.output),
        json!({ "Version": 1, "AccessKeyId": "A", "SecretAccessKey": "S", "SessionToken": "T",
                "Expiration": "2027-01-15T08:00:00Z" })
    );
    let error = aws::answer(&mut One::default()).expect_err("no credentials");
    assert!(!error.to_string().contains(TOKEN));
}

#[test]
fn gcp_answers_with_documents_only() {
    let env = Env::default()
        .with("GOOGLE_EXTERNAL_ACCOUNT_AUDIENCE", "//iam/x")
        .with(
            "GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE",
            "urn:ietf:params:oauth:token-type:id_token",
        )
        .with("GOOGLE_EXTERNAL_ACCOUNT_OUTPUT_FILE", "/tmp/out");
    let mut vault = One::default();
    let answer = gcp::answer(&env, &mut vault);
    assert_eq!(vault.asked, ["audience //iam/x"]);
    assert_eq!(answer.file.as_deref(), Some("/tmp/out"));
    assert_eq!(
        answer.json,
        json!({ "version": 1, "success": true, "token_type": "urn:ietf:params:oauth:token-type:id_token",
                "id_token": TOKEN, "expiration_time": ENDS })
    );
    let saml = Env::default().with("GOOGLE_EXTERNAL_ACCOUNT_TOKEN_TYPE", gcp_saml());
    assert_eq!(
        gcp::answer(&saml, &mut One::default()).json["saml_response"],
        TOKEN
    );
    let forbidden = env.with("GOOGLE_EXTERNAL_ACCOUNT_ALLOW_EXECUTABLES", "0");
    let refused = gcp::answer(&forbidden, &mut One::default());
    assert_eq!((&refused.json["success"], refused.file), (&json!(false), None));
}

fn gcp_saml() -> &'static str {
    "urn:ietf:params:oauth:token-type:saml2"
}

#[test]
fn cargo_gets_the_whole_header_and_publishing_is_never_kept() {
    assert_eq!(json_of(&cargo::hello()), json!({ "v": [1] }));
    let ask = |operation: &str, index: &str| {
        let question =
            json!({ "v": 1, "kind": "get", "operation": operation, "registry": { "index-url": index } });
        json_of(&cargo::answer(&question.to_string(), &mut One::default()))
    };
    let kept = json!({ "kind": "get", "token": "Bearer tok.en.x", "cache": "expires", "expiration": ENDS,
                       "operation_independent": true });
    assert_eq!(ask("read", "sparse+https://github.com/index/")["Ok"], kept);
    let once = json!({ "kind": "get", "token": "Bearer tok.en.x", "cache": "never", "operation_independent": false });
    assert_eq!(ask("publish", "sparse+https://github.com/index/")["Ok"], once);
    for index in [
        "sparse+http://github.com/",
        "sparse+https://github.com.evil.org/",
        "",
        "nonsense",
    ] {
        assert_eq!(ask("read", index)["Err"]["kind"], "url-not-supported", "{index}");
    }
    let rows = [
        (r#"{"v":1,"kind":"login"}"#, "operation-not-supported"),
        (r#"{"v":1,"kind":"dance"}"#, "operation-not-supported"),
        (r#"{"v":2,"kind":"get"}"#, "other"),
        ("nonsense", "other"),
    ];
    for (line, kind) in rows {
        let answer = cargo::answer(line, &mut One::default());
        assert_eq!(json_of(&answer)["Err"]["kind"], kind, "{line}");
    }
}

#[test]
fn terraform_bazel_go_and_netrc_are_answered_in_their_own_words() {
    let mut vault = One::default();
    let text = |answer: Result<Answer, Error>| answer.expect("answer").output;
    let get = |name, vault: &mut One| json_of(&text(terraform::answer("get", Some(name), vault)));
    assert_eq!(get("github.com", &mut vault), json!({ "token": TOKEN }));
    assert_eq!(get("evil-github.com", &mut vault), json!({}));
    assert_eq!(
        text(terraform::answer("store", Some("github.com"), &mut vault)),
        ""
    );
    assert!(terraform::answer("get", None, &mut vault).is_err());

    let ask = |uri: &str, vault: &mut One| {
        json_of(&text(bazel::answer(
            "get",
            json!({ "uri": uri }).to_string().as_bytes(),
            vault,
        )))
    };
    let offered =
        json!({ "headers": { "Authorization": ["Bearer tok.en.x"] }, "expires": "2027-01-15T08:00:00Z" });
    assert_eq!(ask("https://github.com/a", &mut vault), offered);
    assert_eq!(ask("http://github.com/a", &mut vault), json!({}));

    let set = "https://github.com\n\nAuthorization: Bearer tok.en.x\n\n";
    assert_eq!(text(goauth::answer(None, &mut vault)), set);
    assert_eq!(
        text(goauth::answer(Some("https://github.com/a/b"), &mut vault)),
        set
    );
    assert_eq!(
        text(goauth::answer(Some("http://github.com/a/b"), &mut vault)),
        ""
    );

    let line = "machine github.com login oauth2 password tok.en.x\n";
    assert_eq!(text(netrc::answer(None, &mut vault)), line);
    assert_eq!(text(netrc::answer(Some("other.example"), &mut vault)), "");
    let mut blank = One {
        value: Some("a b"),
        ..One::default()
    };
    assert!(netrc::answer(None, &mut blank).is_err());
}

#[test]
fn hosts_are_compared_whole() {
    let rows = [
        ("GitHub.COM", Some("github.com")),
        ("github.com:443", Some("github.com")),
        ("github.com:8443", Some("github.com:8443")),
        ("github.com.", Some("github.com")),
        ("[::1]:8080", Some("[::1]:8080")),
        ("", None),
        (".", None),
        ("a b", None),
        ("a/b", None),
        ("a@b", None),
        ("a:b:c", None),
        ("a:0", None),
        ("a:99999", None),
        ("gíthub.com", None),
    ];
    for (text, expected) in rows {
        assert_eq!(host::canonical(text).as_deref(), expected, "{text}");
    }
}
