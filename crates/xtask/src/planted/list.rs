//! Which test has to find which bug.

use super::Planted;

const fn bug(name: &'static str, file: &'static str, test: &'static str) -> Planted {
    Planted { name, file, test }
}

const STORM: (&str, &str) = ("flumedb/crash_random", "what_was_acknowledged_outlives_every_storm");

pub(super) const BUGS: &[Planted] = &[
    bug("acknowledge-before-sync", STORM.0, STORM.1),
    bug("skip-sync", STORM.0, STORM.1),
    bug("skip-dir-sync", STORM.0, STORM.1),
    bug("seal-without-sync", STORM.0, STORM.1),
    bug(
        "visible-before-durable",
        "flumedb/visible_when_durable",
        "nothing_is_seen_before_the_sync_that_its_append_waits_for",
    ),
    bug("lost-waiter", "flumedb/io_faults", "a_failed_sync_frees_every_waiter"),
    bug("retry-sync", "flumedb/env_latched", "after_a_failed_sync_nothing_is_written_and_reads_work"),
    bug("short-write", "flumedb/io_faults", "every_write_is_short"),
    bug("full-by-text", "flumedb/io_faults", "a_full_disk_is_only_full"),
    bug("seq-twice", STORM.0, STORM.1),
    bug("watermark-early", STORM.0, STORM.1),
    bug("head-early", STORM.0, STORM.1),
    bug("checksum-without-length", "flumedb/bit_flips", "of_a_closed_log"),
    bug("checksum-without-place", "flumedb/misplaced", "records_and_commits_in_the_place_of_others"),
    bug("tail-rule-in-the-middle", "flumedb/bit_flips", "of_a_closed_log"),
    bug("half-batch", STORM.0, STORM.1),
    bug("notes-not-carried", "flumedb/segmented_log", "deletions_and_notes_are_carried_from_segment_to_segment"),
    bug("deletions-not-carried", "flumedb/segmented_log", "deletions_and_notes_are_carried_from_segment_to_segment"),
    bug("tail-not-cut", "flumedb/check_and_repair", "a_torn_tail_is_told_once_and_does_not_come_back"),
    bug("not-written-again", STORM.0, STORM.1),
    bug("link-not-checked", "flumedb/misplaced", "a_last_segment_of_another_history"),
    bug("lock-not-released", "flumedb/lifetime", "dropping_the_last_handle_frees_the_lock_though_others_still_read"),
    bug("flusher-failure", "flumedb/io_faults", "a_failed_sync_in_the_background_is_heeded"),
    bug("condition-not-tested", "flumedb/segmented_log", "conditions_are_tested_by_the_writer"),
    bug("lost-wake-up", "flumedb/subscribers", "what_comes_between_the_last_read_and_the_wait_is_not_missed"),
    bug("compaction-drops-live", "flumedb/compaction", "whatever_happens_the_log_holds_what_it_should"),
    bug("compaction-not-synced", "flumedb/compaction", "the_power_may_go_at_every_call"),
    bug("compaction-skip-dir-sync", "flumedb/compaction", "the_power_may_go_at_every_call"),
    bug("erased-too-early", "flumedb/compaction", "what_a_deletion_named_that_was_lost_is_there"),
    bug("erased-stays", "flumedb/compaction", "the_power_may_go_at_every_call"),
    bug("retention-too-much", "flumedb/retention", "whatever_happens_it_keeps_what_it_should_and_no_more"),
    bug("backup-without-last", "flumedb/backup", "a_backup_of_a_log_that_is_written_to_is_a_prefix_of_it"),
    bug("backup-not-synced", "flumedb/backup_crash", "a_first_backup_is_whole_or_none"),
    bug("nonce-twice", "flumedb/encryption", "no_nonce_is_used_twice_over_crashes_and_full_disks"),
    bug("checkpoint-before-data", "flumedb/view_sim", "views_agree_with_the_log_whatever_the_order_and_the_power"),
    bug("checkpoint-not-compared", "flumedb/view_stored", "a_view_of_another_log_is_built_anew"),
    bug("state-without-position", "flumedb/groups_model", "what_was_synced_is_not_built_anew_after_a_power_cut"),
    bug("retract-forgotten", "flumedb/view_model", "what_grew_is_what_is_built_in_one_go"),
    bug("fresh-read-not-fresh", "flumedb/read_your_writes", "on_a_log_on_disk"),
    bug(
        "fingerprint-believed",
        "flumedb/hash_index_model",
        "entries_with_the_fingerprint_of_another_key_are_no_answer",
    ),
    bug("hash-index-skip-dir-sync", "flumedb/hash_index_model", "what_was_synced_is_not_built_anew_after_a_power_cut"),
    bug("search-skip-dir-sync", "flumedb-search/search_model", "what_was_synced_is_not_built_anew_after_a_power_cut"),
    bug("file-skip-sync", "flumedb-ssb/file_power", "a_power_cut_at_any_call_takes_nothing_that_was_acknowledged"),
];
