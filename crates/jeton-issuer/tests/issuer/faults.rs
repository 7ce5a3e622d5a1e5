//! The faults, by the bytes they put on the wire.
use crate::client::*;
use jeton_issuer::{Fault, Rule, faults};
use std::net::TcpStream;
use std::time::{Duration, Instant};

#[test]
fn every_name_is_read_and_played() {
    let issuer = issuer();
    for (name, says) in faults::vocabulary() {
        assert!(!says.is_empty(), "{name}");
        let spelling = if name == "sNNN" { "s418" } else { name };
        Fault::parse(&format!("{spelling}-x1")).unwrap();
        // Small ones instead of the default sizes, so that playing all of them takes no time.
        let small = format!("{spelling}-x1-m1-n3-ms0");
        issuer.fault("*", &small).unwrap();
        github_waiting(&issuer, "x", Wait::Nothing);
        issuer.clear_faults();
    }
    assert_eq!(github(&issuer, "x").status(), 200, "afterwards it is as before");
}

#[test]
fn what_is_below_http_is_on_the_wire() {
    use End::{Closed, Reset, Silent};
    // (fault, what the bytes hold, how it ends)
    let rows: [(&str, &[&str], End); 30] = [
        ("stall", &[], Silent),
        ("stallhead", &["HTTP/1.1 200 OK", "content-length: "], Silent),
        ("stallbody", &["{\"count\":"], Silent),
        ("stallmidhead", &["HTTP/1.1 200 OK"], Silent),
        ("rst", &[], Reset),
        ("rsthead", &["\r\n\r\n"], Reset),
        ("rstbody", &["{\"count\":"], Reset),
        ("fin", &[], Closed),
        ("trunc", &["\"value\":"], Closed),
        (
            "chunktrunc",
            &["transfer-encoding: chunked", "\"value\":"],
            Closed,
        ),
        ("chunkbad", &["\r\nzz\r\n"], Closed),
        ("cldup", &["content-length: "], Closed),
        (
            "clte",
            &["content-length: ", "transfer-encoding: chunked"],
            Closed,
        ),
        ("teunk", &["transfer-encoding: banana"], Closed),
        ("clneg", &["content-length: -1"], Closed),
        ("clplus", &["content-length: +"], Closed),
        ("http09", &["{\"count\":"], Closed),
        ("badstatus", &["HTTP/1.1 2OO"], Closed),
        ("garbage", &["not http at all"], Closed),
        ("hdrnul", &["x-nul: a\0b"], Closed),
        ("manyheads-n500", &["x-0: 0", "x-499: 499"], Closed),
        ("bighead-m1", &["x-big: aaaa"], Closed),
        ("big-m2", &["content-length: 2097164"], Closed),
        ("keepclose", &["connection: keep-alive"], Closed),
        ("connrst", &[], Reset),
        ("connfin", &[], Reset),
        ("connstall", &[], Silent),
        ("rst_after_read", &[], Reset),
        ("tlsplain", &["HTTP/1.1 400"], Closed),
        ("switch101", &["HTTP/1.1 101"], Closed),
    ];
    for (fault, holds, end) in rows {
        let issuer = issuer();
        issuer.fault("*", &format!("{fault}-x1")).unwrap();
        let wait = match (end, holds.is_empty()) {
            (Silent, true) => Wait::Nothing,
            (Silent, false) => Wait::Quiet,
            _ => Wait::End,
        };
        let heard = github_waiting(&issuer, "x", wait);
        let text = heard.text();
        for part in holds {
            assert!(
                text.contains(part),
                "{fault}: {part} in {}",
                &text[..text.len().min(400)]
            );
        }
        if holds.is_empty() {
            assert_eq!(text, "", "{fault}");
        }
        // A close without reading what was sent may show as a reset: the kernel decides.
        let fits = heard.end == end || (fault == "connfin" && heard.end == Closed);
        assert!(fits, "{fault}: {:?}", heard.end);
        assert_eq!(github(&issuer, "x").status(), 200, "{fault}: then normal");
    }
}

#[test]
fn a_body_that_is_cut_short_is_shorter_than_it_says() {
    for fault in ["trunc", "rstbody", "stallbody"] {
        let issuer = issuer();
        issuer.fault("github", fault).unwrap();
        let heard = github_waiting(&issuer, "x", Wait::Quiet);
        let said: usize = heard.header("content-length").unwrap().parse().unwrap();
        assert!(heard.body().len() < said, "{fault}");
    }
}

