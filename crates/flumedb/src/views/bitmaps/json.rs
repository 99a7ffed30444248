//! The tree of operators as JSON, as jitdb's operators are written down in its vectors. What is wrong is told with its place.

use std::fmt;

use serde_json::{Map, Value, json};

use super::{
    op::{Comparison, Op, Part},
    path::{Number, Path},
    place::{Place, wrong},
    term::Scalar,
};
use crate::{Error, ErrorKind, Result, Seq};

/// So many operators may stand around another.
const DEPTH: usize = 60;
/// So many operators are in one tree.
const SIZE: usize = 10_000;
/// So many numbers are in the lists of one tree.
const NUMBERS: usize = 1_000_000;
/// The most bytes of each text that an index has.
const PART: u64 = 64;
/// A path has so many bytes and names, and the least is taken of the numbers at so many paths: all of it decides what a view
/// is, and is kept with it.
const PATH_BYTES: usize = 4 << 10;
const PATH_NAMES: usize = 64;
const LEAST: usize = 64;

impl Op {
    /// Reads the tree from JSON: `{"op":"and","args":[…]}`, `{"op":"equal","path":"value.content.type","value":"post"}` and so
    /// on. A path is text with dots or a list of names. `equal` without a value is `absent`. `null` is every entry, and left
    /// out of `args`.
    ///
    /// | `op` | fields |
    /// | --- | --- |
    /// | `and`, `or`, `not` | `args`; one for `not` |
    /// | `equal` | `path`, `value`, `opts`: `prefix` (bits), `prefixOffset` (bytes), `useMap` |
    /// | `includes` | `path`, `value`, `opts`: `pluck` |
    /// | `absent` | `path` |
    /// | `prefix` | `path`, `value` |
    /// | `predicate` | `path`, `fn` |
    /// | `gt`, `gte`, `lt`, `lte` | `value`, and `path` or `index` (a name that was declared) |
    /// | `seqs`, `offsets` | `values` |
    ///
    /// # Errors
    /// `Invalid` if it is no JSON or no such tree, with the place of what is wrong.
    ///
    /// ```
    /// use flumedb::views::bitmaps::Op;
    /// let error = Op::from_json(r#"{"op":"not","args":[{"op":"equals","path":"a","value":1}]}"#).unwrap_err();
    /// assert!(error.to_string().starts_with("at .args[0].op: there is no operator \"equals\""));
    /// ```
    pub fn from_json(text: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| Error::with_source(ErrorKind::Invalid, format!("the query is no JSON: {error}"), error))?;
        Self::from_value(&value)
    }

    /// Reads the tree from JSON that is parsed.
    ///
    /// # Errors
    /// As [`from_json`](Op::from_json).
    pub fn from_value(value: &Value) -> Result<Self> {
        Reader::default().op(value, &Place::Top, 0)
    }

    /// The tree as JSON, in the form that [`from_json`](Op::from_json) reads.
    pub fn to_json(&self) -> Value {
        // Among arguments `null` is left out, so every entry is said in another way there.
        let arg = |op: &Self| if *op == Self::All { Self::And(Vec::new()).to_json() } else { op.to_json() };
        let args = |args: &[Self]| args.iter().map(arg).collect::<Vec<_>>();
        match self {
            Self::All => Value::Null,
            Self::Equal { path, value, part: None } => {
                json!({"op": "equal", "path": path.to_json(), "value": value.to_json()})
            }
            Self::Equal { path, value, part: Some(part) } => {
                let mut opts = Map::from_iter([("prefix".to_owned(), (part.bytes * 8).into())]);
                if part.offset > 0 {
                    opts.insert("prefixOffset".to_owned(), part.offset.into());
                }
                if part.map {
                    opts.insert("useMap".to_owned(), true.into());
                }
                json!({"op": "equal", "path": path.to_json(), "value": value.to_json(), "opts": opts})
            }
            Self::Includes { path, value, pluck: None } => {
                json!({"op": "includes", "path": path.to_json(), "value": value.to_json()})
            }
            Self::Includes { path, value, pluck: Some(pluck) } => {
                let opts = json!({"pluck": pluck.to_json()});
                json!({"op": "includes", "path": path.to_json(), "value": value.to_json(), "opts": opts})
            }
            Self::Predicate { path, name } => json!({"op": "predicate", "path": path.to_json(), "fn": name}),
            Self::Absent { path } => json!({"op": "absent", "path": path.to_json()}),
            Self::Prefix { path, text } => json!({"op": "prefix", "path": path.to_json(), "value": text}),
            Self::Compare { number, comparison, than } => {
                let op = comparison.name();
                match number {
                    Number::Path(path) => json!({"op": op, "path": path.to_json(), "value": than.to_json()}),
                    Number::Named(name) => json!({"op": op, "index": name, "value": than.to_json()}),
                    Number::Least(paths) => {
                        let paths: Vec<Value> = paths.iter().map(Path::to_json).collect();
                        json!({"op": op, "least": paths, "value": than.to_json()})
                    }
                }
            }
            Self::Seqs(numbers) => json!({"op": "seqs", "values": numbers}),
            Self::Offsets(seqs) => json!({"op": "offsets", "values": seqs}),
            Self::And(ops) => json!({"op": "and", "args": args(ops)}),
            Self::Or(ops) => json!({"op": "or", "args": args(ops)}),
            Self::Not(op) => json!({"op": "not", "args": [arg(op)]}),
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_json().fmt(f)
    }
}

