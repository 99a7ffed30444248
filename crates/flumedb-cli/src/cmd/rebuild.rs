//! `flume rebuild`: the views that this program knows are built anew; the stores of others are removed, and whoever asks for them
//! next builds them.

use flumedb::{Env, view::StoredView};

use crate::{
    args::Rebuild,
    exit::{Outcome, Verdict},
    output,
    views::{self, NAMES, SQL},
};

pub(crate) fn rebuild(args: &Rebuild) -> Outcome {
    views::is_database(&args.path)?;
    let (env, dir) = (Env::os(), views::dir(&args.path));
    let mut stored: Vec<String> = StoredView::list(&env, &dir)?.into_iter().map(|view| view.name).collect();
    stored.dedup();
    let mut names: Vec<&str> = args.views.iter().map(String::as_str).collect();
    if names.is_empty() {
        names = NAMES.to_vec();
        names.extend(stored.iter().map(String::as_str).filter(|name| !NAMES.contains(name)));
    }
    let known = |name: &&str| NAMES.contains(name) || *name == SQL;
    let (others, own): (Vec<&str>, Vec<&str>) =
        names.into_iter().partition(|name| !known(name) && stored.iter().any(|stored| stored == name));
    let db = views::database(&args.path)?;
    let open = own.iter().map(|name| views::open(&db, name, true)).collect::<Result<Vec<_>, _>>()?;
    open.iter().try_for_each(|view| view.rebuild())?;
    for view in &open {
        view.build()?;
        output::line(format_args!("rebuilt {}: {} keys", view.name(), view.keys()?))?;
    }
    drop(open);
    db.close().blocking()?;
    for name in others {
        StoredView::discard(&env, &dir, name)?;
        output::line(format_args!("removed {name}: it is built anew when it is next asked"))?;
    }
    Ok(Verdict::Fine)
}