#[test]
fn the_connection_goes_on_where_the_fault_says_so() {
    let keep = "GET /jwks HTTP/1.1\r\nhost: x\r\n\r\n";
    for (fault, answers) in [
        ("clshort", 1),
        ("unsolicited", 2),
        ("delay-ms1", 1),
        ("info100-n3", 4),
        ("early103", 2),
    ] {
        let issuer = issuer();
        issuer.fault("jwks", &format!("{fault}-x1")).unwrap();
        let mut stream = TcpStream::connect(issuer.address()).unwrap();
        let first = hear_on(&mut stream, keep.as_bytes(), Wait::Quiet);
        assert_eq!(first.text().matches("HTTP/1.1 ").count(), answers, "{fault}");
        assert_eq!(
            hear_on(&mut stream, keep.as_bytes(), Wait::Quiet).status(),
            200,
            "{fault}: the connection goes on"
        );
        let connections: Vec<_> = issuer.requests().iter().map(|one| one.connection).collect();
        assert_eq!(connections, [1, 1]);
    }
}

#[test]
fn slow_answers_are_slow() {
    let issuer = issuer();
    issuer.fault("github", "slowbody-ms1").unwrap();
    let begun = Instant::now();
    let body = github(&issuer, "x").json();
    let token = body["value"].as_str().unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(u64::try_from(token.len()).unwrap()));
}

#[test]
fn endless_answers_do_not_end() {
    let issuer = issuer();
    for (fault, part) in [("bigchunk", "[\""), ("endlesshead", "x-more: ")] {
        issuer.fault("jwks", &format!("{fault}-x1")).unwrap();
        use std::io::{Read, Write};
        let mut stream = TcpStream::connect(issuer.address()).unwrap();
        stream
            .write_all(request("GET", "/jwks", &[], "").as_bytes())
            .unwrap();
        let mut bytes = vec![0; 4 * 1024 * 1024];
        stream.read_exact(&mut bytes).unwrap();
        assert!(String::from_utf8_lossy(&bytes).contains(part), "{fault}");
    }
}

#[test]
fn statuses_and_waits_are_as_spelled() {
    // (fault, status, field, its value)
    let rows = [
        ("s503-ra2-x1", 503, "retry-after", Some("2")),
        ("s429", 429, "retry-after", None),
        ("rahuge", 503, "retry-after", Some("99999999999999999999")),
        ("raneg", 503, "retry-after", Some("-1")),
        ("rafrac", 503, "retry-after", Some("1.5")),
        ("raempty", 503, "retry-after", Some("")),
        (
            "radate-n5",
            503,
            "retry-after",
            Some("Fri, 15 Jan 2027 08:00:05 GMT"),
        ),
        (
            "rapast",
            503,
            "retry-after",
            Some("Sun, 06 Nov 1994 08:49:37 GMT"),
        ),
        ("pending403", 403, "content-type", Some("application/json")),
        (
            "proxy407",
            407,
            "proxy-authenticate",
            Some("Basic realm=\"proxy\""),
        ),
        ("s204", 204, "content-length", None),
        ("s304", 304, "content-type", None),
        ("s206", 206, "content-type", Some("application/json")),
        ("html200", 200, "content-type", Some("text/html")),
        ("htmljson", 200, "content-type", Some("application/json")),
        ("textct", 200, "content-type", Some("text/plain")),
        ("noct", 200, "content-type", None),
        (
            "redirmeta",
            302,
            "location",
            Some("http://169.254.169.254/latest/meta-data/iam/security-credentials/"),
        ),
        ("redirnone", 302, "location", None),
        ("redirnone-n307", 307, "location", None),
        ("redirfile", 302, "location", Some("file:///etc/passwd")),
        ("nodate", 200, "date", None),
        ("baddate", 200, "date", Some("yesterday")),
        ("ahead-n60", 200, "date", Some("Fri, 15 Jan 2027 08:01:00 GMT")),
        ("behind-n60", 200, "date", Some("Fri, 15 Jan 2027 07:59:00 GMT")),
        ("gzip", 200, "content-encoding", Some("gzip")),
        ("gzip2", 200, "content-encoding", Some("gzip, gzip")),
        ("badcoding", 200, "content-encoding", Some("gzip")),
        ("einvalidclient", 401, "cache-control", Some("no-store")),
        ("etemp", 400, "cache-control", Some("no-store")),
    ];
    for (fault, status, field, value) in rows {
        let issuer = issuer();
        issuer.fault("github", fault).unwrap();
        let heard = github(&issuer, "x");
        assert_eq!(heard.status(), status, "{fault}");
        assert_eq!(heard.header(field).as_deref(), value, "{fault}");
    }
}

