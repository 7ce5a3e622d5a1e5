//! The table of settings and of every variable that is read: `jeton help environment` prints what the parser uses.
use super::Setting;

macro_rules! settings {
    ($($name:ident $flag:literal $default:literal $about:literal)*) => {
        $(
            #[doc = $about]
            pub(crate) const $name: Setting = Setting { flag: $flag, about: $about, default: $default };
        )*
        /// Every setting that has a flag.
        pub(crate) const SETTINGS: &[Setting] = &[$($name),*];
    };
}

settings! {
    CONFIG "config" "$XDG_CONFIG_HOME/jeton/config.toml" "the configuration file"
    CA_FILE "ca-file" "" "more certificate authorities to trust, as PEM"
    QUIET "quiet" "false" "say nothing but errors"
    VERBOSE "verbose" "false" "explain on stderr what happens"
    LOG_FORMAT "log-format" "text" "how stderr is written: text or json"
    AUDIENCE "audience" "the profile's, or the source's own" "the audience the token must have"
    SOURCE "source" "the built-in order" "try exactly these sources, in this order"
    SCOPE "scope" "the profile's" "scopes, for grants"
    RESOURCE "resource" "the profile's" "the resource indicator, for grants"
    SERVICE_ACCOUNT "service-account" "the projected token's own" "NAMESPACE/NAME, for the source kubernetes"
    MIN_VALIDITY "min-validity" "30s" "the token must live at least this long"
    STRICT "strict" "false" "fail rather than print a token that lives shorter"
    TIMEOUT "timeout" "60s" "the time for everything together"
    MAX_ATTEMPTS "max-attempts" "5" "how many requests are sent at most"
    BACKOFF "backoff" "250ms" "the wait before the second attempt"
    BACKOFF_FACTOR "backoff-factor" "2" "what each further wait is multiplied by"
    MAX_BACKOFF "max-backoff" "8s" "the longest wait between attempts"
    CONNECT_TIMEOUT "connect-timeout" "3s" "the time for a connection"
    ATTEMPT_TIMEOUT "attempt-timeout" "10s" "the time for each attempt"
    CACHE_TTL "cache-ttl" "the token's own life" "the longest time a cached token is re-used; 0 = never"
    NO_CACHE "no-cache" "false" "neither read nor write the cache"
    REFRESH "refresh" "false" "ignore what is cached but store the new token"
    OUTPUT "output" "token" "token, json, header, curl or env"
    BROKER "broker" "" "the broker's URL, for `jeton run`"
    API "api" "broker" "what it speaks: broker or ambient"
    SESSION "session" "" "an open session, for `jeton run`"
    PROJECT "project" "" "the project, for `jeton run`"
    USER "user" "" "the user that `jeton run` is for"
    EVERY "every" "60s" "how often `jeton run` asks for each credential again"
    NAME "name" "" "the variable's name, for the output env"
    IDENTITY_TOKEN "identity-token" "" "where the identity token for signing is: env:VAR, file:PATH or stdin:"
    PROFILE "profile" "the ambient chain" "the profile that signs"
    KEY "key" "" "a local key that signs, as PEM"
    FULCIO_URL "fulcio-url" "the public instance's" "the certificate authority for signing"
    REKOR_URL "rekor-url" "the public instance's" "the transparency log for signing"
    TIMESTAMP_SERVER_URL "timestamp-server-url" "the public instance's" "the timestamp authority for signing"
    SIGNING_CONFIG "signing-config" "the public instance's" "a file that names the services for signing"
    TRUSTED_ROOT "trusted-root" "the public instance's" "a file with what is trusted when bundles are verified"
    TUF_URL "tuf-url" "the public instance's" "a TUF repository that says what is trusted, and which services there are"
    TUF_ROOT "tuf-root" "the public instance's" "the root metadata by which that repository is trusted"
    OIDC_ISSUER "oidc-issuer" "https://oauth2.sigstore.dev/auth" "where --device and --browser log in"
    OIDC_CLIENT_ID "oidc-client-id" "sigstore" "the client as which --device and --browser log in"
    MIN_TRUST_LEVEL "min-trust-level" "verified" "the least that must hold of a bundle"
    YES "yes" "false" "do not ask before an identity becomes public"
}

/// A variable that is read but is no setting.
pub(crate) struct Variable {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
}

const fn variable(name: &'static str, about: &'static str) -> Variable {
    Variable { name, about }
}

/// Ours that have no flag.
pub(crate) const OWN: &[Variable] = &[
    variable(
        "JETON_TOKEN",
        "the caller's own token; first in the ambient chain",
    ),
    variable(
        "JETON_TOKEN_FILE",
        "a file with the caller's own token, read each time",
    ),
    variable(
        "JETON_AGENT",
        "the socket of a running agent: a path or unix:PATH",
    ),
    variable(
        "JETON_SESSION_TOKEN",
        "the own token of an open session, for `jeton run`",
    ),
    variable(
        "JETON_RUN",
        "inside `jeton run`: the socket at which helpers ask for its credentials",
    ),
    variable("JETON_CACHE_DIR", "the cache folder"),
    variable(
        "JETON_STATE_DIR",
        "the folder of logins [default: sessions in JETON_CACHE_DIR where that is set]",
    ),
];

/// Everybody's.
pub(crate) const COMMON: &[Variable] = &[
    variable(
        "XDG_CONFIG_HOME, HOME",
        "where config.toml is: jeton/ below the first, or below ~/.config",
    ),
    variable(
        "XDG_CACHE_HOME, HOME",
        "where the cache is: jeton/ below the first, or below ~/.cache",
    ),
    variable(
        "XDG_RUNTIME_DIR",
        "where a running agent's socket is: jeton/agent.sock",
    ),
    variable(
        "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY",
        "the proxy for requests (lower case too)",
    ),
    variable(
        "NO_PROXY",
        "hosts without proxy; loopback and metadata addresses never have one",
    ),
    variable(
        "SSL_CERT_FILE, SSL_CERT_DIR",
        "certificate authorities instead of the system's",
    ),
    variable("CI", "true: nobody is ever asked anything"),
    variable(
        "GITHUB_ACTIONS",
        "true: tokens are masked, and errors are annotations too",
    ),
    variable("NO_COLOR, CLICOLOR, CLICOLOR_FORCE", "colours on a terminal"),
];
