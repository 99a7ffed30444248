//! Guards against a view that shows something else than its log says, and nobody can find out.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

use flumedb::{Env, ErrorKind, Flume, Result, codec::Utf8, views::Index};

fn open(env: &Env) -> Result<Flume<Utf8>> {
    Flume::builder(Utf8).env(env.clone()).open("data").blocking()
}

/// An index by the texts, of which one mapping forgets some and invents others, although it says that it is the same.
fn index(right: bool) -> Index<String, String> {
    Index::new(1, move |text: &String| match (right, text.as_str()) {
        (false, "forgotten") => None,
        (false, "other") => Some("invented".to_owned()),
        _ => Some(text.clone()),
    })
}

#[test]
fn a_difference_is_told_and_what_was_built_for_it_is_gone() -> Result<()> {
    let env = Env::memory();
    for (wrong, words) in [("forgotten", "entry 1 is missing"), ("other", "entry 1 is too many"), ("fine", "")] {
        let db = open(&env)?;
        let view = db.view("texts", index(false)).blocking()?;
        db.append_all(["a", wrong, "z"]).blocking()?;
        view.read().blocking()?;
        db.close().blocking()?;

        let db = open(&env)?;
        let view = db.view("texts", index(true)).blocking()?;
        // Something is appended meanwhile, and views go on.
        let seq = db.append("more").blocking()?;
        let difference = db.verify_view(&view, index(true), |kept, fresh| kept.difference(fresh)).blocking()?;
        match words {
            "" => assert_eq!(difference, None),
            words => assert!(difference.as_deref().is_some_and(|told| told.contains(words)), "{difference:?}"),
        }
        assert_eq!(view.read().blocking()?.get("more").seqs().next().unwrap()?, seq);
        let left = env.storage.list("data/views".as_ref()).unwrap();
        assert!(!left.iter().any(|name| name.contains("verify")), "{left:?}");
        assert_eq!(db.progress().len(), 1);

        let other = Index::new(2, |text: &String| Some(text.clone()));
        let refused = db.verify_view(&view, other, |kept, fresh| kept.difference(fresh)).blocking();
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);

        view_is_right_once_it_is_built_anew(&db, &view)?;
        db.close().blocking()?;
        env.storage.remove_dir_all("data".as_ref()).unwrap();
    }
    Ok(())
}

fn view_is_right_once_it_is_built_anew(
    db: &Flume<Utf8>,
    view: &flumedb::view::Live<Index<String, String>>,
) -> Result<()> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(view.rebuild())?;
    view.read().blocking()?;
    let difference = db.verify_view(view, index(true), |kept, fresh| kept.difference(fresh)).blocking()?;
    assert_eq!(difference, None);
    Ok(())
}
