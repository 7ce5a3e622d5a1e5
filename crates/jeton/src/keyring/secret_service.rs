//! The Secret Service of freedesktop.org, version 0.2: GNOME Keyring, KWallet, KeePassXC.
//!
//! Secrets cross the session bus in its `plain` form: a socket that the kernel keeps for this user alone, as it keeps
//! a file. A bus that is reached in any other way is not used.
use super::Attributes;
use crate::{Context, Error};
use futures_util::StreamExt;
use jeton_core::{Class, Secret, redact};
use std::collections::HashMap;
use zbus::zvariant::{DynamicType, ObjectPath, OwnedObjectPath, OwnedValue, Value};
use zbus::{Address, Connection, MatchRule, Message, MessageStream, connection};

/// Who answers, on the bus.
const NAME: &str = "org.freedesktop.secrets";
/// Where its root is.
const ROOT: &str = "/org/freedesktop/secrets";
const SERVICE: &str = "org.freedesktop.Secret.Service";
const COLLECTION: &str = "org.freedesktop.Secret.Collection";
const ITEM: &str = "org.freedesktop.Secret.Item";
const PROMPT: &str = "org.freedesktop.Secret.Prompt";
/// The path that stands for none.
const NONE: &str = "/";
/// What a bus says when nobody answers to a name, and cannot be started.
const NOBODY: &[&str] = &[
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.Spawn",
];
const LOCKED: &str = "org.freedesktop.Secret.Error.IsLocked";

/// A connection to the service, and the session in which secrets are handed over.
pub(super) struct Service {
    bus: Connection,
    session: OwnedObjectPath,
}

/// A secret as it crosses the bus: session, parameters, value, content type.
type Crossing = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

impl Service {
    pub(super) async fn open(cx: &Context) -> Result<Self, Error> {
        let bus = connect(&addresses(cx)?).await?;
        let answer = call(&bus, ROOT, SERVICE, "OpenSession", &("plain", Value::from(""))).await?;
        let (_, session): (OwnedValue, OwnedObjectPath) = read(&answer)?;
        Ok(Self { bus, session })
    }

    pub(super) async fn read(&self, attributes: &Attributes) -> Result<Option<Secret>, Error> {
        let (open, shut) = self.search(attributes).await?;
        let [item] = &open[..] else {
            return match (open.len(), shut.len()) {
                (0, 0) => Ok(None),
                (0, _) => Err(locked()),
                (several, _) => Err(Error::new(
                    Class::Config,
                    format!("the keyring: {several} items have that name"),
                )
                .with_hint("name the user too: `keyring:SERVICE/USER`")),
            };
        };
        let answer = call(&self.bus, item, ITEM, "GetSecret", &(&self.session,)).await?;
        let ((_, _, value, _),): (Crossing,) = read(&answer)?;
        let text = String::from_utf8(value)
            .map_err(|_| Error::new(Class::Config, "the keyring: the secret is no text"))?;
        Ok(Some(Secret::new(text)))
    }

    pub(super) async fn write(
        &self,
        label: &str,
        attributes: &Attributes,
        secret: &Secret,
    ) -> Result<(), Error> {
        let collection = self.collection().await?;
        let properties = HashMap::from([
            ("org.freedesktop.Secret.Item.Label", Value::from(label)),
            (
                "org.freedesktop.Secret.Item.Attributes",
                Value::from(dictionary(attributes)),
            ),
        ]);
        let crossing = (
            &self.session,
            Vec::<u8>::new(),
            secret.reveal().as_bytes(),
            "text/plain",
        );
        let asked = (properties, crossing, true);
        let answer = call(&self.bus, &collection, COLLECTION, "CreateItem", &asked).await?;
        let (_, prompt): (OwnedObjectPath, OwnedObjectPath) = read(&answer)?;
        unasked(&prompt)
    }

    pub(super) async fn remove(&self, attributes: &Attributes) -> Result<(), Error> {
        let (open, shut) = self.search(attributes).await?;
        for item in &open {
            let answer = call(&self.bus, item, ITEM, "Delete", &()).await?;
            let (prompt,): (OwnedObjectPath,) = read(&answer)?;
            unasked(&prompt)?;
        }
        shut.is_empty().then_some(()).ok_or_else(locked)
    }

    pub(super) async fn unlock(&self) -> Result<(), Error> {
        let collection = self.collection().await?;
        let answer = call(&self.bus, ROOT, SERVICE, "Unlock", &(vec![&collection],)).await?;
        let (_, prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) = read(&answer)?;
        if prompt.as_str() == NONE {
            return Ok(());
        }
        self.ask(&prompt).await
    }

