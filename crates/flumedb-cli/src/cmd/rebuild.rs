//! `flume rebuild`.

use crate::{
    args::Rebuild,
    exit::{Outcome, Verdict},
    output, views,
};

pub(crate) fn rebuild(args: &Rebuild) -> Outcome {
    let db = views::database(&args.path)?;
    let names: Vec<&str> = match args.views.as_slice() {
        [] => views::NAMES.to_vec(),
        named => named.iter().map(String::as_str).collect(),
    };
    let open = names.iter().map(|name| views::open(&db, name, true)).collect::<Result<Vec<_>, _>>()?;
    open.iter().try_for_each(|view| view.rebuild())?;
    for view in &open {
        view.build()?;
        output::line(format_args!("rebuilt {}: {} keys", view.name(), view.keys()?))?;
    }
    db.close().blocking()?;
    Ok(Verdict::Fine)
}
