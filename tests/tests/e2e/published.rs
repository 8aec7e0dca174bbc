//! What is published of the API is what the code says. `NARPOOL_BLESS=1` writes it anew.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use tests::program::project;

#[test]
fn the_openapi_document_is_the_codes_own() {
    let document = pool_server::http::openapi().to_pretty_json().unwrap() + "\n";
    same("schema/src/openapi.json", &document);
}

#[test]
fn each_wire_type_has_its_json_schema() {
    let document = serde_json::to_value(pool_server::http::openapi()).unwrap();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in schemas.keys() {
        let mut needed = BTreeSet::new();
        references(&schemas[name], schemas, &mut needed);
        let mut schema = schemas[name].clone();
        schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
        schema["title"] = name.as_str().into();
        if !needed.is_empty() {
            schema["$defs"] =
                needed.iter().map(|name| (name.clone(), schemas[name].clone())).collect();
        }
        let text = serde_json::to_string_pretty(&schema).unwrap();
        same(
            &format!("schema/src/json/{name}.json"),
            &(text.replace("#/components/schemas/", "#/$defs/") + "\n"),
        );
    }
    let published = fs::read_dir(project().join("schema/src/json")).unwrap();
    for file in published {
        let name = file.unwrap().file_name().into_string().unwrap();
        assert!(
            schemas.contains_key(name.trim_end_matches(".json")),
            "{name} is of no type of the API"
        );
    }
}

#[test]
fn the_manual_has_every_key_of_the_configuration() {
    let readme = fs::read_to_string(project().join("README.md")).unwrap();
    let manual = pool_server::config::manual();
    assert!(
        readme.contains(manual.trim()),
        "README.md lacks what `pool-server config-keys` prints"
    );
}

fn references(
    schema: &Value,
    schemas: &serde_json::Map<String, Value>,
    found: &mut BTreeSet<String>,
) {
    match schema {
        Value::Object(fields) => {
            if let Some(name) = fields.get("$ref").and_then(Value::as_str) {
                let name = name.trim_start_matches("#/components/schemas/");
                if found.insert(name.to_owned()) {
                    references(&schemas[name], schemas, found);
                }
            }
            fields.values().for_each(|value| references(value, schemas, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, schemas, found)),
        _ => {}
    }
}

fn same(path: &str, text: &str) {
    let file = project().join(path);
    if std::env::var_os("NARPOOL_BLESS").is_some() {
        fs::create_dir_all(file.parent().expect("files of the project lie in a directory"))
            .and_then(|()| fs::write(&file, text))
            .expect("the project can be written");
    }
    let published = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        published == text,
        "{path} is not what the code says; write it anew with NARPOOL_BLESS=1"
    );
}
