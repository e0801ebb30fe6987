//! One plan for all texts of a shape. In: the plan of one text, where in its output the client's literals stand, and
//! which literals were looked into while planning. Out: the plan of another text of the shape.
//!
//! Why the plan is the same: the parser sees no literal's content ([`crate::sql::parse`]), printing leaves holes for them
//! ([`crate::sql::template`]), and who looks into one leaves a trace ([`crate::sql::Reads`]). A template is used only for
//! texts whose literals are the same wherever there is a trace, so every stage would go the same way again.

use std::sync::Arc;

use super::plan::{Permit, Places, Plan, PlannedStatement};
use crate::{
    rewrite::Place,
    sql::{
        Reads, Token,
        lex::lex,
        shape::{Literal, Shape},
        template::Hole,
    },
};

/// A plan with holes for literals.
pub(super) struct Template {
    /// What is sent, without literals; none when the client's own text is.
    text: Option<Box<str>>,
    /// Where in `text` which of the literals goes, in order.
    holes: Box<[Slot]>,
    /// Where tokens of the client start in `text`.
    places: Box<[Start]>,
    /// Literals that were looked into.
    reads: Box<[(usize, Box<str>)]>,
    statements: Arc<[Arc<PlannedStatement>]>,
}

struct Slot {
    at: usize,
    literal: usize,
}

struct Start {
    at: usize,
    /// How many holes stand before it.
    holes: usize,
    /// The number of the client's token.
    token: usize,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // What was read are literals.
        f.debug_struct("Template").field("holes", &self.holes.len()).finish_non_exhaustive()
    }
}

impl Template {
    /// The template of a plan for `tokens`; none for what it cannot serve. `holes` is none when the client's text is
    /// sent as it is.
    pub fn new(plan: &Plan, tokens: &[Token], holes: Option<&[Hole]>, reads: &Reads) -> Option<Self> {
        let starts: Vec<u32> = tokens.iter().filter(|token| token.is_literal()).map(|token| token.start).collect();
        let literal = |given: u32| starts.binary_search(&given).ok();
        let mut seen = Reads::default();
        let reads = reads.starts().iter().map(|start| {
            let token = tokens.get(tokens.partition_point(|token| token.start < *start))?;
            Some((literal(*start)?, token.literal(&mut seen)?.into()))
        });
        let reads = reads.collect::<Option<Box<[_]>>>()?;
        let statements = Arc::clone(&plan.statements);
        let Some(holes) = holes else {
            return Some(Self { text: None, holes: Box::default(), places: Box::default(), reads, statements });
        };
        let sent = plan.permit.text();
        let (mut text, mut slots) = (String::with_capacity(sent.len()), Vec::with_capacity(holes.len()));
        let mut from = 0;
        for hole in holes {
            text.push_str(sent.get(from..hole.sent.start)?);
            slots.push(Slot { at: text.len(), literal: literal(hole.given)? });
            from = hole.sent.end;
        }
        text.push_str(sent.get(from..)?);
        let Places::Listed(listed) = &plan.places else { return None };
        let mut before = holes.iter().enumerate().peekable();
        let (mut passed, mut filled) = (0, 0);
        let mut places = Vec::with_capacity(listed.len());
        for place in listed {
            let sent = usize::try_from(place.sent).ok()?;
            while let Some((number, hole)) = before.next_if(|(_, hole)| hole.sent.end <= sent) {
                (passed, filled) = (number + 1, filled + hole.sent.len());
            }
            let token = tokens.binary_search_by_key(&place.given, |token| token.start).ok()?;
            places.push(Start { at: sent.checked_sub(filled)?, holes: passed, token });
        }
        Some(Self { text: Some(text.into()), holes: slots.into(), places: places.into(), reads, statements })
    }

    /// The plan of `text`, whose shape is that of this template; none when it differs in a literal that was looked into.
    pub fn fill(self: &Arc<Self>, text: &str, shape: &Shape<'_>) -> Option<Plan> {
        let same = |(literal, content): &(usize, Box<str>)| {
            shape.literals.get(*literal).is_some_and(|literal| literal.is(content))
        };
        if !self.reads.iter().all(same) {
            return None;
        }
        let (sent, places) = match &self.text {
            None => (text.into(), Places::Listed(Box::default())),
            Some(own) => {
                // No more than is needed: small blocks of memory are cheap.
                let literals = self.holes.iter().filter_map(|slot| shape.literals.get(slot.literal));
                let mut out = String::with_capacity(own.len() + literals.map(Literal::about).sum::<usize>());
                let mut from = 0;
                for Slot { at, literal } in &self.holes {
                    out.push_str(own.get(from..*at)?);
                    shape.literals.get(*literal)?.print(&mut out);
                    from = *at;
                }
                out.push_str(own.get(from..)?);
                (out.into(), Places::Filled(Arc::clone(self)))
            }
        };
        let statements = Arc::clone(&self.statements);
        Some(Plan { permit: Permit::new(sent), statements, analysed: true, places })
    }

    /// Where the client wrote in `given` what starts where in the text filled for it.
    pub fn places(&self, given: &str) -> Vec<Place> {
        let (Some(shape), Ok(tokens)) = (Shape::of(given), lex(given)) else { return Vec::new() };
        let mut lengths = vec![0];
        for Slot { at: _, literal } in &self.holes {
            let mut printed = String::new();
            if let Some(literal) = shape.literals.get(*literal) {
                literal.print(&mut printed);
            }
            lengths.push(lengths.last().copied().unwrap_or(0) + printed.len());
        }
        let place = |start: &Start| {
            let sent = start.at + lengths.get(start.holes)?;
            Some(Place { sent: u32::try_from(sent).ok()?, given: tokens.get(start.token)?.start })
        };
        self.places.iter().filter_map(place).collect()
    }

    /// About how many bytes it takes, statements left out.
    pub fn weight(&self) -> usize {
        let reads: usize = self.reads.iter().map(|(_, content)| 32 + content.len()).sum();
        let text = self.text.as_ref().map_or(0, |text| text.len());
        200 + text + std::mem::size_of_val(&*self.holes) + std::mem::size_of_val(&*self.places) + reads
    }

    /// The statements of the plan.
    pub fn statements(&self) -> &[Arc<PlannedStatement>] {
        &self.statements
    }
}
