//! [`RuleSet`]: rule files decoded and checked as far as that goes without a catalog. Invariant: every category and
//! mask that a role names exists, names are unique, and nothing in a file was skipped.

use std::{collections::HashMap, sync::Arc};

use foldhash::fast::FixedState;
use sha2::{Digest, Sha256};

use super::{Deciding, Limits, LoginIdentity, Policy, RoleId, Search, WriteBack, decode, masks::MaskSpec};
use crate::{
    catalog::CatalogSnapshot,
    diagnostic::{Diagnostic, Diagnostics, Place},
    names::Oid,
};

/// One rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFile {
    /// Path as the user named it.
    pub path: Arc<str>,
    /// Its content.
    pub text: Arc<str>,
}

/// Decoded rule files.
#[derive(Debug)]
pub struct RuleSet {
    pub(super) files: Vec<RuleFile>,
    pub(super) policy: String,
    pub(super) hash: String,
    pub(super) categories: Vec<CategoryRule>,
    /// Each role once for each of its purposes.
    pub(super) roles: Vec<RoleRule>,
    pub(super) subject: Option<SubjectRule>,
    pub(super) consent: Option<NamedRecordsRule>,
    pub(super) refusal: Option<NamedRecordsRule>,
    pub(super) erasure: Option<RecordsRule>,
    pub(super) deadlines: Option<DeadlinesRule>,
    pub(super) grants: Vec<GrantRule>,
    /// Functions that put nothing into temporary tables, nor does what they run.
    pub(super) writes_no_temporary_tables: Vec<FunctionRule>,
}

/// A place in the rule files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At {
    pub file: usize,
    pub start: usize,
    pub end: usize,
}

/// The reserved category of columns that were reviewed and hold no personal data.
pub(super) const NONE: &str = "none";

/// `[category.X]`
#[derive(Debug)]
pub(super) struct CategoryRule {
    pub name: Arc<str>,
    pub at: At,
    pub columns: Vec<ColumnRule>,
    pub title: Option<String>,
    pub sensitive: bool,
}

/// One entry of `columns`, or another name of a column.
#[derive(Clone, Debug)]
pub(super) struct ColumnRule {
    pub parts: [super::pattern::Part; 3],
    pub text: String,
    pub at: At,
}

/// `[[role]]`
#[derive(Clone, Debug)]
pub(super) struct RoleRule {
    pub name: String,
    pub at: At,
    pub matching: RoleMatch,
    /// The purpose that this entry is for: a role is decoded once for each of its purposes.
    pub purpose: String,
    pub purposes: Arc<[String]>,
    pub application_purposes: Arc<[(String, String)]>,
    /// Settings of applications that the role may set, with the place of each.
    pub own_settings: Arc<[(String, At)]>,
    pub recipient: String,
    pub exempt: bool,
    /// Neither refusals nor erasure requests of subjects count; only grants open anything beyond `see`.
    pub legal_duty: bool,
    /// Records of which kinds the role may write so that more is seen.
    pub lifts: Arc<[Kind]>,
    /// Nothing is enforced, and events say what would have been.
    pub observe: bool,
    pub settings: Settings,
}

/// The part of `[[role]]` that may differ by purpose.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub explain: bool,
    /// By index of the category.
    pub see: Vec<Option<Given>>,
    pub otherwise: Given,
    /// By index of the category.
    pub search: Vec<Search>,
    pub write_back: WriteBack,
    /// A value that looks like a mask of its column is not stored.
    pub refuses_masks: bool,
    pub functions: Vec<FunctionRule>,
    pub rows: Vec<RowsRule>,
    pub limits: Limits,
    /// Personal data is seen only where the subject has consented to the purpose.
    pub consent: Option<At>,
}

/// One entry of `rows`: which rows of a table a role sees.
#[derive(Clone, Debug)]
pub(super) struct RowsRule {
    pub table: [super::pattern::Part; 2],
    pub condition: String,
    pub barrier: Barrier,
    pub guarding: Guarding,
    pub at: At,
}

/// Whether the role may write what the sub-selects of a scope read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guarding {
    /// Not where that could show it more rows.
    Reads,
    /// As the server's privileges say.
    Nothing,
}

/// What records of subjects are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Consent,
    Refusal,
    Erasure,
}

/// Whether what a client writes may be evaluated before it is known which rows the role sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// Where nothing in the statement can fail on a value.
    Auto,
    /// Never.
    Always,
}

/// `[subject]`: whom personal data is about.
#[derive(Debug)]
pub(super) struct SubjectRule {
    pub key: ColumnRule,
    /// In the order of the file.
    pub links: Vec<LinkRule>,
    /// Tables whose personal data is about nobody in the table of subjects.
    pub unlinked: Vec<([super::pattern::Part; 2], At)>,
    pub orphans: Orphans,
    pub at: At,
}

