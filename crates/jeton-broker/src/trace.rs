//! OpenTelemetry (feature `otel`): a span for each request, sent to a collector as OTLP over HTTP in JSON.
//!
//! A span says which route (its pattern, never its path), which method, which status, how long, and the operation's id;
//! nothing that a caller chose, no token and no secret. A caller's `traceparent` (W3C Trace Context) is taken up: the span
//! is a part of his trace, unless he does not record it. Where spans go is what OpenTelemetry's own variables say.
//! Requests never wait for it: what the collector does not take in time is dropped.
use crate::broker::Log;
use crate::keyring::hex;
use crate::route::Route;
use aws_lc_rs::rand;
use http::{HeaderMap, StatusCode};
use jeton::http::{Request, Url};
use jeton::{Context, Env, RetryPolicy, fetch};
use jeton_core::{Moment, Secret};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// How many spans may wait to be sent; more are dropped.
const WAITING: usize = 4096;
/// How many one request to the collector holds.
const BATCH: usize = 512;
/// How long spans are gathered before they are sent.
const GATHER: Duration = Duration::from_secs(1);
/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The caller's trace.
const TRACEPARENT: &str = "traceparent";
/// A span of a server, in OTLP's numbers.
const SERVER: u8 = 2;
/// A span that went wrong, in OTLP's numbers.
const ERROR: u8 = 2;
/// What we are called when nobody says.
const SERVICE: &str = "jeton-broker";

/// Where a span stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    trace: String,
    parent: Option<String>,
}

enum Told {
    Span(Value),
    Flush(oneshot::Sender<()>),
}

/// The way to the collector; without one, nothing is done.
#[derive(Clone, Default)]
pub struct Tracer(Option<mpsc::Sender<Told>>);

/// A request that is under way.
pub struct Span {
    place: Place,
    route: &'static Route,
    began: Moment,
}

/// Where spans are sent, as OpenTelemetry's variables say.
struct Collector {
    url: Url,
    headers: Vec<(String, Secret)>,
    service: String,
}

impl Tracer {
    /// Starts it, if the environment names a collector; it ends when the last clone is gone.
    #[must_use]
    pub fn start(cx: &Context, log: Arc<dyn Log>) -> Self {
        let collector = match Collector::named(&cx.env) {
            Ok(Some(collector)) => collector,
            Ok(None) => return Self::default(),
            Err(why) => {
                log.warning(&format!("no traces are sent: {why}"));
                return Self::default();
            }
        };
        let mut cx = cx.clone();
        cx.policy = RetryPolicy {
            max_attempts: 2,
            ..RetryPolicy::default()
        };
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::spawn(send_all(cx, log, collector, receiver));
        Self(Some(sender))
    }

    /// A request begins.
    #[must_use]
    pub fn begin(&self, cx: &Context, route: &'static Route, headers: &HeaderMap) -> Option<Span> {
        self.0.as_ref()?;
        Some(Span {
            place: place(headers)?,
            route,
            began: cx.clock.now(),
        })
    }

    /// It was answered.
    pub fn end(&self, cx: &Context, span: Option<Span>, status: StatusCode, operation: Option<&str>) {
        let (Some(sender), Some(span)) = (&self.0, span) else {
            return;
        };
        let Some(id) = random(8) else { return };
        let took = cx.clock.uptime().saturating_sub(span.began.uptime);
        // When nobody takes them any more, they are dropped.
        let _ = sender.try_send(Told::Span(span.json(&id, status, took, operation)));
    }

