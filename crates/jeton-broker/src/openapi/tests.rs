use super::*;
use std::collections::BTreeSet;

fn paths() -> Vec<Path<'static>> {
    ALL.iter()
        .map(|operation| Path {
            method: operation.method,
            pattern: operation.pattern,
            full: operation.pattern,
            summary: "what it does",
            success: 200,
            token: operation.tag != "operation",
        })
        .collect()
}

/// Every `$ref` in a document.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = document(paths(), "https://broker.example");
    let schemas = document["components"]["schemas"].as_object().expect("schemas");
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    let there: BTreeSet<String> = schemas
        .keys()
        .map(|name| format!("#/components/schemas/{name}"))
        .collect();
    assert_eq!(used, there);
}

#[test]
fn every_operation_has_a_name_of_its_own_and_its_path_parameters() {
    let names: BTreeSet<&str> = ALL.iter().map(|operation| operation.id).collect();
    assert_eq!(names.len(), ALL.len());
    let document = document(paths(), "https://broker.example");
    let token = &document["paths"]["/projects/{project}/credentials/{credential}/token"]["get"];
    let named: Vec<_> = token["parameters"]
        .as_array()
        .expect("parameters")
        .iter()
        .map(|p| &p["name"])
        .collect();
    assert_eq!(named, ["project", "credential", "user", "X-Runner-Current-User"]);
    assert!(
        document["paths"]["/healthz"]["get"]["security"]
            .as_array()
            .is_some_and(Vec::is_empty)
    );
    assert!(token.get("security").is_none(), "the document's own holds");
    let form = &document["paths"]["/token"]["post"]["requestBody"]["content"];
    assert!(form.get("application/x-www-form-urlencoded").is_some());
}

#[test]
fn every_route_of_the_table_is_described_and_nothing_else() {
    let routes: BTreeSet<(&str, &str)> = crate::route::ROUTES
        .iter()
        .map(|r| (r.verb.name(), r.path))
        .collect();
    let described: BTreeSet<(&str, &str)> = ALL.iter().map(|o| (o.method, o.pattern)).collect();
    assert_eq!(routes, described);
    for operation in ALL {
        assert!(!operation.tag.is_empty(), "{}", operation.pattern);
    }
}
