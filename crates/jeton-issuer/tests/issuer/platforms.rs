//! Each platform's endpoint, as its own clients speak to it.
use crate::client::*;
use jeton_issuer::{Issuer, RunningIssuer, platforms};
use serde_json::{Value, json};

fn with_folder() -> (RunningIssuer, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut all = options();
    all.folder = Some(folder.path().to_owned());
    all.unix_socket = Some(folder.path().join("api"));
    (Issuer::in_thread(all).unwrap(), folder)
}

fn variable(issuer: &RunningIssuer, platform: &str, name: &str) -> String {
    let all = issuer.environment(platform).unwrap();
    all.into_iter()
        .find(|(key, _)| key == name)
        .unwrap_or_else(|| panic!("{platform} has no {name}"))
        .1
}

/// The path of a URL on the issuer.
fn path<'a>(issuer: &RunningIssuer, url: &'a str) -> &'a str {
    url.strip_prefix(&format!("http://{}", issuer.address())).unwrap()
}

#[test]
fn every_platform_has_an_environment() {
    let (issuer, _folder) = with_folder();
    for name in platforms::names().filter(|name| *name != "spiffe") {
        let all = issuer.environment(name).unwrap();
        assert!(!all.is_empty(), "{name}");
        let shell = get(&issuer, &format!("/_environment/{name}"), &[]).body_text();
        let object = get(&issuer, &format!("/_environment/{name}?format=json"), &[]).json();
        for (variable, _) in all {
            assert!(
                shell.contains(&format!("export {variable}='")),
                "{name} {variable}"
            );
            assert!(object[&variable].is_string());
        }
    }
    assert!(issuer.requests().is_empty(), "what steers is not recorded");
    let slip = issuer.environment("gihub").unwrap_err().to_string();
    assert_eq!(slip, "no platform is called `gihub`; did you mean `github`?");
    assert_eq!(get(&issuer, "/_environment/nothing", &[]).status(), 404);
}

#[test]
fn bearer_like_endpoints_want_their_secret_and_give_their_shape() {
    let (issuer, _folder) = with_folder();
    let secret = issuer.request_token().to_owned();
    let bearer = format!("Bearer {secret}");
    let entra = "/azure/entra/t/oauth2/v2.0/token";
    // (method, path, header, its value, body, good status, bad status, where the token is, its audience)
    let rows: [(&str, &str, &str, &str, &str, u16, u16, &str, &str); 9] = [
        (
            "GET",
            "/api/actions/_apis/pipelines/workflows/3/idtoken?placeholder=true&audience=a",
            "authorization",
            &bearer,
            "",
            200,
            401,
            "/value",
            "a",
        ),
        (
            "POST",
            "/api/v1/namespaces/n/serviceaccounts/s/token",
            "authorization",
            &bearer,
            r#"{"spec":{"audiences":["a"]}}"#,
            201,
            401,
            "/status/token",
            "[\"a\"]",
        ),
        (
            "POST",
            "/azure/pipelines/oidctoken?api-version=7.1",
            "authorization",
            &bearer,
            "",
            200,
            302,
            "/oidcToken",
            "api://AzureADTokenExchange",
        ),
        (
            "POST",
            "/v3/jobs/j/oidc/tokens",
            "authorization",
            &format!("Token {secret}"),
            r#"{"audience":"a","lifetime":60}"#,
            200,
            401,
            "/token",
            "a",
        ),
        (
            "GET",
            "/codefresh/oidc/id_token?audience=a",
            "authorization",
            &secret,
            "",
            200,
            401,
            "/id_token",
            "a",
        ),
        (
            "POST",
            "/v1/projects/prj_1/token?source=vercel-oidc-refresh",
            "authorization",
            &bearer,
            "",
            200,
            403,
            "/token",
            "https://vercel.com/octo-team",
        ),
        (
            "GET",
            "/azure/app-service/msi/token?api-version=2019-08-01&resource=a",
            "x-identity-header",
            &secret,
            "",
            200,
            401,
            "/access_token",
            "a",
        ),
        (
            "GET",
            "/metadata/identity/oauth2/token?api-version=2019-08-01&resource=a",
            "metadata",
            "true",
            "",
            200,
            400,
            "/access_token",
            "a",
        ),
        (
            "POST",
            "/v1/projects/-/serviceAccounts/sa%40x:generateIdToken",
            "authorization",
            &bearer,
            r#"{"audience":"a","includeEmail":true}"#,
            200,
            401,
            "/token",
            "a",
        ),
    ];
    for (method, target, field, value, body, good, bad, pointer, audience) in rows {
        let heard = hear(
            issuer.address(),
            &request(method, target, &[(field, value)], body),
        );
        assert_eq!(heard.status(), good, "{target}: {}", heard.text());
        let answer = heard.json();
        let token = answer
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{target}"));
        let expected = serde_json::from_str(audience).unwrap_or_else(|_| json!(audience));
        assert_eq!(claims(token)["aud"], expected, "{target}");
        let without = hear(issuer.address(), &request(method, target, &[], body));
        assert_eq!(without.status(), bad, "{target} without its secret");
        // A fault of the value reaches every shape.
        issuer.fault("*", "valempty-x1").unwrap();
        let faulty = hear(
            issuer.address(),
            &request(method, target, &[(field, value)], body),
        )
        .json();
        assert_eq!(faulty.pointer(pointer), Some(&json!("")), "{target}");
    }
    let ask = |body: &str| form(&issuer, entra, body);
    let assertion = issuer.mint(
        json!({"aud": "api://AzureADTokenExchange"})
            .as_object()
            .unwrap()
            .clone(),
    );
    let good = format!(
        "grant_type=client_credentials&client_id=c&scope=https%3A%2F%2Fr%2F.default&client_assertion_type=\
         urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion={assertion}"
    );
    let answer = ask(&good).json();
    assert_eq!(
        claims(answer["access_token"].as_str().unwrap())["aud"],
        "https://r"
    );
    assert_eq!(
        ask(&good.replace("scope", "scop")).json()["error_codes"][0],
        90014
    );
    issuer.set_clock_offset(9999);
    assert_eq!(ask(&good).json()["error_codes"][0], 700_024);
}

