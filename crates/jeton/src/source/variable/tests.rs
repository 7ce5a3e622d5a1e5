//! Row D1 and the table of platforms that only put a token somewhere.
use super::*;
use crate::source::fixture::{Variables, asking, env, fetched, issuer, jwt, looks_like, presence};
use std::fs;

#[tokio::test]
async fn each_platforms_variable_is_its_token_and_another_audience_is_refused_with_its_mend() {
    let issuer = issuer();
    let rows: [(&'static Platform, &str); 6] = [
        (&BITBUCKET, "audiences: [AUDIENCE]"),
        (&TERRAFORM_CLOUD, "TFC_WORKLOAD_IDENTITY_AUDIENCE_TAG"),
        (&SPACELIFT, "no other audience"),
        (&SEMAPHORE, "no other audience"),
        (&BITRISE, "Get OIDC identity token"),
        (&CIRRUS, "no other audience"),
    ];
    for (row, mend) in rows {
        let env = looks_like(&issuer, row.name);
        assert_eq!(presence(&row, &env, &asking(&[])).0, "ready", "{}", row.name);
        let token = fetched(&row, &env, &asking(&[])).await.unwrap();
        let audience = crate::source::candidate::claims_of(&token).unwrap();
        let audience: Vec<&str> = audience.audience().collect();
        assert_eq!(
            fetched(&row, &env, &asking(&audience)).await,
            Ok(token),
            "{}",
            row.name
        );
        let (class, said) = fetched(&row, &env, &asking(&["other"])).await.unwrap_err();
        assert_eq!(class, Class::Token, "{}", row.name);
        assert!(said.contains(mend) && !said.contains("eyJ"), "{said}");
    }
    assert!(issuer.requests().is_empty());
}

#[test]
fn a_platform_without_its_token_is_broken_and_no_platform_is_absent() {
    let rows: &[(&'static Platform, Variables<'_>, &str, &str)] = &[
        (
            &BITBUCKET,
            &[("BITBUCKET_BUILD_NUMBER", "1")],
            "broken",
            "oidc: true",
        ),
        (&BITBUCKET, &[], "absent", "BITBUCKET_STEP_OIDC_TOKEN"),
        (
            &TERRAFORM_CLOUD,
            &[("TFC_RUN_ID", "run-1")],
            "broken",
            "TFC_WORKLOAD_IDENTITY_AUDIENCE",
        ),
        (
            &SEMAPHORE,
            &[("SEMAPHORE", "true")],
            "broken",
            "SEMAPHORE_OIDC_TOKEN",
        ),
        (
            &BITRISE,
            &[("BITRISE_IO", "true")],
            "broken",
            "Get OIDC identity token",
        ),
        (&CIRRUS, &[("CIRRUS_CI", "true")], "broken", "CIRRUS_OIDC_TOKEN"),
        (&JETON_TOKEN, &[("JETON_TOKEN", "")], "absent", "JETON_TOKEN_FILE"),
        (
            &JETON_TOKEN,
            &[("JETON_TOKEN_FILE", "/nowhere")],
            "broken",
            "JETON_TOKEN_FILE",
        ),
        (
            &WLCG,
            &[("BEARER_TOKEN_FILE", "/nowhere")],
            "broken",
            "BEARER_TOKEN_FILE",
        ),
        (&NOMAD, &[("NOMAD_ALLOC_ID", "1")], "absent", "NOMAD_TOKEN"),
        (
            &SYSTEMD,
            &[("CREDENTIALS_DIRECTORY", "/nowhere")],
            "absent",
            "CREDENTIALS_DIRECTORY",
        ),
        (&COSIGN, &[], "absent", "SIGSTORE_ID_TOKEN"),
    ];
    let root = tempfile::tempdir().unwrap();
    for (row, variables, status, word) in rows {
        let env = env(variables).with_root(root.path());
        let (found, said) = presence(row, &env, &asking(&[]));
        assert_eq!(found, *status, "{} {variables:?}: {said}", row.name);
        assert!(said.contains(word), "{said}");
    }
}

#[tokio::test]
async fn d1_the_callers_own_variable_beats_its_file_and_the_file_is_read_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    fs::write(&path, "from-file-1\n").unwrap();
    let file_only = env(&[("JETON_TOKEN_FILE", path.to_str().unwrap())]);
    let both = file_only.clone().with("JETON_TOKEN", "from-variable");
    let row: &'static Platform = &JETON_TOKEN;
    assert_eq!(
        fetched(&row, &both, &asking(&[])).await,
        Ok("from-variable".to_owned())
    );
    assert_eq!(
        fetched(&row, &file_only, &asking(&[])).await,
        Ok("from-file-1".to_owned())
    );
    fs::write(&path, "from-file-2\n").unwrap();
    assert_eq!(
        fetched(&row, &file_only, &asking(&[])).await,
        Ok("from-file-2".to_owned())
    );
    assert_eq!(row.caching(), Caching::Reread);
}

