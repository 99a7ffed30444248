//! [`Guard`], what keeps a query from doing more than reading, and from going on for ever.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use flumedb::env::{Clock, OsClock};
use parking_lot::Mutex;
use rusqlite::{
    Connection, OpenFlags,
    hooks::{AuthAction, AuthContext, Authorization, TransactionOperation},
    limits::Limit,
};

use crate::store::LONGEST;

/// So many steps of SQLite's machine are taken between two calls of its progress handler. The least loop around a function
/// has four, so that few calls of one are between two looks at the clock.
const STEPS: i32 = 10;
/// So many of those calls, some 10 µs, go by without a look at the clock where no function takes long.
const CALLS: u32 = 100;

/// Bytes of a statement at most. SQLite says of a longer one no more than of any value that is too long.
pub(crate) const SQL_BYTES: i32 = 1 << 20;

/// What a statement may be made of.
const LIMITS: [(Limit, i32); 10] = [
    (Limit::SQLITE_LIMIT_LENGTH, LONGEST),
    (Limit::SQLITE_LIMIT_SQL_LENGTH, SQL_BYTES),
    (Limit::SQLITE_LIMIT_COLUMN, 1000),
    (Limit::SQLITE_LIMIT_EXPR_DEPTH, 200),
    (Limit::SQLITE_LIMIT_COMPOUND_SELECT, 100),
    (Limit::SQLITE_LIMIT_VDBE_OP, 250_000),
    (Limit::SQLITE_LIMIT_FUNCTION_ARG, 127),
    // What a pattern costs is its length times that of the text.
    (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 256),
    (Limit::SQLITE_LIMIT_ATTACHED, 0),
    (Limit::SQLITE_LIMIT_WORKER_THREADS, 0),
];

/// Pragmas that say something and change nothing, whatever they are given.
const SAYING: [&str; 14] = [
    "collation_list",
    "compile_options",
    "data_version",
    "foreign_key_list",
    "freelist_count",
    "function_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "integrity_check",
    "page_count",
    "quick_check",
    "table_info",
    "table_xinfo",
];
/// And those that do so if they are given nothing.
const ASKED: [&str; 6] = ["encoding", "module_list", "page_size", "schema_version", "table_list", "user_version"];

/// Shared by a connection and its hooks.
pub(crate) struct Guard {
    clock: OsClock,
    /// The statement is ours.
    own: AtomicBool,
    /// The clock says so many nanoseconds when the query has had its time.
    deadline: AtomicU64,
    /// The clock is looked at in each of so many calls.
    every: AtomicU32,
    calls: AtomicU32,
    /// Whoever reads is to let go.
    retired: AtomicBool,
    refused: Mutex<Option<String>>,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            clock: OsClock::new(),
            own: AtomicBool::new(false),
            deadline: AtomicU64::new(u64::MAX),
            every: AtomicU32::new(1),
            calls: AtomicU32::new(0),
            retired: AtomicBool::new(false),
            refused: Mutex::default(),
        }
    }
}

/// While it lives the statements are ours.
pub(crate) struct Own<'a>(&'a Guard);

impl Drop for Own<'_> {
    fn drop(&mut self) {
        self.0.own.store(false, Ordering::Relaxed);
    }
}

impl Guard {
    /// Opens the database at `path` to be read only.
    pub(crate) fn connect(self: &Arc<Self>, path: &Path, cache_bytes: usize) -> rusqlite::Result<Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(path, flags)?;
        db.pragma_update(None, "query_only", true)?;
        db.pragma_update(None, "trusted_schema", false)?;
        db.pragma_update(None, "cell_size_check", true)?;
        // What does not fit is sorted and gathered in files.
        db.pragma_update(None, "temp_store", "file")?;
        db.pragma_update(None, "cache_size", -((cache_bytes >> 10) as i64))?;
        for (limit, most) in LIMITS {
            db.set_limit(limit, most)?;
        }
        let guard = self.clone();
        db.progress_handler(STEPS, Some(move || guard.is_over()))?;
        let guard = self.clone();
        db.authorizer(Some(move |context: AuthContext<'_>| guard.judge(context.action)))?;
        Ok(db)
    }

    /// The statements that follow are ours.
    pub(crate) fn own(&self) -> Own<'_> {
        self.deadline.store(u64::MAX, Ordering::Relaxed);
        self.own.store(true, Ordering::Relaxed);
        Own(self)
    }