/// What becomes of rows whose link refers to a row that is not there, where requests of subjects hide rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Orphans {
    /// They are hidden: nobody knows whether their subject has asked for it.
    Hide,
    /// They are shown as if nobody had.
    Show,
}

/// How rows of one table lead to one of their subjects.
#[derive(Debug)]
pub(super) struct LinkRule {
    pub from: ColumnRule,
    /// The column that it refers to.
    pub to: ColumnRule,
    /// Columns that are about this subject alone; none for a link that matters to all.
    pub columns: Option<Vec<(String, At)>>,
}

/// `[consent]` and `[refusal]`: records about subjects, each of one purpose or category.
#[derive(Debug)]
pub(super) struct NamedRecordsRule {
    pub records: RecordsRule,
    /// Column that holds the purpose or the category.
    pub of: String,
    /// What a stored category stands for beside the category of that name, each with its place.
    pub categories: Vec<(String, Vec<(String, At)>)>,
}

/// `[erasure]`, and what `[consent]` and `[refusal]` have of it: records about subjects.
#[derive(Debug)]
pub(super) struct RecordsRule {
    pub table: [super::pattern::Part; 2],
    /// Column that holds the subject's key.
    pub subject: String,
    /// Which records count.
    pub condition: Option<(String, At)>,
    pub at: At,
}

/// By when requests for erasure are to be answered and carried out.
#[derive(Clone, Debug)]
pub(super) struct DeadlinesRule {
    /// Column with the moment of the request.
    pub requested_at: String,
    pub answer: Option<Within>,
    pub carry_out: Option<Within>,
}

/// A number of days, of the calendar or Monday to Friday.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Within {
    pub days: u16,
    pub working: bool,
}

/// A moment.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// Seconds since 1970, UTC.
    pub seconds: i64,
    /// RFC 3339.
    pub text: String,
}

/// `[[grant]]`: what a document lets a legal duty see, of whom and until when.
#[derive(Debug)]
pub(super) struct GrantRule {
    pub role: (String, At),
    pub document: String,
    pub from: Moment,
    pub until: Moment,
    /// Keys of subjects; none for all.
    pub subjects: Option<Vec<String>>,
    /// By index of the category.
    pub see: Vec<Option<Given>>,
    pub at: At,
}

/// A treatment and the place that gives it.
#[derive(Clone, Debug)]
pub(super) struct Given {
    pub treatment: TreatmentRule,
    pub at: At,
}

/// A treatment before it is fitted to a column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum TreatmentRule {
    Clear,
    Mask(MaskSpec),
    Withhold,
    Refuse,
}

/// One entry of `functions`.
#[derive(Clone, Debug)]
pub(super) struct FunctionRule {
    pub schema: String,
    pub name: String,
    pub at: At,
}

/// `match` of a role: every key given must match, and any value of its list does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleMatch {
    /// `user`
    pub user: Option<Vec<String>>,
    /// `member_of`
    pub member_of: Option<Vec<String>>,
    /// `database`
    pub database: Option<Vec<String>>,
    /// `application_name`
    pub application_name: Option<Vec<String>>,
}

impl RoleRule {
    /// The same role, exempt and without limits.
    pub fn as_exempt(&self) -> Self {
        let settings = Settings { limits: Limits::default(), ..self.settings.clone() };
        Self { exempt: true, legal_duty: false, settings, ..self.clone() }
    }
}

impl RuleSet {
    /// Decodes `files`, sorted by path.
    ///
    /// # Errors
    /// Every complaint found, not only the first.
    pub fn parse(files: &[RuleFile]) -> Result<Self, Diagnostics> {
        let mut files = files.to_vec();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let mut hasher = Sha256::new();
        for file in &files {
            hasher.update((file.text.len() as u64).to_be_bytes());
            hasher.update(file.text.as_bytes());
        }
        let mut hash = String::with_capacity(32);
        for byte in hasher.finalize().iter().take(16) {
            use std::fmt::Write as _;
            let _ = write!(hash, "{byte:02x}");
        }
        decode::decode(files, hash)
    }

    /// Resolves the rules against `catalog`.
    ///
    /// # Errors
    /// Unknown names, masks that do not fit, and the like: every complaint found.
    pub fn compile(&self, catalog: &CatalogSnapshot) -> Result<Policy, Diagnostics> {
        super::compile::compile(self, catalog)
    }

