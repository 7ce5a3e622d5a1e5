use super::*;
use crate::source::stage::{NOW, Stage, Variables, fingerprint, jwt, reason, request, word};
use jeton_issuer::RunningIssuer;
use std::time::Duration;

const FILE: &str = "/run/token";

/// A pod of EKS: a token file and a role, and an issuer as its STS.
async fn eks(stage: &mut Stage) -> RunningIssuer {
    let issuer = stage.issuer("aws-keys", |_| {}).await;
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        stage.set(name, "");
    }
    let file = stage.write(
        FILE,
        &jwt("\"aud\":\"sts.amazonaws.com\",\"sub\":\"system:serviceaccount:ci:build\""),
    );
    stage.set(TOKEN_FILE, file.to_str().unwrap());
    stage.set("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/deploy");
    issuer
}

#[test]
fn presence_is_variables_files_and_firmware_and_nothing_is_asked() {
    type Row<'a> = (
        &'a [(&'a str, &'a str)],
        &'a [(&'a str, &'a str)],
        &'a str,
        &'a str,
    );
    let keys = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let vendor = [("/sys/class/dmi/id/sys_vendor", "Amazon EC2\n")];
    let rows: [Row<'_>; 11] = [
        (&[], &[], "absent", "no AWS_"),
        (
            &[("AWS_REGION", "eu-central-1"), ("AWS_PROFILE", "x")],
            &[],
            "absent",
            "no AWS_",
        ),
        (&keys, &[], "ready", "AWS_ACCESS_KEY_ID is set"),
        (&keys[..1], &[], "broken", "AWS_SECRET_ACCESS_KEY is not set"),
        (&keys[1..], &[], "broken", "AWS_ACCESS_KEY_ID is not set"),
        (
            &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x")],
            &[],
            "ready",
            "RELATIVE_URI is set",
        ),
        (
            &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1/")],
            &[],
            "ready",
            "FULL_URI is set",
        ),
        (&[], &vendor, "ready", "says Amazon EC2"),
        (
            &[],
            &[("/sys/hypervisor/uuid", "ec2e1916-9099-7caf-fd21-012345abcdef\n")],
            "ready",
            "says Amazon EC2",
        ),
        (
            &[("AWS_EC2_METADATA_DISABLED", "true")],
            &vendor,
            "absent",
            "no AWS_",
        ),
        (&[(TOKEN_FILE, "/nowhere/token")], &[], "broken", "does not exist"),
    ];
    for (variables, files, expected, why) in rows {
        let mut stage = Stage::new();
        for (path, text) in files {
            stage.write(path, text);
        }
        for (name, value) in variables {
            stage.set(name, *value);
        }
        let presence = stage.presence(&Aws, &["x"]);
        assert_eq!(word(&presence), expected, "{variables:?} {files:?}: {presence:?}");
        assert!(reason(&presence).contains(why), "{presence:?}");
    }
}

#[test]
fn the_token_file_is_ready_by_its_audience_or_by_its_role() {
    let rows: [(Option<&str>, &[&str], &str, &str); 5] = [
        (None, &[], "ready", "its token fits"),
        (None, &["sts.amazonaws.com"], "ready", "its token fits"),
        (None, &["x"], "broken", "AWS_ROLE_ARN is not set"),
        (
            Some("arn:aws:iam::1:role/a"),
            &["x"],
            "ready",
            "AWS_WEB_IDENTITY_TOKEN_FILE is set",
        ),
        (
            Some("arn:aws:iam::1:role/b"),
            &["x"],
            "ready",
            "AWS_WEB_IDENTITY_TOKEN_FILE is set",
        ),
    ];
    let mut prints = Vec::new();
    for (role, audience, expected, why) in rows {
        let mut stage = Stage::new();
        let file = stage.write(FILE, &jwt("\"aud\":[\"sts.amazonaws.com\"],\"sub\":\"s\""));
        stage.set(TOKEN_FILE, file.to_str().unwrap());
        if let Some(role) = role {
            stage.set("AWS_ROLE_ARN", role);
        }
        let presence = stage.presence(&Aws, audience);
        assert_eq!(word(&presence), expected, "{role:?} {audience:?}");
        assert!(reason(&presence).contains(why), "{presence:?}");
        if role.is_some() {
            prints.push(fingerprint(&presence).to_vec());
        }
    }
    assert_ne!(prints[0], prints[1]);
}

