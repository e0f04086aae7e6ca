//! Other published caches, and ours, under the cases that our own tests are about. Prints what was seen; nothing is known
//! beforehand. `docs/torture.md` says what the words of the table mean.

mod case;
mod cases;
mod contenders;
mod source;
mod table;

use std::io::{self, Write};

use case::{Case, Contender};
use clap::Parser;
use table::Table;

/// Runs each case against each cache, on a `redis-server` that it starts itself.
#[derive(Debug, Parser)]
struct Args {
    /// Runs of each case.
    #[arg(long, default_value_t = 8)]
    runs: usize,
    /// Only the case of this number.
    #[arg(long)]
    case: Option<usize>,
    /// Only the caches whose name has this in it.
    #[arg(long)]
    only: Option<String>,
    /// What this program starts itself for, where a crate takes its settings from the environment.
    #[arg(long, hide = true)]
    quota: Option<contenders::Prefix>,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    if let Some(prefix) = args.quota {
        return writeln!(io::stdout(), "{}", contenders::quota_in_this_process(prefix).await);
    }
    let wanted = |name: &str| args.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let contenders: Vec<Box<dyn Contender>> =
        contenders::all().into_iter().filter(|contender| wanted(contender.name())).collect();
    let cases = Case::ALL.into_iter().filter(|case| args.case.is_none_or(|number| number == case.number()));
    let mut table = Table::of(&contenders);
    for case in cases {
        for contender in &contenders {
            writeln!(io::stderr(), "{:>2} {}: {}", case.number(), case.title(), contender.name())?;
            table.push(case, cases::judge(case, contender.as_ref(), args.runs).await);
        }
    }
    table.print(&mut io::stdout().lock())
}
