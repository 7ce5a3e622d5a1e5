//! What is in `deploy/` is what the binary takes: flags, paths, ports, variables, times.
#![cfg(feature = "broker")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot go on ends"
)]
use jeton_test::{Running, Sandbox};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a broker takes to stop, in seconds: requests that are under way, and the database's connections.
const STOP_SECONDS: u64 = 30 + 5;
/// How long it says that it is going, in seconds, where it listens beyond its machine.
const DELAY_SECONDS: u64 = 5;

fn deploy(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The documents of the manifest, by kind and name.
fn manifest() -> Vec<Value> {
    let text = deploy("kubernetes.yaml");
    text.split("\n---\n")
        .map(|document| {
            serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"))
        })
        .collect()
}

fn named<'a>(documents: &'a [Value], kind: &str) -> &'a Value {
    let mut found = documents.iter().filter(|document| document["kind"] == kind);
    let first = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "one {kind}");
    first
}

fn texts(value: &Value) -> Vec<&str> {
    let items = value.as_array().unwrap_or_else(|| panic!("no list: {value}"));
    items.iter().map(|item| item.as_str().unwrap()).collect()
}

/// Variables by which the manifest's settings find a test's files; everything else is as the manifest has it.
fn moved(sandbox: &Sandbox, command: jeton_test::Command) -> jeton_test::Command {
    let at = |name: &str| sandbox.path(name).display().to_string();
    command
        .env("JETON_BROKER_KEYRING", &at("made/keyring.json"))
        .env("JETON_BROKER_SIGNING_KEY", &at("made/signing-key.pem"))
}

/// The files of the configuration's map, and what `init` makes.
fn mounted(documents: &[Value]) -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    let made = sandbox.path("made").display().to_string();
    sandbox.run(["broker", "init", "--dir", &made]).ended(0);
    let data = named(documents, "ConfigMap")["data"].as_object().unwrap();
    let folder = sandbox.path("etc");
    std::fs::create_dir(&folder).unwrap();
    let keys = sandbox.issuer::<[&str; 0], &str>([]).jwks();
    std::fs::write(folder.join("jwks.json"), keys).unwrap();
    for (name, text) in data {
        let text = text.as_str().unwrap();
        // The map of the issuer's keys is the cluster's own.
        assert!(text.contains("jwks_file = \"/issuer/jwks.json\""), "{text}");
        let text = text.replace("/issuer/", &format!("{}/", folder.display()));
        std::fs::write(folder.join(name), text).unwrap();
    }
    (sandbox, folder)
}

/// A container's arguments, with the mounted folder where the test has it.
fn arguments(container: &Value, folder: &Path) -> Vec<String> {
    let mounts = container["volumeMounts"].as_array().unwrap();
    let config = mounts.iter().find(|mount| mount["name"] == "config").unwrap();
    let at = config["mountPath"].as_str().unwrap();
    let folder = folder.display().to_string();
    texts(&container["args"])
        .into_iter()
        .map(|argument| argument.replace(at, &folder))
        .collect()
}

