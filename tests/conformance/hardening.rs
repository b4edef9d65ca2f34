//! What has gone wrong in servers like this one, and which of our tests would find it here.
//!
//! A row is a defect that a peer has had, by the number of its advisory, and tests by the file they
//! stand in. Compression and what a policy of dependencies holds stand elsewhere.

use std::fs;
use std::path::Path;

/// The defect, and the tests that it has become.
const ROWS: &[(&str, &[(&str, &str)])] = &[
    (
        "CVE-2020-13935: a length without end",
        &[("src/ws/decoder.rs", "every_length_that_can_be_declared_is_refused_or_waited_for")],
    ),
    (
        "CVE-2020-27813: the overflow of a length",
        &[("tests/conformance/frames.rs", "the_top_bit_of_a_length_is_never_set")],
    ),
    (
        "CVE-2026-1528: a length of 64 bits ends the parser",
        &[("tests/conformance/frames.rs", "a_length_has_one_form")],
    ),
    (
        "RUSTSEC-2022-0035: what is declared is allocated",
        &[
            ("src/ws/partial.rs", "a_declared_length_costs_nothing_before_it_arrives"),
            ("src/http/reader.rs", "a_declared_body_costs_nothing_before_it_arrives"),
        ],
    ),
    (
        "CVE-2014-0193: continuations without end",
        &[("tests/sim/limits/messages.rs", "a_message_has_its_size_and_no_more")],
    ),
    (
        "CVE-2026-48779: fragments cost more than they hold",
        &[
            ("src/ws/partial.rs", "memory_stays_below_twice_what_has_arrived"),
            ("tests/sim/limits/messages.rs", "a_message_has_so_many_fragments_and_no_more"),
        ],
    ),
    (
        "CVE-2026-62389: a message that is never finished is kept",
        &[("tests/sim/limits/messages.rs", "a_message_is_whole_in_time_or_gets_1008")],
    ),
    (
        "CVE-2026-12151: empty fragments do not count",
        &[("tests/conformance/frames.rs", "empty_continuations_without_end_are_cut_short")],
    ),
    (
        "CVE-2026-9675: a limit for each frame only",
        &[("src/ws/decoder.rs", "a_message_may_be_as_big_as_the_limit_and_no_bigger")],
    ),
    (
        "CVE-2016-10518: a pong tells what is in memory",
        &[("tests/conformance/frames.rs", "a_ping_comes_back_byte_by_byte")],
    ),
    (
        "RUSTSEC-2020-0043: what waits for a peer has no bound",
        &[
            ("tests/sim/limits/outboxes.rs", "so_many_bytes_wait_for_a_peer_and_no_more"),
            ("tests/sim/limits/outboxes.rs", "so_many_frames_wait_for_a_peer_and_no_more"),
            ("tests/sim/limits/outboxes.rs", "what_waits_for_a_peer_is_never_older_than_it_may_be"),
            (
                "tests/e2e/slow.rs",
                "a_slow_reader_is_closed_with_1013_and_the_others_get_everything_in_order",
            ),
        ],
    ),
    (
        "RUSTSEC-2020-0019: reading is faster than answering",
        &[("tests/worker.rs", "who_asks_on_without_reading_gets_a_last_answer")],
    ),
    (
        "CVE-2026-33219: strangers cost what they send",
        &[
            ("src/http/reader.rs", "nothing_of_a_body_is_read_before_its_head_is_agreed_to"),
            ("tests/push.rs", "a_stranger_is_answered_before_its_body"),
        ],
    ),
    (
        "CVE-2021-42340: an upgrade leaves something behind",
        &[("tests/sim/limits/failures.rs", "whoever_comes_and_goes_leaves_nothing_behind")],
    ),
    (
        "CVE-2024-23672: a close that is never answered",
        &[
            (
                "tests/sim/limits/messages.rs",
                "a_close_is_answered_in_time_or_the_connection_dropped",
            ),
            ("tests/worker.rs", "a_late_message_whose_sender_agrees_but_stays_is_dropped"),
        ],
    ),
    (
        "RUSTSEC-2023-0065: a head that drips is read again and again",
        &[(
            "src/http/reader.rs",
            "a_head_that_drips_in_is_looked_at_no_more_often_than_a_whole_one",
        )],
    ),
    (
        "CVE-2024-37890: too many fields",
        &[
            ("tests/conformance/upgrades.rs", "heads_are_limited_in_every_direction"),
            ("tests/sim/limits/requests.rs", "a_head_has_so_many_fields_and_no_more"),
        ],
    ),
    (
        "CVE-2021-32640, CVE-2020-7662: lists that take long to read",
        &[("tests/conformance/upgrades.rs", "a_head_full_of_offers_is_judged_like_any_other")],
    ),
    (
        "CVE-2022-21676: a request ends the process",
        &[(
            "tests/sim/limits/failures.rs",
            "a_panic_anywhere_in_a_service_costs_that_connection_and_says_so",
        )],
    ),
    (
        "CVE-2020-36048, CVE-2024-23326, hyper's lengths, h2c: what is no upgrade",
        &[
            ("tests/conformance/upgrades.rs", "each_request_gets_its_status_at_every_split"),
            ("tests/conformance/upgrades.rs", "a_refusal_closes_and_tells_what_would_do"),
            ("tests/conformance/requests.rs", "a_request_smuggled_in_a_body_stays_a_body"),
        ],
    ),
    (
        "CVE-2026-1527: an answer repeats the request",
        &[("tests/conformance/upgrades.rs", "nothing_that_was_asked_is_echoed")],
    ),
    (
        "CVE-2025-24010: pages of other sites",
        &[("src/push/access.rs", "strangers_behind_a_proxy_or_in_a_browser_are_not_local")],
    ),
    (
        "CVE-2025-10148: frames without a mask",
        &[("tests/conformance/frames.rs", "an_unmasked_frame_is_a_breach_whatever_it_is")],
    ),
    (
        "CVE-2025-11677: a close from within a callback",
        &[("tests/sim/limits/failures.rs", "a_service_may_close_from_wherever_it_is_called")],
    ),
    (
        "CVE-2022-25762: somebody else gets it",
        &[("tests/sim/main.rs", "nothing_goes_wrong_in_any_history")],
    ),
    (
        "RUSTSEC-2024-0019: late news of another connection",
        &[("tests/worker.rs", "late_news_of_a_connection_that_has_gone_means_nothing")],
    ),
    (
        "RUSTSEC-2025-0024: a race between cores",
        &[("tests/wake.rs", "two_who_post_wake_who_sleeps")],
    ),
    (
        "CVE-2020-36406: topics without end",
        &[("tests/sim/limits/messages.rs", "a_connection_has_so_many_topics_and_no_more")],
    ),
    (
        "CVE-2023-44487 and its like: floods of what is small",
        &[
            ("tests/sim/limits/messages.rs", "who_goes_on_sending_too_fast_gets_1008"),
            (
                "tests/sim/limits/crowds.rs",
                "an_address_brings_so_many_connections_a_second_and_no_more",
            ),
        ],
    ),
];

#[test]
fn each_defect_of_others_has_become_a_test_of_ours() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (defect, tests) in ROWS {
        for (file, name) in *tests {
            let text = fs::read_to_string(root.join(file)).unwrap();
            assert!(text.contains(&format!("fn {name}()")), "{defect}: {file} has no {name}");
        }
    }
}