#[test]
fn bodies_are_as_spelled() {
    // (fault, what the body begins with)
    let rows = [
        ("empty200", ""),
        ("html200", "<!DOCTYPE html>"),
        ("jsonarray", "[\"x\"]"),
        ("jsonstring", "\"x\""),
        ("jsonnull", "null"),
        ("jsonnumber", "1"),
        ("jsonempty", "{}"),
        ("truncjson", "{\"count\":"),
        ("dup", "{\"value\":\"first\",\"count\":"),
        ("deep-n4", "[[[[]]]]"),
        ("bom", "\u{feff}{\"count\":"),
        (
            "pending403",
            "{\"$id\":\"1\",\"errorCode\":0,\"eventId\":3000,\"innerException\":null,\"message\":\"Can't issue ID_TOKEN for job in 'Pending' state\"",
        ),
    ];
    for (fault, begins) in rows {
        let issuer = issuer();
        issuer.fault("github", fault).unwrap();
        let body = github(&issuer, "x").body_text();
        assert!(body.starts_with(begins), "{fault}: {body}");
    }
}

#[test]
fn tokens_are_as_spelled() {
    let value = |fault: &str| {
        let issuer = issuer();
        issuer.fault("github", fault).unwrap();
        github(&issuer, "x").json()["value"].clone()
    };
    assert_eq!(value("valmissing"), serde_json::Value::Null);
    assert_eq!(value("valempty"), "");
    assert_eq!(value("valnumber"), 7);
    assert!(value("valobject")["token"].is_string());
    assert!(value("newline").as_str().unwrap().ends_with('\n'));
    assert!(value("bearer").as_str().unwrap().starts_with("Bearer ey"));
    assert_eq!(value("seg2").as_str().unwrap().matches('.').count(), 1);
    assert_eq!(value("jwe").as_str().unwrap().matches('.').count(), 4);
    assert!(value("valbig-m1").as_str().unwrap().len() > 1024 * 1024);
    let minted = |fault: &str| parts(value(fault).as_str().unwrap());
    assert_eq!(minted("wrongaud").1["aud"], "https://somebody-else.example.com");
    assert_eq!(minted("exp-n1").1["exp"], NOW + 1);
    assert_eq!(minted("exp-n-5").1["exp"], NOW - 5);
    assert_eq!(minted("expired-n10").1["exp"], NOW - 10);
    assert_eq!(minted("noexp").1.get("exp"), None);
    assert_eq!(minted("future-n120").1["iat"], NOW + 120);
    assert_eq!(minted("past-n120").1["exp"], NOW + 180);
    assert_eq!(minted("ahead-n60").1["iat"], NOW + 60);
    assert_eq!(minted("algnone").0["alg"], "none");
    assert!(
        minted("unkkid").0["kid"]
            .as_str()
            .unwrap()
            .starts_with("unknown-")
    );
    assert_eq!(minted("nokid").0.get("kid"), None);
    assert_eq!(minted("wrongiss").1["iss"], "https://somebody-else.example.com");
}

#[test]
fn documents_are_as_spelled() {
    let issuer = issuer();
    let rows = [
        (
            "discovery",
            "issother",
            "/issuer",
            serde_json::json!("https://somebody-else.example.com"),
        ),
        (
            "discovery",
            "issslash",
            "/issuer",
            serde_json::json!(format!("{}/", issuer.url())),
        ),
        ("discovery", "issnull", "/issuer", serde_json::Value::Null),
        (
            "discovery",
            "jwksfile",
            "/jwks_uri",
            serde_json::json!("file:///etc/passwd"),
        ),
        ("jwks", "jwksempty", "/keys", serde_json::json!([])),
        ("jwks", "jwksodd", "/keys/2", serde_json::json!(7)),
    ];
    for (route, fault, pointer, value) in rows {
        issuer.fault(route, &format!("{fault}-x1")).unwrap();
        let path = if route == "jwks" {
            "/jwks"
        } else {
            "/.well-known/openid-configuration"
        };
        assert_eq!(
            get(&issuer, path, &[]).json().pointer(pointer),
            Some(&value),
            "{fault}"
        );
    }
    issuer.fault("discovery", "nojwksuri-x1").unwrap();
    assert!(
        get(&issuer, "/.well-known/openid-configuration", &[])
            .json()
            .get("jwks_uri")
            .is_none()
    );
    let before = issuer.jwks();
    issuer.fault("github", "rotatedrop-x1").unwrap();
    github(&issuer, "x");
    assert_ne!(issuer.jwks(), before);
}

