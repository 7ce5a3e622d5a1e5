//! Rows A1 and A4, and the choice of a variable.
use super::*;
use crate::source::fixture::{NOW, asking, env, fetched, issuer, jwt, jwt_until, looks_like, presence};

const CI: (&str, &str) = ("GITLAB_CI", "true");

fn job(audience: &str) -> String {
    jwt(&format!(r#""aud":{audience},"project_path":"g/p","job_id":"7""#))
}

#[tokio::test]
async fn a4_the_plain_variable_is_the_bearer_as_it_is() {
    let here = env(&[CI, (PLAIN, "x")]);
    assert_eq!(fetched(&Gitlab, &here, &asking(&[])).await, Ok("x".to_owned()));
    assert_eq!(fetched(&Gitlab, &here, &asking(&["a"])).await, Ok("x".to_owned()));
    assert_eq!(presence(&Gitlab, &here, &asking(&[])).0, "ready");
}

#[test]
fn a4_without_a_token_the_message_names_id_tokens_and_the_lines_to_write() {
    let rows: &[(&[&str], &[&str])] = &[
        (&[], &["id_tokens", PLAIN]),
        (
            &["https://a.example.com"],
            &[
                "id_tokens",
                "HTTPS___A_EXAMPLE_COM_ID_TOKEN",
                r#"aud: "https://a.example.com""#,
            ],
        ),
        (&["3scale"], &["_3SCALE_ID_TOKEN"]),
    ];
    for (audience, words) in rows {
        let (status, said) = presence(&Gitlab, &env(&[CI]), &asking(audience));
        assert_eq!(status, "broken");
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
    assert_eq!(presence(&Gitlab, &env(&[]), &asking(&[])).0, "absent");
    assert_eq!(
        presence(&Gitlab, &env(&[("GITLAB_CI", "false")]), &asking(&[])).0,
        "absent"
    );
}

#[test]
fn the_token_whose_audience_fits_is_chosen_by_custom_or_by_looking() {
    let (a, b, list) = (job(r#""a""#), job(r#""b""#), job(r#"["l","m"]"#));
    let other = jwt(r#""aud":"a""#);
    let chosen = |rows: &[(&str, &str)], audience: &[&str]| {
        let found = choose(&env(rows), &asking(audience));
        found.map(|found| found.place).map_err(|error| error.kind())
    };
    let is = |place: &str| Ok(place.to_owned());
    assert_eq!(chosen(&[("A_ID_TOKEN", &a), ("X", &a)], &["a"]), is("A_ID_TOKEN"));
    assert_eq!(chosen(&[("X", &a), ("Y", &b)], &["b"]), is("Y"));
    assert_eq!(
        chosen(&[(PLAIN, &a), ("Y", &b)], &["b"]),
        is("Y"),
        "the plain one is for another audience"
    );
    assert_eq!(
        chosen(&[("A_ID_TOKEN", &b), ("Z", &a)], &["a"]),
        is("Z"),
        "a name is no proof"
    );
    assert_eq!(chosen(&[(SIGSTORE, &a)], &["a"]), is(SIGSTORE));
    assert_eq!(chosen(&[("L", &list)], &["m", "l"]), is("L"));
    assert_eq!(chosen(&[("L", &list)], &["l", "x"]), Err(Class::Config));
    assert_eq!(
        chosen(&[("X", &other)], &["a"]),
        Err(Class::Config),
        "some other token is none of this job's"
    );
    assert_eq!(chosen(&[("X", &a)], &[]), is("X"), "there is no choice");
    assert_eq!(
        chosen(&[("X", &a), ("Y", &a)], &[]),
        is("X"),
        "the same token twice is no choice"
    );
    assert_eq!(chosen(&[("X", &a), ("Y", &b)], &[]), Err(Class::Config));
    assert_eq!(chosen(&[("X", &a), (PLAIN, &b)], &[]), is(PLAIN));
}

#[test]
fn a_leading_digit_is_spelled_in_every_custom() {
    assert_eq!(
        by_audience("3scale.net"),
        [
            "3SCALE_NET_ID_TOKEN",
            "_SCALE_NET_ID_TOKEN",
            "_3SCALE_NET_ID_TOKEN"
        ]
    );
    assert_eq!(by_audience("sigstore"), ["SIGSTORE_ID_TOKEN"]);
    assert_eq!(by_audience("ä:b"), ["__B_ID_TOKEN"]);
}

#[tokio::test]
async fn a_dead_token_is_refused_with_the_reason_gitlab_has() {
    let dead = jwt_until(r#""aud":"a","project_path":"g/p","job_id":"7""#, NOW - 1);
    let (class, said) = fetched(&Gitlab, &env(&[CI, (PLAIN, &dead)]), &asking(&["a"]))
        .await
        .unwrap_err();
    assert_eq!(class, Class::Token);
    assert!(
        said.contains("when the job starts") && !said.contains("eyJ"),
        "{said}"
    );
}

#[tokio::test]
async fn the_issuers_jobs_have_two_tokens_and_nothing_is_asked() {
    let issuer = issuer();
    let env = looks_like(&issuer, "gitlab");
    for audience in ["sigstore", issuer.url()] {
        let token = fetched(&Gitlab, &env, &asking(&[audience])).await.unwrap();
        let claims = crate::source::candidate::claims_of(&token).unwrap();
        assert_eq!(claims.audience().collect::<Vec<_>>(), [audience]);
    }
    assert_eq!(
        fetched(&Gitlab, &env, &asking(&["other"])).await.unwrap_err().0,
        Class::Config
    );
    assert!(issuer.requests().is_empty());
}
