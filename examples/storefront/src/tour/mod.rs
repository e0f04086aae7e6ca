//! The tour: starts the service, drives it over HTTP, and checks what the cache says it did.

mod drive;
mod expect;
mod ledger;
mod one_node;
mod outage;
mod pages;
mod script;
mod summary;
mod table;
mod traffic;
mod two_nodes;
mod wait;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use tempfile::TempDir;

use crate::catalogue::database;
use crate::cli::TourOptions;
use crate::{Problem, stop};

/// The longest that a tour may take, whatever hangs.
const TOUR_MAX: Duration = Duration::from_mins(2);

/// Differences that are told one by one.
const TOLD_MAX: usize = 40;

/// Takes the tour, and says what was not as expected. Fails if there is anything.
pub(crate) async fn run(options: TourOptions) -> Result<ExitCode, Problem> {
    let data = TempDir::with_prefix("storefront-tour-")?;
    let namespace = namespace(data.path());
    let differences = if options.outage {
        limited(outage::run(data.path(), &namespace)).await?
    } else if let Some(url) = &options.redis {
        two_nodes::run(data.path(), &namespace, url).await?
    } else {
        limited(one_node::run(data.path(), &namespace)).await?
    };
    Ok(verdict(&differences))
}

/// Fills the database before the first service opens it, so that all of them start at once.
async fn seed(data: &Path) -> Result<(), Problem> {
    database::open(data).await?.close().await;
    Ok(())
}

/// Runs `tour` until it ends, the time is up, or somebody wants to stop. What it started goes with it.
async fn limited<T>(tour: impl Future<Output = Result<T, Problem>>) -> Result<T, Problem> {
    let stop = stop::asked().map_err(|error| format!("cannot listen to signals: {error}"))?;
    tokio::select! {
        done = tour => done,
        () = stop => Err("interrupted".into()),
        () = tokio::time::sleep(TOUR_MAX) => Err(format!("the tour did not end within {TOUR_MAX:?}").into()),
    }
}

fn verdict(differences: &[String]) -> ExitCode {
    if differences.is_empty() {
        println!("\nEvery outcome was the expected one.");
        return ExitCode::SUCCESS;
    }
    println!("\n{} not as expected:", differences.len());
    for difference in differences.iter().take(TOLD_MAX) {
        println!("  - {difference}");
    }
    if differences.len() > TOLD_MAX {
        println!("  .. and {} more", differences.len() - TOLD_MAX);
    }
    ExitCode::FAILURE
}

/// A name that no other tour has: that of the folder that was made for this one.
fn namespace(folder: &Path) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric();
    let own = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_ascii_lowercase();
    let own: String = own.chars().filter(|character| plain(*character)).collect();
    // Folders may differ in case alone.
    format!("tour-{own}-{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use super::namespace;

    #[test]
    fn namespace_is_made_of_plain_characters() {
        let name = namespace(std::path::Path::new("/tmp/storefront-tour-AbC12"));
        assert_eq!(name, format!("tour-storefronttourabc12-{}", std::process::id()));
    }
}
