//! A user of a kubeconfig: YAML that kubectl or a person wrote, so nothing of it is touched but the place of the new user.
use super::{Asked, Change, json_object, plain, pretty, read};
use crate::failure::Failure;
use serde_json::json;
use std::path::PathBuf;

/// The version of the protocol that is spoken.
const VERSION: &str = "client.authentication.k8s.io/v1";

/// The kubeconfig with one more user, who asks us.
pub(super) fn change(asked: &Asked<'_>) -> Result<Change, Failure> {
    let listed = asked.session.env.get("KUBECONFIG");
    // Of several files kubectl writes to the first.
    let first = listed.and_then(|list| list.split(':').find(|path| !path.is_empty()));
    let path = match first {
        Some(path) => PathBuf::from(path),
        None => asked.home(".kube/config")?,
    };
    let name = plain(asked.named.unwrap_or("jeton"))?;
    let profile = plain(asked.profile.unwrap_or("ambient"))?;
    let text = read(&path)?;
    let note = format!("use it: kubectl config set-context --current --user={name}");
    let exec = json!({
        "apiVersion": VERSION,
        "command": "jeton",
        "args": ["credential-helper", "kubectl", profile],
        "interactiveMode": "Never",
        "provideClusterInfo": true,
    });
    if text.trim_start().starts_with('{') {
        let mut config = json_object(&path)?;
        let users = config["users"].as_array().cloned().unwrap_or_default();
        let mut users: Vec<_> = users.into_iter().filter(|user| user["name"] != name).collect();
        users.push(json!({ "name": name, "user": { "exec": exec } }));
        config["users"] = json!(users);
        return Ok(Change::new(path, pretty(&config)?).noting(note));
    }
    // A flow mapping is YAML as well, and needs no indentation of its own.
    let entry = format!("- name: {name}\n  user: {{\"exec\": {exec}}}\n");
    if text.contains(&entry) || text.contains(&indented(&entry)) {
        return Ok(Change::new(path, text).noting(note));
    }
    if users(&text).any(|line| is_name(line, name)) {
        return Err(
            Failure::usage(format!("{} has a user {name} already", path.display()))
                .with_hint("name another: `jeton credential-helper install kubectl NAME`"),
        );
    }
    Ok(Change::new(path, with_user(&text, &entry)).noting(note))
}

/// The lines of the list of users.
fn users(text: &str) -> impl Iterator<Item = &str> {
    let lines = text
        .lines()
        .skip_while(|line| !line.starts_with("users:"))
        .skip(1);
    lines.take_while(|line| line.is_empty() || line.starts_with([' ', '-', '#']))
}

fn is_name(line: &str, name: &str) -> bool {
    let line = line.trim_start().trim_start_matches("- ").trim_start();
    let value = line
        .strip_prefix("name:")
        .map(|value| value.trim().trim_matches(['"', '\'']));
    value == Some(name)
}

fn indented(entry: &str) -> String {
    entry.lines().map(|line| format!("  {line}\n")).collect()
}

fn with_user(text: &str, entry: &str) -> String {
    if text.trim().is_empty() {
        return format!("apiVersion: v1\nkind: Config\nusers:\n{entry}");
    }
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let Some(at) = lines.iter().position(|line| line.starts_with("users:")) else {
        return format!("{}\nusers:\n{entry}", text.trim_end());
    };
    // `users: []` and `users: null` are empty lists on one line.
    lines[at] = "users:".to_owned();
    let is_indented = users(text)
        .find(|line| !line.trim().is_empty())
        .is_some_and(|line| line.starts_with("  "));
    let entry = if is_indented {
        indented(entry)
    } else {
        entry.to_owned()
    };
    lines.insert(at + 1, entry.trim_end().to_owned());
    lines.join("\n") + "\n"
}
