//! Stage `engine`: the plan cache. In: a text and its context. Out: the answer of [`super::plan`], kept for the next
//! time. Invariants: a kept answer is given only for the same text, or for one of the same shape that differs in literals
//! which no stage looked into ([`super::template`]); and for the same protocol, search path, policy role and [`Inputs`];
//! memory is bounded in bytes; one role's flood cannot evict the plans of another.
//!
//! Each role has a share of the budget, and each share two halves. New plans go into the young half; when that is full
//! the old one is dropped and the young one becomes old. A plan that is used again moves back to the young half. A text
//! that a template serves is kept itself when it comes twice in a row of few.

use std::{
    hash::{BuildHasher, Hash, Hasher},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;
use parking_lot::{Mutex, RwLock};

use super::{
    pipeline::Judged,
    plan::{Access, Inputs, Places, Plan, PlannedStatement, Protocol, QueryContext, Refused},
    template::Template,
};
use crate::{bind::Parameters, names::Oid, sql::shape::Shape};

/// Longer texts are not kept: they seldom come twice. Nor should they be judged where others wait: they take long.
pub const LONGEST_KEPT: usize = 8 * 1024;
/// What a slot costs beside its texts.
const SLOT_BYTES: usize = 400;
/// The most templates of one shape: literals that decide something may take many values.
const MOST_TEMPLATES: usize = 16;
/// How many texts that a template served are remembered, per role.
const REMEMBERED: usize = 256;

/// A kept answer.
pub type Answer = Result<Arc<Plan>, Box<Refused>>;

/// Whether an answer was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The same text was planned before.
    Hit,
    /// A text of the same shape was planned before.
    Template,
    /// The pipeline had to run.
    Miss,
    /// The text is not kept.
    Bypass,
}

/// Plans of all roles; shared by all sessions.
pub struct PlanCache {
    generation: ArcSwap<Generation>,
    bytes: usize,
    hasher: RandomState,
}

/// The plans for one set of inputs.
struct Generation {
    /// None before the first plan.
    inputs: Option<Arc<Inputs>>,
    shares: Vec<Share>,
}

/// The plans of one role.
struct Share {
    young: ArcSwap<Half>,
    old: ArcSwap<Half>,
    /// Held while the halves change places.
    turn: Mutex<()>,
    /// Bytes that a half may hold.
    limit: usize,
    /// Hashes of texts that a template served lately.
    served: Box<[AtomicU64]>,
}

#[derive(Default)]
struct Half {
    slots: DashMap<u64, Arc<Slot>, RandomState>,
    bytes: AtomicUsize,
}

struct Slot {
    /// A text, or a shape.
    key: Box<[u8]>,
    protocol: Protocol,
    path: Arc<[String]>,
    kept: Kept,
}

enum Kept {
    /// For one text. Set once: sessions that ask for the same text at the same time wait for one judgement.
    Answer(OnceLock<Answer>),
    /// For a shape.
    Shape {
        /// Set once, as above; none when there is no template for that text.
        first: OnceLock<Option<Arc<Template>>>,
        more: RwLock<Vec<Arc<Template>>>,
    },
}

/// What a slot is looked for by.
struct Key<'a> {
    hash: u64,
    bytes: &'a [u8],
    is_shape: bool,
    context: &'a QueryContext,
}