#[tokio::test]
async fn sts_signs_a_token_about_the_access_key_of_the_variables() {
    let mut stage = Stage::new();
    let issuer = stage.issuer("aws-keys", |_| {}).await;
    let token = stage.fetch(&Aws, &["https://a.example", "b"]).await.unwrap();
    assert_eq!(token.audience, ["https://a.example", "b"]);
    assert_eq!(
        token.subject.as_deref(),
        Some("arn:aws:iam::123456789012:role/build")
    );
    assert_eq!(token.life.unwrap().left_at_receipt.as_secs(), 300);
    let asked = issuer.requests_of("aws-sts").pop().unwrap();
    assert_eq!(asked.form_value("Action").as_deref(), Some("GetWebIdentityToken"));
    assert_eq!(asked.form_value("Audience.member.2").as_deref(), Some("b"));
    assert_eq!(asked.form_value("SigningAlgorithm").as_deref(), Some("RS256"));
    assert_eq!(asked.header("x-amz-date"), Some("20270115T080000Z"));
    assert_eq!(
        asked.header("x-amz-security-token"),
        stage.cx.env.get("AWS_SESSION_TOKEN")
    );
    let signature = asked.header("authorization").unwrap();
    assert!(
        signature.contains("/20270115/eu-central-1/sts/aws4_request"),
        "{signature}"
    );
    assert!(
        signature.contains("SignedHeaders=content-type;host;x-amz-date;x-amz-security-token"),
        "{signature}"
    );
}

#[tokio::test]
async fn the_life_covers_the_callers_need_within_the_services_bounds() {
    for (needed, asked) in [(30, "300"), (600, "660"), (10_000, "3600")] {
        let mut stage = Stage::new();
        let issuer = stage.issuer("aws-keys", |_| {}).await;
        let wanted = request(&["x"]).min_validity(Duration::from_secs(needed));
        Aws.fetch(&stage.cx, &wanted).await.unwrap();
        let request = issuer.requests_of("aws-sts").pop().unwrap();
        assert_eq!(request.form_value("DurationSeconds").as_deref(), Some(asked));
    }
}

#[tokio::test]
async fn a_token_file_for_the_audience_is_the_answer_itself() {
    let mut stage = Stage::new();
    let issuer = eks(&mut stage).await;
    for audience in [&[][..], &["sts.amazonaws.com"]] {
        let token = stage.fetch(&Aws, audience).await.unwrap();
        assert_eq!(token.audience, ["sts.amazonaws.com"]);
    }
    assert_eq!(issuer.requests().len(), 0);
}

#[tokio::test]
async fn a_token_file_for_another_audience_opens_the_role_that_asks() {
    let mut stage = Stage::new();
    let issuer = eks(&mut stage).await;
    stage.set("AWS_ROLE_SESSION_NAME", "build-17");
    let token = stage.fetch(&Aws, &["x"]).await.unwrap();
    assert_eq!(token.audience, ["x"]);
    let asked = issuer.requests_of("aws-sts");
    let actions: Vec<_> = asked
        .iter()
        .map(|request| request.form_value("Action").unwrap())
        .collect();
    assert_eq!(actions, ["AssumeRoleWithWebIdentity", "GetWebIdentityToken"]);
    assert_eq!(asked[0].header("authorization"), None);
    assert_eq!(
        asked[0].form_value("RoleSessionName").as_deref(),
        Some("build-17")
    );
    let file = std::fs::read_to_string(stage.path(FILE)).unwrap();
    assert_eq!(asked[0].form_value("WebIdentityToken"), Some(file));
}

#[tokio::test]
async fn the_container_endpoint_gives_credentials_for_a_token_without_its_line_break() {
    let mut stage = Stage::new();
    let issuer = stage.issuer("aws", |_| {}).await;
    stage.fetch(&Aws, &["x"]).await.unwrap();
    // The file wins over the variable, and is read anew.
    let file = stage.write(FILE, &format!("{}\n", issuer.request_token()));
    stage.set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.to_str().unwrap());
    stage.set("AWS_CONTAINER_AUTHORIZATION_TOKEN", "wrong");
    stage.fetch(&Aws, &["x"]).await.unwrap();
    let asked = issuer.requests_of("aws-container");
    assert_eq!(asked.len(), 2);
    assert!(
        asked
            .iter()
            .all(|request| request.header("authorization") == Some(issuer.request_token()))
    );
    stage.write(FILE, "mistaken");
    let error = stage.fetch(&Aws, &["x"]).await.unwrap_err();
    assert_eq!(error.kind(), Class::Refused, "{error}");
    assert!(
        error.to_string().contains("the authorization token is wrong"),
        "{error}"
    );
    issuer.fault("aws-container", "s429-x1").unwrap();
    stage.write(FILE, issuer.request_token());
    stage.fetch(&Aws, &["x"]).await.unwrap();
}

