//! What happens to Redis, and what is asked meanwhile.

use super::{
    A, ANY, B, CARPET, CLOCK, EITHER, EVICT, EVICT_QUEUED, Expect, LAMP, OTHER, Outage, QUEUED, UNCACHED, URLS, carpet,
    path, saved,
};
use crate::Problem;
use crate::process::{Node, Restore};
use crate::tour::drive::Ask;
use crate::tour::script::heading;
use crate::tour::wait;

impl Outage<'_> {
    /// All of it, in order.
    pub(super) async fn take_course(&mut self) -> Result<(), Problem> {
        self.before().await?;
        self.killed().await?;
        self.back_empty().await?;
        self.back_older().await?;
        self.stalled().await
    }

    async fn before(&mut self) -> Result<(), Problem> {
        heading("Redis runs. Both nodes read some products. Then its state is copied aside, and products change.");
        for product in [CARPET, OTHER, LAMP] {
            self.read(A, product, UNCACHED).await?;
            wait::filled(self.script.driver(), &self.nodes[A]).await?;
            self.read(B, product, ANY).await?;
        }
        let clock = Expect::status(200).then_any("product", UNCACHED);
        self.script.step(&self.nodes[A], Ask::get(CLOCK), clock).await?;
        wait::filled(self.script.driver(), &self.nodes[A]).await?;
        self.server.snapshot().await?;
        self.works(A, B).await?;
        self.discount(A, &[EVICT, EVICT_QUEUED]).await?;
        self.read_until_new(B, LAMP).await?;
        self.write_watched().await?;
        self.well_since(None).await
    }

    async fn killed(&mut self) -> Result<(), Problem> {
        heading("kill -9 of Redis, under an update. What a node writes it reads at once.");
        let Self { script, server, nodes, products, .. } = self;
        let entry = &products.entries()[OTHER];
        let saving = script.step(&nodes[A], Ask::put(path(entry), carpet()), saved(entry, EITHER));
        // Which of the two is first does not matter.
        let (killed, answer) = tokio::join!(server.kill(), saving);
        killed?;
        answer?;
        entry.wrote(A, entry.newest() + 1);
        self.read(A, OTHER, ANY).await?;
        self.read(B, CARPET, ANY).await?;

        heading("Both know of it by now: they read the database, so that each sees what the other writes.");
        self.both("fenced", |report| report.coherence == "fenced").await?;
        self.read(B, OTHER, UNCACHED).await?;
        self.save(B, CARPET, QUEUED).await?;
        self.read(A, CARPET, UNCACHED).await?;
        let deleted = Expect::status(204).then("product", EVICT_QUEUED).then(URLS, EVICT_QUEUED);
        self.script.step(&self.nodes[A], Ask::delete(CLOCK), deleted).await?;
        self.read_deleted(B, UNCACHED).await?;
        self.discount(A, &[EVICT_QUEUED]).await?;
        self.read(B, LAMP, UNCACHED).await?;
        self.write_watched().await
    }

    async fn back_empty(&mut self) -> Result<(), Problem> {
        self.server.restart(Restore::Empty).await?;
        self.well_since(None).await?;
        heading("Redis is back, empty. Nothing old is served, and all works again.");
        self.read(A, CARPET, UNCACHED).await?;
        self.read(B, OTHER, UNCACHED).await?;
        self.read(A, LAMP, UNCACHED).await?;
        self.read_deleted(B, UNCACHED).await?;
        self.works(A, B).await?;
        self.write_watched().await?;
        self.well_since(None).await
    }

    async fn back_older(&mut self) -> Result<(), Problem> {
        let known = self.reports().await?;
        self.server.kill().await?;
        self.server.restart(Restore::Snapshot).await?;
        self.well_since(Some(known)).await?;
        heading(
            "kill -9 again, and back with the copy from before the updates: old values, with old versions that agree.",
        );
        self.read(A, CARPET, UNCACHED).await?;
        wait::filled(self.script.driver(), &self.nodes[A]).await?;
        self.read(B, CARPET, ANY).await?;
        self.read(B, OTHER, UNCACHED).await?;
        self.read(B, LAMP, UNCACHED).await?;
        self.read_deleted(A, UNCACHED).await?;
        self.newcomer().await?;
        self.works(B, A).await
    }

    /// A process that was not there for any of it, and has nothing but Redis to go by.
    async fn newcomer(&mut self) -> Result<(), Problem> {
        let node = Node::start("C", self.options).await?;
        for entry in self.products.entries() {
            let newest = Expect::status(200).then_any("product", ANY).field("revision", entry.newest());
            self.script.step(&node, Ask::get(path(entry)), newest).await?;
        }
        let deleted = Expect::status(404).then_any("product", ANY);
        self.script.step(&node, Ask::get(CLOCK), deleted).await?;
        node.stop().await
    }

    async fn stalled(&mut self) -> Result<(), Problem> {
        heading(
            "Redis hangs (SIGSTOP): its connections stand, and it says nothing. Nobody waits longer than the budget.",
        );
        self.server.stall()?;
        self.read(A, CARPET, ANY).await?;
        self.save(A, OTHER, QUEUED).await?;
        self.read(A, OTHER, ANY).await?;
        self.both("aware of it", |report| report.coherence != "coherent").await?;
        self.read(B, OTHER, UNCACHED).await?;
        self.read(B, LAMP, UNCACHED).await?;
        self.write_watched().await?;
        self.server.wake()?;
        self.well_since(None).await?;
        heading("It goes on, and carries out late what it was told before.");
        self.read(A, OTHER, ANY).await?;
        self.read(B, OTHER, ANY).await?;
        self.works(B, A).await
    }
}