fn status(url: &str, path: &str) -> u16 {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn ended(broker: Running) {
    broker.signal("TERM");
    broker.wait().ended(0);
}

#[test]
fn the_manifests_settings_flags_probes_and_ports_are_the_binarys() {
    let documents = manifest();
    let (sandbox, folder) = mounted(&documents);
    let pod = &named(&documents, "Deployment")["spec"]["template"]["spec"];
    let broker = &pod["containers"][0];
    let arguments = arguments(broker, &folder);
    let variables: Vec<&str> = broker["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| v["name"].as_str().unwrap())
        .collect();
    assert_eq!(variables, ["JETON_BROKER_DATABASE"]);
    let database = format!("sqlite:{}", sandbox.path("broker.db").display());
    // `check` with the settings as they are, the port included.
    let config = folder.join("broker.toml").display().to_string();
    let check = sandbox.command(["broker", "check", "--config", &config]);
    moved(&sandbox, check).env(variables[0], &database).run().ended(0);
    // `serve` with the arguments as they are, on a port of the test's.
    let serve = moved(&sandbox, sandbox.command(&arguments)).env(variables[0], &database);
    let (running, url) = serve.env("JETON_BROKER_LISTEN", "127.0.0.1:0").serve();
    for probe in ["livenessProbe", "readinessProbe"] {
        let get = &broker[probe]["httpGet"];
        assert_eq!(get["port"], broker["ports"][0]["name"], "{probe}");
        assert_eq!(status(&url, get["path"].as_str().unwrap()), 200, "{probe}");
    }
    ended(running);
    // The port that is listened on is the container's, the service's and the image's.
    let text = std::fs::read_to_string(folder.join("broker.toml")).unwrap();
    let port = broker["ports"][0]["containerPort"].as_u64().unwrap();
    assert!(text.contains(&format!("listen = \"0.0.0.0:{port}\"")), "{text}");
    let service = &named(&documents, "Service")["spec"];
    assert_eq!(service["ports"][0]["targetPort"], broker["ports"][0]["name"]);
    assert_eq!(
        service["selector"],
        named(&documents, "Deployment")["spec"]["selector"]["matchLabels"]
    );
    assert!(deploy("Dockerfile").contains(&format!("EXPOSE {port}\n")));
    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
    assert!(grace >= DELAY_SECONDS + STOP_SECONDS, "{grace}");
}

#[test]
fn the_manifests_keys_are_where_the_settings_look_for_them_and_no_pod_has_more_rights_than_it_needs() {
    let documents = manifest();
    let pod = &named(&documents, "Deployment")["spec"]["template"]["spec"];
    let text = named(&documents, "ConfigMap")["data"]["broker.toml"]
        .as_str()
        .unwrap();
    let mounts = pod["containers"][0]["volumeMounts"].as_array().unwrap();
    let keys = mounts.iter().find(|mount| mount["name"] == "keys").unwrap();
    let copied = texts(&pod["initContainers"][0]["command"]).join(" ");
    for (key, file) in [("keyring", "keyring.json"), ("signing_key", "signing-key.pem")] {
        let path = format!("{}/{file}", keys["mountPath"].as_str().unwrap());
        assert!(text.contains(&format!("{key} = \"{path}\"")), "{path}");
        assert!(copied.contains(file), "{copied}");
    }
    let issuer = mounts.iter().find(|mount| mount["name"] == "issuer").unwrap();
    assert_eq!(issuer["mountPath"], "/issuer");
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["automountServiceAccountToken"], false);
    for container in [&pod["containers"][0], &pod["initContainers"][0]] {
        let context = &container["securityContext"];
        assert_eq!(context["allowPrivilegeEscalation"], false, "{container}");
        assert_eq!(context["readOnlyRootFilesystem"], true, "{container}");
        assert_eq!(texts(&context["capabilities"]["drop"]), ["ALL"], "{container}");
    }
    // Every mount has its volume.
    for pod in [pod, &named(&documents, "Pod")["spec"]] {
        let volumes: Vec<&Value> = pod["volumes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| &v["name"])
            .collect();
        let containers = ["containers", "initContainers"]
            .iter()
            .filter_map(|kind| pod[kind].as_array());
        for mount in containers
            .flatten()
            .filter_map(|c| c["volumeMounts"].as_array())
            .flatten()
        {
            assert!(volumes.contains(&&mount["name"]), "{mount}");
        }
    }
}

#[test]
fn the_workload_reads_its_projected_token_for_the_brokers_audience() {
    let documents = manifest();
    let pod = &named(&documents, "Pod")["spec"];
    let projected = &pod["volumes"][0]["projected"]["sources"][0]["serviceAccountToken"];
    let text = named(&documents, "ConfigMap")["data"]["broker.toml"]
        .as_str()
        .unwrap();
    let audience = projected["audience"].as_str().unwrap();
    assert!(
        text.contains(&format!("audiences = [\"{audience}\"]")),
        "{audience}"
    );
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    let issuer = sandbox.issuer::<[&str; 0], &str>([]);
    let token = issuer.mint(&serde_json::json!({"sub": "s", "aud": audience}));
    let file = sandbox.write("token", token.trim());
    let at = format!(
        "{}/{}",
        pod["containers"][0]["volumeMounts"][0]["mountPath"]
            .as_str()
            .unwrap(),
        projected["path"].as_str().unwrap()
    );
    let arguments: Vec<String> = texts(&pod["containers"][0]["args"])
        .into_iter()
        .map(|argument| {
            assert!(
                !argument.starts_with("file:") || argument == format!("file:{at}"),
                "{argument}"
            );
            argument.replace(&at, &file.display().to_string())
        })
        .collect();
    assert_eq!(sandbox.run(&arguments).ended(0).line(), token.trim());
}

/// The values of a key of the unit, in order.
fn unit(text: &str, key: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| line.split_once('='));
    lines
        .filter(|(name, _)| *name == key)
        .map(|(_, value)| value.to_owned())
        .collect()
}

#[test]
fn the_units_command_variables_and_times_are_the_binarys() {
    let text = deploy("jeton-broker.service");
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    let issuer = sandbox.issuer::<[&str; 0], &str>([]);
    let made = sandbox.path("etc").display().to_string();
    let init = [
        "broker",
        "init",
        "--dir",
        &made,
        "--issuer",
        issuer.url(),
        "--audience",
        "x",
    ];
    sandbox.run(init).ended(0);
    let start = unit(&text, "ExecStart").remove(0);
    let arguments: Vec<String> = start
        .split(' ')
        .skip(1)
        .map(|argument| argument.replace("/etc/jeton", &made))
        .collect();
    let mut serve = sandbox
        .command(&arguments)
        .env("JETON_BROKER_LISTEN", "127.0.0.1:0");
    // What systemd puts in place of its own words.
    let state = sandbox.path("state").display().to_string();
    std::fs::create_dir(&state).unwrap();
    for variable in unit(&text, "Environment") {
        let (name, value) = variable.split_once('=').unwrap();
        let value = value
            .replace("%d", &made)
            .replace("/var/lib/jeton-broker", &state);
        serve = serve.env(name, &value);
    }
    let (running, url) = serve.serve();
    assert_eq!(status(&url, "/readyz"), 200);
    ended(running);
    assert!(Path::new(&state).join("jeton-broker.db").exists());
    for credential in unit(&text, "LoadCredential") {
        let (name, path) = credential.split_once(':').unwrap();
        assert_eq!(path, format!("/etc/jeton/{name}"));
        assert!(Path::new(&made).join(name).exists(), "{name}");
    }
    let seconds: u64 = unit(&text, "TimeoutStopSec")[0].parse().unwrap();
    assert!(seconds >= DELAY_SECONDS + STOP_SECONDS, "{seconds}");
}

#[test]
fn systemd_knows_every_line_of_the_unit() {
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        return;
    }
    let sandbox = Sandbox::new(env!("CARGO_BIN_EXE_jeton"));
    let text = deploy("jeton-broker.service").replace("/usr/bin/jeton", env!("CARGO_BIN_EXE_jeton"));
    let path = sandbox.write("jeton-broker.service", &text);
    let verified = Command::new("systemd-analyze")
        .arg("verify")
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    // Its manual is installed with it, or not.
    let wrong: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("jeton-broker.service") && !line.contains("'man "))
        .collect();
    assert!(wrong.is_empty(), "{said}");
}

