//! The table of routes: path, method, who may, what it does. Everything that has to know the routes is made from it:
//! the router, the matrix of authorization tests, the OpenAPI document.
//!
//! To add a route: a line in [`ROUTES`]. There is no other way to be reached, and no line without saying who may.
use crate::answer::Answer;
use crate::broker::Broker;
use crate::call::{Access, Call};
use crate::dispatch;
use crate::handler::{
    agents, audit_page, credentials, health, issuer, projects, role_bindings, roles, session_credentials,
    sessions, token, trust_policies,
};
use crate::openapi;
#[cfg(feature = "otel")]
use crate::problem::OPERATION;
use crate::problem::Problem;
use axum::Router;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request};
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use futures_util::future::BoxFuture;
use http::Method;
use jeton_core::access::{Object, Permission};
use jeton_core::redact::is_printable;
use std::sync::Arc;

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

impl Verb {
    /// The method.
    #[must_use]
    pub const fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Post => Method::POST,
            Self::Put => Method::PUT,
            Self::Patch => Method::PATCH,
            Self::Delete => Method::DELETE,
        }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    const fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// What a path stands under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `base_path`.
    Base,
    /// The root of the server.
    Root,
    /// Both: the paths of older clients.
    Both,
}

/// What a route is about, from its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// All of them: only a global binding covers it.
    Everything,
    /// `{project}`.
    Project,
    /// `{agent}` in `{project}`.
    Agent,
    /// `{credential}`, under a project or not: a project's roles give nothing on its credentials.
    Credential,
}

impl Target {
    /// The object that a call is about.
    #[must_use]
    pub fn object(self, call: &Call) -> Object {
        match self {
            Self::Everything => Object::default(),
            Self::Project => Object::project(call.parameter("project")),
            Self::Agent => Object::agent(call.parameter("project"), call.parameter("agent")),
            Self::Credential => Object::credential(call.parameter("credential")),
        }
    }
}

/// What answers a request that nobody has to prove anything for, or that proves it in its own way.
pub type Open = fn(Arc<Call>) -> BoxFuture<'static, Result<Answer, Problem>>;
/// What answers a request of somebody who is known.
pub type Known = fn(Arc<Call>, Access) -> BoxFuture<'static, Result<Answer, Problem>>;

/// Who may, and what happens then.
#[derive(Clone, Copy)]
pub enum Who {
    /// Anyone: no token is looked at, nothing of anybody's is told.
    Anyone(Open),
    /// Who proves it in the request itself (the token endpoint's `subject_token` or `assertion`). The handler refuses.
    Proof(Open),
    /// Anyone with a token that is accepted. The handler decides what he sees of what is there; [`Access::bindings`] is
    /// empty.
    Known(Known),
    /// Who has this permission (`kind`, `verb`) on what the path names. It was decided before the handler runs.
    May(&'static str, &'static str, Target, Known),
}

impl Who {
    /// The permission that is needed, if one is.
    #[must_use]
    pub const fn permission(&self) -> Option<Permission> {
        match self {
            Self::May(kind, verb, ..) => Some(Permission::new(kind, verb)),
            _ => None,
        }
    }
}

/// A route.
#[derive(Clone, Copy)]
pub struct Route {
    /// The method.
    pub verb: Verb,
    /// What the path stands under.
    pub place: Place,
    /// The path, with `{…}` for what varies.
    pub path: &'static str,
    /// Who may, and what happens then.
    pub who: Who,
    /// What it does, in one line: for the OpenAPI document.
    pub summary: &'static str,
    /// The status of success.
    pub success: u16,
}

/// A line of the table.
const fn route(verb: Verb, path: &'static str, success: u16, who: Who, summary: &'static str) -> Route {
    Route {
        verb,
        place: Place::Base,
        path,
        who,
        summary,
        success,
    }
}

/// A line of the table, at the root of the server.
const fn root(path: &'static str, who: Who, summary: &'static str) -> Route {
    Route {
        place: Place::Root,
        ..route(Get, path, 200, who, summary)
    }
}