impl std::fmt::Debug for PlanCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Texts hold literals.
        f.debug_struct("PlanCache").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl PlanCache {
    /// A cache that holds about `bytes` at most.
    pub fn new(bytes: usize) -> Self {
        let generation = Generation { inputs: None, shares: Vec::new() };
        Self { generation: ArcSwap::from_pointee(generation), bytes, hasher: RandomState::default() }
    }

    /// What [`Self::plan`] answers, if the text need not be judged for it.
    pub fn look_up(&self, text: &str, context: &QueryContext, inputs: &Arc<Inputs>) -> Option<(Answer, Found)> {
        if text.len() > LONGEST_KEPT {
            return None;
        }
        let generation = self.generation(inputs);
        let plans = generation.shares.get(usize::from(context.role.0))?;
        let own = self.key(text.as_bytes(), false, context);
        if let Some(answer) = plans.seen(&own) {
            return Some((answer, Found::Hit));
        }
        let shape = Shape::of(text)?;
        let slot = plans.find(&self.key(&shape.key, true, context))?;
        Some((plans.filled(text, &own, &shape, &slot)?, Found::Template))
    }

    /// As [`super::plan`], from the cache when it holds the answer.
    ///
    /// # Errors
    /// As [`super::plan`].
    pub fn plan(&self, text: &str, context: &QueryContext, inputs: &Arc<Inputs>) -> (Answer, Found) {
        let fresh = || super::plan(text, context, inputs).map(Arc::new);
        if text.len() > LONGEST_KEPT {
            return (fresh(), Found::Bypass);
        }
        let generation = self.generation(inputs);
        let Some(plans) = generation.shares.get(usize::from(context.role.0)) else {
            return (fresh(), Found::Bypass);
        };
        let own = self.key(text.as_bytes(), false, context);
        if let Some(answer) = plans.seen(&own) {
            return (answer, Found::Hit);
        }
        let shape = Shape::of(text);
        let shaped = shape.as_ref().and_then(|shape| {
            let slot = plans.slot(&self.key(&shape.key, true, context))?;
            Some((shape, slot))
        });
        if let Some((shape, slot)) = &shaped
            && let Some(answer) = plans.filled(text, &own, shape, slot)
        {
            return (answer, Found::Template);
        }
        let Some(slot) = plans.slot(&own) else { return (fresh(), Found::Bypass) };
        let Kept::Answer(kept) = &slot.kept else { return (fresh(), Found::Bypass) };
        let mut found = Found::Hit;
        let answer = kept.get_or_init(|| {
            found = Found::Miss;
            let judge = || super::judge(text, context, inputs);
            let Some((shape, slot)) = &shaped else { return judge().map(|judged| Arc::new(judged.plan)) };
            let (answer, served) = slot.judge(text, shape, judge, |weight| plans.grew(weight));
            if served {
                found = Found::Template;
            }
            answer
        });
        if found != Found::Hit {
            plans.grew(slot.weight());
        }
        (answer.clone(), found)
    }

    fn key<'a>(&self, bytes: &'a [u8], is_shape: bool, context: &'a QueryContext) -> Key<'a> {
        let mut hasher = self.hasher.build_hasher();
        bytes.hash(&mut hasher);
        // All but the types in one byte: this is most of what is done for a text that was judged before.
        let (kind, types): (u8, &[Oid]) = match &context.protocol {
            Protocol::Simple => (0, &[]),
            Protocol::Extended(Parameters::Any) => (2, &[]),
            Protocol::Extended(Parameters::Inferred) => (4, &[]),
            Protocol::Extended(Parameters::Declared(types)) => (6, types),
        };
        (kind | u8::from(is_shape)).hash(&mut hasher);
        for oid in types {
            oid.hash(&mut hasher);
        }
        context.search_path.hash(&mut hasher);
        Key { hash: hasher.finish(), bytes, is_shape, context }
    }

    /// The plans for these inputs. Other inputs make all plans worthless.
    fn generation(&self, inputs: &Arc<Inputs>) -> Arc<Generation> {
        let current = self.generation.load();
        if current.inputs.as_ref().is_some_and(|known| Arc::ptr_eq(known, inputs)) {
            return Arc::clone(&current);
        }
        let roles = inputs.policy.roles.len();
        let limit = self.bytes / roles.max(1) / 2;
        let shares = (0..roles).map(|_| Share::new(limit)).collect();
        let next = Arc::new(Generation { inputs: Some(Arc::clone(inputs)), shares });
        // A session that still holds older inputs must not drop the plans for newer ones.
        let newer = current.inputs.as_ref().is_none_or(|known| known.catalog.version() <= inputs.catalog.version());
        if newer {
            self.generation.store(Arc::clone(&next));
        }
        next
    }
}

impl Share {
    fn new(limit: usize) -> Self {
        let served = (0..REMEMBERED).map(|_| AtomicU64::new(0)).collect();
        Self { young: ArcSwap::default(), old: ArcSwap::default(), turn: Mutex::new(()), limit, served }
    }

