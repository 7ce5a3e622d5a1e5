//! A person logs in to sign: in a browser, or with a code that is confirmed elsewhere. It is the ID token that signs.
use jeton::answer::{self, Received};
use jeton::grant::{Authority, Client, ClientAuth, Granted, code, device, identity};
use jeton::profiles::{LoginFlow, LoginPrompt, Prompted};
use jeton::{Class, Context, Error, Token, TokenRequest, TokenSource};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Where people of the public instance log in.
pub const PUBLIC_ISSUER: &str = "https://oauth2.sigstore.dev/auth";
/// The client as which they do: a public one, without a secret.
pub const PUBLIC_CLIENT: &str = "sigstore";
/// What is asked for: who it is.
const SCOPES: [&str; 2] = ["openid", "email"];

/// A login for each token that is asked for. Nothing of it is kept.
pub struct Login<P> {
    /// The surroundings.
    pub cx: Context,
    /// The issuer, byte for byte as its documents name it.
    pub issuer: String,
    /// The client.
    pub client_id: String,
    /// How.
    pub flow: LoginFlow,
    /// How long a person is waited for.
    pub patience: Duration,
    /// Who shows the person what to do.
    pub prompt: P,
}

impl<P: LoginPrompt + Send + Sync> Login<P> {
    async fn log_in(&self) -> Result<Token, Error> {
        let what = "login to sign";
        let cx = self.cx.within(self.patience);
        let authority = Authority::new(self.issuer.clone());
        let client = Client {
            id: self.client_id.clone(),
            auth: ClientAuth::None,
        };
        let wanted = TokenRequest {
            scopes: SCOPES.map(str::to_owned).to_vec(),
            ..TokenRequest::default()
        };
        let (granted, nonce) = match self.flow {
            LoginFlow::Device => {
                let show = |shown: &device::Prompt| self.prompt.show(&Prompted::Device(shown));
                (
                    device::login(&cx, what, &authority, &client, &wanted, show).await?,
                    None,
                )
            }
            LoginFlow::Browser => {
                let login = code::Login::start(&cx, what, &authority, &client, &wanted).await?;
                self.prompt.show(&Prompted::Browser(login.url()));
                let done = login.finish(&cx).await?;
                (done.granted, Some(done.nonce))
            }
        };
        verified(&cx, what, &authority, &client, &granted, nonce.as_deref()).await
    }
}

/// The ID token of a login, verified.
async fn verified(
    cx: &Context,
    what: &str,
    authority: &Authority,
    client: &Client,
    granted: &Granted,
    nonce: Option<&str>,
) -> Result<Token, Error> {
    let id_token = granted.answer.id_token.as_ref().ok_or_else(|| {
        let message = format!("{what}: `openid` was asked for and no ID token came");
        Error::new(Class::Protocol, message)
            .with_hint("let the issuer give this client ID tokens, or name another with --oidc-issuer")
    })?;
    let access_token = &granted.answer.access_token;
    identity::verify(cx, what, authority, client, id_token, access_token, nonce).await?;
    let mut received = Received::at(granted.received);
    received.date = granted.date;
    received.minted = true;
    answer::token(cx, "login", &TokenRequest::default(), id_token, received)
        .map_err(|fault| fault.into_error(what))
}

impl<P: LoginPrompt + Send + Sync> TokenSource for Login<P> {
    fn token<'a>(
        &'a self,
        _request: &'a TokenRequest,
    ) -> Pin<Box<dyn Future<Output = Result<Token, Error>> + Send + 'a>> {
        Box::pin(self.log_in())
    }
}
