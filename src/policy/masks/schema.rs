//! Masks in the words of JSON Schema, for the schema of the rule files: what an editor completes and checks. Made from the
//! definitions that decode rule files, so that neither knows a mask or a parameter that the other does not.

use serde_json::{Map, Value, json};

use super::{
    MaskDef, all,
    params::{ParamDef, ParamKind},
};

/// `$defs` of the schema: `mask_name`, every mask; `mask`, a mask with its parameters.
pub fn schema() -> Map<String, Value> {
    let names: Vec<&str> = all().map(|def| def.name).collect();
    let masks: Vec<Value> = all().map(mask).collect();
    let mut defs = Map::new();
    defs.insert("mask_name".to_owned(), json!({ "description": "A mask without parameters.", "enum": names }));
    defs.insert("mask".to_owned(), json!({ "description": "A mask with parameters.", "anyOf": masks }));
    defs
}

fn mask(def: &MaskDef) -> Value {
    let mut properties = Map::new();
    properties.insert("mask".to_owned(), json!({ "const": def.name }));
    let mut required = vec!["mask"];
    for param in def.params {
        properties.insert(param.name.to_owned(), value(param));
        if param.required {
            required.push(param.name);
        }
    }
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

fn value(param: &ParamDef) -> Value {
    match &param.kind {
        // Editors count in floating point: the whole range of 64 bits is no limit worth writing.
        ParamKind::Integer(i64::MIN, i64::MAX) => json!({ "type": "integer" }),
        ParamKind::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        ParamKind::Flag => json!({ "type": "boolean" }),
        ParamKind::Text => json!({ "type": "string" }),
        ParamKind::Choice(known) => json!({ "enum": known }),
        ParamKind::Texts => json!({ "type": "array", "items": { "type": "string" }, "minItems": 1 }),
        ParamKind::Integers => json!({ "type": "array", "items": { "type": "integer" }, "minItems": 1 }),
        ParamKind::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        ParamKind::Masks => json!({
            "type": "object",
            "additionalProperties": { "anyOf": [{ "$ref": "#/$defs/mask_name" }, { "$ref": "#/$defs/mask" }] },
        }),
    }
}