#[test]
fn the_image_has_no_root_no_shell_and_starts_what_the_manifest_starts() {
    let text = deploy("Dockerfile");
    let joined = text.replace("\\\n", " ");
    let lines: Vec<(&str, &str)> = joined
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .collect();
    let last = |word: &str| lines.iter().rev().find(|(name, _)| *name == word).unwrap().1;
    assert_eq!(last("FROM"), "scratch");
    let user: Vec<&str> = last("USER").split(':').collect();
    assert!(
        user.iter().all(|id| id.parse::<u32>().is_ok_and(|id| id > 0)),
        "{user:?}"
    );
    let documents = manifest();
    let pod = &named(&documents, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["securityContext"]["runAsUser"].to_string(), user[0]);
    let list = |word: &str| serde_json::from_str::<Value>(last(word)).unwrap();
    assert_eq!(list("ENTRYPOINT"), serde_json::json!(["/usr/bin/jeton"]));
    assert_eq!(list("CMD"), pod["containers"][0]["args"]);
    // No image's tag is one that changes under us without a word, and packages leave no cache behind.
    for (word, rest) in &lines {
        assert!(!(*word == "FROM" && rest.contains(":latest")), "{rest}");
        assert!(*word != "ADD" && *word != "MAINTAINER", "{word}");
        assert!(!rest.contains("apk add") || rest.contains("--no-cache"), "{rest}");
    }
    // What it builds is what it copies.
    assert!(joined.contains("--package jeton-cli") && joined.contains("/source/target/release/jeton "));
    let ignored = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.dockerignore");
    let ignored = std::fs::read_to_string(ignored).unwrap();
    assert!(ignored.lines().any(|line| line == "target"), "{ignored}");
}
