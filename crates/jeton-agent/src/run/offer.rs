//! What a host is offered inside a run: asked at the run's own socket, by the helpers that git and gh call.
use crate::consumer::Offer;
use jeton::http::{Request, Route, Url};
use jeton::{Context, Error, Token, answer};
use jeton_core::{Class, Json, UnixTime};
use std::path::PathBuf;

/// The host is only what the `Host` field says.
const OFFER: &str = "http://localhost/v1/offer";

/// What the run at `socket` offers `host`; `None`: nothing.
///
/// # Errors
/// The run's, when it is there and cannot have the credential.
pub async fn of_run(cx: &Context, socket: PathBuf, host: &str) -> Result<Option<Offer>, Error> {
    let url = Url::parse_with_params(OFFER, [("host", host)]);
    let url = url.map_err(|_| Error::new(Class::Other, "the run's URL cannot be read"))?;
    let mut request = Request::get(url);
    request.route = Route::Unix(socket);
    let answered = cx.fetch("run", &request, |response| match response.status {
        404 => Ok(None),
        // It has tried again enough.
        502 | 504 => {
            let why = answer::json(response).ok();
            let why = why.as_ref().and_then(|json| json.get("error")?.as_str());
            let why = response.foreign(why.unwrap_or("the credential cannot be had"));
            Ok(Some(Err(Error::new(Class::Refused, why))))
        }
        _ => {
            answer::success(response)?;
            let json = answer::json(response)?;
            let value = answer::secret_member(&json, "token")?;
            let text = |name: &str| json.get(name).and_then(Json::as_str);
            let ends = text("expires_at").and_then(|text| text.parse::<jiff::Timestamp>().ok());
            let token = Token {
                value,
                token_type: "Bearer".to_owned(),
                issuer: None,
                subject: None,
                audience: Vec::new(),
                scopes: Vec::new(),
                source: "run".to_owned(),
                expires_at: ends.map(|at| UnixTime::from_seconds(at.as_second())),
                life: None,
                cached: false,
            };
            let username = text("username").map(str::to_owned);
            Ok(Some(Ok(Offer { token, username })))
        }
    });
    answered.await?.transpose()
}