#[test]
fn gcp_metadata_speaks_text_to_who_means_it() {
    let issuer = Issuer::in_thread(options().with_path("/p")).unwrap();
    let flavor = [("metadata-flavor", "Google")];
    let account = "/computeMetadata/v1/instance/service-accounts/default";
    // The client is told a host, so the paths are at the root too.
    let heard = get(
        &issuer,
        &format!("{account}/identity?audience=a%2Fb&format=full"),
        &flavor,
    );
    assert_eq!(heard.header("metadata-flavor").as_deref(), Some("Google"));
    let token = claims(&heard.body_text());
    assert_eq!(
        (token["aud"].clone(), token["exp"].clone()),
        (json!("a/b"), json!(NOW + 3600))
    );
    assert_eq!(token["email_verified"], true);
    let plain = get(&issuer, &format!("/p{account}/identity?audience=a"), &flavor);
    assert_eq!(claims(&plain.body_text()).get("email"), None);
    assert_eq!(
        get(&issuer, &format!("{account}/identity?audience=a"), &[]).status(),
        403
    );
    assert_eq!(
        get(&issuer, &format!("{account}/identity"), &flavor).status(),
        400
    );
    let token = get(&issuer, &format!("{account}/token?scopes=a,b"), &flavor).json();
    assert_eq!(
        (token["token_type"].clone(), token["expires_in"].clone()),
        (json!("Bearer"), json!(3600))
    );
    assert_eq!(
        get(&issuer, "/", &flavor).header("metadata-flavor").as_deref(),
        Some("Google")
    );
    assert_eq!(
        variable(&issuer, "gcp", "GCE_METADATA_HOST"),
        issuer.address().to_string()
    );
}