#[tokio::test]
async fn the_audience_chooses_among_tagged_tokens_and_without_one_a_choice_is_an_error() {
    let (a, b) = (jwt(r#""aud":"a""#), jwt(r#""aud":"b""#));
    let tagged = env(&[
        ("TFC_RUN_ID", "run-1"),
        ("TFC_WORKLOAD_IDENTITY_TOKEN_A", &a),
        ("TFC_WORKLOAD_IDENTITY_TOKEN_B", &b),
    ]);
    let row: &'static Platform = &TERRAFORM_CLOUD;
    assert_eq!(fetched(&row, &tagged, &asking(&["b"])).await, Ok(b.clone()));
    assert_eq!(fetched(&row, &tagged, &asking(&["a"])).await, Ok(a.clone()));
    let (class, said) = fetched(&row, &tagged, &asking(&[])).await.unwrap_err();
    assert_eq!(class, Class::Config);
    assert!(
        said.contains("TFC_WORKLOAD_IDENTITY_TOKEN_A, TFC_WORKLOAD_IDENTITY_TOKEN_B"),
        "{said}"
    );
    let with_plain = tagged.with("TFC_WORKLOAD_IDENTITY_TOKEN", b.as_str());
    assert_eq!(fetched(&row, &with_plain, &asking(&[])).await, Ok(b));
}

#[tokio::test]
async fn nomad_and_systemd_give_files_and_other_secrets_beside_them_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (jwt(r#""aud":"a""#), jwt(r#""aud":"b""#));
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("nomad_vault.jwt", &a);
    write("nomad_aws.jwt", &b);
    write("database-password", "hunter2hunter2");
    let at = folder.path().to_str().unwrap();
    let nomad: &'static Platform = &NOMAD;
    let systemd: &'static Platform = &SYSTEMD;
    let here = env(&[("NOMAD_SECRETS_DIR", at), ("CREDENTIALS_DIRECTORY", at)]);
    for row in [nomad, systemd] {
        assert_eq!(
            fetched(&row, &here, &asking(&["a"])).await,
            Ok(a.clone()),
            "{}",
            row.name
        );
        let (class, said) = fetched(&row, &here, &asking(&["c"])).await.unwrap_err();
        assert_eq!(class, Class::Token);
        assert!(!said.contains("hunter2"), "{said}");
    }
    write("jeton-token", "opaque");
    assert_eq!(
        fetched(&systemd, &here, &asking(&[])).await,
        Ok("opaque".to_owned())
    );
}

#[tokio::test]
async fn wlcg_discovery_has_its_four_steps_in_order() {
    let root = tempfile::tempdir().unwrap();
    let file = |at: &str, text: &str| {
        let path = root.path().join(at);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let user = rustix::process::geteuid().as_raw();
    file(&format!("tmp/bt_u{user}"), "step-4");
    file(&format!("run/bt_u{user}"), "step-3");
    let named = file("named", "step-2");
    let row: &'static Platform = &WLCG;
    let mut here = Env::default().with_root(root.path());
    assert_eq!(fetched(&row, &here, &asking(&[])).await, Ok("step-4".to_owned()));
    here = here.with("XDG_RUNTIME_DIR", root.path().join("run").to_str().unwrap());
    assert_eq!(fetched(&row, &here, &asking(&[])).await, Ok("step-3".to_owned()));
    here = here.with("BEARER_TOKEN_FILE", named);
    assert_eq!(fetched(&row, &here, &asking(&[])).await, Ok("step-2".to_owned()));
    here = here.with("BEARER_TOKEN", "step-1");
    assert_eq!(fetched(&row, &here, &asking(&[])).await, Ok("step-1".to_owned()));
}

#[tokio::test]
async fn cosigns_file_is_found_at_its_place_and_a_link_there_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("var/run/sigstore/cosign");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("oidc-token");
    fs::write(&path, "text").unwrap();
    let here = Env::default().with_root(root.path());
    let row: &'static Platform = &COSIGN;
    assert_eq!(fetched(&row, &here, &asking(&[])).await, Ok("text".to_owned()));
    fs::rename(&path, folder.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(folder.join("elsewhere"), &path).unwrap();
    assert_eq!(
        fetched(&row, &here, &asking(&[])).await.unwrap_err().0,
        Class::Token
    );
}