impl Comparison {
    const ALL: [(&'static str, Self); 4] =
        [("gt", Self::Greater), ("gte", Self::GreaterOrEqual), ("lt", Self::Less), ("lte", Self::LessOrEqual)];

    fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(_, comparison)| *comparison == self).map_or("gt", |(name, _)| name)
    }
}

/// What has been read so far.
#[derive(Default)]
struct Reader {
    ops: usize,
    numbers: usize,
}

impl Reader {
    fn op(&mut self, value: &Value, place: &Place<'_>, depth: usize) -> Result<Op> {
        self.ops += 1;
        if depth > DEPTH {
            return Err(wrong(place, format_args!("more than {DEPTH} operators around another; flatten the query")));
        }
        if self.ops > SIZE {
            return Err(wrong(place, format_args!("more than {SIZE} operators; ask several queries")));
        }
        let fields = match value {
            Value::Null => return Ok(Op::All),
            Value::Object(fields) => fields,
            other => return Err(wrong(place, format_args!("an operator is an object with \"op\", not {other}"))),
        };
        let fields = Fields { fields, place };
        let op = fields.text("op")?;
        let comparison = Comparison::ALL.into_iter().find(|(name, _)| *name == op);
        Ok(match (op, comparison) {
            (_, Some((_, comparison))) => {
                fields.only(&["op", "path", "index", "least", "value"])?;
                let than = Scalar::from_json(fields.get("value")?);
                if !matches!(than, Scalar::Integer(_) | Scalar::Float(_)) {
                    return Err(wrong(&Place::Member(place, "value"), "a number to compare with is wanted here"));
                }
                Op::Compare { number: fields.number()?, comparison, than }
            }
            ("and", _) => Op::And(self.args(&fields, depth)?),
            ("or", _) => Op::Or(self.args(&fields, depth)?),
            ("not", _) => {
                let mut args = self.args(&fields, depth)?;
                match (args.pop(), args.is_empty()) {
                    (Some(arg), true) => Op::Not(Box::new(arg)),
                    // Not of every entry.
                    (None, _) => Op::Or(Vec::new()),
                    _ => return Err(wrong(&Place::Member(place, "args"), "\"not\" takes one operator")),
                }
            }
            ("equal", _) => {
                fields.only(&["op", "path", "value", "opts"])?;
                let part = fields.part(&Place::Member(place, "opts"))?;
                match fields.fields.get("value") {
                    None => Op::Absent { path: fields.path("path")? },
                    Some(value) => Op::Equal { path: fields.path("path")?, value: Scalar::from_json(value), part },
                }
            }
            ("includes", _) => {
                fields.only(&["op", "path", "value", "opts"])?;
                let opts = Place::Member(place, "opts");
                let pluck = match fields.opts(&opts)? {
                    Some(opts) => {
                        opts.only(&["pluck"])?;
                        opts.fields.get("pluck").map(|_| opts.path("pluck")).transpose()?
                    }
                    None => None,
                };
                let value = Scalar::from_json(fields.get("value")?);
                Op::Includes { path: fields.path("path")?, value, pluck }
            }
            ("predicate", _) => {
                fields.only(&["op", "path", "fn"])?;
                Op::Predicate { path: fields.path("path")?, name: fields.text("fn")?.to_owned() }
            }
            ("absent", _) => {
                fields.only(&["op", "path"])?;
                Op::Absent { path: fields.path("path")? }
            }
            ("prefix", _) => {
                fields.only(&["op", "path", "value"])?;
                Op::Prefix { path: fields.path("path")?, text: fields.text("value")?.to_owned() }
            }
            ("seqs", _) => Op::Seqs(self.numbers(&fields)?),
            ("offsets", _) => Op::Offsets(self.numbers(&fields)?.into_iter().map(Seq::new).collect()),
            (unknown, _) => {
                let known = "and, or, not, equal, includes, absent, prefix, predicate, gt, gte, lt, lte, seqs, offsets";
                let message = format!("there is no operator \"{unknown}\"; there are {known}");
                return Err(wrong(&Place::Member(place, "op"), message));
            }
        })
    }

    fn args(&mut self, fields: &Fields<'_>, depth: usize) -> Result<Vec<Op>> {
        fields.only(&["op", "args"])?;
        let mut ops = Vec::new();
        for (index, arg) in fields.list("args")?.iter().enumerate() {
            match self.op(arg, &Place::Item(fields.place, "args", index), depth + 1)? {
                Op::All => {}
                op => ops.push(op),
            }
        }
        Ok(ops)
    }