#[tokio::test]
async fn an_instance_gives_its_roles_credentials_and_its_region_in_a_session() {
    let mut stage = Stage::new();
    let issuer = stage.issuer("aws-imds", |_| {}).await;
    stage.set("AWS_REGION", "");
    stage.fetch(&Aws, &["x"]).await.unwrap();
    let routes: Vec<_> = issuer
        .requests()
        .into_iter()
        .map(|request| request.route)
        .collect();
    let expected = [
        "aws-imds-token",
        "aws-imds-region",
        "aws-imds-token",
        "aws-imds-role",
        "aws-imds-credentials",
        "aws-sts",
    ];
    assert_eq!(routes, expected);
    let opened = &issuer.requests_of("aws-imds-token")[0];
    assert_eq!(
        (
            opened.method.as_str(),
            opened.header("x-aws-ec2-metadata-token-ttl-seconds")
        ),
        ("PUT", Some("21600"))
    );
}

#[tokio::test]
async fn fault_31_a_session_that_ended_is_renewed_once() {
    for (fault, fine, sessions) in [("s401-x1", true, 2), ("s401-x9", false, 2)] {
        let mut stage = Stage::new();
        let issuer = stage.issuer("aws-imds", |_| {}).await;
        issuer.fault("aws-imds-role", fault).unwrap();
        let result = stage.fetch(&Aws, &["x"]).await;
        assert_eq!(result.is_ok(), fine, "{fault}");
        assert_eq!(issuer.requests_of("aws-imds-token").len(), sessions);
        assert_eq!(issuer.requests_of("aws-imds-role").len(), 2);
        if let Err(error) = result {
            assert_eq!(error.kind(), Class::Refused);
        }
    }
}

#[tokio::test]
async fn an_instance_without_a_role_and_one_without_metadata_say_so() {
    let mut stage = Stage::new();
    let issuer = stage.issuer("aws-imds", |_| {}).await;
    issuer.fault("aws-imds-role", "s404-x1").unwrap();
    let error = stage.fetch(&Aws, &["x"]).await.unwrap_err();
    assert_eq!(error.kind(), Class::NotFound, "{error}");
    issuer.fault("aws-imds-token", "s403-x1").unwrap();
    let error = stage.fetch(&Aws, &["x"]).await.unwrap_err();
    assert_eq!(error.kind(), Class::Refused, "{error}");
    assert!(error.hint().unwrap().contains("switched off"));
    let mut off = Stage::new();
    off.set("AWS_EC2_METADATA_DISABLED", "true");
    off.set("AWS_REGION", "x");
    assert_eq!(off.fetch(&Aws, &["x"]).await.unwrap_err().kind(), Class::NotFound);
}

#[tokio::test]
async fn what_cannot_be_asked_is_a_usage_error_and_sends_nothing() {
    let mut stage = Stage::new();
    let issuer = stage.issuer("aws-keys", |_| {}).await;
    let eleven: Vec<String> = (0..11).map(|n| n.to_string()).collect();
    let eleven: Vec<&str> = eleven.iter().map(String::as_str).collect();
    let rows: [(Variables<'_>, &[&str]); 5] = [
        (&[], &[]),
        (&[], &eleven),
        (&[("AWS_REGION", "")], &["x"]),
        (&[("AWS_SECRET_ACCESS_KEY", "")], &["x"]),
        (&[("AWS_ENDPOINT_URL_STS", "http://sts.example.com")], &["x"]),
    ];
    for (variables, audience) in rows {
        let mut one = Stage::new();
        for (name, value) in issuer.environment("aws-keys").unwrap() {
            one.set(&name, value);
        }
        for (name, value) in variables {
            one.set(name, *value);
        }
        let error = one.fetch(&Aws, audience).await.unwrap_err();
        assert_eq!(error.kind(), Class::Config, "{variables:?} {audience:?}: {error}");
        assert!(!error.to_string().contains("secret-"));
    }
    assert_eq!(issuer.requests().len(), 0);
}

/// An answer of STS that is an error, as HTTP.
fn refusal(status: &str, code: &str, message: &str, date: &str) -> String {
    let body = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    <Type>Sender</Type>\n    \
         <Code>{code}</Code>\n    <Message>{message}</Message>\n  </Error>\n  <RequestId>1</RequestId>\n</ErrorResponse>\n"
    );
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/xml\r\nDate: {date}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An answer of STS with a token, as HTTP.
fn granted(token: &str, date: &str) -> String {
    let body = format!(
        "<GetWebIdentityTokenResponse><GetWebIdentityTokenResult><WebIdentityToken>{token}</WebIdentityToken>\
         </GetWebIdentityTokenResult></GetWebIdentityTokenResponse>"
    );
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nDate: {date}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A STS that gives these answers one after the other, and what it was asked.
async fn sts(stage: &mut Stage, answers: Vec<String>) -> tokio::sync::mpsc::UnboundedReceiver<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    stage.set(
        "AWS_ENDPOINT_URL_STS",
        format!("http://{}", listener.local_addr().unwrap()),
    );
    stage.set("AWS_REGION", "eu-central-1");
    stage.set("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE");
    stage.set("AWS_SECRET_ACCESS_KEY", "canary-of-a-secret-key");
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 16 * 1024];
            let read = stream.read(&mut request).await.unwrap();
            tell.send(String::from_utf8_lossy(&request[..read]).into_owned())
                .unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    told
}