    /// Shows the keyring's own question, and waits for the person's answer.
    async fn ask(&self, prompt: &OwnedObjectPath) -> Result<(), Error> {
        let rule = MatchRule::builder()
            .msg_type(zbus::message::Type::Signal)
            .interface(PROMPT)
            .and_then(|rule| rule.member("Completed"))
            .and_then(|rule| rule.path(prompt.as_ref()))
            .map_err(wrong)?
            .build();
        let mut answers = MessageStream::for_match_rule(rule, &self.bus, None)
            .await
            .map_err(wrong)?;
        call(&self.bus, prompt, PROMPT, "Prompt", &("",)).await?;
        let answer = match answers.next().await {
            Some(answer) => answer.map_err(wrong)?,
            None => {
                return Err(Error::new(
                    Class::Unavailable,
                    "the keyring: the session bus is gone",
                ));
            }
        };
        let (dismissed, _): (bool, OwnedValue) = read(&answer)?;
        if dismissed {
            return Err(Error::new(
                Class::Refused,
                "the keyring stays locked: the question was dismissed",
            )
            .with_hint("unlock it, or leave `store` out of the profile"));
        }
        Ok(())
    }

    /// The items that have all of `attributes`: those that can be read, and those that are locked.
    async fn search(
        &self,
        attributes: &Attributes,
    ) -> Result<(Vec<OwnedObjectPath>, Vec<OwnedObjectPath>), Error> {
        let answer = call(
            &self.bus,
            ROOT,
            SERVICE,
            "SearchItems",
            &(dictionary(attributes),),
        )
        .await?;
        read(&answer)
    }

    /// Where new items go.
    async fn collection(&self) -> Result<OwnedObjectPath, Error> {
        let answer = call(&self.bus, ROOT, SERVICE, "ReadAlias", &("default",)).await?;
        let (path,): (OwnedObjectPath,) = read(&answer)?;
        if path.as_str() == NONE {
            return Err(Error::new(
                Class::Config,
                "the keyring has no default collection to keep a login in",
            )
            .with_hint("make one in your keyring's own program, or leave `store` out of the profile"));
        }
        Ok(path)
    }
}

fn dictionary(attributes: &Attributes) -> HashMap<&str, &str> {
    attributes
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect()
}

/// Where the session bus may be: the user's variable, else the socket that systemd and others make.
fn addresses(cx: &Context) -> Result<Vec<String>, Error> {
    let usual = || Some(format!("unix:path={}/bus", cx.env.get("XDG_RUNTIME_DIR")?));
    let said = cx.env.get("DBUS_SESSION_BUS_ADDRESS").map(ToOwned::to_owned);
    let local: Vec<String> = said
        .or_else(usual)
        .iter()
        .flat_map(|list| list.split(';'))
        .filter(|address| address.starts_with("unix:"))
        .map(ToOwned::to_owned)
        .collect();
    if local.is_empty() {
        return Err(busless("no session bus is here (DBUS_SESSION_BUS_ADDRESS)"));
    }
    Ok(local)
}

fn busless(what: &str) -> Error {
    Error::new(Class::Config, format!("the keyring: {what}")).with_hint(
        "run it in your desktop's session, or start one (`dbus-run-session`, `gnome-keyring-daemon --unlock`); \
         without `store` a login is kept in a file that only you can read",
    )
}

async fn connect(addresses: &[String]) -> Result<Connection, Error> {
    let mut last = None;
    for address in addresses {
        let Ok(address) = address.parse::<Address>() else {
            continue;
        };
        let opened = async { connection::Builder::address(address)?.build().await };
        match opened.await {
            Ok(bus) => return Ok(bus),
            Err(e) => last = Some(e.to_string()),
        }
    }
    let why = last.unwrap_or_else(|| "its address cannot be read".to_owned());
    Err(busless(&format!(
        "the session bus does not answer: {}",
        redact::foreign(&why, &[])
    )))
}

async fn call<B>(
    bus: &Connection,
    path: &str,
    interface: &str,
    method: &str,
    body: &B,
) -> Result<Message, Error>
where
    B: serde::Serialize + DynamicType,
{
    let path = ObjectPath::try_from(path).map_err(|e| wrong(e.into()))?;
    bus.call_method(Some(NAME), path, Some(interface), method, body)
        .await
        .map_err(wrong)
}

fn read<T>(answer: &Message) -> Result<T, Error>
where
    T: for<'d> serde::Deserialize<'d> + zbus::zvariant::Type,
{
    answer.body().deserialize().map_err(|e| {
        let what = redact::foreign(&e.to_string(), &[]);
        Error::new(
            Class::Protocol,
            format!("the keyring's answer cannot be read: {what}"),
        )
    })
}

/// Only a login asks a person anything.
fn unasked(prompt: &OwnedObjectPath) -> Result<(), Error> {
    (prompt.as_str() == NONE).then_some(()).ok_or_else(locked)
}

fn locked() -> Error {
    Error::new(Class::Refused, "the keyring is locked")
        .with_hint("unlock it: log in to your desktop, or open its own program")
}

fn wrong(e: zbus::Error) -> Error {
    match &e {
        zbus::Error::MethodError(name, ..) if NOBODY.iter().any(|n| name.as_str().starts_with(n)) => {
            busless("no program keeps one here (org.freedesktop.secrets)")
        }
        zbus::Error::MethodError(name, ..) if name.as_str() == LOCKED => locked(),
        _ => {
            let what = redact::foreign(&e.to_string(), &[]);
            Error::new(Class::Unavailable, format!("the keyring: {what}"))
        }
    }
}
