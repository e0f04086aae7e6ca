//! What can go wrong, and how it is made to.

use tokio::time::{Duration, Instant};

use super::{elapse, server::BackTo, world::World};
use crate::fixtures::{Direction, Line};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A node's connections are cut.
    Cut,
    /// They are cut, and refused for a while.
    Refuse,
    /// Nothing comes from the server to a node.
    StallToClient,
    /// Nothing comes from a node to the server.
    StallToServer,
    /// A line is slow.
    Delay,
    /// The server stops processing for a while.
    Pause,
    /// The server is killed, and comes back with everything.
    Restart,
    /// It comes back with nothing.
    RestartEmpty,
    /// It comes back with an older state.
    RestartOlder,
    /// A node says something and dies, and the server comes back with what it had before.
    Orphan,
    /// A replica takes over that lacks the last few writes.
    FailOver,
    /// It lacks the last changes of one row, which are said again.
    Repeat,
    Flush,
    /// Somebody turns notifications off, and on again.
    Deafen,
    /// Each notification comes twice.
    Double,
    /// The server answers reads, and refuses writes.
    RefuseWrites,
    /// Records are given up for room.
    Reclaim,
    /// The server's clock steps forth or back.
    ClockStep,
    /// The server ends the connections that listen, or the others.
    KillListeners,
    KillOthers,
    /// The server forgets its scripts.
    ForgetScripts,
    /// A node dies with all that waited in it, and another takes its place.
    KillNode,
    /// Loads fail and panic for a while.
    BadLoads,
}

/// All of them.
pub const FAULTS: [Fault; 23] = [
    Fault::Cut,
    Fault::Refuse,
    Fault::StallToClient,
    Fault::StallToServer,
    Fault::Delay,
    Fault::Pause,
    Fault::Restart,
    Fault::RestartEmpty,
    Fault::RestartOlder,
    Fault::Orphan,
    Fault::FailOver,
    Fault::Repeat,
    Fault::Flush,
    Fault::Deafen,
    Fault::Double,
    Fault::RefuseWrites,
    Fault::Reclaim,
    Fault::ClockStep,
    Fault::KillListeners,
    Fault::KillOthers,
    Fault::ForgetScripts,
    Fault::KillNode,
    Fault::BadLoads,
];

