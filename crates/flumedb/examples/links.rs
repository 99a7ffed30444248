//! Who points to whom: links that entries say, found from either end, and the graph that they make.

use flumedb::{
    Flume, Result,
    codec::{Document, JsonDoc, JsonDocs},
    views::{
        Link, Links,
        links::{Stance, Way},
    },
};

/// `{"who":"ann","does":"follow","whom":"bob","at":3}`
fn link(doc: &JsonDoc) -> Option<Link> {
    let text = |name| doc.text(&[name]);
    Some(Link::new(text("who")?, text("does")?, text("whom")?).with("at", doc.integer(&["at"])?))
}

#[tokio::main]
async fn main() -> Result<()> {
    let db = Flume::open("people", JsonDocs).await?;
    let links = db.view("links", Links::new(1, link).order(["rel", "at"])).await?;
    let said = [("ann", "follow", "bob"), ("bob", "follow", "cleo"), ("ann", "like", "tea"), ("cleo", "like", "tea")];
    let more = [("ann", "block", "mallory"), ("cleo", "follow", "mallory")];
    for ((who, does, whom), at) in said.into_iter().chain(more).zip(1..) {
        db.append(&format!(r#"{{"who":"{who}","does":"{does}","whom":"{whom}","at":{at}}}"#)).await?;
    }

    let reader = links.read().await?;
    for row in reader.to("tea").rel("like") {
        let row = row?;
        println!("{} likes tea, says entry {}", row.link.source, row.seq);
    }
    println!("links since 4: {}", reader.find().rel("like").range("at", 4..).into_iter().count());

    let graph = reader.graph();
    println!("next to cleo: {:?}", graph.neighbours("cleo", Way::Both)?);
    let near = graph.clone().rel("follow").within("ann", 2)?;
    println!("near ann: {:?}", near.iter().map(|reached| (reached.node.as_str(), reached.hops)).collect::<Vec<_>>());
    let path = graph.shortest_path("ann", "mallory")?.unwrap_or_default();
    println!("to mallory: {:?}", path.iter().map(|row| row.link.rel.as_str()).collect::<Vec<_>>());
    let stance = |rel: &str| match rel {
        "follow" => Some(Stance::Follow),
        "block" => Some(Stance::Block),
        _ => None,
    };
    let far = graph.distances_from("ann", 3, stance)?;
    println!("distances: {:?}", far.iter().map(|one| (one.node.as_str(), one.hops)).collect::<Vec<_>>());
    db.close().await
}

// prints:
// ann likes tea, says entry 2
// cleo likes tea, says entry 3
// links since 4: 1
// next to cleo: ["bob", "mallory", "tea"]
// near ann: [("ann", 0), ("bob", 1), ("cleo", 2)]
// to mallory: ["block"]
// distances: [("ann", 0), ("bob", 1), ("mallory", -1), ("cleo", 2)]
