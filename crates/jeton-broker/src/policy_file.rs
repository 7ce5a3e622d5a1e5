//! Trust policies in files: TOML, YAML or JSON, one policy or several in each.
//!
//! A file is one policy (its name is the file's, unless it says another) or holds several under `policies`: by name, or
//! as a list of policies that say their names.
mod draft;

pub use draft::{Draft, draft};

use crate::policy::Kept;
use jeton_core::json::{self, Json};
use jeton_core::trust::{Finding, PolicyError, Severity, TrustPolicy, lint};
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

/// The largest file that is read, in bytes: some thousand policies.
const LARGEST: u64 = 1024 * 1024;
/// What a file of policies is called.
const EXTENSIONS: [&str; 4] = ["toml", "yaml", "yml", "json"];

/// Why a file holds no policies.
#[derive(Debug)]
pub struct FileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

impl std::error::Error for FileError {}

/// A policy as it is written, and what there is to say about it.
#[derive(Clone, Debug)]
pub struct Written {
    /// Its name.
    pub name: String,
    /// Its text as JSON, as `PUT /trust_policies/{name}` takes it.
    pub body: Json,
    /// The policy, if it is one.
    pub policy: Result<TrustPolicy, PolicyError>,
}

impl Written {
    fn new(name: String, body: Json) -> Self {
        let policy = TrustPolicy::read(&name, &body);
        Self { name, body, policy }
    }

    /// What is wrong with it: that it cannot be read, or what lint finds.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        match &self.policy {
            Ok(policy) => lint(policy),
            Err(error) => vec![Finding {
                severity: Severity::Refused,
                code: "unreadable",
                field: error.field.clone(),
                reason: error.why.clone(),
            }],
        }
    }

    /// Whether it would be accepted.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.findings()
            .iter()
            .all(|finding| finding.severity != Severity::Refused)
    }
}

/// The policies in `path`: a file, or a folder of them, in the order of their names.
///
/// # Errors
/// [`FileError`] for a file that cannot be read or is none of the three languages, and for a name that is there twice.
pub fn read(path: &Path) -> Result<Vec<Written>, FileError> {
    let mut all = Vec::new();
    for file in files(path)? {
        all.extend(read_file(&file)?);
    }
    all.sort_by(|a: &Written, b| a.name.cmp(&b.name));
    if let Some(pair) = all.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(wrong(path, format!("the policy {} is there twice", pair[0].name)));
    }
    Ok(all)
}

/// The policies in `path`, all of which have to be accepted.
///
/// # Errors
/// As [`read`], and the first finding that refuses a policy.
pub fn load(path: &Path) -> Result<Vec<Kept>, FileError> {
    let accepted = |written: Written| {
        let refused = written
            .findings()
            .into_iter()
            .find(|f| f.severity == Severity::Refused);
        match (written.policy, refused) {
            (Ok(policy), None) => Ok(Kept {
                policy,
                body: written.body,
                times: None,
            }),
            (_, Some(f)) => Err(wrong(
                path,
                format!("{}: {}: {}", written.name, f.field, f.reason),
            )),
            (Err(error), None) => Err(wrong(path, format!("{}: {error}", written.name))),
        }
    };
    read(path)?.into_iter().map(accepted).collect()
}

fn wrong(path: &Path, why: impl Into<String>) -> FileError {
    FileError {
        path: path.to_owned(),
        why: why.into(),
    }
}

fn files(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |error: std::io::Error| wrong(path, error.to_string());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        let named = file.extension().and_then(OsStr::to_str);
        // A name that begins with a dot is an editor's, or Kubernetes' own link behind a mounted folder.
        let hidden = file
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if named.is_some_and(|named| EXTENSIONS.contains(&named)) && !hidden && file.is_file() {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<Vec<Written>, FileError> {
    let failed = |error: std::io::Error| wrong(path, error.to_string());
    if std::fs::metadata(path).map_err(failed)?.len() > LARGEST {
        return Err(wrong(path, "is larger than 1 MiB"));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
    let kind = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    parse(&text, kind)
        .and_then(|body| policies(body, stem))
        .map_err(|why| wrong(path, why))
}

/// A text of this language (`toml`, `json`, everything else is YAML) as JSON.
fn parse(text: &str, kind: &str) -> Result<Json, String> {
    let one_line = |message: String| message.trim().replace('\n', ", ");
    let value: serde_json::Value = match kind {
        "toml" => toml::from_str(text).map_err(|e| one_line(e.to_string()))?,
        "json" => return json::parse(text.as_bytes()).map_err(|e| e.to_string()),
        _ => serde_saphyr::from_str(text).map_err(|e| one_line(e.to_string()))?,
    };
    let bytes = serde_json::to_vec(&value).map_err(|e| e.to_string())?;
    json::parse(&bytes).map_err(|e| e.to_string())
}

fn policies(mut body: Json, stem: &str) -> Result<Vec<Written>, String> {
    match body.take("policies") {
        None => Ok(vec![one(body, Some(stem))?]),
        Some(Json::Object(members)) => {
            let named = members.into_iter();
            Ok(named
                .map(|(name, body)| Written::new(name.as_str().to_owned(), body))
                .collect())
        }
        Some(Json::Array(items)) => items.into_iter().map(|item| one(item, None)).collect(),
        Some(_) => Err("policies: is neither a table nor a list".to_owned()),
    }
}

fn one(body: Json, stem: Option<&str>) -> Result<Written, String> {
    if body.as_object().is_none() {
        return Err("is no policy".to_owned());
    }
    let name = body.get("name").and_then(Json::as_str).or(stem);
    let name = name.ok_or("policies: one has no name")?.to_owned();
    Ok(Written::new(name, body))
}

#[cfg(test)]
mod tests;