impl Fault {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cut => "connections cut",
            Self::Refuse => "connections refused",
            Self::StallToClient => "half-open, from the server",
            Self::StallToServer => "half-open, to the server",
            Self::Delay => "slow line",
            Self::Pause => "server stopped",
            Self::Restart => "server restarted",
            Self::RestartEmpty => "server restarted empty",
            Self::RestartOlder => "server restarted from a snapshot",
            Self::Orphan => "a loss that only others remember",
            Self::FailOver => "failover that loses a suffix",
            Self::Repeat => "loss of what is then said again",
            Self::Flush => "FLUSHALL",
            Self::Deafen => "notifications switched off",
            Self::Double => "notifications doubled",
            Self::RefuseWrites => "writes refused",
            Self::Reclaim => "records reclaimed",
            Self::ClockStep => "server clock stepped",
            Self::KillListeners => "listeners killed",
            Self::KillOthers => "other connections killed",
            Self::ForgetScripts => "SCRIPT FLUSH",
            Self::KillNode => "node killed",
            Self::BadLoads => "loads that fail and panic",
        }
    }

    /// Makes it happen, and takes it back.
    pub(crate) async fn inject(self, world: &World) {
        let lasts = Duration::from_millis(fastrand::u64(50..3 * world.settings.bound.as_millis() as u64));
        let node = world.any_node();
        match self {
            Self::Cut | Self::Refuse | Self::StallToClient | Self::StallToServer | Self::Delay => {
                self.on_the_line(world, &node.line, lasts).await;
            }
            Self::Orphan => {
                let _alone = world.one_death.lock().await;
                world.server.snapshot();
                let before = Instant::now();
                world.orphan(&node).await;
                world.server.kill();
                let died = Instant::now();
                elapse(lasts).await;
                let from = world.server.restart(BackTo::Older(before.elapsed()));
                world.lost(from, died).await;
            }
            Self::Repeat => {
                let _alone = world.one_death.lock().await;
                world.repeat().await;
            }
            Self::Pause | Self::Restart | Self::RestartEmpty | Self::RestartOlder | Self::FailOver => {
                let _alone = world.one_death.lock().await;
                self.of_the_server(world, lasts).await;
            }
            Self::KillNode => world.replace(&node).await,
            Self::BadLoads => {
                world.database.misbehave(4, 8);
                elapse(lasts).await;
                world.database.misbehave(0, 0);
            }
            _ => self.in_the_server(world, lasts).await,
        }
    }

    async fn on_the_line(self, world: &World, line: &Line, lasts: Duration) {
        match self {
            Self::Cut => line.cut(),
            Self::Refuse => {
                line.refuse();
                elapse(lasts).await;
                line.pass();
            }
            Self::StallToClient | Self::StallToServer => {
                line.stall(if self == Self::StallToClient { Direction::ToClient } else { Direction::ToServer });
                elapse(lasts).await;
                if fastrand::bool() {
                    line.cut();
                }
                line.pass();
            }
            _ => {
                let side = if fastrand::bool() { Direction::ToClient } else { Direction::ToServer };
                line.delay(side, Duration::from_millis(fastrand::u64(1..world.settings.bound.as_millis() as u64)));
                elapse(lasts).await;
                line.pass();
            }
        }
    }

    /// The server stops, or dies and comes back.
    async fn of_the_server(self, world: &World, lasts: Duration) {
        let server = &world.server;
        match self {
            Self::Pause => {
                server.pause();
                elapse(lasts).await;
                server.resume();
            }
            Self::Restart => {
                server.kill();
                elapse(lasts).await;
                server.restart(BackTo::All);
            }
            Self::RestartEmpty | Self::RestartOlder => {
                server.kill();
                let died = Instant::now();
                elapse(lasts).await;
                if self == Self::RestartEmpty {
                    // Nothing that is gone can be stale.
                    server.restart(BackTo::Nothing);
                } else {
                    let ago = Duration::from_millis(fastrand::u64(..3_000)) + died.elapsed();
                    let from = server.restart(BackTo::Older(ago));
                    world.history().note(&format!("the server is back with what it had {:?} ago", from.elapsed()));
                    world.lost(from, died).await;
                }
            }
            _ => {
                // As far behind as a replica is: what was said last is lost, and mostly that alone.
                server.snapshot();
                let before = Instant::now();
                elapse(Duration::from_millis(fastrand::u64(1..60))).await;
                let from = server.fail_over(before.elapsed());
                world.history().note(&format!("a replica with what there was {:?} ago", from.elapsed()));
                world.lost(from, Instant::now()).await;
            }
        }
    }

    /// Something happens inside the server, which goes on.
    async fn in_the_server(self, world: &World, lasts: Duration) {
        let server = &world.server;
        match self {
            Self::Flush => server.flush(),
            Self::Deafen => {
                server.notify("");
                // Less than a beat nobody can notice; `docs/coherence.md` says so.
                elapse(world.settings.bound / 2 + lasts).await;
                server.notify("K$gxe");
            }
            Self::Double => {
                server.double(true);
                elapse(lasts).await;
                server.double(false);
            }
            Self::RefuseWrites => {
                server.refuse_writes(true);
                elapse(lasts).await;
                server.refuse_writes(false);
            }
            Self::Reclaim => (0..fastrand::usize(1..8)).for_each(|_| server.reclaim(fastrand::usize(..))),
            Self::ClockStep => server.step_clock(fastrand::i64(-5_000_000..5_000_000)),
            Self::KillListeners => server.kill_clients(true),
            Self::KillOthers => server.kill_clients(false),
            _ => server.forget_scripts(),
        }
    }
}