#[test]
fn aws_metadata_needs_a_session_first() {
    let issuer = issuer();
    let put = |ttl: &str| {
        let field = [("x-aws-ec2-metadata-token-ttl-seconds", ttl)];
        hear(issuer.address(), &request("PUT", "/latest/api/token", &field, ""))
    };
    let session = put("21600").body_text();
    for bad in ["0", "21601", "x", ""] {
        assert_eq!(put(bad).status(), 400, "{bad}");
    }
    let field = [("x-aws-ec2-metadata-token", session.as_str())];
    let base = "/latest/meta-data/iam/security-credentials/";
    assert_eq!(get(&issuer, base, &[]).status(), 401);
    let role = get(&issuer, base, &field).body_text();
    let credentials = get(&issuer, &format!("{base}{role}"), &field).json();
    assert_eq!(
        (credentials["Code"].clone(), credentials["Expiration"].clone()),
        (json!("Success"), json!("2027-01-15T09:00:00Z"))
    );
    assert_eq!(get(&issuer, &format!("{base}other"), &field).status(), 404);
    let url = variable(&issuer, "aws", "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    let secret = variable(&issuer, "aws", "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    let container = get(&issuer, path(&issuer, &url), &[("authorization", &secret)]).json();
    assert!(container["Token"].is_string() && container["SecretAccessKey"].is_string());
    assert_eq!(
        get(&issuer, path(&issuer, &url), &[]).json()["code"],
        "AccessDenied"
    );
}

#[test]
fn sts_wants_a_signature_and_its_parameters() {
    let issuer = issuer();
    let signature = "AWS4-HMAC-SHA256 Credential=AKIA/20270115/eu-central-1/sts/aws4_request, \
        SignedHeaders=content-type;host;x-amz-date, Signature=00";
    let ask = |signed: bool, body: &str| {
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let mut fields = vec![kind];
        if signed {
            fields.extend([("authorization", signature), ("x-amz-date", "20270115T080000Z")]);
        }
        post(&issuer, "/aws/sts/", &fields, body)
    };
    let good = "Action=GetWebIdentityToken&Version=2011-06-15&Audience.member.1=a&SigningAlgorithm=RS256&DurationSeconds=60";
    let heard = ask(true, good).body_text();
    let token = heard
        .split("<WebIdentityToken>")
        .nth(1)
        .unwrap()
        .split('<')
        .next()
        .unwrap();
    assert_eq!(
        (claims(token)["aud"].clone(), claims(token)["exp"].clone()),
        (json!("a"), json!(NOW + 60))
    );
    assert!(heard.contains("<Expiration>2027-01-15T08:01:00Z</Expiration>"));
    // (signed, body, code)
    let rows = [
        (false, good.to_owned(), "MissingAuthenticationToken"),
        (true, good.replace("RS256", "HS256"), "ValidationError"),
        (true, good.replace("=60", "=59"), "ValidationError"),
        (true, good.replace("Audience", "Nobody"), "ValidationError"),
        (true, "Action=Nothing".to_owned(), "InvalidAction"),
        (
            false,
            "Action=AssumeRoleWithWebIdentity&RoleArn=r&RoleSessionName=s&WebIdentityToken=x".to_owned(),
            "InvalidIdentityToken",
        ),
        (
            false,
            "Action=AssumeRoleWithWebIdentity&RoleArn=r&RoleSessionName=s".to_owned(),
            "ValidationError",
        ),
    ];
    for (signed, body, code) in rows {
        let heard = ask(signed, &body);
        assert!(
            heard.text().contains(&format!("<Code>{code}</Code>")),
            "{body}: {}",
            heard.text()
        );
        assert!(heard.status() >= 400);
    }
    let web = issuer.mint(
        json!({"aud": "sts.amazonaws.com", "sub": "s<1>"})
            .as_object()
            .unwrap()
            .clone(),
    );
    let body = format!("Action=AssumeRoleWithWebIdentity&RoleArn=r&RoleSessionName=s&WebIdentityToken={web}");
    let heard = ask(false, &body).body_text();
    assert!(
        heard.contains("<SessionToken>") && heard.contains("s&lt;1&gt;"),
        "{heard}"
    );
    issuer.set_clock_offset(301);
    assert!(ask(false, &body).body_text().contains("ExpiredTokenException"));
}

#[test]
fn arc_tells_where_its_key_is_and_wants_what_is_in_it() {
    let (issuer, _folder) = with_folder();
    let endpoint = variable(&issuer, "azure-arc", "IDENTITY_ENDPOINT");
    let target = format!("{}?api-version=2021-02-01&resource=a", path(&issuer, &endpoint));
    let first = get(&issuer, &target, &[("metadata", "true")]);
    assert_eq!(first.status(), 401);
    let challenge = first.header("www-authenticate").unwrap();
    let key = std::fs::read_to_string(challenge.strip_prefix("Basic realm=").unwrap()).unwrap();
    let basic = format!("Basic {key}");
    let token = get(
        &issuer,
        &target,
        &[("metadata", "true"), ("authorization", &basic)],
    )
    .json();
    assert_eq!(token["expires_on"], (NOW + 86_400).to_string());
    assert_eq!(
        get(
            &issuer,
            &target,
            &[("metadata", "true"), ("authorization", "Basic x")]
        )
        .status(),
        403
    );
}

#[test]
fn fly_speaks_over_a_unix_socket() {
    let (issuer, folder) = with_folder();
    let mut stream = std::os::unix::net::UnixStream::connect(folder.path().join("api")).unwrap();
    let heard = hear_on(
        &mut stream,
        request("POST", "/v1/tokens/oidc", &[], r#"{"aud":"a"}"#).as_bytes(),
        Wait::End,
    );
    assert_eq!(claims(&heard.body_text())["aud"], "a");
    assert_eq!(issuer.requests_of("fly").len(), 1);
    drop(issuer);
    assert!(!folder.path().join("api").exists(), "the socket is taken away");
}

#[test]
fn kubernetes_refuses_as_the_api_server_does() {
    let issuer = issuer();
    let bearer = format!("Bearer {}", issuer.request_token());
    let ask = |body: &str| {
        post(
            &issuer,
            "/api/v1/namespaces/n/serviceaccounts/s/token",
            &[("authorization", &bearer)],
            body,
        )
        .json()
    };
    assert_eq!(ask(r#"{"spec":{"expirationSeconds":10}}"#)["code"], 422);
    assert_eq!(ask("x")["kind"], "Status");
    let token = ask(r#"{"spec":{"expirationSeconds":600}}"#);
    assert_eq!(token["status"]["expirationTimestamp"], "2027-01-15T08:10:00Z");
    let inside = claims(token["status"]["token"].as_str().unwrap());
    assert_eq!(inside["sub"], "system:serviceaccount:n:s");
    assert_eq!(inside["aud"], json!([issuer.url()]));
}
