//! The file as the contract has it, and every way in which it can be wrong.
use super::*;
use std::time::Duration;

/// The example of the contract, whole.
const WHOLE: &str = r#"
[defaults]
min_validity = "60s"
cache_ttl = "5m"
max_attempts = 3
audience = ["a", "b"]

[ambient]
order = ["github", "kubernetes", "env:MY_TOKEN"]
disable = ["gcp"]

[profiles.cloud]
grant = "device"
issuer = "https://app.example.com/api"
client_id = "mycli"
refresh_token = "env:MYCLI_REFRESH"
client_secret = "env:MYCLI_SECRET"
scopes = ["openid", "offline_access", "accesses"]

[profiles.stack]
grant = "refresh"
from = "cloud"
resource = "stack://acme/prod"
scopes = ["stack:Read", "stack:Write"]

[profiles.stack-api]
grant = "jwt-bearer"
from = "stack"
issuer = "https://prod.example.com/api/auth"
scopes = ["openid", "email"]
cache_ttl = "5m"

[profiles.aws]
grant = "token-exchange"
preset = "aws"
from = "ambient"
role = "arn:aws:iam::123456789012:role/deploy"

[hosts."github.com"]
profile = "stack-api"
username = "x-access-token"
audience = "https://github.com"

[proxy.stack]
upstream = "https://prod.example.com"
profile = "stack-api"
listen = "127.0.0.1:55001"

[files]
"/run/tokens/vault.jwt" = { profile = "ambient", audience = "https://vault.example.com", mode = "0640" }
"#;

#[test]
fn the_whole_file_of_the_contract_is_read() {
    let config = Config::parse(WHOLE, "config.toml").unwrap();
    assert_eq!(config.defaults["min_validity"].values, ["60s"]);
    assert_eq!(config.defaults["max_attempts"].values, ["3"]);
    assert_eq!(config.defaults["audience"].values, ["a", "b"]);
    assert_eq!(config.defaults["cache_ttl"].line, 4);
    assert_eq!(config.order.unwrap(), ["github", "kubernetes", "env:MY_TOKEN"]);
    assert_eq!(config.disable, ["gcp"]);
    let stack = &config.profiles["stack"];
    assert_eq!(stack.grant, Grant::Refresh);
    assert_eq!(stack.from, Some(Input::Profile("cloud".to_owned())));
    assert_eq!(stack.resource, ["stack://acme/prod"]);
    assert_eq!(
        config.profiles["stack-api"].cache_ttl,
        Some(Duration::from_secs(300))
    );
    assert_eq!(config.profiles["aws"].from, Some(Input::Ambient));
    assert_eq!(
        config.hosts["github.com"].username.as_deref(),
        Some("x-access-token")
    );
    assert_eq!(config.proxies["stack"].listen.unwrap().port(), 55001);
    assert_eq!(config.files[Path::new("/run/tokens/vault.jwt")].mode, 0o640);
}

