//! `flume stat`: a log and its stored views in numbers, once or again and again.

mod look;
mod watch;

use flumedb::Env;

use self::look::Look;
use crate::{args::Stat, exit::Outcome, open::Opened, output};

pub(crate) fn stat(args: &Stat) -> Outcome {
    let opened = Opened::read(&args.place)?;
    if let Some(period) = args.watch {
        return watch::watch(&opened, args, period);
    }
    let look = Look::at(&Env::os(), &opened, &args.place.path)?;
    if args.json {
        let mut object = look.json();
        object.insert("codec".to_owned(), serde_json::json!(opened.payloads));
        object.insert("evidence".to_owned(), opened.evidence.clone().into());
        output::line(serde_json::Value::Object(object))?;
        return opened.verdict();
    }
    for line in look.lines(Some(&opened.payloads.to_string())) {
        output::line(line)?;
    }
    for reason in &opened.evidence {
        output::line(format_args!("because  {reason}"))?;
    }
    opened.verdict()
}