    /// Whether a text with this hash was served lately; it is from now on.
    fn comes_again(&self, hash: u64) -> bool {
        let place = usize::try_from(hash >> 32).unwrap_or(0) % REMEMBERED;
        self.served.get(place).is_some_and(|served| served.swap(hash, Ordering::Relaxed) == hash)
    }

    /// The answer for this very text, when it was judged.
    fn seen(&self, own: &Key<'_>) -> Option<Answer> {
        match &self.find(own)?.kept {
            Kept::Answer(answer) => answer.get().cloned(),
            Kept::Shape { first: _, more: _ } => None,
        }
    }

    /// The answer for a text by the plan of its shape, when there is one. Kept for the text if it comes again.
    fn filled(&self, text: &str, own: &Key<'_>, shape: &Shape, slot: &Slot) -> Option<Answer> {
        let answer = Ok(Arc::new(slot.fill(text, shape)?));
        if self.comes_again(own.hash)
            && let Some(slot) = self.slot(own)
            && let Kept::Answer(kept) = &slot.kept
            && kept.set(answer.clone()).is_ok()
        {
            self.grew(slot.weight());
        }
        Some(answer)
    }

    /// The slot of a text or shape when there is one.
    fn find(&self, key: &Key<'_>) -> Option<Arc<Slot>> {
        if let Some(slot) = self.young.load().slots.get(&key.hash) {
            return slot.is(key).then(|| Arc::clone(&slot));
        }
        // What is used again moves to the young half.
        self.old.load().slots.contains_key(&key.hash).then(|| self.slot(key)).flatten()
    }

    /// The slot of a text or shape, made when there is none; none when another has its place.
    fn slot(&self, key: &Key<'_>) -> Option<Arc<Slot>> {
        let young = self.young.load();
        if let Some(slot) = young.slots.get(&key.hash) {
            return slot.is(key).then(|| Arc::clone(&slot));
        }
        let kept = self.old.load().slots.get(&key.hash).map(|slot| Arc::clone(&slot)).filter(|slot| slot.is(key));
        match young.slots.entry(key.hash) {
            Entry::Occupied(entry) => entry.get().is(key).then(|| Arc::clone(entry.get())),
            Entry::Vacant(entry) => {
                let again = kept.is_some();
                let slot = kept.unwrap_or_else(|| Arc::new(Slot::new(key)));
                drop(entry.insert(Arc::clone(&slot)));
                if again {
                    self.grew(slot.weight());
                }
                Some(slot)
            }
        }
    }

    /// Counts a plan, and lets the halves change places when the young one is full.
    fn grew(&self, bytes: usize) {
        let young = self.young.load_full();
        if young.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes < self.limit {
            return;
        }
        let _turn = self.turn.lock();
        if Arc::ptr_eq(&young, &self.young.load()) {
            self.old.store(young);
            self.young.store(Arc::default());
        }
    }
}

impl Slot {
    fn new(key: &Key<'_>) -> Self {
        let kept = if key.is_shape {
            Kept::Shape { first: OnceLock::new(), more: RwLock::default() }
        } else {
            Kept::Answer(OnceLock::new())
        };
        let (protocol, path) = (key.context.protocol.clone(), Arc::clone(&key.context.search_path));
        Self { key: key.bytes.into(), protocol, path, kept }
    }

    fn is(&self, key: &Key<'_>) -> bool {
        let same_kind = match &self.kept {
            Kept::Answer(_) => !key.is_shape,
            Kept::Shape { first: _, more: _ } => key.is_shape,
        };
        let path = &key.context.search_path;
        same_kind
            && *self.key == *key.bytes
            && self.protocol == key.context.protocol
            && (Arc::ptr_eq(&self.path, path) || self.path == *path)
    }

    /// The plan of a text of this shape, when a template serves it.
    fn fill(&self, text: &str, shape: &Shape<'_>) -> Option<Plan> {
        let Kept::Shape { first, more } = &self.kept else { return None };
        let first = first.get()?.as_ref();
        first
            .and_then(|template| template.fill(text, shape))
            .or_else(|| more.read().iter().find_map(|template| template.fill(text, shape)))
    }