    /// SQL that counts what is still stored of subjects who have asked to be erased; none when the rules do not say where
    /// their requests are recorded.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub fn stored_of_erased(&self, catalog: &CatalogSnapshot) -> Result<Option<String>, Diagnostics> {
        super::compile::stored::stored(self, catalog)
    }

    /// Names in the records of subjects that may be misspelt: statements that count them.
    pub fn recorded_names(&self, catalog: &CatalogSnapshot) -> Vec<super::RecordedNames> {
        super::compile::recorded::recorded_names(self, catalog)
    }

    /// Conditions and masks that PostgreSQL alone can judge; `policy` is what the rules compile to.
    pub fn probes(&self, policy: &Policy, catalog: &CatalogSnapshot) -> Vec<super::Probe> {
        super::compile::probes::probes(self, policy, catalog)
    }

    /// By name of each restricted role, the relations that decide what it sees, also those that the rules let it write.
    pub fn deciding(&self, catalog: &CatalogSnapshot) -> Vec<(String, HashMap<Oid, Deciding, FixedState>)> {
        super::compile::deciding::all(self, catalog)
    }

    /// `policy = "…"` of the rule files.
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// Name, title and sensitivity of each category, in file order.
    pub fn categories(&self) -> impl Iterator<Item = (&str, Option<&str>, bool)> {
        self.categories.iter().map(|category| (&*category.name, category.title.as_deref(), category.sensitive))
    }

    /// Content hash of the rule files.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// `file:line` of a place.
    pub(super) fn origin(&self, at: At) -> Arc<str> {
        origin(&self.files, at)
    }
}

pub(super) fn origin(files: &[RuleFile], at: At) -> Arc<str> {
    match files.get(at.file) {
        // Without its folder, which is no business of clients; rule files lie in one.
        Some(file) => {
            let name = file.path.rsplit('/').next().unwrap_or_default();
            format!("{name}:{}", Place::of(&file.text, at.start).line).into()
        }
        None => "".into(),
    }
}

/// Collects complaints about a set of files.
pub(super) struct Complaints<'a> {
    files: &'a [RuleFile],
    items: Vec<Diagnostic>,
}

impl<'a> Complaints<'a> {
    pub fn new(files: &'a [RuleFile]) -> Self {
        Self { files, items: Vec::new() }
    }

    pub fn add(&mut self, at: At, message: impl Into<String>) {
        self.push(at, message.into(), None);
    }

    pub fn add_with_help(&mut self, at: At, message: impl Into<String>, help: impl Into<String>) {
        self.push(at, message.into(), Some(help.into()));
    }

    /// With a suggestion when there is one.
    pub fn add_with_suggestion(&mut self, at: At, message: impl Into<String>, suggestion: Option<String>) {
        self.push(at, message.into(), suggestion);
    }

    pub fn add_whole(&mut self, file: Arc<str>, message: impl Into<String>, help: impl Into<String>) {
        self.items.push(Diagnostic::new(file, None, message).with_help(help));
    }

    pub fn origin(&self, at: At) -> Arc<str> {
        origin(self.files, at)
    }

    fn push(&mut self, at: At, message: String, help: Option<String>) {
        let file = self.files.get(at.file).map_or_else(|| "rules".into(), |file| file.path.clone());
        let item = Diagnostic { file, span: Some(at.start..at.end), message, help };
        if !self.items.contains(&item) {
            self.items.push(item);
        }
    }

    /// Whether nothing was complained about.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The complaints in file order.
    pub fn into_diagnostics(self) -> Diagnostics {
        let sources = self.files.iter().map(|file| (file.path.clone(), file.text.clone())).collect();
        Diagnostics { items: self.items, sources }.sorted()
    }
}

impl Policy {
    /// The first `[[role]]` that matches; none means that the connection is refused.
    pub fn role_for(&self, who: &LoginIdentity, catalog: &CatalogSnapshot) -> Option<RoleId> {
        let position = self.roles.iter().position(|role| role.matching.accepts(who, catalog))?;
        u16::try_from(position).ok().map(RoleId)
    }
}

impl RoleMatch {
    fn accepts(&self, who: &LoginIdentity, catalog: &CatalogSnapshot) -> bool {
        let Self { user, member_of, database, application_name } = self;
        let any = |allowed: &Option<Vec<String>>, actual: &String| {
            allowed.as_ref().is_none_or(|allowed| allowed.contains(actual))
        };
        let is_member = member_of.as_ref().is_none_or(|groups| {
            catalog.role(&who.user).is_some_and(|role| role.member_of.iter().any(|group| groups.contains(group)))
        });
        any(user, &who.user)
            && any(database, &who.database)
            && any(application_name, &who.application_name)
            && is_member
    }
}