    fn numbers(&mut self, fields: &Fields<'_>) -> Result<Vec<u64>> {
        fields.only(&["op", "values"])?;
        let values = fields.list("values")?;
        self.numbers += values.len();
        if self.numbers > NUMBERS {
            let message = format!("more than {NUMBERS} numbers in one query; ask several queries");
            return Err(wrong(&Place::Member(fields.place, "values"), message));
        }
        let number = |(index, value): (usize, &Value)| {
            let place = Place::Item(fields.place, "values", index);
            value.as_u64().ok_or_else(|| wrong(&place, format_args!("a whole number is wanted, not {value}")))
        };
        values.iter().enumerate().map(number).collect()
    }
}

/// The fields of an operator.
struct Fields<'a> {
    fields: &'a Map<String, Value>,
    place: &'a Place<'a>,
}

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Result<&'a Value> {
        self.fields.get(name).ok_or_else(|| wrong(self.place, format_args!("\"{name}\" is missing")))
    }

    fn only(&self, names: &[&str]) -> Result<()> {
        match self.fields.keys().find(|name| !names.contains(&name.as_str())) {
            Some(name) => Err(wrong(
                &Place::Member(self.place, name),
                format_args!("not known here; known are {}", names.join(", ")),
            )),
            None => Ok(()),
        }
    }

    fn text(&self, name: &str) -> Result<&'a str> {
        let value = self.get(name)?;
        let other = || wrong(&Place::Member(self.place, name), format_args!("text is wanted, not {value}"));
        value.as_str().ok_or_else(other)
    }

    fn list(&self, name: &str) -> Result<&'a Vec<Value>> {
        let value = self.get(name)?;
        value.as_array().ok_or_else(|| wrong(&Place::Member(self.place, name), "a list is wanted"))
    }

    fn path(&self, name: &str) -> Result<Path> {
        let value = self.get(name)?;
        path(value, &Place::Member(self.place, name))
    }

    fn number(&self) -> Result<Number> {
        match (self.fields.get("path"), self.fields.get("index"), self.fields.get("least")) {
            (Some(_), None, None) => Ok(Number::Path(self.path("path")?)),
            (None, Some(_), None) => Ok(Number::Named(self.text("index")?.to_owned())),
            (None, None, Some(_)) => {
                let paths = self.list("least")?;
                if paths.len() > LEAST {
                    let message = format!("more than {LEAST} paths; ask for the least of fewer");
                    return Err(wrong(&Place::Member(self.place, "least"), message));
                }
                let paths = paths.iter().enumerate();
                let paths = paths.map(|(index, value)| path(value, &Place::Item(self.place, "least", index)));
                Ok(Number::Least(paths.collect::<Result<_>>()?))
            }
            _ => Err(wrong(self.place, "say which number: one of \"path\", \"index\" and \"least\"")),
        }
    }

    /// The options, which stand at `place`.
    fn opts<'b>(&'b self, place: &'b Place<'b>) -> Result<Option<Fields<'b>>> {
        match self.fields.get("opts") {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(fields)) => Ok(Some(Fields { fields, place })),
            Some(_) => Err(wrong(place, "an object is wanted")),
        }
    }

    fn part(&self, place: &Place<'_>) -> Result<Option<Part>> {
        let Some(opts) = self.opts(place)? else { return Ok(None) };
        opts.only(&["prefix", "prefixOffset", "useMap"])?;
        let number = |name: &str, default: u64, most: u64| match opts.fields.get(name) {
            None => Ok(default),
            Some(value) => value.as_u64().filter(|number| *number <= most).ok_or_else(|| {
                let message = format!("a whole number of at most {most} is wanted, not {value}");
                wrong(&Place::Member(place, name), message)
            }),
        };
        // jitdb has 32 bits of a text, and takes `true` for that.
        let whole = opts.fields.get("prefix") == Some(&Value::Bool(true));
        let bits = if whole { 32 } else { number("prefix", 0, PART * 8)? };
        let offset = number("prefixOffset", 0, 1 << 20)?;
        let map = opts.fields.get("useMap") == Some(&Value::Bool(true));
        let bytes = bits.div_ceil(8) as usize;
        Ok((bytes > 0).then_some(Part { bytes, offset: offset as usize, map }))
    }
}

fn path(value: &Value, place: &Place<'_>) -> Result<Path> {
    let path = match value {
        Value::String(text) => Path::from(text.as_str()),
        Value::Array(names) => {
            let names: Option<Vec<String>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
            names.map(Path::from).ok_or_else(|| wrong(place, "a path is a list of names"))?
        }
        other => return Err(wrong(place, format_args!("a path is text with dots, or a list of names, not {other}"))),
    };
    let (names, bytes) = (path.names().len(), path.to_string().len());
    if names > PATH_NAMES || bytes > PATH_BYTES {
        let has = format_args!("a path of {names} names and {bytes} bytes; it may have {PATH_NAMES} and {PATH_BYTES}");
        return Err(wrong(place, has));
    }
    Ok(path)
}
