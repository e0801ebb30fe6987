//! Stage `engine`: the plan cache. In: a text and its context. Out: the answer of [`super::plan`], kept for the next
//! time. Invariants: a kept answer is given only for the same text, protocol, search path, policy role and [`Inputs`];
//! memory is bounded in bytes; one role's flood cannot evict the plans of another.
//!
//! Each role has a share of the budget, and each share two halves. New plans go into the young half; when that is full
//! the old one is dropped and the young one becomes old. A plan that is used again moves back to the young half.

use std::{
    hash::{BuildHasher, Hash, Hasher},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::plan::{Access, Inputs, Plan, PlannedStatement, Protocol, QueryContext, Refused};

/// Longer texts are not kept: they seldom come twice. Nor should they be judged where others wait: they take long.
pub const LONGEST_KEPT: usize = 8 * 1024;
/// What a slot costs beside its texts.
const SLOT_BYTES: usize = 400;

/// A kept answer.
pub type Answer = Result<Arc<Plan>, Box<Refused>>;

/// Whether an answer was kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The same text was planned before.
    Hit,
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
}

#[derive(Default)]
struct Half {
    slots: DashMap<u64, Arc<Slot>, RandomState>,
    bytes: AtomicUsize,
}

struct Slot {
    text: Box<str>,
    protocol: Protocol,
    path: Arc<[String]>,
    /// Set once: sessions that ask for the same text at the same time wait for one judgement.
    answer: OnceLock<Answer>,
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
        let Some(share) = generation.shares.get(usize::from(context.role.0)) else {
            return (fresh(), Found::Bypass);
        };
        let mut hasher = self.hasher.build_hasher();
        text.hash(&mut hasher);
        context.protocol.hash(&mut hasher);
        context.search_path.hash(&mut hasher);
        let Some(slot) = share.slot(hasher.finish(), text, context) else {
            return (fresh(), Found::Bypass);
        };
        if let Some(answer) = slot.answer.get() {
            return (answer.clone(), Found::Hit);
        }
        let mut found = Found::Hit;
        let answer = slot.answer.get_or_init(|| {
            found = Found::Miss;
            fresh()
        });
        if found == Found::Miss {
            share.grew(weight(&slot));
        }
        (answer.clone(), found)
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
        Self { young: ArcSwap::default(), old: ArcSwap::default(), turn: Mutex::new(()), limit }
    }

    /// The slot of a text, made when there is none; none when another text has its place.
    fn slot(&self, key: u64, text: &str, context: &QueryContext) -> Option<Arc<Slot>> {
        let is_it = |slot: &Slot| {
            *slot.text == *text
                && slot.protocol == context.protocol
                && (Arc::ptr_eq(&slot.path, &context.search_path) || slot.path == context.search_path)
        };
        let young = self.young.load();
        if let Some(slot) = young.slots.get(&key) {
            return is_it(&slot).then(|| Arc::clone(&slot));
        }
        let kept = self.old.load().slots.get(&key).map(|slot| Arc::clone(&slot)).filter(|slot| is_it(slot));
        match young.slots.entry(key) {
            Entry::Occupied(entry) => is_it(entry.get()).then(|| Arc::clone(entry.get())),
            Entry::Vacant(entry) => {
                let again = kept.is_some();
                let slot = kept.unwrap_or_else(|| {
                    Arc::new(Slot {
                        text: text.into(),
                        protocol: context.protocol,
                        path: Arc::clone(&context.search_path),
                        answer: OnceLock::new(),
                    })
                });
                drop(entry.insert(Arc::clone(&slot)));
                if again {
                    self.grew(weight(&slot));
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

/// About how many bytes a slot takes.
fn weight(slot: &Slot) -> usize {
    let answer = match slot.answer.get() {
        Some(Ok(plan)) => {
            plan.permit.text().len()
                + std::mem::size_of_val(&*plan.places)
                + plan.statements.iter().map(|statement| statement_weight(statement)).sum::<usize>()
        }
        Some(Err(refused)) => access_weight(&refused.access) + 200,
        None => 0,
    };
    SLOT_BYTES + slot.text.len() + answer
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
    access.text.len() + names(&access.relations) + names(&access.rules) + access.columns.len() * 160
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
        let other_protocol = QueryContext { protocol: Protocol::Extended, ..first.clone() };
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
            .flat_map(|half| half.load().slots.iter().map(|slot| weight(&slot)).collect::<Vec<_>>())
            .sum();
        assert!(held < (1 << 20) / generation.shares.len() + 10_000, "{held}");
    }
}
