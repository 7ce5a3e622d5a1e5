//! The environment as a value: made once in `main`, handed down, and different in every test.
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Environment variables, and where well-known absolute paths are looked for.
#[derive(Clone, Default)]
pub struct Env(Arc<Inner>);

#[derive(Clone, Default)]
struct Inner {
    /// By name, each once. A process asks for few of them, and often for ones that are not there: a sorted list takes
    /// no hashing, and one step over its own (`JETON_…`) says that there are none.
    variables: Vec<(String, String)>,
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
        let name = name.into();
        match inner.find(&name) {
            Ok(at) => inner.variables[at].1 = value.into(),
            Err(at) => inner.variables.insert(at, (name, value.into())),
        }
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
        let at = self.0.find(name).ok()?;
        Some(self.0.variables[at].1.as_str())
    }

    /// The variables whose names begin so, with what follows in the name, in order.
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let variables = &self.0.variables;
        let first = variables.partition_point(|(name, _)| name.as_str() < prefix);
        let all = variables[first..].iter();
        all.map_while(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
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

    /// Every variable, by name.
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

impl Inner {
    /// Where a variable is, or would be.
    fn find(&self, name: &str) -> Result<usize, usize> {
        self.variables.binary_search_by(|(n, _)| n.as_str().cmp(name))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Env {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(iter: I) -> Self {
        let mut variables: Vec<_> = iter.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        // Stable: of two with one name the last one counts, as it would in a map.
        variables.sort_by(|(a, _), (b, _)| a.cmp(b));
        variables.dedup_by(|later, earlier| {
            let same = later.0 == earlier.0;
            if same {
                std::mem::swap(later, earlier);
            }
            same
        });
        Self(Arc::new(Inner {
            variables,
            root: None,
        }))
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Values may be secrets: names only.
        f.debug_set()
            .entries(self.0.variables.iter().map(|(name, _)| name))
            .finish()
    }
}
