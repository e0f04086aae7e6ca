//! What keeps a value right: versions, marks, tags, beats and what is issued again.

use super::{Guard, guard, only_simulated, unit};

pub(super) const GUARDS: &[Guard] = &[
    guard(
        "a fill overwrites nothing newer",
        "remote/redis/scripts/fill.lua",
        "if version ~= ARGV[1] then return 0 end",
        "",
        "coherence::evict_during_a_load_on_the_other_node_leaves_nothing_stale",
    ),
    guard(
        "a fill enters L1 only if stripe and epoch still stand (without a server; with one it would be confirmed first)",
        "cache/store.rs",
        "if self.coherence.stamp(spot) == stamp {",
        "if self.coherence.stamp(spot).epoch <= u64::MAX {",
        "coherence::a_flight_that_loses_against_a_put_stores_nothing",
    ),
    guard(
        "a flight that lands what it found says its tags",
        "cache/load.rs",
        "(Arc::clone(entry), tags_unwatched(entry, &watch));",
        "(Arc::clone(entry), tags_unwatched(entry, &watch)[..0].into());",
        "flights::found::flight_boarded_after_an_eviction_of_a_found_values_tag_gives_the_new_value",
    ),
    guard(
        "a hint moves the stripe of its key",
        "hearing.rs",
        "self.coherence.move_stripe(key.local_hash());",
        "let _ = key;",
        "coherence::evict_on_one_node_reaches_the_other",
    )
    .simulated(),
    guard(
        "a gap raises the epoch",
        "coherence.rs",
        "self.epochs.fence(primaries.partitions_of(primary));",
        "",
        "outage::deaf::change_while_nobody_was_told_is_fenced_off",
    )
    .simulated(),
    guard(
        "nobody boards a flight that departed before an eviction",
        "cache/load.rs",
        "generation, |departure| self.stands(departure)",
        "generation, |_| true",
        "coherence::evict_during_a_load_on_the_same_node_leaves_nothing_stale",
    )
    .simulated(),
    guard(
        "a hit needs its stripe and epoch where they were",
        "cache/probe.rs",
        "entry.meta.stamp() == stamp && ",
        "",
        "coherence::evict_on_one_node_reaches_the_other",
    )
    .simulated(),
    guard(
        "a hit needs its tags where they were",
        "cache/probe.rs",
        "&& entry.meta.tags_stand()",
        "",
        "coherence::evict_tag_reaches_every_entry_under_it_and_no_other",
    )
    .simulated(),
    guard(
        "an entry is looked at again when a stripe has moved",
        "coherence.rs",
        "self.epochs.moves().add();\n        before",
        "before",
        "coherence::evict_on_one_node_reaches_the_other",
    )
    .simulated(),
    guard(
        "an entry is looked at again after a fence",
        "epochs.rs",
        "self.moves.add();",
        "",
        "outage::deaf::change_while_nobody_was_told_is_fenced_off",
    )
    .simulated(),
    unit(
        "an entry is looked at again when a cell has become unknown",
        "cell.rs",
        "self.generation.store(UNKNOWN, Ordering::Release);\n        self.epochs.moves().add();",
        "self.generation.store(UNKNOWN, Ordering::Release);",
        "cell::tests::moves_are_counted_when_a_known_generation_is_left",
    )
    .simulated(),
    unit(
        "an entry is looked at again when another generation was read before it was heard of",
        "cell.rs",
        "if known != UNKNOWN && known != generation {",
        "if false {",
        "cell::tests::moves_are_counted_when_a_known_generation_is_left",
    ),
    unit(
        "the front lets go of what moka lets go of",
        "local/moka.rs",
        ".eviction_listener(move |hash: Arc<u128>, _, _| behind.clear(*hash))",
        ".eviction_listener(move |_, _, _| { let _ = &behind; })",
        "local::moka::tests::what_was_removed_or_replaced_is_shown_no_more",
    ),
    unit(
        "what the front shows is held against the key",
        "entry.rs",
        "same(&entry.meta.words, key.words()).then_some(entry)",
        "Some(entry)",
        "local::moka::tests::an_entry_of_another_key_under_the_same_hash_is_of_no_use",
    ),
    guard(
        "an answer of L2 needs its tags where they were",
        "cache/ask.rs",
        "header.deadlines().after(of_key.and(of_tags), call.rules.afterlife, now)",
        "header.deadlines().after(of_key, call.rules.afterlife, now)",
        "coherence::evict_tag_reaches_every_entry_under_it_and_no_other",
    )
    .simulated(),
    guard(
        "what comes back after a lost link is compared with what was there",
        "remote/redis/beat.rs",
        "let has_all = found.iter().zip(self.taken).all(|(found, taken)| *found >= taken || (*found == 0 && has_last));",
        "let has_all = true;",
        "recovery::an_older_snapshot_is_healed_by_a_node_that_remembers_although_the_evicting_one_is_gone",
    )
    .simulated(),
    guard(
        "a server that came back with less is healed",
        "recovery.rs",
        "state.queue(Record::Tag(TagId::Namespace), Some(incident));",
        "let _ = incident;",
        "recovery::an_older_snapshot_is_healed_by_a_node_that_remembers_although_the_evicting_one_is_gone",
    )
    .simulated(),
    guard(
        "evictions of the last minute are issued again to a server that is another",
        "recovery.rs",
        "            self.queue(record, None);\n        }\n        if self.forgotten",
        "            let _ = record;\n        }\n        if self.forgotten",
        "recovery::an_eviction_that_the_server_lost_is_issued_again",
    )
    .simulated(),
    guard(
        "the beat notices that the beat of eight beats ago is gone",
        "remote/redis/beat.rs",
        "let continues = before >= self.taken[index] || (before == 0 && self.has_last(shard, link, index).await?);",
        "let continues = true;",
        "recovery::a_beat_that_is_gone_from_a_server_that_is_still_there_is_noticed",
    ),
    guard(
        "an eviction that was not confirmed is issued again",
        "cache/write.rs",
        "self.recovery.queue(queued);\n                Ack::Queued",
        "let _ = queued;\n                Ack::Queued",
        "recovery::an_eviction_that_waited_is_in_force_everywhere_and_costs_no_other_key",
    )
    .simulated(),
    guard(
        "what Redis says about a key whose eviction waits is not believed",
        "cache/ask.rs",
        "&& (self.recovery.waiting() == 0 || self.recovery.trusts(ops.iter().map(Op::record)))",
        "",
        "recovery::what_redis_holds_of_a_key_is_not_believed_while_its_eviction_waits",
    )
    .simulated(),
    unit(
        "a beat counts only if the server answered that it is the same",
        "remote/redis/ears.rs",
        "if beat.echoed && beat.answered {\n            self.listener",
        "if beat.echoed {\n            self.listener",
        "remote::redis::ears::tests::a_beat_counts_when_it_was_both_echoed_and_answered",
    ),
    guard(
        "a put is stored only at the version captured before its body",
        "remote/redis/scripts/bump.lua",
        "if KEYS[2] and old == ARGV[4] then",
        "if KEYS[2] then",
        "writers::races::put_against_put_leaves_only_the_newer_row",
    )
    .simulated_there(
        "let stored = payload.filter(|_| old.as_deref().map(head) == arguments.get(3).map(Vec::as_slice));",
        "let stored = payload;",
    ),
    guard(
        "a put enters L1 as current only if nothing moved since its capture",
        "cache/put.rs",
        "let undisturbed = before == stamp.stripe && self.coherence.stamp(spot).epoch == stamp.epoch;",
        "let undisturbed = true;",
        "writers::races::put_against_put_leaves_only_the_newer_row",
    )
    .simulated(),
    guard(
        "a tag of the result that was evicted during the load is noticed",
        "cache/store.rs",
        "Ok(quiet && self.coherence.fences() == watch.fences)",
        "Ok(quiet || true)",
        "writers::races::load_against_evict_of_the_tag_of_its_result_leaves_no_older_row",
    )
    .simulated(),
    guard(
        "without Redis too",
        "cache/store.rs",
        "if !self.tags.quiet_since(cell.tag(), watch.sequence) {",
        "if false {",
        "writers::races::load_against_evict_of_the_tag_of_its_result_leaves_no_older_row",
    ),
    guard(
        "nobody takes the value of a load that began before a tag of it was evicted",
        "cache/load.rs",
        "departed == boarded_at || result_tags",
        "departed == boarded_at || true || result_tags",
        "writers::races::reader_after_a_change_is_not_answered_by_a_load_from_before_it",
    )
    .simulated(),
    guard(
        "a writer that is dropped evicts",
        "cache/write.rs",
        "if self.ended.is_some() {\n            return;\n        }\n        let targets = self.everything();",
        "if true {\n            return;\n        }\n        let targets = self.everything();",
        "writers::dropped::evict_inline_dropped_at_every_await_evicts_what_it_committed",
    )
    .simulated(),
    guard(
        "a hit needs the beat within the bound",
        "cache/probe.rs",
        "let coherent = self.coherence.coherent_at(now);",
        "let coherent = true;",
        "outage::half_open::nothing_from_the_server_is_noticed_within_the_bound",
    )
    .simulated(),
    guard(
        "one template, one set of tags",
        "cache/templates.rs",
        "if first.tags == tags {",
        "if true {",
        "attributes::templates::put_with_other_tags_evicts_and_is_counted",
    ),
    unit(
        "a cell learns nothing that a hint overtook",
        "cell.rs",
        "if state.hints != self.hints || self.epoch",
        "if self.epoch",
        "cell::tests::learn_after_a_hint_is_refused",
    )
    .simulated(),
    unit(
        "a fence reaches the cells",
        "cell.rs",
        "(current && generation != UNKNOWN)",
        "(generation != UNKNOWN)",
        "cell::tests::known_under_another_epoch_is_unknown",
    )
    .simulated(),
    unit(
        "a beat that went unheard is a gap",
        "remote/redis/ears.rs",
        "if beat.number != last + 1 {",
        "if false {",
        "remote::redis::ears::tests::a_beat_that_went_unheard_is_a_gap",
    )
    .simulated(),
    unit(
        "only a plain number is a version",
        "version.rs",
        ".filter(|_| is_plain)",
        "",
        "version::tests::only_plain_numbers_in_range_are_a_record",
    ),
    unit(
        "what a record left softly is told by equality, not by order",
        "version.rs",
        "|(left, _)| *left == version",
        "|(left, _)| *left <= version",
        "version::tests::a_version_is_judged_by_equality_and_never_by_order",
    ),
    unit(
        "what was softly evicted is not fresh when a clock steps back",
        "entry.rs",
        "now_micros < self.fresh_until && !self.is_left",
        "now_micros < self.fresh_until",
        "entry::tests::softly_evicted_is_never_fresh_whatever_the_clock_says",
    ),
    unit(
        "a cell forgets with a record what that no longer lists",
        "cell.rs",
        "state.left.clone_from(versions.left());",
        "if !versions.left().is_empty() { state.left.clone_from(versions.left()); }",
        "cell::tests::generation_that_was_left_softly_is_old_until_it_is_left_for_good",
    ),
    unit(
        "an eviction for good without a server forgets what was evicted softly",
        "cell.rs",
        "state.left.clear();",
        "",
        "cell::tests::generation_left_softly_alone_is_old_until_it_is_left_for_good",
    ),
    guard(
        "an entry knows that it was softly evicted where no server does",
        "cache/doubt.rs",
        "entry.meta.verdict_alone().and(of_tags)",
        "of_tags",
        "soft::softly_evicted_in_one_process_is_served_stale_while_one_load_replaces_it",
    ),
    guard(
        "a doubt is settled by the record of the key",
        "cache/doubt.rs",
        "of_key.verdict(entry.meta.version).and(of_tags)",
        "of_tags",
        "coherence::evict_on_one_node_reaches_the_other",
    )
    .simulated(),
    guard(
        "what an answer of L2 left softly is old",
        "cache/ask.rs",
        "let deadlines = header.deadlines().after(of_key.and(of_tags), call.rules.afterlife, now);",
        "let deadlines = (of_key.and(of_tags) != Verdict::Gone).then(|| header.deadlines());",
        "soft::softly_evicted_is_served_stale_on_both_nodes_while_one_load_replaces_it",
    )
    .simulated(),
    only_simulated(
        "nobody takes the value of a load that began before the head of a tag of it was evicted",
        "cache/returned.rs",
        "let result_tags = with_heads(&result_tags).collect();",
        "let result_tags = result_tags.iter().cloned().map(crate::tag::TagId::Tag).collect();",
    ),
    only_simulated(
        "the barrier before a tag of the result is a beat that is echoed",
        "cache/store.rs",
        "self.remote.barrier(records)",
        "self.remote.catch_up(records)",
    ),
    only_simulated(
        "a flight is boarded no longer than a hit would be served",
        "cache/load.rs",
        "heard && departure.stamp",
        "(heard || true) && departure.stamp",
    ),
    only_simulated(
        "what was known of a primary is fenced before its successor is asked",
        "remote/redis/session.rs",
        "shard.fleet.listener.gap(shard.id, \"a new connection\");",
        "",
    ),
    only_simulated(
        "a version that has to be raised is raised by chance",
        "remote/redis/commands.rs",
        "fastrand::u64(1..=RAISE)",
        "1 + 0 * RAISE",
    ),
    only_simulated(
        "an unconfirmed eviction waits before L1 lets the next reader through",
        "cache/write.rs",
        "        let ack = self.acknowledge(targets.records(), said, on_l2_error);\n        self.hear_own(targets, ack, budget).await;\n",
        "        self.evict_locally(targets, targets.evicts);\n        tokio::time::sleep(Duration::from_millis(300)).await;\n        let ack = self.acknowledge(targets.records(), said, on_l2_error);",
    ),
    unit(
        "a server that lost something is told again what was confirmed in the last minute",
        "recovery.rs",
        "if how != Continuity::Unbroken {",
        "if how == Continuity::Replaced {",
        "recovery::tests::what_was_confirmed_in_the_last_minute_is_issued_again_wherever_it_may_be_lost",
    ),
    unit(
        "what somebody said once counts until a primary speaks",
        "remote/redis/cluster.rs",
        "let said: Vec<(PrimaryId, &View)> = if views.is_empty() {\n            hearsay",
        "let said: Vec<(PrimaryId, &View)> = if hearsay.is_some() {\n            hearsay",
        "remote::redis::cluster::tests::hearsay_counts_until_a_primary_speaks",
    ),
    unit(
        "a partition is as coherent as all who may take a write to it",
        "coherence.rs",
        "!guardians.is_empty() && guardians.iter().all(heard)",
        "guardians.first().is_some_and(heard)",
        "coherence::tests::a_partition_that_moves_is_as_coherent_as_both_ends",
    ),
    guard(
        "a beat counts only if as many replicas have it as have to",
        "remote/redis/beat.rs",
        "if !answer.has_replicas {",
        "if false {",
        "sentinel::a_primary_that_its_replica_has_left_does_not_keep_the_bound",
    ),
    guard(
        "a primary that another has taken the place of is left",
        "remote/redis/session.rs",
        "if shard.has_moved(self.beat.number()).await {",
        "if false {",
        "sentinel::an_old_primary_that_is_still_there_is_left",
    ),
    guard(
        "a silent sentinel does not hold up the beat",
        "remote/redis/mod.rs",
        "let answer = timeout(self.fleet.config.bound / (2 * session::BEATS), sentinels.primary()).await;",
        "let answer = Ok::<_, ()>(sentinels.primary().await);",
        "sentinel::a_sentinel_that_falls_silent_keeps_nobody_with_an_old_primary",
    ),
    guard(
        "after a silent sentinel it is the next one's turn",
        "remote/redis/sentinel.rs",
        "self.next.store(index + 1, Ordering::Relaxed);",
        "",
        "sentinel::a_sentinel_that_falls_silent_keeps_nobody_with_an_old_primary",
    ),
    guard(
        "a server is known only once it has said what it holds",
        "remote/redis/beat.rs",
        "pipeline.cmd(\"MGET\").arg(names);",
        "pipeline.cmd(\"MGET\").arg(names);\n        self.identity.clone_from(&link.identity);",
        "recovery::a_comparison_that_fails_half_way_makes_no_stranger_known",
    ),
    guard(
        "primaries that were found and not reached are found again",
        "remote/redis/cluster.rs",
        "if sessions.iter().all(|(_, link)| link.is_none()) {\n            self.leave_all();",
        "if sessions.iter().all(|(_, link)| link.is_none()) {",
        "cluster::a_start_before_any_primary_can_be_reached_is_made_good",
    ),
];