    /// Waits until what was told is sent, but not long.
    pub async fn flush(&self) {
        let Some(sender) = &self.0 else { return };
        let (done, waits) = oneshot::channel();
        let flushing = async {
            if sender.send(Told::Flush(done)).await.is_ok() {
                let _ = waits.await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, flushing).await;
    }
}

impl Span {
    fn json(&self, id: &str, status: StatusCode, took: Duration, operation: Option<&str>) -> Value {
        let began = i128::from(self.began.wall.millis()) * 1_000_000;
        let ended = began + i128::try_from(took.as_nanos()).unwrap_or(0);
        let (method, path) = (self.route.verb.name(), self.route.path);
        let mut attributes = vec![
            text("http.request.method", method),
            text("http.route", path),
            json!({"key": "http.response.status_code", "value": {"intValue": status.as_str()}}),
        ];
        attributes.extend(operation.map(|id| text("jeton.operation_id", id)));
        let mut span = json!({
            "traceId": self.place.trace, "spanId": id, "kind": SERVER, "name": format!("{method} {path}"),
            "startTimeUnixNano": began.to_string(), "endTimeUnixNano": ended.to_string(), "attributes": attributes,
        });
        if let Some(parent) = &self.place.parent {
            span["parentSpanId"] = parent.as_str().into();
        }
        // What a client did wrong is no error of a server (OpenTelemetry's conventions for HTTP).
        if status.is_server_error() {
            span["status"] = json!({"code": ERROR});
        }
        span
    }
}

fn text(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// Random bytes in hexadecimal digits.
fn random(bytes: usize) -> Option<String> {
    let mut fresh = vec![0; bytes];
    rand::fill(&mut fresh).ok()?;
    Some(hex(&fresh))
}

/// In whose trace a request is; nothing when its caller does not record his.
fn place(headers: &HeaderMap) -> Option<Place> {
    let given = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
    match given.and_then(parsed) {
        Some((_, false)) => None,
        Some((place, true)) => Some(place),
        None => Some(Place {
            trace: random(16)?,
            parent: None,
        }),
    }
}

/// A `traceparent`: `00-{trace}-{parent}-{flags}`, with more behind it in later versions. And whether it is recorded.
fn parsed(text: &str) -> Option<(Place, bool)> {
    let digits = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let mut parts = text.trim().split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_known = digits(version, 2) && version != "ff" && (version != "00" || parts.next().is_none());
    let is_some = |part: &str| part.bytes().any(|b| b != b'0');
    if !is_known || !digits(trace, 32) || !digits(parent, 16) || !digits(flags, 2) {
        return None;
    }
    if !is_some(trace) || !is_some(parent) {
        return None;
    }
    let is_recorded = u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1);
    let place = Place {
        trace: trace.to_owned(),
        parent: Some(parent.to_owned()),
    };
    Some((place, is_recorded))
}

impl Collector {
    fn named(env: &Env) -> Result<Option<Self>, String> {
        let is_off = env.get("OTEL_SDK_DISABLED").is_some_and(|off| off == "true")
            || env.get("OTEL_TRACES_EXPORTER").is_some_and(|name| name == "none");
        let whole = env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").map(str::to_owned);
        let below = |base: &str| format!("{}/v1/traces", base.trim_end_matches('/'));
        let url = whole.or_else(|| env.get("OTEL_EXPORTER_OTLP_ENDPOINT").map(below));
        let (Some(url), false) = (url, is_off) else {
            return Ok(None);
        };
        let protocol = env.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL");
        let protocol = protocol.or_else(|| env.get("OTEL_EXPORTER_OTLP_PROTOCOL"));
        if protocol.is_some_and(|name| name == "grpc") {
            return Err("OTEL_EXPORTER_OTLP_PROTOCOL: grpc is not spoken; http/json is".to_owned());
        }
        let url = Url::parse(&url).map_err(|_| "OTEL_EXPORTER_OTLP_ENDPOINT: is no URL".to_owned())?;
        let headers = env.get("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default();
        let headers = headers.split(',').filter_map(|pair| {
            let (name, value) = pair.split_once('=')?;
            let value = percent_encoding::percent_decode_str(value.trim())
                .decode_utf8()
                .ok()?;
            Some((name.trim().to_owned(), Secret::new(value.into_owned())))
        });
        Ok(Some(Self {
            url,
            headers: headers.collect(),
            service: env.get("OTEL_SERVICE_NAME").unwrap_or(SERVICE).to_owned(),
        }))
    }

    fn request(&self, spans: &[Value]) -> Request {
        let body = json!({"resourceSpans": [{
            "resource": {"attributes": [text("service.name", &self.service)]},
            "scopeSpans": [{
                "scope": {"name": SERVICE, "version": env!("CARGO_PKG_VERSION")},
                "spans": spans,
            }],
        }]});
        let mut request = Request::json(self.url.clone(), body.to_string());
        for (name, value) in &self.headers {
            request = request.secret_header(name, value);
        }
        // A collector stands in the same cluster, mostly without a certificate, and no span holds a secret.
        request.clear_text = self.headers.is_empty();
        request
    }
}

async fn send_all(cx: Context, log: Arc<dyn Log>, collector: Collector, mut told: mpsc::Receiver<Told>) {
    let (mut batch, mut is_well) = (Vec::with_capacity(BATCH), true);
    while told.recv_many(&mut batch, BATCH).await > 0 {
        let is_asked = batch.iter().any(|one| matches!(one, Told::Flush(_)));
        if !is_asked && batch.len() < BATCH {
            let more = async { while told.recv_many(&mut batch, BATCH).await > 0 && batch.len() < BATCH {} };
            let _ = tokio::time::timeout(GATHER, more).await;
        }
        let (mut spans, mut asked) = (Vec::new(), Vec::new());
        for one in batch.drain(..) {
            match one {
                Told::Span(span) => spans.push(span),
                Told::Flush(done) => asked.push(done),
            }
        }
        if !spans.is_empty() {
            let sent = cx.within(PATIENCE);
            let request = collector.request(&spans);
            let sent = sent
                .fetch("traces", &request, |answer| fetch::success(answer).map(drop))
                .await;
            // Said once, until it is well again.
            if let (true, Err(why)) = (is_well, &sent) {
                log.warning(&format!("traces are dropped: {why}"));
            }
            is_well = sent.is_ok();
        }
        for done in asked {
            // Whoever does not wait any more is told nothing.
            let _ = done.send(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_w3c_writes_it() {
        const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
        const PARENT: &str = "b7ad6b7169203331";
        let rows = [
            (format!("00-{TRACE}-{PARENT}-01"), Some(true)),
            (format!("00-{TRACE}-{PARENT}-00"), Some(false)),
            (format!("cc-{TRACE}-{PARENT}-01-later"), Some(true)),
            (format!("00-{TRACE}-{PARENT}-01-later"), None),
            (format!("ff-{TRACE}-{PARENT}-01"), None),
            (format!("00-{}-{PARENT}-01", "0".repeat(32)), None),
            (format!("00-{TRACE}-{}-01", "0".repeat(16)), None),
            (format!("00-{}-{PARENT}-01", TRACE.to_uppercase()), None),
            (format!("00-{TRACE}-{PARENT}"), None),
            (String::new(), None),
        ];
        for (text, wanted) in rows {
            let found = parsed(&text);
            assert_eq!(found.as_ref().map(|(_, recorded)| *recorded), wanted, "{text}");
            if let Some((place, _)) = found {
                assert_eq!(
                    (place.trace.as_str(), place.parent.as_deref()),
                    (TRACE, Some(PARENT))
                );
            }
        }
    }

    #[test]
    fn the_variables_are_opentelemetrys() {
        let url = |pairs: &[(&str, &str)]| {
            let env: Env = pairs.iter().copied().collect();
            Collector::named(&env).map(|found| found.map(|collector| collector.url.to_string()))
        };
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");
        assert_eq!(url(&[]), Ok(None));
        assert_eq!(url(&[base]), Ok(Some("http://collector:4318/v1/traces".into())));
        let own = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c.example/x");
        assert_eq!(url(&[base, own]), Ok(Some("https://c.example/x".into())));
        for off in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
            assert_eq!(url(&[base, off]), Ok(None), "{off:?}");
        }
        assert!(url(&[base, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).is_err());
        assert!(url(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "collector")]).is_err());
    }
}
