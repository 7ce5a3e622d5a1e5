//! The environment as a value: made once in `main`, handed down, and different in every test.
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Environment variables, and where well-known absolute paths are looked for.
#[derive(Clone, Default)]
pub struct Env(Arc<Inner>);

#[derive(Clone, Default)]
struct Inner {
    variables: HashMap<String, String>,
    root: Option<PathBuf>,
}

impl Env {
    /// The variables of this process, read once. A variable that is no UTF-8 is as good as absent.
    #[must_use]
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place where the process environment becomes a value"
    )]
    pub fn from_process() -> Self {
        std::env::vars_os()
            .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
            .collect()
    }

    /// The same environment with one variable more, or another value for it.
    #[must_use]
    pub fn with(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        inner.variables.insert(name.into(), value.into());
        Self(Arc::new(inner))
    }

    /// The same environment, in which absolute paths that platforms define (`/var/run/secrets/…`) are looked for
    /// below `root`. For tests and for containers whose host is mounted somewhere.
    #[must_use]
    pub fn with_root(self, root: impl Into<PathBuf>) -> Self {
        let mut inner = Arc::unwrap_or_clone(self.0);
        inner.root = Some(root.into());
        Self(Arc::new(inner))
    }

    /// The value of a variable; one that is empty is as good as absent.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.raw(name).filter(|value| !value.is_empty())
    }

    /// The value of a variable, empty or not.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.0.variables.get(name).map(String::as_str)
    }

    /// Whether a variable says yes the way CI systems do: `true`, `1`, `yes` or `on`, in any case.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|v| {
            ["true", "1", "yes", "on"]
                .iter()
                .any(|yes| v.eq_ignore_ascii_case(yes))
        })
    }

    /// Every variable, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.variables.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Where a path that a platform defines is on this machine.
    #[must_use]
    pub fn well_known(&self, absolute: &str) -> PathBuf {
        match &self.0.root {
            Some(root) => root.join(absolute.trim_start_matches('/')),
            None => PathBuf::from(absolute),
        }
    }

    /// The home folder: `HOME` where it is an absolute path other than `/`.
    #[must_use]
    pub fn home(&self) -> Option<&Path> {
        self.get("HOME")
            .map(Path::new)
            .filter(|p| p.is_absolute() && p.parent().is_some())
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(iter: I) -> Self {
        let variables = iter.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        Self(Arc::new(Inner {
            variables,
            root: None,
        }))
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets: names only.
        f.debug_set().entries(self.0.variables.keys()).finish()
    }
}
