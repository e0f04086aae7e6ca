//! What a step did, in words: for counter-examples, and to see that a search came by everything of interest.

words! {
    /// One thing that happened.
    Event {
        Begins => "reads its marks",
        HitLocal => "finds it in L1",
        AsksWhetherItStands => "asks Redis whether its entry of L1 stands",
        Stands => "hears that it stands",
        StandsNot => "hears that it does not stand",
        Reads => "reads L2",
        HitRemote => "hears of a payload that counts",
        MissRemote => "hears of nothing that counts",
        LacksTheTag => "hears of a payload with a tag that its node knows nothing of",
        AsksForTheTag => "asks for the generation of the payload's tag",
        Captures => "captures the version and the generation",
        HearsTheCapture => "hears what it has captured",
        CapturesNothing => "hears that the tag changed meanwhile: nothing is stored",
        Loads => "loads the row",
        Commits => "commits the row",
        AsksForTheTagOfTheResult => "captures the generation of the result's tag",
        SendsABeat => "hears it, and sends a beat",
        GoesWithoutABeat => "hears it, and waits for no beat",
        MayStore => "may store it: nothing was said of the tag meanwhile",
        BeatLost => "will not hear its beat: nothing is stored",
        TagOfTheResultMoved => "finds that the tag may have changed since: nothing is stored",
        CellLearns => "its node learns the tag's generation",
        CellRefuses => "its node does not learn a generation that a hint may have overtaken",
        Installs => "puts it into L1",
        InstallsNot => "leaves L1 alone: its marks have moved",
        Fills => "stores it in Redis",
        FillRefused => "is refused: the version has moved",
        BumpsTheKey => "moves the key's version",
        BumpsTheTag => "moves the tag's generation",
        Stores => "moves the key's version, and its value is stored",
        StoresNot => "moves the key's version, and its value is not stored",
        MovesOwnMarks => "moves the marks of its node",
        ReplacesUndisturbed => "puts its value into L1",
        ReplacesDisturbed => "puts its value into L1, to be confirmed first",
        Returns => "returns: the change is acknowledged",
        Unanswered => "gets no answer",
        GoesAlone => "goes on without Redis",
        InstallsProvisionally => "puts it into L1 for a short time",
        Waits => "gets no answer: its eviction waits, and is in force on its node",
        Replays => "puts in force what has waited",
        Saves => "is saved as it is",
        ComesBackOlder => "is gone, and comes back as it was saved",
        Heals => "does not believe it before the tag was moved",
        Boarded => "another call boards its flight",
        HintOfTheKey => "a hint of the key arrives",
        HintOfTheTag => "a hint of the tag arrives",
        LosesTheConnection => "loses its connection, and what was on the way",
        Subscribes => "is connected and subscribed again",
        Fences => "fences",
        ReclaimsControl => "reclaims the control record",
        ReclaimsPayload => "reclaims the payload",
        ReclaimsTag => "reclaims the record of the tag",
        Flushed => "is flushed, and tells nobody",
    }
}

/// A set of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events(u64);

// === impl Events ===

impl Events {
    pub fn note(&mut self, event: Event) {
        self.0 |= 1 << event as u64;
    }

    pub fn add(&mut self, others: Self) {
        self.0 |= others.0;
    }

    pub const fn has(self, event: Event) -> bool {
        self.0 & (1 << event as u64) != 0
    }

    pub fn iter(self) -> impl Iterator<Item = Event> {
        Event::ALL.iter().copied().filter(move |event| self.has(*event))
    }
}
