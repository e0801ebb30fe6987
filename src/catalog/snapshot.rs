//! [`CatalogSnapshot`]: [`CatalogData`] with indexes. In: data. Out: lookups by OID and by schema and name.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::FixedState;

use super::{
    data::{CatalogData, ColumnData, FunctionData, InheritsData, RelationData, RelationKind, RoleData, TypeData},
    keys::ForeignKeyData,
    temporary::{TEMPORARY_SCHEMA, TemporaryRelation},
};
use crate::names::{AttNum, FIRST_USER_OID, Oid};

/// A relation of the snapshot.
pub type Relation = RelationData;
/// A column of the snapshot.
pub type Column = ColumnData;

/// An immutable, indexed picture of `pg_catalog`, with the temporary relations of one session or of none.
#[derive(Debug)]
pub struct CatalogSnapshot {
    shared: Arc<Indexed>,
    temporary: Box<[TemporaryRelation]>,
}

/// What all sessions share.
#[derive(Debug)]
struct Indexed {
    data: CatalogData,
    version: u64,
    by_oid: HashMap<Oid, usize, FixedState>,
    by_name: HashMap<String, HashMap<String, usize>>,
    functions: HashMap<String, Vec<usize>>,
    operators: HashMap<String, Vec<usize>>,
    types: HashMap<String, Vec<usize>>,
    roles: HashMap<String, usize>,
    children: HashMap<Oid, Vec<Oid>>,
    parents: HashMap<Oid, Vec<Oid>>,
    foreign_keys: HashMap<Oid, Vec<usize>, FixedState>,
}

