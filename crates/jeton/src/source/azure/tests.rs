use super::*;
use crate::source::stage::{Stage, fingerprint, jwt, reason, request, word};

const VAULT: &str = "https://vault.azure.net";

#[test]
fn presence_follows_the_vendors_table_and_nothing_is_asked() {
    type Row<'a> = (
        &'a [(&'a str, &'a str)],
        &'a [(&'a str, &'a str)],
        &'a str,
        Option<Place>,
        &'a str,
    );
    let endpoint = ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/msi/token");
    let header = ("IDENTITY_HEADER", "h");
    let rows: [Row<'_>; 13] = [
        (&[], &[], "absent", None, "are not set"),
        // A placeholder makes no place.
        (
            &[("AZURE_CLIENT_ID", "x"), ("AZURE_TENANT_ID", "y")],
            &[],
            "absent",
            None,
            "are not set",
        ),
        (
            &[endpoint, header, ("IDENTITY_SERVER_THUMBPRINT", "t")],
            &[],
            "broken",
            Some(Place::ServiceFabric),
            "THUMBPRINT",
        ),
        (
            &[endpoint, header],
            &[],
            "ready",
            Some(Place::AppService),
            "IDENTITY_HEADER are set",
        ),
        (
            &[endpoint, header, ("IMDS_ENDPOINT", "i")],
            &[],
            "ready",
            Some(Place::AppService),
            "IDENTITY_HEADER",
        ),
        (
            &[endpoint, ("IMDS_ENDPOINT", "i")],
            &[],
            "ready",
            Some(Place::Arc),
            "IMDS_ENDPOINT are set",
        ),
        (&[endpoint], &[], "absent", None, "are not set"),
        (
            &[("MSI_ENDPOINT", "m"), ("MSI_SECRET", "s")],
            &[],
            "ready",
            Some(Place::MachineLearning),
            "MSI_SECRET",
        ),
        (
            &[("MSI_ENDPOINT", "m")],
            &[],
            "ready",
            Some(Place::CloudShell),
            "MSI_ENDPOINT is set",
        ),
        (&[], &[(ARC_AGENT, "")], "ready", Some(Place::Arc), "himds exists"),
        (
            &[],
            &[(CHASSIS.0, "7783-7084-3265-9085-8269-3286-77\n")],
            "ready",
            Some(Place::Instance),
            "says Azure",
        ),
        (
            &[],
            &[("/sys/class/dmi/id/sys_vendor", "Microsoft Corporation")],
            "absent",
            None,
            "are not set",
        ),
        (
            &[(TOKEN_FILE, "/nowhere/token"), endpoint, header],
            &[],
            "broken",
            Some(Place::WorkloadIdentity),
            "does not exist",
        ),
    ];
    for (variables, files, expected, place, why) in rows {
        let mut stage = Stage::new();
        for (path, text) in files {
            stage.write(path, text);
        }
        for (name, value) in variables {
            stage.set(name, *value);
        }
        let presence = stage.presence(&Azure, &[VAULT]);
        assert_eq!(word(&presence), expected, "{variables:?} {files:?}: {presence:?}");
        assert_eq!(Place::of(&stage.cx.env).map(|(place, _)| place), place);
        assert!(reason(&presence).contains(why), "{presence:?}");
    }
}

#[test]
fn the_federated_file_is_ready_by_its_audience_or_by_its_application() {
    let rows: [(&[&str], &[&str], &str, &str); 5] = [
        (&[], &[], "ready", "its token fits"),
        (&[], &[EXCHANGE_AUDIENCE], "ready", "its token fits"),
        (&[], &[VAULT], "broken", "AZURE_TENANT_ID is not set"),
        (
            &["AZURE_TENANT_ID"],
            &[VAULT],
            "broken",
            "AZURE_CLIENT_ID is not set",
        ),
        (
            &["AZURE_TENANT_ID", "AZURE_CLIENT_ID"],
            &[VAULT],
            "ready",
            "AZURE_FEDERATED_TOKEN_FILE is set",
        ),
    ];
    for (names, audience, expected, why) in rows {
        let mut stage = Stage::new();
        let file = stage.write(
            "/token",
            &jwt("\"aud\":[\"api://AzureADTokenExchange\"],\"sub\":\"s\""),
        );
        stage.set(TOKEN_FILE, file.to_str().unwrap());
        for name in names {
            stage.set(name, "x");
        }
        let presence = stage.presence(&Azure, audience);
        assert_eq!(word(&presence), expected, "{names:?} {audience:?}: {presence:?}");
        assert!(reason(&presence).contains(why), "{presence:?}");
    }
}