/// A line of the table, below `base_path` and at the root: paths of older clients.
const fn both(path: &'static str, who: Who, summary: &'static str) -> Route {
    Route {
        place: Place::Both,
        ..route(Get, path, 200, who, summary)
    }
}

/// A handler, as the table holds it.
macro_rules! open {
    ($handler:path) => {
        |call| Box::pin(async move { $handler(&call).await })
    };
}

/// A handler of somebody who is known, as the table holds it.
macro_rules! known {
    ($handler:path) => {
        |call, access| Box::pin(async move { $handler(&call, &access).await })
    };
}

use Target::{Agent, Credential, Everything, Project};
use Verb::{Delete, Get, Patch, Post, Put};
use Who::{Anyone, Known as Signed, May, Proof};

/// Every route there is.
#[rustfmt::skip]
pub const ROUTES: &[Route] = &[
    root("/healthz", Anyone(open!(health::live)), "The process is alive"),
    root("/readyz", Anyone(open!(health::ready)), "Requests can be served: the database answers and takes writes"),
    root("/metrics", Anyone(open!(issuer::metrics)), "What was counted, for Prometheus"),
    root("/openapi.json", Anyone(open!(issuer::openapi)), "This document"),
    root("/.well-known/openid-configuration", Anyone(open!(issuer::discovery)), "The broker as an issuer"),
    root("/jwks", Anyone(open!(issuer::keys)), "The broker's public keys"),

    route(Post, "/projects", 201, Signed(known!(projects::create)), "Make a project; its maker becomes project:owner"),
    route(Get, "/projects", 200, Signed(known!(projects::list)), "The projects that the caller may see"),
    route(Get, "/projects/{project}", 200, May("project", "read", Project, known!(projects::read)), "A project"),
    route(Patch, "/projects/{project}", 200, May("project", "update", Project, known!(projects::update)), "Change a project"),
    route(Delete, "/projects/{project}", 204, May("project", "delete", Project, known!(projects::delete)), "Delete a project, its agents and every binding on them"),

    route(Post, "/projects/{project}/agents", 201, May("agent", "create", Project, known!(agents::create)), "Make an agent"),
    route(Get, "/projects/{project}/agents", 200, Signed(known!(agents::list)), "The agents of a project that the caller may see"),
    route(Get, "/projects/{project}/agents/{agent}", 200, May("agent", "read", Agent, known!(agents::read)), "An agent"),
    route(Patch, "/projects/{project}/agents/{agent}", 200, May("agent", "update", Agent, known!(agents::update)), "Change an agent"),
    route(Delete, "/projects/{project}/agents/{agent}", 204, May("agent", "delete", Agent, known!(agents::delete)), "Delete an agent and every binding on it"),

    route(Post, "/credentials", 201, Signed(known!(credentials::create)), "Make a credential; its maker becomes credential:owner"),
    route(Get, "/credentials", 200, Signed(known!(credentials::list)), "The credentials that the caller may see; never their secrets"),
    route(Get, "/credentials/{credential}", 200, May("credential", "read", Credential, known!(credentials::read)), "A credential, without its secret"),
    route(Patch, "/credentials/{credential}", 200, May("credential", "update", Credential, known!(credentials::update)), "Change a credential"),
    route(Delete, "/credentials/{credential}", 204, May("credential", "delete", Credential, known!(credentials::delete)), "Delete a credential and every binding on it"),
    route(Get, "/credentials/{credential}/token", 200, May("credential", "fetch_token", Credential, known!(credentials::token)), "What the credential releases: written down first"),

    route(Post, "/projects/{project}/credentials", 201, Signed(known!(credentials::create)), "Make a credential and bind it to the project"),
    route(Get, "/projects/{project}/credentials", 200, Signed(known!(credentials::list)), "The credentials bound to a project that the caller may see"),
    route(Get, "/projects/{project}/credentials/{credential}", 200, May("credential", "read", Credential, known!(credentials::read)), "A credential that is bound to the project"),
    route(Patch, "/projects/{project}/credentials/{credential}", 200, May("credential", "update", Credential, known!(credentials::update)), "Change a credential that is bound to the project"),
    route(Delete, "/projects/{project}/credentials/{credential}", 204, May("credential", "delete", Credential, known!(credentials::delete)), "Delete a credential that is bound to the project"),
    route(Get, "/projects/{project}/credentials/{credential}/token", 200, May("credential", "fetch_token", Credential, known!(credentials::token)), "What a credential that is bound to the project releases: written down first"),

    route(Get, "/roles", 200, Signed(known!(roles::list)), "The roles"),
    route(Post, "/role_bindings", 201, Signed(known!(role_bindings::create)), "Give a role, or bind a credential to a project or an agent"),
    route(Get, "/role_bindings", 200, Signed(known!(role_bindings::list)), "The bindings that the caller may see"),
    route(Get, "/role_bindings/{binding}", 200, Signed(known!(role_bindings::read)), "A binding"),
    route(Delete, "/role_bindings/{binding}", 204, Signed(known!(role_bindings::delete)), "Take a role away, or unbind a credential"),

    route(Post, "/sessions", 201, Signed(known!(sessions::open)), "Open a session with the credentials that it resolves to"),
    route(Get, "/sessions/{session}", 200, Signed(known!(sessions::read)), "A session that goes on"),
    route(Delete, "/sessions/{session}", 204, Signed(known!(sessions::end)), "End a session: its token and its grants are dead at once"),
    route(Post, "/sessions/{session}/token", 200, Signed(known!(sessions::renew)), "A new token for a session, and a longer lease"),
    both("/projects/{project}/agentic-sessions/{session}/credentials/{provider}", Signed(known!(session_credentials::read)), "A session's credential, in its provider's own shape"),
    both("/projects/{project}/agentic-sessions/{session}/credentials/mcp/{name}", Signed(known!(session_credentials::read_mcp)), "The fields for a session's MCP server"),

    route(Post, "/token", 200, Proof(open!(token::token)), "Token exchange (RFC 8693) and JWT bearer (RFC 7523)"),
    route(Get, "/trust_policies", 200, May("trust_policy", "list", Everything, known!(trust_policies::list)), "Who may exchange for what"),
    route(Get, "/trust_policies/{name}", 200, May("trust_policy", "read", Everything, known!(trust_policies::read)), "A trust policy"),
    route(Put, "/trust_policies/{name}", 200, May("trust_policy", "update", Everything, known!(trust_policies::put)), "Write a trust policy; lint refuses or warns"),
    route(Delete, "/trust_policies/{name}", 204, May("trust_policy", "delete", Everything, known!(trust_policies::delete)), "Remove a trust policy, and what its tokens may do here"),
    route(Post, "/trust_policies/{name}/test", 200, May("trust_policy", "read", Everything, known!(trust_policies::test)), "Replay claims: which rule decides, and why"),

    route(Get, "/audit", 200, May("audit", "read", Everything, known!(audit_page::list)), "The record of what was done, newest first"),
];

