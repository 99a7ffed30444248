//! What may stand in the declaration of a view's tables.

use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{
    Connection,
    hooks::{AuthAction, AuthContext, Authorization},
};

/// No authorizer.
pub(super) const NOBODY: Option<fn(AuthContext<'_>) -> Authorization> = None;

/// What was refused.
#[derive(Clone, Default)]
pub(super) struct Refused(Arc<Mutex<Option<String>>>);

impl Refused {
    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().take()
    }
}

/// From now on statements of `scratch` may create tables, indexes and views, and nothing else.
pub(super) fn watch(scratch: &mut Connection) -> rusqlite::Result<Refused> {
    let refused = Refused::default();
    let told = refused.clone();
    scratch.authorizer(Some(move |context: AuthContext<'_>| match refusal(context.action) {
        None => Authorization::Allow,
        Some(what) => {
            told.0.lock().get_or_insert(what);
            Authorization::Deny
        }
    }))?;
    Ok(refused)
}

fn refusal(action: AuthAction<'_>) -> Option<String> {
    use AuthAction as A;
    Some(match action {
        A::CreateTempIndex { .. } | A::CreateTempTable { .. } | A::CreateTempTrigger { .. } => {
            "what is temporary".into()
        }
        A::CreateTempView { .. } => "what is temporary".into(),
        A::CreateTrigger { trigger_name, .. } => format!("the trigger {trigger_name}"),
        A::CreateVtable { module_name, .. } if !module_name.eq_ignore_ascii_case("fts5") => {
            format!("a virtual table of {module_name} (fts5 is)")
        }
        A::Attach { .. } | A::Detach { .. } => "another database".into(),
        A::Pragma { pragma_name, .. } if !pragma_name.eq_ignore_ascii_case("data_version") => {
            format!("PRAGMA {pragma_name}")
        }
        A::Transaction { .. } | A::Savepoint { .. } => "a transaction".into(),
        A::DropIndex { .. } | A::DropTable { .. } | A::DropView { .. } | A::DropVtable { .. } => "DROP".into(),
        A::DropTrigger { .. } | A::AlterTable { .. } => "ALTER TABLE".into(),
        A::Analyze { .. } => "ANALYZE".into(),
        A::Function { function_name } if function_name.eq_ignore_ascii_case("load_extension") => function_name.into(),
        _ => return None,
    })
}
