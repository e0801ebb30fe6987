//! What statements that are on their way do to what later ones are judged by: the search path and the purpose. In: each
//! statement in order, before it is sent. Out: whether the next one of the same message can be judged; between two messages of a
//! pipeline the server is asked. Invariant: what only the server knows is doubtful, until it has been asked or a statement sets it anew.
//!
//! This is sound because a statement that fails keeps the rest of its message, or of its pipeline up to Sync, from being
//! run: what runs, runs after all that was foreseen before it.

use super::plan::{Effect, PlannedStatement, is_transaction_control};
use crate::error::{Refusal, RefusalCode};

/// What is known at one point of a message or a pipeline.
#[derive(Clone, Copy, Debug, Default)]
pub struct Foresight {
    path: Setting,
    purpose: Setting,
    tables: Setting,
}

/// One thing that statements change.
#[derive(Clone, Copy, Debug, Default)]
struct Setting {
    /// It was changed in a transaction whose end, or a ROLLBACK TO in it, may change it back.
    touched: bool,
    /// Only the server knows it.
    doubtful: bool,
}

impl Setting {
    fn changes(&mut self, doubtful: bool) {
        *self = Self { touched: true, doubtful };
    }

    fn may_be_undone(&mut self) {
        self.doubtful |= self.touched;
    }
}

impl Foresight {
    /// Whether a statement that comes next may be run. What reads no relation is judged alike whatever the path, and
    /// shows nothing that depends on the purpose.
    ///
    /// # Errors
    /// [`RefusalCode::SettingNotAllowed`].
    pub fn judge(self, planned: &PlannedStatement) -> Result<(), Refusal> {
        let effect =
            matches!(planned.effect, Effect::None | Effect::SearchPath | Effect::Purpose(_) | Effect::PurposeGiven(_));
        self.allows(planned.kind, effect && planned.access.relations.is_empty())
    }

    /// As [`Self::judge`], for a statement of this kind that was refused by what may not hold.
    ///
    /// # Errors
    /// [`RefusalCode::SettingNotAllowed`].
    pub fn judge_refused(self, kind: &str) -> Result<(), Refusal> {
        self.allows(kind, false)
    }

    fn allows(self, kind: &str, reads_nothing: bool) -> Result<(), Refusal> {
        let what = match (self.path.doubtful, self.purpose.doubtful, self.tables.doubtful) {
            (false, false, false) => return Ok(()),
            (true, false, false) => "search_path",
            (false, true, false) => "pgscrim.purpose",
            (false, false, true) => "a temporary table",
            (true, true, _) | (true, _, true) | (_, true, true) => "search_path, pgscrim.purpose or a temporary table",
        };
        let plain = match kind {
            "SET" | "RESET" | "DISCARD" | "DEALLOCATE" | "CLOSE CURSOR" | "LISTEN" | "UNLISTEN" | "NOTIFY" => true,
            // `SHOW pgscrim.purpose` is answered by what the statement was judged for.
            "SHOW" => !self.purpose.doubtful,
            "SELECT" => reads_nothing,
            kind => is_transaction_control(kind),
        };
        if plain {
            return Ok(());
        }
        let message = format!("{what} changes earlier in the same message, and only the server knows to what");
        Err(Refusal::new(RefusalCode::SettingNotAllowed, message).with_hint(
            "Send the statement that changes it, or ends its transaction, on its own, and wait for its answer.",
        ))
    }

    /// The same for a message in which each use of a temporary table is looked at by itself.
    #[must_use]
    pub fn without_tables(self) -> Self {
        Self { tables: Setting::default(), ..self }
    }

    /// Of temporary tables alone.
    #[must_use]
    pub fn of_tables(self) -> Self {
        Self { tables: self.tables, ..Self::default() }
    }

    /// Takes in a statement that is to be run next.
    pub fn see(&mut self, kind: &str, effect: &Effect) {
        match effect {
            Effect::Purpose(named) => self.purpose.changes(named.is_none()),
            Effect::PurposeGiven(_) => self.purpose.changes(true),
            Effect::SearchPath | Effect::DiscardAll => {
                self.path.changes(true);
                self.purpose.changes(true);
            }
            Effect::Temporary(_) => self.tables.changes(true),
            Effect::None
            | Effect::Prepare { .. }
            | Effect::Execute(_)
            | Effect::Deallocate(_)
            | Effect::DeclareCursor { .. }
            | Effect::Fetch(_)
            | Effect::CloseCursor(_)
            | Effect::Catalog => {}
        }
        self.undoes(kind);
    }

    /// Takes in what a statement undoes that is to be run next, whatever else it does.
    pub fn undoes(&mut self, kind: &str) {
        if may_undo(kind) {
            self.path.may_be_undone();
            self.purpose.may_be_undone();
            self.tables.may_be_undone();
        }
    }

    /// Whether the end of the transaction makes anything doubtful.
    pub fn is_touched(self) -> bool {
        self.path.touched || self.purpose.touched || self.tables.touched
    }

    /// All that was sent has been answered, and the server is asked.
    pub fn rest(&mut self, in_transaction: bool) {
        for setting in [&mut self.path, &mut self.purpose, &mut self.tables] {
            *setting = Setting { touched: setting.touched && in_transaction, doubtful: false };
        }
    }
}

/// Statements after which settings and temporary tables may be what they were before.
pub fn may_undo(kind: &str) -> bool {
    is_transaction_control(kind) && !matches!(kind, "BEGIN" | "START TRANSACTION" | "SAVEPOINT" | "RELEASE")
}
