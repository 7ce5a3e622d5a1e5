//! The kinds of places that tokens are put into.
use super::Found;
use crate::Env;
use crate::source::candidate::Candidate;
use crate::source::file::TokenFile;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The most files of a folder that are looked at: a unit has a handful of credentials.
const FOLDER_CAP: usize = 64;

/// Where a token is.
#[derive(Debug)]
pub(super) enum Place {
    /// In this variable.
    Variable(&'static str),
    /// In variables that begin so and go on with a tag: one token for each audience.
    Tagged(&'static str),
    /// In the file that this variable names.
    FileOf(&'static str),
    /// In this file.
    File(&'static str),
    /// In `bt_u` and the user's number, in the folder that this variable names, else in that folder (WLCG bearer
    /// token discovery, step 3 and 4).
    UserFile(Folder),
    /// In this file of the folder that the variable names.
    Inside(&'static str, &'static str),
    /// In files of the folder that the variable names, with this beginning and this end: one token for each audience.
    /// Only JWTs count, as other secrets stand there too.
    AllInside(&'static str, &'static str, &'static str),
}

/// A folder.
#[derive(Debug)]
pub(super) enum Folder {
    /// Named by this variable.
    Of(&'static str),
    /// This one, which everybody may write to: a file there must be the user's own.
    Shared(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::Tagged(name) => write!(f, "{name}…"),
            Self::FileOf(name) => write!(f, "the file of {name}"),
            Self::File(path) => f.write_str(path),
            Self::UserFile(Folder::Of(name)) => write!(f, "${name}/bt_u{}", user()),
            Self::UserFile(Folder::Shared(path)) => write!(f, "{path}/bt_u{}", user()),
            Self::Inside(folder, name) => write!(f, "${folder}/{name}"),
            Self::AllInside(folder, begin, end) => write!(f, "a token in ${folder}/{begin}*{end}"),
        }
    }
}

impl Place {
    /// Adds what is here.
    pub(super) fn look(&self, env: &Env, found: &mut Found) {
        match self {
            Self::Variable(name) => {
                let value = env.get(name).filter(|value| !value.trim_end().is_empty());
                found
                    .plain
                    .extend(value.map(|value| Candidate::variable(name, value)));
            }
            Self::Tagged(prefix) => found.tagged.extend(tagged(env, prefix)),
            Self::FileOf(name) => {
                let file = env
                    .get(name)
                    .map(|path| TokenFile::of_platform(path, *name).replaced());
                found.plain.extend(file.map(Candidate::file));
            }
            Self::File(path) => found.plain.extend(existing(env.well_known(path), path)),
            Self::UserFile(folder) => found.plain.extend(user_file(env, folder)),
            Self::Inside(folder, name) => {
                let path = env.get(folder).map(|at| Path::new(at).join(name));
                found.plain.extend(path.and_then(|path| existing(path, folder)));
            }
            Self::AllInside(folder, begin, end) => {
                let at = env.get(folder).map(PathBuf::from);
                found
                    .tagged
                    .extend(at.into_iter().flat_map(|at| all_inside(&at, folder, begin, end)));
            }
        }
    }
}

fn tagged(env: &Env, prefix: &str) -> Vec<Candidate> {
    let mut found: Vec<Candidate> = env
        .iter()
        .filter(|(name, value)| {
            name.strip_prefix(prefix).is_some_and(|tag| !tag.is_empty()) && !value.is_empty()
        })
        .map(|(name, value)| Candidate::variable(name, value))
        .collect();
    found.sort_by(|a, b| a.place.cmp(&b.place));
    found
}

/// A file that a platform has at a place of its own; one that is not there is no candidate.
fn existing(path: PathBuf, named_by: &str) -> Option<Candidate> {
    let file = TokenFile::of_platform(path, named_by).replaced();
    file.exists().then(|| Candidate::file(file))
}

fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn user_file(env: &Env, folder: &Folder) -> Option<Candidate> {
    let name = format!("bt_u{}", user());
    match folder {
        Folder::Of(variable) => existing(Path::new(env.get(variable)?).join(name), variable),
        Folder::Shared(path) => {
            let file = env.well_known(path).join(name);
            let own = file.symlink_metadata().is_ok_and(|file| file.uid() == user());
            own.then(|| existing(file, path)).flatten()
        }
    }
}

fn all_inside(folder: &Path, named_by: &str, begin: &str, end: &str) -> Vec<Candidate> {
    let names = std::fs::read_dir(folder).into_iter().flatten().take(FOLDER_CAP);
    let fits = |name: &str| name.starts_with(begin) && name.ends_with(end) && !name.starts_with('.');
    let mut names: Vec<String> = names
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| fits(name))
        .collect();
    names.sort();
    names
        .iter()
        .filter_map(|name| existing(folder.join(name), named_by))
        .filter(|candidate| candidate.claims().is_some())
        .collect()
}