    /// For whoever reads next.
    pub(crate) fn renew(&self) {
        self.retired.store(false, Ordering::Release);
    }

    /// Whoever reads is to let go.
    pub(crate) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }

    /// What time it is.
    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// What runs next is to end by `deadline`; a step of it may be `slow`.
    pub(crate) fn until(&self, deadline: Duration, slow: bool) {
        self.every.store(if slow { 1 } else { CALLS }, Ordering::Relaxed);
        self.deadline.store(u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What was refused last.
    pub(crate) fn refused(&self) -> Option<String> {
        self.refused.lock().take()
    }

    fn is_over(&self) -> bool {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        call.is_multiple_of(self.every.load(Ordering::Relaxed))
            && !self.own.load(Ordering::Relaxed)
            && (self.is_retired() || self.now().as_nanos() >= u128::from(self.deadline.load(Ordering::Relaxed)))
    }

    fn judge(&self, action: AuthAction<'_>) -> Authorization {
        let refusal = if self.own.load(Ordering::Relaxed) { None } else { refusal(action) };
        match refusal {
            None => Authorization::Allow,
            Some(what) => {
                // The first thing says most: CREATE TABLE also inserts.
                self.refused.lock().get_or_insert(what);
                Authorization::Deny
            }
        }
    }
}

/// Why not.
fn refusal(action: AuthAction<'_>) -> Option<String> {
    use AuthAction as A;
    let is = |name: &str, list: &[&str]| list.iter().any(|listed| listed.eq_ignore_ascii_case(name));
    Some(match action {
        A::Select | A::Read { .. } | A::Recursive => return None,
        A::Function { function_name } if !is(function_name, &["load_extension", "fts3_tokenizer"]) => return None,
        A::Pragma { pragma_name, .. } if is(pragma_name, &SAYING) => return None,
        A::Pragma { pragma_name, pragma_value: None } if is(pragma_name, &ASKED) => return None,
        A::Function { function_name } => format!("the function {function_name}"),
        A::Pragma { pragma_name, .. } => format!("PRAGMA {pragma_name}"),
        A::Attach { .. } => "ATTACH".into(),
        A::Detach { .. } => "DETACH".into(),
        A::Transaction { operation: TransactionOperation::Begin } => "BEGIN".into(),
        A::Transaction { operation: TransactionOperation::Rollback } => "ROLLBACK".into(),
        A::Transaction { .. } => "COMMIT".into(),
        A::Savepoint { .. } => "SAVEPOINT".into(),
        A::Delete { table_name } => format!("DELETE from {table_name}"),
        A::Insert { table_name } if table_name.starts_with("sqlite_") => "CREATE".into(),
        A::Insert { table_name } => format!("INSERT into {table_name}"),
        A::Update { table_name, .. } => format!("UPDATE of {table_name}"),
        A::AlterTable { .. } => "ALTER TABLE".into(),
        A::Reindex { .. } => "REINDEX".into(),
        A::Analyze { .. } => "ANALYZE".into(),
        A::DropIndex { .. } | A::DropTable { .. } | A::DropTrigger { .. } | A::DropView { .. } => "DROP".into(),
        A::DropTempIndex { .. } | A::DropTempTable { .. } | A::DropTempTrigger { .. } => "DROP".into(),
        A::DropTempView { .. } | A::DropVtable { .. } => "DROP".into(),
        _ => "CREATE".into(),
    })
}
