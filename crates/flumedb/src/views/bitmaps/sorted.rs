//! [`Sorted`], a query by a number of its entries: by walking along all numbers in order and passing over what the query has
//! not, or by gathering the numbers of what it has and sorting them, whichever is less.

use std::{collections::VecDeque, sync::Arc};

use roaring::RoaringBitmap;

use super::{
    block::whole,
    cursor::Cursor,
    eval::{Bitmaps, Collected, Eval},
    reader::{BitmapReader, Ordered},
    term::{self, NUMBER_LEN},
    walk::Walk,
};
use crate::{Result, codec::Document};

/// So many numbers are gathered at most: 24 MB.
const GATHERED: u64 = 1 << 20;

/// An entry's place in the order: those without a number first.
pub(super) type Ranked = (Option<[u8; NUMBER_LEN]>, u64);

pub(super) struct Sorted<T> {
    numbers: BitmapReader<T>,
    reverse: bool,
    /// What the query has, with a number and without.
    with: Collected,
    without: Collected,
    stage: Stage<T>,
    /// What has been told, or lies before what was asked for.
    after: Option<Ranked>,
    /// How many are wanted, as far as known.
    wanted: u64,
    found: VecDeque<Ranked>,
}

enum Stage<T> {
    Start,
    Without,
    Numbers,
    Walk { ordered: Box<Ordered<T>>, passed: u64, limit: u64 },
    End,
}

impl<T: Document + Send + Sync + 'static> Sorted<T> {
    pub(super) async fn new(
        eval: &Arc<Eval<T>>,
        view: usize,
        reverse: bool,
        after: Option<Cursor>,
        wanted: Option<u64>,
        memory_bytes: usize,
    ) -> Result<Self> {
        let numbers = eval.reader(view)?.clone();
        let (mut with, mut without) = (Collected::new(memory_bytes), Collected::new(memory_bytes));
        let mut walk = Walk::new(eval.begin(), eval.end(), false, eval.node.checks()).whole();
        while let Some(window) = walk.next_window() {
            let found = eval.window(window).await?;
            if found.is_empty() {
                continue;
            }
            let measured = numbers.with(term::NUMERIC, window, false)?;
            without.add(window.high, &found - &measured)?;
            with.add(window.high, found & measured)?;
        }
        let after = after.map(Cursor::ranked).transpose()?;
        let wanted = wanted.unwrap_or(u64::MAX);
        Ok(Self { numbers, reverse, with, without, stage: Stage::Start, after, wanted, found: VecDeque::new() })
    }

    pub(super) fn next(&mut self) -> Result<Option<Ranked>> {
        loop {
            if let Some(found) = self.found.pop_front() {
                return Ok(Some(found));
            }
            match std::mem::replace(&mut self.stage, Stage::End) {
                Stage::Start => self.stage = if self.reverse { Stage::Numbers } else { Stage::Without },
                Stage::Numbers => self.stage = self.start_numbers()?,
                Stage::Without => {
                    let after = self.after;
                    let rows = all(&self.without.bitmaps).map(|seq| (None, seq));
                    let rows = rows.filter(|row| is_behind(row, after, self.reverse));
                    self.found = rows.collect();
                    if self.reverse {
                        self.found.make_contiguous().reverse();
                    } else {
                        self.stage = Stage::Numbers;
                    }
                }
                Stage::Walk { mut ordered, mut passed, limit } => {
                    if passed > limit {
                        self.stage = self.gather()?;
                        continue;
                    }
                    let Some((number, block)) = ordered.next()? else {
                        self.stage = self.end_of_numbers();
                        continue;
                    };
                    passed += block.bits.len();
                    if let Some(matched) = self.with.bitmaps.get(&block.high) {
                        let hits = block.bits & matched;
                        let rows = hits.iter().map(|low| (Some(number), whole(block.high, low)));
                        self.found.extend(rows.filter(|row| is_behind(row, self.after, self.reverse)));
                        if self.reverse {
                            self.found.make_contiguous().reverse();
                        }
                        if let Some(last) = self.found.back() {
                            self.after = Some(*last);
                        }
                    }
                    self.stage = Stage::Walk { ordered, passed, limit };
                }
                Stage::End => return Ok(None),
            }
        }
    }

    fn start_numbers(&mut self) -> Result<Stage<T>> {
        let after = match &self.after {
            Some((Some(number), seq)) => Some((*number, *seq)),
            // All numbers lie before it.
            Some((None, _)) if self.reverse => return Ok(Stage::Without),
            _ => None,
        };
        let matched = self.with.len();
        if matched == 0 {
            return Ok(self.end_of_numbers());
        }
        // What walking would pass, and what gathering would.
        let passed = u128::from(self.wanted.min(matched)) * u128::from(self.numbers.rows()?) / u128::from(matched);
        if matched > GATHERED || passed <= u128::from(matched) {
            let ordered = Box::new(self.numbers.ordered(after.as_ref(), self.reverse)?);
            let limit = if matched > GATHERED { u64::MAX } else { matched.max(1 << 12) };
            return Ok(Stage::Walk { ordered, passed: 0, limit });
        }
        self.gather()
    }

    fn end_of_numbers(&self) -> Stage<T> {
        if self.reverse { Stage::Without } else { Stage::End }
    }

    /// Finds all that is left, and sorts it.
    fn gather(&mut self) -> Result<Stage<T>> {
        let mut rows: Vec<Ranked> = Vec::new();
        let (after, reverse) = (self.after, self.reverse);
        for (high, bits) in &self.with.bitmaps {
            self.numbers.numbers(bits, *high, |(seq, number)| {
                let row = (Some(number), seq);
                if is_behind(&row, after, reverse) {
                    rows.push(row);
                }
            })?;
        }
        let wanted = usize::try_from(self.wanted).unwrap_or(usize::MAX);
        let order = |one: &Ranked, two: &Ranked| if reverse { two.cmp(one) } else { one.cmp(two) };
        let cut = wanted < rows.len();
        if cut {
            rows.select_nth_unstable_by(wanted, order);
            rows.truncate(wanted);
        }
        rows.sort_unstable_by(order);
        self.found = rows.into();
        Ok(if cut { Stage::End } else { self.end_of_numbers() })
    }
}

/// Whether a row comes after another in the order of the query.
fn is_behind(row: &Ranked, after: Option<Ranked>, reverse: bool) -> bool {
    after.is_none_or(|after| if reverse { *row < after } else { *row > after })
}

fn all(bitmaps: &Bitmaps) -> impl Iterator<Item = u64> + '_ {
    let of = |(high, bits): (&u32, &RoaringBitmap)| {
        let high = *high;
        bits.clone().into_iter().map(move |low| whole(high, low))
    };
    bitmaps.iter().flat_map(of)
}