    /// Judges a text of this shape, and keeps the template for others. Who comes while another text of the shape is judged
    /// waits, and may be served by its template; says whether it was.
    fn judge(
        &self,
        text: &str,
        shape: &Shape<'_>,
        judge: impl Fn() -> Result<Judged, Box<Refused>>,
        grew: impl Fn(usize),
    ) -> (Answer, bool) {
        let whole = |judged: Judged| Arc::new(judged.plan);
        let Kept::Shape { first, more } = &self.kept else { return (judge().map(whole), false) };
        let mut own = None;
        first.get_or_init(|| {
            let (answer, template) = apart(judge());
            own = Some(answer);
            grew(self.weight() + template.as_ref().map_or(0, |template| template_weight(template)));
            template
        });
        if let Some(answer) = own {
            return (answer, false);
        }
        if let Some(plan) = self.fill(text, shape) {
            return (Ok(Arc::new(plan)), true);
        }
        let (answer, template) = apart(judge());
        if let Some(template) = template {
            let mut more = more.write();
            if more.len() < MOST_TEMPLATES {
                grew(template_weight(&template));
                more.push(template);
            }
        }
        (answer, false)
    }

    /// About how many bytes it takes.
    fn weight(&self) -> usize {
        let kept = match &self.kept {
            Kept::Answer(answer) => match answer.get() {
                Some(Ok(plan)) => {
                    let places = match &plan.places {
                        Places::Listed(places) => std::mem::size_of_val(&**places),
                        Places::Filled(template) => template.weight(),
                    };
                    plan.permit.text().len() + places + statements_weight(&plan.statements)
                }
                Some(Err(refused)) => access_weight(&refused.access) + 200,
                None => 0,
            },
            Kept::Shape { first, more } => {
                let first = first.get().and_then(Option::as_ref);
                first.into_iter().chain(more.read().iter()).map(|template| template_weight(template)).sum()
            }
        };
        SLOT_BYTES + self.key.len() + kept
    }
}

/// An answer, and the template made with it.
fn apart(judged: Result<Judged, Box<Refused>>) -> (Answer, Option<Arc<Template>>) {
    match judged {
        Ok(Judged { plan, template }) => (Ok(Arc::new(plan)), template.map(Arc::new)),
        Err(refused) => (Err(refused), None),
    }
}

fn template_weight(template: &Template) -> usize {
    template.weight() + statements_weight(template.statements())
}

fn statements_weight(statements: &[Arc<PlannedStatement>]) -> usize {
    statements.iter().map(|statement| statement_weight(statement)).sum()
}

fn statement_weight(statement: &PlannedStatement) -> usize {
    let outputs = statement.outputs.as_ref().map_or(0, |outputs| {
        outputs
            .iter()
            .map(|output| 48 + output.name.as_ref().map_or(0, |name| name.len()) + output.sources.len() * 8)
            .sum()
    });
    200 + access_weight(&statement.access) + outputs
}

