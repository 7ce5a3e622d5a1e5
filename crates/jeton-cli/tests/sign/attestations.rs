//! Statements about files, and provenance from the CI platform's own words.
use super::*;

#[test]
fn b14_a_statement_is_signed_and_its_type_and_subjects_are_looked_at() {
    let scene = Scene::new(&[]);
    scene.sandbox.write("p.json", r#"{"verdict":"good"}"#);
    let attest = [
        "attest",
        "f",
        "--type",
        "https://example.com/v1",
        "--predicate",
        "p.json",
        "--bundle",
        "b.json",
    ];
    scene.in_ci(&attest).run().ended(0);
    let bundle: Value =
        serde_json::from_slice(&std::fs::read(scene.sandbox.path("b.json")).unwrap()).unwrap();
    let envelope = &bundle["dsseEnvelope"];
    assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
    let statement = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
    let statement: Value = serde_json::from_slice(&statement).unwrap();
    let digest = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    assert_eq!(
        statement,
        json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": "f", "digest": {"sha256": digest}}],
            "predicateType": "https://example.com/v1",
            "predicate": {"verdict": "good"},
        })
    );
    let subject = scene.subject();
    assert_eq!(
        scene
            .verify("b.json", &subject, &["--type", "https://example.com/v1"])
            .ended(0)
            .json()["level"],
        "verified"
    );
    let run = scene
        .verify("b.json", &subject, &["--type", "slsaprovenance"])
        .ended(4);
    assert_eq!(codes(&run), ["predicate-type"]);
    scene.sandbox.write("f", "another");
    assert_eq!(
        codes(&scene.verify("b.json", &subject, &[]).ended(4)),
        ["subject"]
    );
}

#[test]
fn b14_provenance_is_what_the_platform_says_in_the_token() {
    let scene = Scene::new(&[]);
    scene.sandbox.write(
        "sums.txt",
        "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03  ./f\n",
    );
    let attest = [
        "attest",
        "--subject-checksums",
        "sums.txt",
        "--type",
        "slsaprovenance",
        "--from-ci",
        "--bundle",
        "b.json",
    ];
    scene.in_ci(&attest).run().ended(0);
    let bundle: Value =
        serde_json::from_slice(&std::fs::read(scene.sandbox.path("b.json")).unwrap()).unwrap();
    let statement = STANDARD
        .decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap())
        .unwrap();
    let statement: Value = serde_json::from_slice(&statement).unwrap();
    let asked = scene.sigstore.asked();
    let claims = claims(asked[0].request.token());
    let text = |name: &str| claims[name].as_str().unwrap().to_owned();
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    assert_eq!(statement["subject"][0]["name"], "f");
    let builder = &statement["predicate"]["runDetails"]["builder"]["id"];
    assert_eq!(
        *builder,
        format!("https://github.com/{}", text("job_workflow_ref"))
    );
    let built = &statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]["digest"]["gitCommit"];
    assert_eq!(*built, text("sha"));
    scene
        .verify("b.json", &scene.subject(), &["--type", "slsaprovenance"])
        .ended(0);
    // A token that is no platform's says nothing of a build; the certificate authority does not see it.
    let before = scene.sigstore.asked().len();
    let token = scene.token(json!({}));
    scene
        .trusting(&attest)
        .env("SIGSTORE_ID_TOKEN", &token)
        .run()
        .ended(8);
    assert_eq!(scene.sigstore.asked().len(), before);
}