#[test]
fn descriptions_may_be_hostile() {
    let issuer = issuer();
    let described = |fault: &str| {
        issuer.clear_faults();
        issuer.fault("github", fault).unwrap();
        github(&issuer, "x").json()["error_description"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert!(described("eansi").contains('\u{1b}'));
    assert!(described("ecrlf").contains("\r\n"));
    assert!(described("ebidi").contains('\u{202e}'));
    assert!(described("elong").len() > 1_000_000);
    assert!(described("eleak").contains(issuer.request_token()));
}

#[test]
fn rules_are_set_over_http_and_from_a_file() {
    let issuer = issuer();
    let file = "[[rule]]\nfault = [\"s500\", \"s502-x2\", \"ok\"]\nroute = \"github\"\n";
    let put = request("PUT", "/_faults", &[], file);
    assert_eq!(hear(issuer.address(), &put).status(), 200);
    let played: Vec<_> = (0..5).map(|_| github(&issuer, "x").status()).collect();
    assert_eq!(played, [500, 502, 502, 200, 200]);
    let shown = get(&issuer, "/_faults", &[]).json();
    assert_eq!(shown["rule"][0]["fired"], 4);
    let recorded: Vec<_> = issuer.requests().into_iter().flat_map(|one| one.faults).collect();
    assert_eq!(recorded, ["s500", "s502-x2", "s502-x2", "ok"]);
    let json = request(
        "PUT",
        "/_faults",
        &[],
        r#"{"rule":[{"fault":"s503","route":"/git*","nth":2}]}"#,
    );
    hear(issuer.address(), &json);
    assert_eq!(
        [github(&issuer, "x").status(), github(&issuer, "x").status()],
        [200, 503]
    );
    assert_eq!(
        hear(issuer.address(), &request("DELETE", "/_faults", &[], "")).status(),
        204
    );
    assert_eq!(github(&issuer, "x").status(), 200);
    issuer.add_rule(Rule::new("github", "body").unwrap().value("{\"x\":1}"));
    assert_eq!(github(&issuer, "x").json()["x"], 1);
}

#[test]
fn a_slip_in_the_file_names_what_was_meant() {
    let rows = [
        (
            "[[rule]]\nfault = \"stal\"",
            "rule 1: no fault is called `stal`; did you mean `stall`?",
        ),
        (
            "[[rule]]\nfault = \"rst\"\nrote = \"x\"",
            "rule 1: no key is called `rote`; did you mean `route`?",
        ),
        (
            "[[rule]]\nfault = \"rst\"\nroute = \"jwsk\"",
            "rule 1: no route is called `jwsk`; did you mean `jwks`?",
        ),
        (
            "[[rule]]\nfault = \"rst-q1\"",
            "rule 1: `rst-q1`: `-q1` is no argument; there are -xN -raN -msN -mN -nN",
        ),
        (
            "[[rule]]\nfault = \"rst-xx\"",
            "rule 1: `rst-xx`: `-xx` is no argument; there are -xN -raN -msN -mN -nN",
        ),
        (
            "[[rule]]\nroute = \"jwks\"",
            "rule 1: `fault` is missing: a fault, or a list of them",
        ),
        (
            "[[rule]]\nfault = \"rst\"\nnth = 0",
            "rule 1: `nth` is a whole number from 1",
        ),
        (
            "{\"rules\":[]}",
            "the faults are a list of rules, `[[rule]]`, and nothing beside it",
        ),
    ];
    for (file, says) in rows {
        assert_eq!(faults::read(file).unwrap_err().to_string(), says);
    }
}

#[test]
fn the_names_of_the_fault_matrix_are_read() {
    let names = "stall rst_after_read rst fin keepclose stallhead stallbody slowbody-ms200 rstbody trunc chunktrunc \
        chunkbad cldup clte teunk clneg clplus clshort unsolicited http09 badstatus garbage hdrnul info100 early103 \
        s503-x1 s503-x3 s429-ra2-x1 ra99999 rahuge pending403-x1 einvalidclient einvalidgrant einvalidscope \
        eunauthorized edenied etemp eserver eansi elong eleak html200 htmljson valmissing dup textct noct dupct charset \
        big-m64 bigchunk exp-n1 future-n120 past-n120 redirother redirhost rotate-x1 gzip gzipbomb proxy407";
    for name in names.split_whitespace() {
        Fault::parse(name).unwrap();
    }
}