impl Route {
    /// Whether a session's own token opens it: its session, and what that may read. Nothing else.
    #[must_use]
    pub fn is_for_sessions(&self) -> bool {
        self.path.contains("{session}") || self.path.ends_with("/{credential}/token")
    }

    /// Whether it hands out a credential: what is allowed there is remembered.
    #[must_use]
    pub fn is_release(&self) -> bool {
        matches!(self.who, May(_, "fetch_token", Credential, _))
    }

    /// Its path from the root of the server; the first, where there are two.
    #[must_use]
    pub fn full_path(&self, base: &str) -> String {
        match self.place {
            Place::Root => self.path.to_owned(),
            Place::Base | Place::Both => format!("{base}{}", self.path),
        }
    }
}

/// The OpenAPI document of these routes.
#[must_use]
pub fn document(broker: &Broker) -> serde_json::Value {
    let live = broker.live_full();
    let base = &live.config.base_path;
    let full: Vec<(&Route, String)> = ROUTES
        .iter()
        .map(|route| (route, route.full_path(base)))
        .collect();
    let described = full.iter().map(|(route, full)| openapi::Path {
        method: route.verb.name(),
        pattern: route.path,
        full,
        summary: route.summary,
        success: route.success,
        token: matches!(route.who, Signed(_) | May(..)),
    });
    openapi::document(described, broker.own.name())
}