#[test]
fn whatever_is_wrong_is_named_with_its_line() {
    let rows = [
        (
            "[defaults]\nmin_validty = \"60s\"",
            "c:2: unknown key `min_validty` in [defaults]; did you mean `min_validity`?",
        ),
        (
            "[profile.a]",
            "c:1: unknown key `profile`; did you mean `profiles`?",
        ),
        (
            "[profiles.a]\ngrant = \"device\"\nclientid = \"x\"",
            "c:3: unknown key `clientid` in [profiles.a]; did you mean `client_id`?",
        ),
        ("x = ", "c:1: "),
        (
            "[profiles.a]\nissuer = \"https://x.example\"",
            "c:1: missing key `grant` in [profiles.a]: how its token is got",
        ),
        (
            "[profiles.a]\ngrant = \"device\"\nclient_id = \"x\"",
            "c:1: missing key `issuer` in [profiles.a]: where the login is",
        ),
        (
            "[profiles.a]\ngrant = \"devise\"",
            "c:2: `grant` in [profiles.a]: `devise` is unknown; did you mean `device`? known: device, browser, client-credentials, refresh, jwt-bearer, token-exchange, ambient",
        ),
        (
            "[profiles.a]\ngrant = \"jwt-bearer\"\nissuer = \"https://x.example\"",
            "c:1: missing key `from` in [profiles.a]: whose token is the input",
        ),
        (
            "[profiles.a]\ngrant = \"device\"\nclient_id = \"x\"\nissuer = \"http://x.example\"",
            "c:4: `issuer` in [profiles.a]: `http://` beyond this machine: anybody on the way could read the token",
        ),
        (
            "[profiles.a]\ngrant = \"client-credentials\"\nissuer = \"https://x.example\"\nclient_id = \"x\"\nclient_secret = \"hunter2\"",
            "c:5: `client_secret` in [profiles.a]: no secret is written in this file; name where it is",
        ),
        (
            "[profiles.a]\ngrant = \"refresh\"\nfrom = \"b\"\n[profiles.b]\ngrant = \"refresh\"\nfrom = \"a\"",
            "c:1: `from` is a cycle: a -> b -> a",
        ),
        (
            "[profiles.a]\ngrant = \"refresh\"\nfrom = \"a\"",
            "c:1: `from` is a cycle: a -> a",
        ),
        (
            "[profiles.a]\ngrant = \"refresh\"\nfrom = \"clod\"",
            "c:1: `from` names `clod`, and there is no such profile",
        ),
        (
            "[profiles.a]\ngrant = \"token-exchange\"\nfrom = \"ambient\"\npreset = \"aws\"",
            "c:1: missing key `role` in [profiles.a]: the preset `aws` needs it",
        ),
        (
            "[profiles.a]\ngrant = \"token-exchange\"\nfrom = \"ambient\"\npreset = \"pypi\"",
            "c:1: missing key `endpoint` in [profiles.a]: the preset `pypi` needs it",
        ),
        (
            "[profiles.a]\ngrant = \"token-exchange\"\nfrom = \"ambient\"\npreset = \"npm\"\nendpoint = \"https://x.example\"",
            "c:1: missing key `package` in [profiles.a]: the preset `npm` needs it",
        ),
        (
            "[profiles.a]\ngrant = \"token-exchange\"\nfrom = \"ambient\"\npreset = \"gcp\"",
            "c:1: missing key `provider` in [profiles.a]: the preset `gcp` needs it",
        ),
        (
            "[profiles.a]\ngrant = \"env:X\"\npreset = \"vault\"",
            "c:3: `preset` in [profiles.a]: only `grant = \"token-exchange\"` has a target",
        ),
        (
            "[profiles.a]\ngrant = \"env:X\"\nstore = \"keychain\"",
            "c:3: `store` in [profiles.a]: `keychain` is unknown; known: file, keyring",
        ),
        (
            "[profiles.a]\ngrant = \"token-exchange\"\nfrom = \"ambient\"\npreset = \"asw\"",
            "c:4: `preset` in [profiles.a]: `asw` is unknown; did you mean `aws`? known: anthropic, aws",
        ),
        (
            "[profiles.a]\ngrant = \"env:X\"\ncache_ttl = \"5 minutes\"",
            "c:3: `cache_ttl` in [profiles.a]: `5 minutes` is no duration; write `250ms`, `30s`, `5m` or `1h`",
        ),
        (
            "[hosts.\"github.com\"]\nprofile = \"nobody\"",
            "c:1: `hosts.\"github.com\"` names `nobody`, and there is no such profile",
        ),
        (
            "[proxy.p]\nupstream = \"https://x.example\"\nprofile = \"ambient\"\nlisten = \"0.0.0.0:80\"",
            "c:4: `listen` in [proxy.p]: only a loopback address: whoever connects acts as you",
        ),
        (
            "[files]\n\"/x\" = { profile = \"ambient\", mode = \"rw\" }",
            "c:2: `mode` in [files./x]: `rw` are no file rights; write `\"0600\"`",
        ),
        (
            "[ambient]\norder = \"github\"\ndisabled = []",
            "c:3: unknown key `disabled` in [ambient]; did you mean `disable`?",
        ),
    ];
    for (text, message) in rows {
        let error = Config::parse(text, "c").expect_err(text);
        assert_eq!(error.kind(), Class::Config, "{text}");
        assert!(
            error.to_string().starts_with(message),
            "{text}\n{error}\n{message}"
        );
        assert!(!format!("{error:?}{:?}", error.hint()).contains("hunter2"));
    }
}

#[test]
fn a_path_without_a_folder_is_beside_the_file_and_blanks_are_no_part_of_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let text = r#"
[defaults]
source = ["file:token", "github"]
[ambient]
order = ["file:/etc/token", "env:X"]
[profiles.a]
grant = "env: X "
[profiles.b]
grant = "jwt-bearer"
issuer = "https://x.example"
from = "file: sub/token"
client_key = "file:key.pem"
"#;
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&Env::default(), Some(&path)).unwrap();
    let beside = |name: &str| format!("file:{}", folder.path().join(name).display());
    assert_eq!(config.profiles["a"].grant, Grant::Place("env:X".to_owned()));
    let b = &config.profiles["b"];
    assert_eq!(b.from, Some(Input::Place(beside("sub/token"))));
    assert_eq!(b.client_key, Some(Reference::File(folder.path().join("key.pem"))));
    assert_eq!(config.order.unwrap(), ["file:/etc/token", "env:X"]);
    let sources = &config.defaults["source"].values;
    assert_eq!(*sources, [beside("token"), "github".to_owned()]);
}

#[test]
fn loopback_issuers_may_do_without_tls() {
    for host in ["127.0.0.1:8080", "localhost", "[::1]:1"] {
        let text = format!("[profiles.a]\ngrant = \"device\"\nclient_id = \"x\"\nissuer = \"http://{host}\"");
        assert!(Config::parse(&text, "c").is_ok(), "{host}");
    }
}
