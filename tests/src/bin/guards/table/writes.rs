//! What keeps writes: of two rows the newer one, and journals.

use super::{Guard, guard, unit};

pub(super) const GUARDS: &[Guard] = &[
    guard(
        "who takes a partition over ends what the owner before had begun",
        "behind/flusher.rs",
        "self.sink.claim(&partition, ours.fence)",
        "self.sink.position(&partition)",
        "behind::owners::who_takes_over_ends_what_the_owner_before_had_begun",
    ),
    guard(
        "an older row does not take the place of a newer one",
        "remote/redis/scripts/put_newer.lua",
        "if above(row, ARGV[7]) then return {tonumber(current), 2} end",
        "",
        "writers::versions::newer_row_stays_whoever_ends_first",
    ),
    guard(
        "a newer row takes the place of an older one that came first",
        "remote/redis/scripts/put_newer.lua",
        "stores, before = captured or above(ARGV[7], row), listed",
        "stores, before = captured, listed",
        "writers::versions::newer_row_stays_whoever_ends_first",
    ),
    guard(
        "rows are compared only where nobody else moved the record",
        "remote/redis/scripts/put_newer.lua",
        "local follows = captured or string.find(listed .. ' ', ' ' .. ARGV[4] .. ' ', 1, true)",
        "local follows = true",
        "writers::versions::row_put_after_an_evict_is_not_compared_with_one_from_before",
    ),
    guard(
        "a row that was put before an eviction of its tags is not compared",
        "remote/redis/scripts/put_newer.lua",
        "if follows and tags == ARGV[8] then",
        "if follows then",
        "writers::versions::row_put_before_an_eviction_of_its_tags_is_not_taken_for_the_newer_one",
    ),
    guard(
        "a newer row's version is above the record's",
        "remote/redis/scripts/put_newer.lua",
        "if not above(ARGV[1], current) then return {tonumber(current), 3} end",
        "",
        "writers::versions::newer_row_stays_where_the_record_is_ahead_of_the_time",
    ),
    guard(
        "the versions that a row remembers are bounded",
        "remote/redis/scripts/put_newer.lua",
        "if count < tonumber(ARGV[9]) then list",
        "if true then list",
        "writers::versions::writer_that_was_overtaken_more_often_than_is_remembered_evicts",
    ),
    guard(
        "a journal in which nothing happens is not read",
        "behind/flusher.rs",
        "if self.is_idle(&ours) {",
        "if false && self.is_idle(&ours) {",
        "behind::plain::a_journal_in_which_nothing_happens_is_not_read",
    ),
    guard(
        "a batch gathers from its first change on",
        "behind/flusher.rs",
        "(left > age / 4).then_some(left)",
        "(left > age * 4).then_some(left)",
        "behind::plain::what_changes_again_while_it_gathers_is_written_once",
    ),
    guard(
        "a change that is not as safe as was asked for is no answer",
        "remote/redis/confirms.rs",
        "if journal::was_appended(&value) { safe.map(|()| value) } else { Ok(value) }",
        "Ok(value)",
        "behind::safety::what_no_replica_has_is_not_answered_and_is_journaled_all_the_same",
    ),
    guard(
        "a write through is answered by the sink, not by the journal",
        "behind/append.rs",
        "if matches!(shared.tuning.when_full, WhenFull::WriteThrough(_)) {",
        "if false {",
        "behind::full::write_through_is_answered_when_the_sink_has_it_whoever_flushes",
    ),
    guard(
        "a dead letter is not stored",
        "journal/fate.rs",
        "self.letter.filter(|letter| letter.stands_for(version))",
        "self.letter.filter(|_| false)",
        "behind::full::write_through_that_is_given_up_is_an_error_with_the_reason",
    ),
    guard(
        "what is kept to be tried again is not stored",
        "journal/fate.rs",
        "self.parked.filter(|parked| parked.stands_for(version))",
        "self.parked.filter(|_| false)",
        "behind::full::write_through_that_a_row_refuses_waits_until_it_does_not",
    ),
    unit(
        "what the server has lost is not stored",
        "journal/fate.rs",
        "if self.has_entry || self.cursor < at {",
        "if self.has_entry {",
        "journal::fate::tests::what_the_server_has_lost_is_not_stored",
    ),
];
