//! The commands, one file each.

mod append;
mod bipf;
mod cat;
mod check;
mod compact;
mod convert;
mod delete;
mod get;
mod import;
mod keygen;
mod query;
mod rebuild;
mod repair;
mod since;
mod sql;
mod stat;
mod tail;
mod views;

pub(crate) use append::append;
pub(crate) use bipf::bipf;
pub(crate) use cat::cat;
pub(crate) use check::check;
pub(crate) use compact::compact;
pub(crate) use convert::convert;
pub(crate) use delete::delete;
pub(crate) use get::get;
pub(crate) use import::import;
pub(crate) use keygen::keygen;
pub(crate) use query::query;
pub(crate) use rebuild::rebuild;
pub(crate) use repair::repair;
pub(crate) use since::since;
pub(crate) use sql::sql;
pub(crate) use stat::stat;
pub(crate) use tail::tail;
pub(crate) use views::views;
