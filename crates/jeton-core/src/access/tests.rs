use super::*;
use crate::time::UnixTime;
use alloc::borrow::ToOwned;
use alloc::vec;
use alloc::vec::Vec;

fn bind(role: &str, scope: Scope, object: &Object) -> Binding {
    Binding {
        id: role.to_owned(),
        role: Role::named(role).expect("role"),
        scope,
        project: object.project.clone().filter(|_| matches!(scope, Scope::Project)),
        agent: object.agent.clone().filter(|_| scope == Scope::Agent),
        session: None,
        credential: object.credential.clone(),
    }
}

fn everything() -> Object {
    Object::default()
}

#[test]
fn d8_a_binding_allows_what_its_role_names_on_what_it_covers_and_nothing_else() {
    let (p, q) = (Object::project("p"), Object::project("q"));
    let (c, d) = (Object::credential("c"), Object::credential("d"));
    let fetch = Permission::new("credential", "fetch_token");
    let read = Permission::new("credential", "read");
    let update = Permission::new("project", "update");
    let rows: &[(Binding, Permission, &Object, bool)] = &[
        (bind("credential:owner", Scope::Credential, &c), fetch, &c, true),
        (bind("credential:owner", Scope::Credential, &c), fetch, &d, false),
        (
            bind("credential:token-reader", Scope::Credential, &c),
            fetch,
            &c,
            true,
        ),
        (
            bind("credential:token-reader", Scope::Credential, &c),
            read,
            &c,
            false,
        ),
        (bind("credential:viewer", Scope::Credential, &c), read, &c, true),
        (bind("credential:viewer", Scope::Credential, &c), fetch, &c, false),
        (
            bind("platform:viewer", Scope::Global, &everything()),
            read,
            &c,
            true,
        ),
        (
            bind("platform:viewer", Scope::Global, &everything()),
            fetch,
            &c,
            false,
        ),
        (
            bind("platform:admin", Scope::Global, &everything()),
            fetch,
            &c,
            true,
        ),
        (bind("project:owner", Scope::Project, &p), update, &p, true),
        (bind("project:owner", Scope::Project, &p), update, &q, false),
        (bind("project:owner", Scope::Project, &p), fetch, &c, false),
        (bind("project:viewer", Scope::Project, &p), update, &p, false),
    ];
    for (binding, permission, object, allowed) in rows {
        let bindings = [binding.clone()];
        let decision = decide(&bindings, *permission, object);
        assert_eq!(
            decision.is_allow(),
            *allowed,
            "{binding:?} {permission:?} {object:?}"
        );
    }
}

fn place<'a>(role: &str, scope: Scope) -> Placement<'a> {
    Placement {
        role: Role::named(role).expect("role"),
        scope,
        project: None,
        agent: None,
        agent_project: None,
        session: None,
        credential: None,
    }
}

/// Who asks, what for, and what he is told.
type Row<'a> = (&'a str, Vec<Binding>, Placement<'a>, Result<(), &'a str>);