fn access_weight(access: &Access) -> usize {
    let names = |list: &[Arc<str>]| list.iter().map(|name| 32 + name.len()).sum::<usize>();
    access.text.len()
        + access.typed_by.len()
        + names(&access.relations)
        + names(&access.rules)
        + access.columns.len() * 160
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

    use super::*;
    use crate::{
        catalog::{CatalogSnapshot, testing},
        policy::{
            LoginIdentity,
            rules::{RuleFile, RuleSet},
        },
    };

    const RULES: &str = r#"
policy = "test"
[category.phone]
columns = ["public.customers.phone"]
[category.none]
columns = ["public.customers.id"]
[[role]]
name = "support"
match = { user = ["support"] }
see = { phone = "withhold" }
[[role]]
name = "owner"
match = { user = ["owner"] }
exempt = true
"#;

    fn inputs() -> Inputs {
        let mut data = testing::database();
        testing::table(&mut data, "customers", "id bigint, phone varchar(20)");
        let catalog = CatalogSnapshot::new(data, 1);
        let rules = RuleSet::parse(&[RuleFile { path: "rules.toml".into(), text: RULES.into() }]).unwrap();
        let policy = rules.compile(&catalog).unwrap().into();
        Inputs { catalog, policy }
    }

    fn context(inputs: &Inputs) -> QueryContext {
        let who =
            LoginIdentity { user: "support".to_owned(), database: "shop".to_owned(), application_name: String::new() };
        let role = inputs.policy.role_for(&who, &inputs.catalog).unwrap();
        let search_path = Arc::from(["pg_catalog".to_owned(), "public".to_owned()]);
        QueryContext { role, search_path, protocol: Protocol::Simple }
    }

    fn found(cache: &PlanCache, text: &str, context: &QueryContext, inputs: &Arc<Inputs>) -> Found {
        let (answer, found) = cache.plan(text, context, inputs);
        let fresh = crate::engine::plan(text, context, inputs);
        match (answer, fresh) {
            (Ok(kept), Ok(fresh)) => assert_eq!(kept.permit.text(), fresh.permit.text()),
            (Err(kept), Err(fresh)) => assert_eq!(kept.refusal, fresh.refusal),
            (kept, fresh) => unreachable!("{kept:?} but {fresh:?}"),
        }
        found
    }

    #[test]
    fn the_same_text_is_planned_once() {
        let (cache, inputs) = (PlanCache::new(1 << 20), Arc::new(inputs()));
        let context = context(&inputs);
        let text = "SELECT phone FROM customers";
        assert_eq!(found(&cache, text, &context, &inputs), Found::Miss);
        assert_eq!(found(&cache, text, &context, &inputs), Found::Hit);
        assert_eq!(found(&cache, "SELECT nothing FROM customers", &context, &inputs), Found::Miss);
        assert_eq!(found(&cache, "SELECT nothing FROM customers", &context, &inputs), Found::Hit, "refusals too");
        assert_eq!(found(&cache, &"SELECT 1 ".repeat(3000), &context, &inputs), Found::Bypass);
    }

    #[test]
    fn everything_that_a_decision_depends_on_tells_plans_apart() {
        let (cache, inputs) = (PlanCache::new(1 << 20), Arc::new(inputs()));
        let first = context(&inputs);
        let text = "SELECT phone FROM customers";
        assert_eq!(found(&cache, text, &first, &inputs), Found::Miss);
        let other_protocol = QueryContext { protocol: Protocol::EXTENDED, ..first.clone() };
        assert_eq!(found(&cache, text, &other_protocol, &inputs), Found::Miss);
        let other_path = QueryContext { search_path: Arc::from(["pg_catalog".to_owned()]), ..first.clone() };
        assert_eq!(found(&cache, text, &other_path, &inputs), Found::Miss);
        let roles = (0..inputs.policy.roles.len()).map(|role| crate::policy::RoleId(u16::try_from(role).unwrap()));
        for role in roles.filter(|role| *role != first.role) {
            let other_role = QueryContext { role, ..first.clone() };
            assert_eq!(found(&cache, text, &other_role, &inputs), Found::Miss);
        }
        assert_eq!(found(&cache, text, &first, &inputs), Found::Hit);
        let others = Arc::new(Inputs::clone(&inputs));
        assert_eq!(found(&cache, text, &first, &others), Found::Miss);
        assert_eq!(found(&cache, text, &first, &others), Found::Hit);
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let (cache, inputs) = (PlanCache::new(1 << 20), Arc::new(inputs()));
        let context = context(&inputs);
        let often = "SELECT phone FROM customers";
        found(&cache, often, &context, &inputs);
        for number in 0..3000 {
            let _ = cache.plan(&format!("SELECT id FROM customers WHERE id = {number}"), &context, &inputs);
            if number % 50 == 0 {
                assert_eq!(found(&cache, often, &context, &inputs), Found::Hit, "{number}");
            }
        }
        let generation = cache.generation.load();
        let share = &generation.shares[usize::from(context.role.0)];
        let held: usize = [&share.young, &share.old]
            .iter()
            .flat_map(|half| half.load().slots.iter().map(|slot| slot.weight()).collect::<Vec<_>>())
            .sum();
        assert!(held < (1 << 20) / generation.shares.len() + 10_000, "{held}");
    }
}
