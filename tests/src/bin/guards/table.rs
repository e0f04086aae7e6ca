//! The guards, where each stands, and what has to notice when it is gone.

mod coherence;
mod loads;
mod writes;

/// A guard: what to replace, by what, and the test that must then fail.
pub(crate) struct Guard {
    pub(crate) name: &'static str,
    pub(crate) file: &'static str,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) package: &'static str,
    pub(crate) test: &'static str,
    /// Whether the simulation has to notice too.
    pub(crate) simulated: bool,
    /// The same guard in the simulated server, for one in a script: what to replace there, and by what.
    pub(crate) there: Option<(&'static str, &'static str)>,
}

impl Guard {
    /// The simulation has to notice too.
    const fn simulated(mut self) -> Self {
        self.simulated = true;
        self
    }

    /// The simulation has to notice too, of whose server this is the same guard.
    const fn simulated_there(mut self, from: &'static str, to: &'static str) -> Self {
        self.there = Some((from, to));
        self.simulated()
    }
}

/// A guard of `cache-core`, and the integration test that needs it.
const fn guard(
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    test: &'static str,
) -> Guard {
    Guard { name, file, from, to, package: "tests", test, simulated: false, there: None }
}

/// A guard of `cache-core`, and the unit test that needs it.
const fn unit(
    name: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    test: &'static str,
) -> Guard {
    Guard { name, file, from, to, package: "cache-core", test, simulated: false, there: None }
}

/// A guard of `cache-core` that only everything at once needs.
const fn only_simulated(name: &'static str, file: &'static str, from: &'static str, to: &'static str) -> Guard {
    Guard { name, file, from, to, package: "", test: "the simulation", simulated: true, there: None }
}

/// All of them.
pub(crate) fn guards() -> impl Iterator<Item = &'static Guard> {
    coherence::GUARDS.iter().chain(loads::GUARDS).chain(writes::GUARDS)
}