/// The parameters of a path, if they are texts that something can be called.
fn readable(parameters: &RawPathParams) -> Option<Vec<(String, String)>> {
    parameters
        .iter()
        .map(|(name, value)| is_printable(value).then(|| (name.to_owned(), value.to_owned())))
        .collect()
}

/// Answers, and tells a collector of traces where there is one.
async fn answer(
    broker: Broker,
    route: &'static Route,
    parameters: Vec<(String, String)>,
    request: Request,
) -> Response {
    #[cfg(feature = "otel")]
    let (here, span) = {
        let span = broker.tracer.begin(&broker.cx, route, request.headers());
        (broker.clone(), span)
    };
    let response = dispatch::answer(broker, route, parameters, request).await;
    #[cfg(feature = "otel")]
    {
        let operation = response.headers().get(OPERATION);
        let operation = operation.and_then(|id| id.to_str().ok());
        here.tracer.end(&here.cx, span, response.status(), operation);
    }
    response
}

/// The router of these routes.
pub fn router(broker: &Broker) -> Router {
    let base = broker.live_full().config.base_path.clone();
    let mut router = Router::new();
    for route in ROUTES {
        let places: &[&str] = match route.place {
            Place::Base => &[&base],
            Place::Root => &[""],
            Place::Both if base.is_empty() => &[""],
            Place::Both => &[&base, ""],
        };
        for place in places {
            let broker = broker.clone();
            let handler = move |parameters: Result<RawPathParams, RawPathParamsRejection>,
                                request: Request| {
                let parameters = parameters.ok().and_then(|all| readable(&all));
                let broker = broker.clone();
                async move {
                    match parameters {
                        Some(parameters) => answer(broker, route, parameters, request).await,
                        // Nothing is called so.
                        None => dispatch::refuse(broker, Problem::not_found()).await,
                    }
                }
            };
            router = router.route(
                &format!("{place}{}", route.path),
                on(route.verb.filter(), handler),
            );
        }
    }
    let (here, there) = (broker.clone(), broker.clone());
    router
        .method_not_allowed_fallback(move || dispatch::refuse(here.clone(), Problem::wrong_method()))
        .fallback(move || dispatch::refuse(there.clone(), Problem::not_found()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jeton_core::access::Role;
    use std::collections::HashSet;

    #[test]
    fn every_route_is_there_once_and_its_permission_is_one_that_a_role_names() {
        let mut seen = HashSet::new();
        for route in ROUTES {
            assert!(
                seen.insert((route.verb, route.path)),
                "{:?} {}",
                route.verb,
                route.path
            );
            assert!(!route.summary.is_empty());
            if let Some(permission) = route.who.permission() {
                assert!(Role::all().any(|role| role.permits(permission)), "{}", route.path);
            }
        }
    }

    #[test]
    fn only_what_says_nothing_of_anybody_is_open() {
        let open: Vec<&str> = ROUTES
            .iter()
            .filter(|route| matches!(route.who, Anyone(_)))
            .map(|route| route.path)
            .collect();
        let said = [
            "/healthz",
            "/readyz",
            "/metrics",
            "/openapi.json",
            "/.well-known/openid-configuration",
            "/jwks",
        ];
        assert_eq!(open, said);
        assert!(
            ROUTES
                .iter()
                .all(|route| !matches!(route.who, Anyone(_)) || route.place == Place::Root)
        );
    }
}
