//! A service that releases are published to: status, stage, upload, publish. It accepts no token that has ended.
use crate::{Received, Upstream};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

/// What the service is like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Publishing {
    /// How long an upload takes.
    pub upload: Duration,
    /// Whether the first token it sees was revoked.
    pub first_is_revoked: bool,
    /// Whether no token is good enough.
    pub knows_nobody: bool,
    /// Whether every version is there already.
    pub is_released: bool,
    /// How requests that begin so are answered, whoever sends them.
    pub says: Option<(&'static str, u16)>,
}

impl Publishing {
    /// Starts it.
    #[must_use]
    pub fn start(self) -> Upstream {
        let revoked: Arc<Mutex<Option<String>>> = Arc::default();
        Upstream::new(move |_, request, stream| {
            let (status, body) = self.answer(request, &revoked);
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        })
    }

    fn answer(self, request: &Received, revoked: &Mutex<Option<String>>) -> (u16, String) {
        if request.line().starts_with("PUT /signed ") {
            assert!(
                request.fields("authorization").is_empty(),
                "no token belongs to a signed URL"
            );
            std::thread::sleep(self.upload);
            return (200, String::new());
        }
        let token = request.token().to_owned();
        let first = revoked
            .lock()
            .unwrap()
            .get_or_insert_with(|| token.clone())
            .clone();
        let is_refused = self.knows_nobody || (self.first_is_revoked && first == token);
        if is_refused || has_ended(&token) {
            return (401, String::new());
        }
        if let Some((_, status)) = self.says.filter(|(start, _)| request.line().starts_with(start)) {
            return (status, String::new());
        }
        let host = request.fields("host")[0].to_owned();
        match request.line() {
            line if line.starts_with("POST /upload/") && self.is_released => (409, String::new()),
            line if line.starts_with("POST /upload/") => (
                200,
                format!("{{\"s3_upload_url\":\"http://{host}/signed\",\"uuid\":\"u1\"}}"),
            ),
            "GET /token/status HTTP/1.1" | "POST /publish/u1 HTTP/1.1" => (200, "{}".to_owned()),
            _ => (404, String::new()),
        }
    }
}

fn has_ended(token: &str) -> bool {
    let claims = token.split('.').nth(1).unwrap_or_default();
    let claims: serde_json::Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    UNIX_EPOCH.elapsed().unwrap().as_secs_f64() > claims["exp"].as_f64().unwrap()
}
