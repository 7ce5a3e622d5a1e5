//! One request, as a handler sees it.
use crate::audit::Record;
use crate::broker::{Broker, Live};
use crate::fields::Fields;
use crate::principal::Principal;
use crate::problem::Problem;
use crate::store::Tx;
use bytes::Bytes;
use http::{HeaderMap, Uri};
use jeton_core::access::{Binding, Object};
use std::net::IpAddr;
use std::sync::Arc;

/// A request, read whole.
pub struct Call {
    /// The broker.
    pub broker: Broker,
    /// The epoch when the request came: what is read for it is remembered as of then.
    pub epoch: u64,
    /// Its settings when the request came.
    pub live: Arc<Live>,
    /// The id of this operation, in the answer and in our log.
    pub operation: String,
    /// Where it came from.
    pub from: IpAddr,
    /// What was asked for.
    pub uri: Uri,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// The values of the `{…}` in the route's path.
    pub parameters: Vec<(String, String)>,
}

/// Who asks, and why he may.
#[derive(Clone, Debug)]
pub struct Access {
    /// Who.
    pub principal: Principal,
    /// What the route is about.
    pub object: Object,
    /// His bindings that can be about the object; empty for routes that decide for themselves.
    pub bindings: Vec<Binding>,
    /// The binding that allowed it, for the record: `role (id)`.
    pub rule: String,
}

impl Call {
    /// The value of `{name}` in the path; empty when the route has none.
    #[must_use]
    pub fn parameter(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// A parameter of the query.
    ///
    /// # Errors
    /// 400 when it is there twice.
    pub fn query(&self, name: &str) -> Result<Option<String>, Problem> {
        let mut found = self
            .pairs()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value);
        let first = found.next();
        match found.next() {
            None => Ok(first),
            Some(_) => Err(Problem::invalid(name, "is there twice")),
        }
    }

    /// The query has no other parameters than these.
    ///
    /// # Errors
    /// 400, naming the first other one.
    pub fn only_query(&self, known: &[&str]) -> Result<(), Problem> {
        match self.pairs().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => Err(Problem::invalid(&name, "is not known here")),
            None => Ok(()),
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (String, String)> {
        let query = self.uri.query().unwrap_or_default();
        url::form_urlencoded::parse(query.as_bytes()).into_owned()
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    /// 400.
    pub fn fields(&self) -> Result<Fields, Problem> {
        Fields::parse(&self.body)
    }

    /// A record of this request.
    #[must_use]
    pub fn record(&self, action: &str, decision: &str, who: &Principal) -> Record {
        Record::new(action, decision)
            .by(who)
            .with("operation_id", self.operation.as_str())
            .with("from", self.from.to_string())
    }

    /// Writes a record as a part of a transaction.
    ///
    /// # Errors
    /// It is not there, and the transaction is no good any more.
    pub async fn note(&self, tx: &mut Tx, record: Record) -> Result<(), Problem> {
        let now = self.broker.now();
        Ok(crate::audit::append(tx, &self.live.keyring, [record], now).await?)
    }
}
