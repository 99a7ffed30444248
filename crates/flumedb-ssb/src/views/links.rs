//! What messages say of others: who follows and blocks whom, threads, mentions, votes, descriptions; as links.

use flumedb::{
    codec::{Document, Field},
    views::{Link, Links, links::Stance},
};

use crate::Message;

/// Raised when other links are made of the same messages.
const VERSION: u32 = 1;

/// What messages link to.
///
/// | rel | source | dest | from |
/// | --- | --- | --- | --- |
/// | `follow` `block` `unfollow` | author | whom | a `contact`: `block` if it blocks or flags, else `follow` if `following` is true |
/// | `vote` | author | what | a `vote`, with its `value` |
/// | `about` | author | what | an `about` |
/// | `mention` | author | what | each of `mentions` |
/// | `root` `branch` `fork` | message | message | a reply, in any type of message |
///
/// Each has the fields `key` and `author` of the message, its `type`, and `ts`, when its author says it was written. Links are
/// also kept by `rel` and `ts`. What follows whom is a graph: `reader.graph().distances_from(me, 3, views::stance)`.
///
/// ```
/// use flumedb::{Flume, codec::JsonDocs};
/// use flumedb_ssb::views;
/// let db = Flume::memory(JsonDocs)?;
/// let links = db.view("links", views::links()).blocking()?;
/// let contact = r#"{"type":"contact","contact":"@b.ed25519","following":true}"#;
/// db.append(&format!(r#"{{"key":"%1.sha256","value":{{"author":"@a.ed25519","content":{contact}}}}}"#)).blocking()?;
///
/// let reader = links.read().blocking()?;
/// assert_eq!(reader.to("@b.ed25519").rel("follow").into_iter().count(), 1);
/// let far = reader.graph().distances_from("@a.ed25519", 3, views::stance)?;
/// assert_eq!((far[1].node.as_str(), far[1].hops), ("@b.ed25519", 1));
/// # Ok::<(), flumedb::Error>(())
/// ```
pub fn links<T: Document + Send + Sync + 'static>() -> Links<T> {
    Links::new(VERSION, |doc: &T| links_of(doc)).order(["rel", "ts"])
}

/// What the kinds of [`links`] between people mean for how far they are.
pub fn stance(rel: &str) -> Option<Stance> {
    match rel {
        "follow" => Some(Stance::Follow),
        "block" => Some(Stance::Block),
        "unfollow" => Some(Stance::Neither),
        _ => None,
    }
}

fn links_of(doc: &dyn Document) -> Vec<Link> {
    let message = Message::new(doc);
    let (Some(author), Some(key)) = (message.author(), message.key()) else { return Vec::new() };
    let mut links = Vec::new();
    let at =
        |path: &[&'static str]| -> Vec<&'static str> { ["value", "content"].iter().chain(path).copied().collect() };
    let text = |path: &[&'static str]| doc.text(&at(path)).filter(|text| !text.is_empty());
    let of_author = |rel: &str, dest: &str| Link::new(&*author, rel, dest);
    let of_message = |rel: &str, dest: &str| Link::new(&*key, rel, dest);
    for name in ["root", "fork"] {
        links.extend(text(&[name]).map(|dest| of_message(name, &dest)));
    }
    links.extend(text(&["branch"]).map(|dest| of_message("branch", &dest)));
    doc.items(&at(&["branch"]), &mut |item| links.extend(item.text(&[]).map(|dest| of_message("branch", &dest))));
    doc.items(&at(&["mentions"]), &mut |item| {
        let dest = item.text(&["link"]).or_else(|| item.text(&[]));
        links.extend(dest.map(|dest| of_author("mention", &dest)));
    });
    let kind = message.kind();
    match kind.as_deref() {
        Some("contact") => {
            let truthy = |name| doc.field(&at(&[name])).is_some_and(|field| is_truthy(&field));
            let rel = if truthy("blocking") || truthy("flagged") {
                "block"
            } else if doc.boolean(&at(&["following"])) == Some(true) {
                "follow"
            } else {
                "unfollow"
            };
            links.extend(text(&["contact"]).map(|dest| of_author(rel, &dest)));
        }
        Some("vote") => links.extend(text(&["vote", "link"]).map(|dest| {
            let link = of_author("vote", &dest);
            match doc.to_value(&at(&["vote", "value"])) {
                Some(value) => link.with("value", value),
                None => link,
            }
        })),
        Some("about") => links.extend(text(&["about"]).map(|dest| of_author("about", &dest))),
        _ => {}
    }
    let finish = |mut link: Link| {
        link = link.with("key", &*key).with("author", &*author);
        if let Some(kind) = &kind {
            link = link.with("type", &**kind);
        }
        match doc.to_value(&["value", "timestamp"]) {
            Some(ts) => link.with("ts", ts),
            None => link,
        }
    };
    links.into_iter().map(finish).collect()
}

/// Whether it counts as true where these messages come from.
fn is_truthy(field: &Field<'_>) -> bool {
    match field {
        Field::Null | Field::Bool(false) | Field::Integer(0) => false,
        Field::Float(number) => *number != 0.0 && !number.is_nan(),
        Field::Text(text) => !text.is_empty(),
        _ => true,
    }
}
