//! `jeton broker init`: a configuration, a keyring and a signing key, where none of them is yet.
use crate::config::FILE;
use crate::keyring;
use jeton::{Class, Error};
use jeton_core::{Algorithm, SigningKey};
use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The keyring's file.
const KEYRING: &str = "keyring.json";
/// The signing key's file.
const SIGNING_KEY: &str = "signing-key.pem";
/// The rights of every file that is made: the configuration may come to hold a database's password.
const MODE: u32 = 0o600;

/// What is known from the start.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// The issuer whose tokens are accepted.
    pub issuer: Option<String>,
    /// For whom they must be.
    pub audiences: Vec<String>,
    /// The subjects of that issuer who are `platform:admin`.
    pub admins: Vec<String>,
}

/// A file that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Where.
    pub path: PathBuf,
    /// What it is.
    pub what: &'static str,
}

/// Writes the files into `folder`.
///
/// # Errors
/// `Class::Config` when one of them is there already (nothing is written then), or cannot be written.
pub fn init(folder: &Path, wishes: &Wishes) -> Result<Vec<Made>, Error> {
    let failed = |path: &Path, why: &str| Error::new(Class::Config, format!("{}: {why}", path.display()));
    std::fs::create_dir_all(folder).map_err(|e| failed(folder, &e.to_string()))?;
    for name in [FILE, KEYRING, SIGNING_KEY] {
        let path = folder.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(failed(&path, "is there already").with_hint("--dir names another folder"));
        }
    }
    let (ring, _) = keyring::extended(None).map_err(|e| failed(&folder.join(KEYRING), &e.to_string()))?;
    let key = SigningKey::generate(Algorithm::Es256).and_then(|key| key.to_pem());
    let key = key.map_err(|e| failed(&folder.join(SIGNING_KEY), &e.to_string()))?;
    let files: [(&str, &str, &str); 3] = [
        (
            KEYRING,
            &ring,
            "the keys that encrypt what is stored; keep a copy apart from the database's",
        ),
        (
            SIGNING_KEY,
            key.reveal(),
            "the key that signs the broker's own tokens",
        ),
        (FILE, &configuration(wishes), "the configuration"),
    ];
    let mut made = Vec::new();
    for (name, text, what) in files {
        let path = folder.join(name);
        create(&path, text).map_err(|e| failed(&path, &e.to_string()))?;
        made.push(Made { path, what });
    }
    Ok(made)
}

fn create(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(MODE)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn configuration(wishes: &Wishes) -> String {
    let mut text = String::from(
        "# The broker's settings. Each can also be a variable: JETON_BROKER_LISTEN, JETON_BROKER_DATABASE, …\n\
         listen = \"127.0.0.1:8420\"            # beyond this machine only with [tls], or behind_proxy = true\n\
         public_url = \"http://127.0.0.1:8420\" # how others reach it: the issuer of its own tokens\n\
         base_path = \"/v1\"\n\
         database = \"sqlite:jeton-broker.db\"  # or \"postgres://user@host/name\"\n\
         keyring = \"keyring.json\"\n\
         signing_key = \"signing-key.pem\"\n",
    );
    match &wishes.issuer {
        Some(issuer) => accepted(&mut text, issuer, wishes),
        None => text.push_str(SAMPLE),
    }
    text
}

fn accepted(text: &mut String, issuer: &str, wishes: &Wishes) {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let audiences: Vec<String> = wishes.audiences.iter().map(|audience| quoted(audience)).collect();
    // A `String` takes everything that is written to it.
    let _ = write!(
        text,
        "\n[[issuers]]\nissuer = {}\naudiences = [{}]\n",
        quoted(issuer),
        audiences.join(", ")
    );
    for subject in &wishes.admins {
        let _ = write!(
            text,
            "\n[[admins]]\nissuer = {}\nsubject = {}\n",
            quoted(issuer),
            quoted(subject)
        );
    }
}

const SAMPLE: &str = "
# Whose tokens are accepted: at least one issuer, or the broker does not start.
# [[issuers]]
# issuer = \"https://token.actions.githubusercontent.com\"
# audiences = [\"https://broker.example.com\"]
#
# Who is platform:admin from the start.
# [[admins]]
# issuer = \"https://issuer.example.com\"
# subject = \"somebody\"
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;
    use crate::keyring::Keyring;
    use jeton::Env;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_init_writes_is_private_can_be_read_and_is_never_written_over() {
        let folder = tempfile::tempdir().expect("folder");
        let dir = folder.path().join("new");
        let wishes = Wishes {
            issuer: Some("https://issuer.example".into()),
            audiences: vec!["https://b.example".into(), "a \"quoted\" one".into()],
            admins: vec!["root".into()],
        };
        let made = init(&dir, &wishes).expect("init");
        assert_eq!(made.len(), 3);
        for file in &made {
            let mode = file.path.metadata().expect("file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.path.display());
        }
        let config = Config::load(&Env::default(), &dir.join(FILE), &dir).expect("config");
        assert_eq!(config.issuers[0].audiences.len(), 2);
        assert_eq!(config.admins[0].subject, "root");
        Keyring::load(&config.keyring).expect("keyring");
        let before = std::fs::read(&config.keyring).expect("keyring");
        assert!(init(&dir, &wishes).is_err());
        assert_eq!(before, std::fs::read(&config.keyring).expect("keyring"));
    }

    #[test]
    fn without_an_issuer_the_configuration_waits_for_one() {
        let folder = tempfile::tempdir().expect("folder");
        init(folder.path(), &Wishes::default()).expect("init");
        let path = folder.path().join(FILE);
        let wrong = Config::load(&Env::default(), &path, folder.path()).expect_err("no issuer");
        assert!(wrong.to_string().contains("[[issuers]]"), "{wrong}");
    }
}
