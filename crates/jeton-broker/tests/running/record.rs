//! What is written down (D26), what is stored (D14), and how both are kept.
use crate::server::Server;
use jeton_broker::audit::{self, Fault};
use jeton_broker::keyring::{self, Keyring};
use jeton_broker::{dump, rotation};
use serde_json::{Value, json};

const CANARY: &str = "glpat-canary-0123456789";

async fn stored(server: &Server, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    for n in 0..count {
        let body = json!({"name": format!("c{n}"), "provider": "gitlab", "secret": format!("{CANARY}-{n}")});
        ids.push(
            server.made("POST", "/credentials", body).await["id"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    ids
}

#[tokio::test]
async fn d26_every_release_and_every_refusal_is_written_down_and_never_the_value() {
    let server = Server::start().await;
    let id = stored(&server, 1).await.remove(0);
    let path = format!("/credentials/{id}/token");
    let released = server.call("GET", &path, &server.admin, None).await;
    assert_eq!(
        server
            .call("GET", &path, &server.token("eve\u{7f}x"), None)
            .await
            .status,
        401,
        "it does not print"
    );
    assert_eq!(
        server.call("GET", &path, &server.token("eve"), None).await.status,
        404
    );
    let audit = server.made("GET", "/audit?size=2", Value::Null).await;
    let items = audit["items"].as_array().unwrap();
    assert_eq!(
        (
            &items[0]["action"],
            &items[0]["decision"],
            &items[0]["subject"],
            &items[0]["credential"]
        ),
        (
            &json!("credential.token"),
            &json!("deny"),
            &json!("eve"),
            &json!(id)
        )
    );
    let release = &items[1];
    assert_eq!(
        (&release["decision"], &release["subject"]),
        (&json!("allow"), &json!("admin"))
    );
    assert_eq!(release["issuer"], server.issuer.url());
    assert_eq!(release["from"], "127.0.0.1");
    assert_eq!(release["operation_id"].as_str(), released.field("x-operation-id"));
    assert!(
        release["rule"].as_str().unwrap().starts_with("platform:admin ("),
        "{release}"
    );
    let sum = keyring::hex(&jeton_core::verify::token_digest(&released.text_of("token")));
    assert_eq!(release["sha256"], sum);
    assert!(!audit.to_string().contains("canary"));
}

#[tokio::test]
async fn d26_what_is_changed_taken_out_or_cut_off_in_the_record_is_found() {
    let server = Server::start().await;
    let id = stored(&server, 2).await.remove(0);
    for _ in 0..4 {
        server
            .made("GET", &format!("/credentials/{id}/token"), Value::Null)
            .await;
    }
    let store = &server.broker.store;
    let live = server.broker.live_full();
    let check = async |known: Option<&str>| audit::verify(store, &live.keyring, known).await.unwrap();
    let head = check(None).await.unwrap();
    assert_eq!(check(Some(&head.hash)).await, Ok(head.clone()));
    assert_eq!(check(Some("00ff")).await, Err(Fault::Unknown));
    let run = async |sql: &'static str| assert!(store.execute(sql, vec![]).await.unwrap() > 0, "{sql}");
    run("UPDATE audit SET record = REPLACE(record, 'allow', 'deny_') WHERE seq = 3").await;
    assert_eq!(check(None).await, Err(Fault::Changed(3)));
    run("UPDATE audit SET record = REPLACE(record, 'deny_', 'allow') WHERE seq = 3").await;
    assert_eq!(check(None).await, Ok(head.clone()));
    run("UPDATE audit SET seq = seq + 100 WHERE seq = 2").await;
    assert_eq!(check(None).await, Err(Fault::Missing(2)));
    run("UPDATE audit SET seq = 2 WHERE seq = 102").await;
    let last = sqlx::AssertSqlSafe(format!("DELETE FROM audit WHERE seq = {}", head.seq));
    store.execute(last, vec![]).await.unwrap();
    assert_eq!(check(None).await, Err(Fault::Truncated(head.seq - 1)));
    run("UPDATE audit_head SET seq = seq - 1").await;
    assert_eq!(
        check(None).await,
        Err(Fault::Forged),
        "nobody writes a head without the keyring"
    );
}

#[tokio::test]
async fn d14_what_is_stored_is_sealed_for_its_row_and_a_wrong_one_is_an_error() {
    let server = Server::start().await;
    let ids = stored(&server, 2).await;
    let store = &server.broker.store;
    let sealed = async |id: &str| {
        let row = store
            .row("SELECT secret FROM credentials WHERE id = $1", vec![id.into()])
            .await
            .unwrap();
        row.unwrap().text(0).unwrap()
    };
    let (a, b) = (sealed(&ids[0]).await, sealed(&ids[1]).await);
    assert!(a.starts_with("enc:v1:") && !a.contains("canary"));
    let set = async |id: &str, secret: &str| {
        let sql = "UPDATE credentials SET secret = $2 WHERE id = $1";
        store.execute(sql, vec![id.into(), secret.into()]).await.unwrap();
    };
    // Swapped rows, a changed byte, a plaintext, an envelope that is none: an error each, and nothing is told of it.
    let mut changed = a.clone().into_bytes();
    changed[20] = if changed[20] == b'A' { b'B' } else { b'A' };
    for wrong in [
        b.as_str(),
        std::str::from_utf8(&changed).unwrap(),
        "plain-canary",
        "enc:nonsense",
        "enc:v7:AAAA",
    ] {
        set(&ids[0], wrong).await;
        let answered = server
            .call(
                "GET",
                &format!("/credentials/{}/token", ids[0]),
                &server.admin,
                None,
            )
            .await;
        assert_eq!(answered.status, 500, "{wrong}");
        assert!(
            !answered.text.contains("canary") && !answered.text.contains("enc"),
            "{answered:?}"
        );
    }
    set(&ids[0], &a).await;
    server
        .made("GET", &format!("/credentials/{}/token", ids[0]), Value::Null)
        .await;
}

#[tokio::test]
async fn d14_everything_is_sealed_again_while_it_is_read() {
    let server = Server::start().await;
    let ids = stored(&server, 230).await;
    let old = server.broker.live_full();
    let text = keyring::read(&old.config.keyring).unwrap();
    let (text, version) = keyring::extended(Some(&text)).unwrap();
    assert_eq!(version, 2);
    std::fs::write(&old.config.keyring, text.as_bytes()).unwrap();
    server.reload().await.unwrap();
    let ring = Keyring::parse(&text).unwrap();
    let store = &server.broker.store;
    let dry = rotation::run(store, &ring, server.broker.now(), true)
        .await
        .unwrap();
    assert_eq!(
        (dry.changed, dry.by_version[&1]),
        (231, 231),
        "the credentials, and the keyring's own mark"
    );
    let reading = async {
        for id in ids.iter().cycle().take(300) {
            let answered = server
                .call("GET", &format!("/credentials/{id}/token"), &server.admin, None)
                .await;
            assert_eq!(answered.status, 200, "{answered:?}");
        }
    };
    let now = server.broker.now();
    let (done, ()) = tokio::join!(rotation::run(store, &ring, now, false), reading);
    let done = done.unwrap();
    assert_eq!((done.changed, done.broken.len()), (231, 0));
    let again = rotation::run(store, &ring, now, false).await.unwrap();
    assert_eq!((again.changed, again.by_version.get(&1)), (0, None));
    let left = "SELECT COUNT(*) FROM credentials WHERE secret NOT LIKE 'enc:v2:%'";
    assert_eq!(store.row(left, vec![]).await.unwrap().unwrap().int(0), Ok(0));
    // The old key is of no use any more.
    let only: Value = serde_json::from_str(&text).unwrap();
    let only = Keyring::parse(&json!({"2": only["2"]}).to_string()).unwrap();
    assert!(audit::verify(store, &only, None).await.unwrap().is_ok());
    assert!(rotation::is_ours(store, &only).await.unwrap());
}

#[tokio::test]
async fn a_backup_restores_into_a_new_database_and_a_changed_one_is_refused() {
    let server = Server::start().await;
    let (project, _) = server.place().await;
    let id = server
        .credential(&server.admin, &project, "gitlab", json!(CANARY))
        .await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    let now = server.broker.now();
    let rows = dump::write(&server.broker.store, &file, now).await.unwrap();
    assert!(rows > 5);
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(!text.contains("canary") && text.contains("enc:v1:"));
    assert!(
        dump::write(&server.broker.store, &file, now).await.is_err(),
        "nothing is written over"
    );
    let live = server.broker.live_full();
    let fresh = jeton_broker::store::Database::Sqlite(folder.path().join("new.db"));
    let store = jeton_broker::store::Store::open(&fresh).await.unwrap();
    for wrong in [
        text.replacen("\"p\"", "\"q\"", 1),
        text.lines().next().unwrap().to_owned(),
        String::new(),
    ] {
        let bad = folder.path().join("bad");
        std::fs::write(&bad, wrong).unwrap();
        assert!(dump::read(&store, &live.keyring, &bad, now).await.is_err());
    }
    let (other, _) = keyring::extended(None).unwrap();
    let other = Keyring::parse(&other).unwrap();
    assert!(
        dump::read(&store, &other, &file, now).await.is_err(),
        "another keyring"
    );
    assert_eq!(dump::read(&store, &live.keyring, &file, now).await.unwrap(), rows);
    assert!(
        dump::read(&store, &live.keyring, &file, now).await.is_err(),
        "not empty any more"
    );
    let restored = jeton_broker::credential::Credential::find(&store, &id, Some(&project))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        live.keyring.open(&id, &restored.sealed).unwrap().reveal(),
        format!("\"{CANARY}\"")
    );
    assert!(audit::verify(&store, &live.keyring, None).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_full_disk_refuses_and_nothing_else_and_is_over_when_there_is_room() {
    let server = Server::start().await;
    let store = &server.broker.store;
    if store.is_postgres() {
        // Its own disk is its own business: it says so, and the class of that is in the store's table.
        return;
    }
    let large =
        |n: usize| json!({"name": format!("c{n}"), "provider": "generic", "secret": "x".repeat(200_000)});
    server.made("POST", "/credentials", large(0)).await;
    // SQLite may not grow beyond what it has.
    let pages = store
        .row("PRAGMA page_count", vec![])
        .await
        .unwrap()
        .unwrap()
        .int(0)
        .unwrap();
    let bound = |pages: i64| sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
    store.execute(bound(pages), vec![]).await.unwrap();
    for n in 1..4 {
        let answered = server
            .call("POST", "/credentials", &server.admin, Some(large(n)))
            .await;
        assert_eq!(
            (answered.status, answered.field("retry-after")),
            (503, Some("1")),
            "{answered:?}"
        );
    }
    assert_eq!(
        server
            .call("GET", "/credentials", &server.admin, None)
            .await
            .json()["total"],
        1
    );
    store.execute(bound(pages * 100), vec![]).await.unwrap();
    server.made("POST", "/credentials", large(4)).await;
    let live = server.broker.live_full();
    assert!(audit::verify(store, &live.keyring, None).await.unwrap().is_ok());
}