#[test]
fn the_fingerprint_tells_identities_apart() {
    let print = |client: &str| {
        let mut stage = Stage::new();
        stage.set("MSI_ENDPOINT", "m");
        stage.set("AZURE_CLIENT_ID", client);
        fingerprint(&stage.presence(&Azure, &[VAULT])).to_vec()
    };
    assert_eq!(print("a"), print("a"));
    assert_ne!(print("a"), print("b"));
}

#[tokio::test]
async fn the_federated_file_is_the_answer_for_its_own_audience() {
    let mut stage = Stage::new();
    let folder = stage.path("/");
    let issuer = stage
        .issuer("azure", |options| options.folder = Some(folder))
        .await;
    for audience in [&[][..], &[EXCHANGE_AUDIENCE]] {
        let token = stage.fetch(&Azure, audience).await.unwrap();
        assert_eq!(token.audience, [EXCHANGE_AUDIENCE]);
    }
    assert_eq!(issuer.requests().len(), 0);
}

#[tokio::test]
async fn the_federated_file_is_exchanged_for_an_access_token_of_a_resource() {
    let mut stage = Stage::new();
    let folder = stage.path("/");
    let issuer = stage
        .issuer("azure", |options| options.folder = Some(folder))
        .await;
    for audience in [VAULT, "https://vault.azure.net/.default"] {
        let token = stage.fetch(&Azure, &[audience]).await.unwrap();
        assert_eq!(token.life.unwrap().left_at_receipt.as_secs(), 3599);
        let asked = issuer.requests_of("azure-entra").pop().unwrap();
        assert_eq!(
            asked.form_value("scope").as_deref(),
            Some("https://vault.azure.net/.default")
        );
        assert_eq!(
            asked.form_value("grant_type").as_deref(),
            Some("client_credentials")
        );
        assert_eq!(
            asked.form_value("client_id").as_deref(),
            stage.cx.env.get("AZURE_CLIENT_ID")
        );
    }
    assert_eq!(stage.notes.warnings(), [""; 0]);
}

#[tokio::test]
async fn an_assertion_outside_its_time_is_refused_with_a_hint_and_without_the_assertion() {
    let mut stage = Stage::new();
    let folder = stage.path("/");
    let issuer = stage
        .issuer("azure", |options| options.folder = Some(folder))
        .await;
    let file = std::fs::read_to_string(stage.cx.env.get(TOKEN_FILE).unwrap()).unwrap();
    issuer.set_clock_offset(86_400);
    let error = stage.fetch(&Azure, &[VAULT]).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.oauth()),
        (Class::Refused, Some("invalid_client")),
        "{error}"
    );
    assert!(
        error.hint().unwrap().contains("file kept fresh"),
        "{:?}",
        error.hint()
    );
    assert!(!error.to_string().contains(&file));
    assert_eq!(issuer.requests_of("azure-entra").len(), 1);
}

#[tokio::test]
async fn app_service_gives_an_access_token_for_its_header() {
    let mut stage = Stage::new();
    let issuer = stage.issuer("azure-app-service", |_| {}).await;
    stage.set("AZURE_CLIENT_ID", "an-id");
    let token = stage.fetch(&Azure, &[VAULT]).await.unwrap();
    assert_eq!(token.audience, [VAULT]);
    assert_eq!(token.life.unwrap().left_at_receipt.as_secs(), 86_400);
    let asked = issuer.requests_of("azure-app-service").pop().unwrap();
    assert_eq!(asked.header("x-identity-header"), Some(issuer.request_token()));
    assert_eq!(asked.query_value("resource").as_deref(), Some(VAULT));
    assert_eq!(asked.query_value("client_id").as_deref(), Some("an-id"));
    assert_eq!(asked.query_value("api-version").as_deref(), Some("2019-08-01"));
    stage.set("IDENTITY_HEADER", "wrong");
    assert_eq!(
        stage.fetch(&Azure, &[VAULT]).await.unwrap_err().kind(),
        Class::Refused
    );
}

