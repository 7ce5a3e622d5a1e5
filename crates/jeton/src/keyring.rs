//! Secrets in the system's keyring: whoever answers for `org.freedesktop.secrets` on the session bus.
//!
//! An item is found by its attributes. A keyring that is locked is unlocked by a person, and only where one may be
//! asked: in a login.
use crate::{Context, Error};
use jeton_core::Secret;
use std::collections::BTreeMap;

#[cfg(feature = "keyring")]
mod secret_service;

/// What an item is found by.
pub(crate) type Attributes = BTreeMap<&'static str, String>;

/// The secret of the item that has all of `attributes`; `None` where there is no such item.
///
/// # Errors
/// `Class::Config` where there is no keyring, or several items fit; `Class::Refused` for one that is locked.
#[cfg(feature = "keyring")]
pub(crate) async fn read(cx: &Context, attributes: &Attributes) -> Result<Option<Secret>, Error> {
    let work = async { secret_service::Service::open(cx).await?.read(attributes).await };
    cx.bounded(WHAT, work).await
}

/// Keeps `secret` in the item that has exactly these attributes: instead of what is in it, or in a new one.
///
/// # Errors
/// As [`read`].
#[cfg(feature = "keyring")]
pub(crate) async fn write(
    cx: &Context,
    label: &str,
    attributes: &Attributes,
    secret: &Secret,
) -> Result<(), Error> {
    let work = async {
        let service = secret_service::Service::open(cx).await?;
        service.write(label, attributes, secret).await
    };
    cx.bounded(WHAT, work).await
}

/// Removes every item that has all of `attributes`; that there is none is fine.
///
/// # Errors
/// As [`read`].
#[cfg(feature = "keyring")]
pub(crate) async fn remove(cx: &Context, attributes: &Attributes) -> Result<(), Error> {
    let work = async { secret_service::Service::open(cx).await?.remove(attributes).await };
    cx.bounded(WHAT, work).await
}

/// Makes sure that the keyring can be written to; where it is locked, whoever is there is asked to unlock it.
///
/// # Errors
/// As [`read`]; `Class::Refused` when the person says no.
#[cfg(feature = "keyring")]
pub(crate) async fn unlock(cx: &Context) -> Result<(), Error> {
    let work = async { secret_service::Service::open(cx).await?.unlock().await };
    cx.bounded(WHAT, work).await
}

/// What takes time, for messages.
#[cfg(feature = "keyring")]
const WHAT: &str = "the keyring";

#[cfg(not(feature = "keyring"))]
pub(crate) use absent::{read, remove, unlock, write};

#[cfg(not(feature = "keyring"))]
mod absent {
    use super::{Attributes, Context, Error, Secret};
    use jeton_core::Class;

    fn absent() -> Error {
        Error::new(Class::Config, "this build has no keyring")
            .with_hint("leave `store` out: files that only you can read are the default")
    }

    pub(crate) async fn read(_: &Context, _: &Attributes) -> Result<Option<Secret>, Error> {
        Err(absent())
    }

    pub(crate) async fn write(_: &Context, _: &str, _: &Attributes, _: &Secret) -> Result<(), Error> {
        Err(absent())
    }

    pub(crate) async fn remove(_: &Context, _: &Attributes) -> Result<(), Error> {
        Err(absent())
    }

    pub(crate) async fn unlock(_: &Context) -> Result<(), Error> {
        Err(absent())
    }
}

/// The attributes by which other programs name their secrets, `SERVICE` or `SERVICE/USER`: what libsecret's
/// `secret-tool store service S username U` writes, and the keyring modules of Go, Python and Rust.
pub(crate) fn attributes_of(name: &str) -> Attributes {
    let (service, username) = match name.rsplit_once('/') {
        Some((service, username)) => (service, Some(username)),
        None => (name, None),
    };
    let pairs = [("service", Some(service)), ("username", username)];
    pairs
        .into_iter()
        .filter_map(|(key, value)| Some((key, value?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_service_and_perhaps_a_user() {
        let rows: [(&str, &[(&str, &str)]); 3] = [
            ("mycli", &[("service", "mycli")]),
            ("mycli/ada", &[("service", "mycli"), ("username", "ada")]),
            (
                "https://example.com/ada",
                &[("service", "https://example.com"), ("username", "ada")],
            ),
        ];
        for (name, wanted) in rows {
            let wanted = wanted.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
            assert_eq!(attributes_of(name), wanted, "{name}");
        }
    }
}