#[test]
fn d9_who_may_grant_what() {
    let (p, q, c) = (
        Object::project("p"),
        Object::project("q"),
        Object::credential("c"),
    );
    let owner_p = || bind("project:owner", Scope::Project, &p);
    let editor_p = || bind("project:editor", Scope::Project, &p);
    let owner_q = || bind("project:owner", Scope::Project, &q);
    let owner_c = || bind("credential:owner", Scope::Credential, &c);
    let admin = || bind("platform:admin", Scope::Global, &everything());
    let in_p = |role| Placement {
        project: Some("p"),
        ..place(role, Scope::Project)
    };
    let on_agent = |role| Placement {
        agent: Some("a"),
        agent_project: Some("p"),
        ..place(role, Scope::Agent)
    };
    let on_c = |role| Placement {
        credential: Some("c"),
        ..place(role, Scope::Credential)
    };
    let rows: Vec<Row<'_>> = vec![
        (
            "an owner grants below himself",
            vec![owner_p()],
            in_p("project:editor"),
            Ok(()),
        ),
        (
            "not at his level",
            vec![owner_p()],
            in_p("project:owner"),
            Err("forbidden"),
        ),
        ("an admin any", vec![admin()], in_p("project:owner"), Ok(())),
        (
            "an editor grants nothing",
            vec![editor_p()],
            in_p("project:viewer"),
            Err("forbidden"),
        ),
        (
            "owner of one is nobody in the next",
            vec![owner_q()],
            in_p("project:viewer"),
            Err("forbidden"),
        ),
        (
            "nor on its agents (G.4)",
            vec![owner_q()],
            on_agent("agent:operator"),
            Err("forbidden"),
        ),
        (
            "an owner on his agents",
            vec![owner_p()],
            on_agent("agent:operator"),
            Ok(()),
        ),
        (
            "an agent of another project",
            vec![owner_p()],
            Placement {
                project: Some("p"),
                agent_project: Some("q"),
                ..on_agent("agent:operator")
            },
            Err("invalid"),
        ),
        (
            "an agent that is not there",
            vec![admin()],
            Placement {
                agent_project: None,
                ..on_agent("agent:operator")
            },
            Err("invalid"),
        ),
        (
            "global is for admins",
            vec![owner_p()],
            place("platform:viewer", Scope::Global),
            Err("forbidden"),
        ),
        (
            "global by an admin",
            vec![admin()],
            place("platform:viewer", Scope::Global),
            Ok(()),
        ),
        (
            "a credential by its owner",
            vec![owner_c()],
            on_c("credential:viewer"),
            Ok(()),
        ),
        (
            "internal by its owner",
            vec![owner_c()],
            on_c("credential:token-reader"),
            Ok(()),
        ),
        (
            "internal by a stranger",
            vec![owner_p()],
            on_c("credential:token-reader"),
            Err("forbidden"),
        ),
        (
            "a credential by another",
            vec![owner_p()],
            on_c("credential:viewer"),
            Err("forbidden"),
        ),
        (
            "owner's own level",
            vec![owner_c()],
            on_c("credential:owner"),
            Err("forbidden"),
        ),
        (
            "attached to a project where he is nobody",
            vec![owner_c()],
            Placement {
                project: Some("p"),
                ..on_c("credential:viewer")
            },
            Err("forbidden"),
        ),
        (
            "attached where he edits",
            vec![owner_c(), editor_p()],
            Placement {
                project: Some("p"),
                ..on_c("credential:viewer")
            },
            Ok(()),
        ),
        (
            "a role out of its scope",
            vec![admin()],
            Placement {
                credential: Some("c"),
                ..place("project:owner", Scope::Credential)
            },
            Err("invalid"),
        ),
        (
            "a project binding without a project",
            vec![admin()],
            place("project:viewer", Scope::Project),
            Err("invalid"),
        ),
    ];
    for (what, bindings, placement, wanted) in rows {
        let got = may_grant(Granter { bindings: &bindings }, &placement).map_err(|e| match e {
            GrantRefusal::Invalid(_) => "invalid",
            GrantRefusal::Forbidden(_) => "forbidden",
        });
        assert_eq!(got, wanted, "{what}");
    }
}

#[test]
fn d9_who_may_take_away() {
    let (p, c) = (Object::project("p"), Object::credential("c"));
    let editor = [bind("project:editor", Scope::Project, &p)];
    let viewer = [bind("project:viewer", Scope::Project, &p)];
    let attached = Binding {
        project: Some("p".into()),
        ..bind("credential:viewer", Scope::Credential, &c)
    };
    let member = bind("project:viewer", Scope::Project, &p);
    let owner = bind("project:owner", Scope::Project, &p);
    assert!(may_revoke(Granter { bindings: &editor }, &attached, None).is_ok());
    assert!(may_revoke(Granter { bindings: &editor }, &member, None).is_ok());
    assert!(may_revoke(Granter { bindings: &editor }, &owner, None).is_err());
    assert!(may_revoke(Granter { bindings: &viewer }, &member, None).is_err());
}

#[test]
fn d12_the_agents_credential_wins_then_the_projects_then_a_global_one_then_the_earliest() {
    let attachment = |binding: &str, level, created| Attachment {
        binding: binding.to_owned(),
        credential: alloc::format!("credential of {binding}"),
        provider: "github".to_owned(),
        level,
        created: UnixTime::from_seconds(created),
    };
    let mut all = vec![
        attachment("g", Level::Global, 1),
        attachment("p2", Level::Project, 3),
        attachment("p1", Level::Project, 2),
        attachment("a", Level::Agent, 9),
    ];
    for wanted in ["a", "p1", "p2", "g"] {
        assert_eq!(resolve(&all, "github").map(|a| a.binding.as_str()), Some(wanted));
        all.retain(|a| a.binding != wanted);
    }
    assert_eq!(resolve(&all, "github"), None);
    assert_eq!(resolve(&[attachment("a", Level::Agent, 1)], "gitlab"), None);
}