#[tokio::test]
async fn the_metadata_service_is_asked_again_while_it_starts() {
    for fault in ["s404-x2", "s410-x2", "s429-x2", "s500-x2", "s503-x2"] {
        let mut stage = Stage::new();
        let issuer = stage.issuer("azure-imds", |_| {}).await;
        issuer.fault("azure-imds", fault).unwrap();
        stage.fetch(&Azure, &[VAULT]).await.unwrap();
        let asked = issuer.requests_of("azure-imds");
        assert_eq!(asked.len(), 3, "{fault}");
        assert_eq!(asked[0].header("metadata"), Some("true"));
    }
}

#[tokio::test]
async fn final_refusals_are_not_repeated() {
    for (fault, hint) in [("s400-x9", "AZURE_CLIENT_ID"), ("s403-x9", "proxy")] {
        let mut stage = Stage::new();
        let issuer = stage.issuer("azure-imds", |_| {}).await;
        issuer.fault("azure-imds", fault).unwrap();
        let error = stage.fetch(&Azure, &[VAULT]).await.unwrap_err();
        assert_eq!(error.kind(), Class::Refused, "{fault}");
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
        assert_eq!(issuer.requests_of("azure-imds").len(), 1);
    }
}

#[tokio::test]
async fn arc_proves_that_it_may_read_the_key() {
    let mut stage = Stage::new();
    let folder = stage.path("/var/opt/azcmagent");
    let issuer = stage
        .issuer("azure-arc", |options| options.folder = Some(folder))
        .await;
    let token = stage.fetch(&Azure, &[VAULT]).await.unwrap();
    assert_eq!(token.audience, [VAULT]);
    let asked = issuer.requests_of("azure-arc");
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].header("authorization"), None);
    assert!(asked[1].header("authorization").unwrap().starts_with("Basic "));
    assert_eq!(asked[1].query_value("api-version").as_deref(), Some("2021-02-01"));
}

#[tokio::test]
async fn arc_is_sent_no_file_but_a_key_of_its_agent() {
    let mut stage = Stage::new();
    // The issuer's folder is not the agent's: what it names is some other file.
    let folder = stage.path("/home/somebody");
    let issuer = stage
        .issuer("azure-arc", |options| options.folder = Some(folder))
        .await;
    let error = stage.fetch(&Azure, &[VAULT]).await.unwrap_err();
    assert_eq!(error.kind(), Class::Protocol, "{error}");
    assert_eq!(issuer.requests_of("azure-arc").len(), 1);
}

#[tokio::test]
async fn a_managed_identity_takes_one_resource() {
    let mut stage = Stage::new();
    let issuer = stage.issuer("azure-imds", |_| {}).await;
    for audience in [&[][..], &["a", "b"]] {
        assert_eq!(
            stage.fetch(&Azure, audience).await.unwrap_err().kind(),
            Class::Config
        );
    }
    assert_eq!(issuer.requests().len(), 0);
    let wanted = request(&["https://vault.azure.net/.default"]);
    Azure.fetch(&stage.cx, &wanted).await.unwrap();
    assert_eq!(
        issuer.requests_of("azure-imds")[0]
            .query_value("resource")
            .as_deref(),
        Some(VAULT)
    );
}

#[test]
fn times_are_numbers_and_texts() {
    let json = |text: &str| jeton_core::json::parse(text.as_bytes()).unwrap();
    let rows = [
        ("1800000000", Some(1_800_000_000)),
        ("\"1800000000\"", Some(1_800_000_000)),
        ("\"soon\"", None),
        ("null", None),
    ];
    for (text, expected) in rows {
        assert_eq!(seconds(Some(&json(text))), expected, "{text}");
    }
    assert_eq!(seconds(None), None);
}