impl CatalogSnapshot {
    /// Indexes `data`. `version` grows with every snapshot that a process publishes.
    pub fn new(data: CatalogData, version: u64) -> Arc<Self> {
        let mut by_name: HashMap<String, HashMap<String, usize>> = HashMap::new();
        for schema in &data.schemas {
            by_name.entry(schema.name.clone()).or_default();
        }
        let mut by_oid = HashMap::default();
        for (index, relation) in data.relations.iter().enumerate() {
            by_oid.insert(relation.oid, index);
            by_name.entry(relation.schema.clone()).or_default().insert(relation.name.clone(), index);
        }
        let mut functions: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, function) in data.functions.iter().enumerate() {
            functions.entry(function.name.clone()).or_default().push(index);
        }
        let mut operators: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, operator) in data.operators.iter().enumerate() {
            operators.entry(operator.name.clone()).or_default().push(index);
        }
        let mut types: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, ty) in data.types.iter().enumerate() {
            types.entry(ty.name.clone()).or_default().push(index);
        }
        let roles = data.roles.iter().enumerate().map(|(index, role)| (role.name.clone(), index)).collect();
        let mut children: HashMap<Oid, Vec<Oid>> = HashMap::new();
        let mut parents: HashMap<Oid, Vec<Oid>> = HashMap::new();
        for InheritsData { child, parent } in &data.inherits {
            children.entry(*parent).or_default().push(*child);
            parents.entry(*child).or_default().push(*parent);
        }
        let mut foreign_keys: HashMap<Oid, Vec<usize>, FixedState> = HashMap::default();
        for (index, key) in data.foreign_keys.iter().enumerate() {
            foreign_keys.entry(key.relation).or_default().push(index);
        }
        let shared = Indexed {
            data,
            version,
            by_oid,
            by_name,
            functions,
            operators,
            types,
            roles,
            children,
            parents,
            foreign_keys,
        }
        .into();
        Arc::new(Self { shared, temporary: Box::default() })
    }

    /// The same with these temporary relations, for the session that they belong to.
    pub fn with_temporary(&self, temporary: impl IntoIterator<Item = TemporaryRelation>) -> Arc<Self> {
        Arc::new(Self { shared: Arc::clone(&self.shared), temporary: temporary.into_iter().collect() })
    }

    /// The temporary relations laid over it.
    pub fn temporary(&self) -> &[TemporaryRelation] {
        &self.temporary
    }

    /// The data that was indexed.
    pub fn data(&self) -> &CatalogData {
        &self.shared.data
    }

    /// Grows with every snapshot that a process publishes.
    pub fn version(&self) -> u64 {
        self.shared.version
    }

    /// The relation with this OID.
    pub fn relation(&self, oid: Oid) -> Option<&Relation> {
        let shared = self.shared.by_oid.get(&oid).and_then(|index| self.shared.data.relations.get(*index));
        shared.or_else(|| self.temporary.iter().map(|temporary| &temporary.relation).find(|known| known.oid == oid))
    }

    /// The relation `schema.name`.
    pub fn relation_named(&self, schema: &str, name: &str) -> Option<&Relation> {
        if schema == TEMPORARY_SCHEMA {
            return self.temporary.iter().map(|temporary| &temporary.relation).find(|known| known.name == name);
        }
        self.shared.by_name.get(schema)?.get(name).and_then(|index| self.shared.data.relations.get(*index))
    }

    /// Whether a schema of this name exists.
    pub fn has_schema(&self, schema: &str) -> bool {
        self.shared.by_name.contains_key(schema)
    }

    /// Functions outside `pg_catalog` with this name, in any schema.
    pub fn functions_named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a FunctionData> + use<'a> {
        self.shared.functions.get(name).into_iter().flatten().filter_map(|index| self.shared.data.functions.get(*index))
    }

    /// Operators outside `pg_catalog` with this name, in any schema.
    pub fn operators_named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a super::data::OperatorData> + use<'a> {
        self.shared.operators.get(name).into_iter().flatten().filter_map(|index| self.shared.data.operators.get(*index))
    }

    /// Types outside `pg_catalog` with this name, in any schema.
    pub fn types_named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a TypeData> + use<'a> {
        self.shared.types.get(name).into_iter().flatten().filter_map(|index| self.shared.data.types.get(*index))
    }

    /// The type whose operators values of this type have: of a domain the one that it is made of, at last.
    pub fn base_type(&self, oid: Oid) -> Oid {
        let types = &self.shared.data.types;
        let under = |oid: &Oid| types.iter().find(|kind| kind.oid == *oid)?.base_oid;
        // A catalog file may hold a circle.
        std::iter::successors(Some(oid), under).take(types.len() + 1).last().unwrap_or(oid)
    }

    /// Whether a parameter of this type runs no user's function when its value comes in, or is cast without being asked. The
    /// types of arrays and of the rows of tables are listed where they run one. An array of a listed type runs none then; of others
    /// that are not listed nothing is known, and where any type runs a function, they count as if they did.
    pub fn is_harmless_parameter(&self, oid: Oid) -> bool {
        let runs = |kind: &TypeData| kind.has_user_cast || kind.casts_implicitly;
        let known = self.shared.data.types.iter().find(|kind| kind.oid == oid);
        if let Some(kind) = known {
            return oid < FIRST_USER_OID || !runs(kind);
        }
        let types = &self.shared.data.types;
        let of_harmless = types.iter().any(|kind| kind.array_oid == Some(oid) && !runs(kind));
        oid < FIRST_USER_OID || of_harmless || !types.iter().any(runs)
    }

    /// Whether a column of this type, in a table of the session's own, runs no user's function when it gets a value or none.
    pub fn is_harmless_column(&self, oid: Oid) -> bool {
        let known = self.shared.data.types.iter().find(|kind| kind.oid == oid);
        self.is_harmless_parameter(oid)
            && known.is_none_or(|kind| !kind.has_computed_default && kind.compared_by.is_empty())
    }

    /// The role with this name.
    pub fn role(&self, name: &str) -> Option<&RoleData> {
        self.shared.roles.get(name).and_then(|index| self.shared.data.roles.get(*index))
    }

    /// Direct children by inheritance or partitioning.
    pub fn children(&self, parent: Oid) -> &[Oid] {
        self.shared.children.get(&parent).map_or(&[], Vec::as_slice)
    }

    /// Whether a relation that belongs to this one, or itself, is read as more than a table: on another server, or with policies of its own.
    pub fn reads_more(&self, oid: Oid) -> bool {
        let mut open = vec![oid];
        while let Some(next) = open.pop() {
            let more = |found: &Relation| found.kind == RelationKind::ForeignTable || found.has_policies;
            if self.relation(next).is_none_or(more) {
                return true;
            }
            open.extend(self.children(next));
        }
        false
    }

    /// The foreign keys that are of this relation itself.
    pub fn foreign_keys(&self, holder: Oid) -> impl Iterator<Item = &ForeignKeyData> {
        let keys = self.shared.foreign_keys.get(&holder).map_or(&[][..], Vec::as_slice);
        keys.iter().filter_map(|index| self.shared.data.foreign_keys.get(*index))
    }

    /// Direct parents by inheritance or partitioning.
    pub fn parents(&self, child: Oid) -> &[Oid] {
        self.shared.parents.get(&child).map_or(&[], Vec::as_slice)
    }
}

impl ColumnData {
    /// What a value that is assigned to the column is cast to first.
    pub fn assigned_type(&self) -> &str {
        self.assigned_as.as_deref().unwrap_or(&self.type_sql_plain)
    }
}

impl RelationData {
    /// The live column with this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The live column with this number.
    pub fn column_numbered(&self, attnum: AttNum) -> Option<&Column> {
        self.columns.iter().find(|column| column.attnum == attnum)
    }

    /// Whether the relation belongs to the system (`pg_catalog`, `information_schema`, `pg_toast`).
    pub fn is_system(&self) -> bool {
        matches!(self.schema.as_str(), "pg_catalog" | "information_schema" | "pg_toast")
    }
}
