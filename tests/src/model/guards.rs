//! The guards of the protocol, and which of them are in place.

words! {
    /// One rule that the protocol would be wrong without.
    Guard {
        FillByVersion => "a fill stores only at the version captured before the load",
        MarksBeforeTheFirstCommand => "stripe and epoch are read before the first command, not at the fill",
        MarksBeforeTheConfirmation => "a confirmed entry gets the stripe and epoch from before the question",
        HintMovesTheStripe => "a hint moves the stripe",
        HintMakesTheCellUnknown => "a hint makes the cell of its tag unknown",
        FenceOnReconnect => "a new connection fences",
        FenceAfterTheSubscription => "the fence comes after the subscription",
        FenceReachesCells => "the fence reaches the cells of tags",
        MissingIsAMiss => "a missing record is a miss",
        MissingIsMadeAnew => "a missing record is made anew, never as it was",
        PutCompares => "a put stores only at the version captured before its body",
        PutIsConfirmedIfDisturbed => "a put's entry is confirmed if its marks moved meanwhile",
        ConfirmationReadsCells => "confirming an entry reads the cells that are not usable",
        CellLearnsIfUnhinted => "a cell learns only if no hint came since the question",
        CellKeepsTheEpochOfTheQuestion => "a cell keeps the epoch from before the question",
        GenerationCapturedBeforeTheLoad => "the generation of a tag is captured before the load",
        BarrierForTagsOfTheResult => "a beat passes before a value with tags of its result is stored",
        QuietSinceTheLoadBegan => "such a value is stored only if its tags were quiet since the load began",
        NoFenceSinceTheLoadBegan => "such a value is stored only if there was no fence since the load began",
        OwnMarksMoveAfterTheAnswer => "a writer moves its node's marks after Redis has answered",
        BoardsOnlyWhatStands => "a flight is boarded only while its marks stand",
        WaitingIsNotBelieved => "what Redis holds is not believed while an eviction waits",
        ProvisionalIsHeldToHints => "what was loaded without Redis is served only while nothing was said of its tags",
        HealsWhatComesBack => "a server that comes back older is not believed before everything older misses",
        NothingIsGivenTwice => "a version that was given and lost is not given again",
        LandsWithItsTags => "a flight says which tags what it lands has, and whoever boarded looks at them",
    }
}

/// The guards that are in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guards(u32);

// === impl Guards ===

impl Guards {
    /// The protocol.
    pub const ALL: Self = Self(u32::MAX);

    /// The protocol with one guard taken out.
    #[must_use]
    pub const fn without(guard: Guard) -> Self {
        Self(!(1 << guard as u32))
    }

    pub const fn has(self, guard: Guard) -> bool {
        self.0 & (1 << guard as u32) != 0
    }
}