const NOW_TEXT: &str = "Fri, 15 Jan 2027 08:00:00 GMT";

#[tokio::test]
async fn refusals_of_sts_say_what_to_do() {
    let rows = [
        (
            "403 Forbidden",
            "OutboundWebIdentityFederationDisabledException",
            Class::Refused,
            "enable-outbound",
        ),
        (
            "403 Forbidden",
            "SessionDurationEscalationException",
            Class::Refused,
            "--min-validity",
        ),
        (
            "403 Forbidden",
            "AccessDenied",
            Class::Refused,
            "sts:GetWebIdentityToken",
        ),
        (
            "403 Forbidden",
            "InvalidClientTokenId",
            Class::Refused,
            "AWS_SESSION_TOKEN",
        ),
        // The clocks agree, so the key is the reason.
        (
            "403 Forbidden",
            "SignatureDoesNotMatch",
            Class::Refused,
            "AWS_SECRET_ACCESS_KEY",
        ),
        (
            "400 Bad Request",
            "JWTPayloadSizeExceededException",
            Class::Refused,
            "fewer",
        ),
    ];
    for (status, code, class, hint) in rows {
        let mut stage = Stage::new();
        let mut told = sts(&mut stage, vec![refusal(status, code, "no", NOW_TEXT)]).await;
        let error = stage.fetch(&Aws, &["x"]).await.unwrap_err();
        assert_eq!(error.kind(), class, "{code}: {error}");
        assert!(error.hint().unwrap().contains(hint), "{code}: {:?}", error.hint());
        assert!(error.to_string().contains(code), "{error}");
        assert!(!format!("{error:?}").contains("canary"));
        assert!(told.recv().await.is_some());
    }
}

#[tokio::test]
async fn transient_400s_are_asked_again() {
    let keys = "Couldn&apos;t retrieve verification key from your identity provider";
    let plain =
        "Couldn't retrieve verification key from your identity provider, please reference documentation";
    let rows = [
        ("Throttling", "Rate exceeded"),
        ("InvalidIdentityToken", plain),
        ("InvalidIdentityToken", keys),
    ];
    for (code, message) in rows {
        let mut stage = Stage::new();
        let token = jwt("\"aud\":\"x\",\"sub\":\"s\"");
        let answers = vec![
            refusal("400 Bad Request", code, message, NOW_TEXT),
            granted(&token, NOW_TEXT),
        ];
        let _told = sts(&mut stage, answers).await;
        let got = stage.fetch(&Aws, &["x"]).await.unwrap();
        assert_eq!(got.value.reveal(), token, "{code}: {message}");
    }
}

#[tokio::test]
async fn a_wrong_local_clock_is_got_over_once() {
    for code in ["RequestExpired", "SignatureDoesNotMatch"] {
        let mut stage = Stage::new();
        stage.cx.clock.set_wall(NOW.plus(Duration::from_secs(7200)));
        let token = jwt("\"aud\":\"x\",\"sub\":\"s\"");
        let answers = vec![
            refusal("403 Forbidden", code, "too late", NOW_TEXT),
            granted(&token, NOW_TEXT),
        ];
        let mut told = sts(&mut stage, answers).await;
        assert_eq!(stage.fetch(&Aws, &["x"]).await.unwrap().value.reveal(), token);
        assert!(told.recv().await.unwrap().contains("20270115T100000Z"));
        assert!(told.recv().await.unwrap().contains("20270115T080000Z"));
        assert_eq!(stage.notes.warnings().len(), 1);
        // Asked by the server's own clock and still refused: that is the answer.
        let twice = vec![refusal("403 Forbidden", code, "no", NOW_TEXT); 2];
        let mut told = sts(&mut stage, twice).await;
        assert_eq!(
            stage.fetch(&Aws, &["x"]).await.unwrap_err().kind(),
            Class::Refused
        );
        assert!(told.recv().await.is_some() && told.recv().await.is_some());
    }
}

#[tokio::test]
async fn an_answer_without_a_token_is_a_protocol_error() {
    let empty = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 4\r\n\r\n<a/>".to_owned();
    let mut stage = Stage::new();
    let _told = sts(&mut stage, vec![empty]).await;
    assert_eq!(
        stage.fetch(&Aws, &["x"]).await.unwrap_err().kind(),
        Class::Protocol
    );
    let other = granted(&jwt("\"aud\":\"y\",\"sub\":\"s\""), NOW_TEXT);
    let _told = sts(&mut stage, vec![other]).await;
    assert_eq!(stage.fetch(&Aws, &["x"]).await.unwrap_err().kind(), Class::Token);
}
