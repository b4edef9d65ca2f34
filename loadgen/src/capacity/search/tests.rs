//! Searches on simulated servers.

use super::*;
use corecast::base::Rng;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn rules() -> Rules {
    Rules {
        min: 1,
        start: 1_000,
        max: 100_000,
        width: 1_000,
        trial: 20 * SECOND,
        verify_hold: 300 * SECOND,
        verify_trials: 5,
        verifies_neighbours: true,
        budget: None,
    }
}

const PASS: Marks = Marks { slo: Mark::Pass, zero: Mark::Pass };
const FAIL: Marks = Marks { slo: Mark::Fail, zero: Mark::Fail };
const UNCLEAR: Marks = Marks { slo: Mark::Unclear, zero: Mark::Unclear };

fn passes_if(holds: bool) -> Marks {
    if holds { PASS } else { FAIL }
}

/// Searches a server that answers each order, and returns the orders.
fn search(rules: Rules, mut server: impl FnMut(&Order) -> Marks) -> (Search, Vec<(Order, Marks)>) {
    let mut search = Search::new(rules, 7);
    let mut orders = Vec::new();
    let mut elapsed = Duration::ZERO;
    while let Some(order) = search.next(elapsed) {
        elapsed += order.hold;
        let marks = server(&order);
        search.enter(marks);
        orders.push((order, marks));
        assert!(orders.len() <= TRIALS_MAX, "it never ends");
    }
    (search, orders)
}

fn numbers(orders: &[(Order, Marks)], phase: Phase) -> Vec<u64> {
    orders.iter().filter(|(order, _)| order.phase == phase).map(|(order, _)| order.n).collect()
}

#[test]
fn a_sharp_limit_is_bracketed_and_verified() {
    let (search, orders) = search(rules(), |order| passes_if(order.n <= 40_000));
    let Bracket { low: Some(low), high: Some(high) } = search.bracket(Goal::Slo) else { panic!() };
    assert!(low <= 40_000 && 40_000 < high && high - low <= 1_200, "{low} {high}");
    assert_eq!(search.bracket(Goal::Zero), search.bracket(Goal::Slo));
    assert_eq!((search.verified(Goal::Slo, low), search.end()), ((5, 5), End::Whole));
    let grown = numbers(&orders, Phase::Grow);
    assert_eq!(grown[..3], [1_000, 1_500, 2_250]);
    assert_eq!(numbers(&orders, Phase::Bracket), [grown[grown.len() - 2]], "the last that passed");
    assert!(!search.has_hysteresis() && !search.is_noisy(Goal::Slo));
    // The lower neighbour passes as often, and one failure of the upper one is enough.
    let verified = numbers(&orders, Phase::Verify);
    let count = |n| verified.iter().filter(|it| **it == n).count();
    assert_eq!((count(low), count(scaled(low, 0.97))), (5, 5));
    assert_eq!(count(scaled(low, 1.03)), 1);
    assert!(orders.iter().all(|(order, _)| order.fresh == (order.phase == Phase::Verify)));
}

#[test]
fn verifications_are_shuffled_as_the_seed_says() {
    let order_of = |seed| {
        let mut search = Search::new(Rules { start: 100_000, ..rules() }, seed);
        let orders = std::iter::from_fn(|| {
            let order = search.next(Duration::ZERO)?;
            search.enter(PASS);
            Some(order)
        });
        orders.map(|order| order.n).collect::<Vec<_>>()
    };
    assert_eq!(order_of(1), order_of(1));
    assert_ne!(order_of(1), order_of(2));
    assert_eq!(order_of(1).len(), 1 + 2 * 5, "there is nothing beyond the largest number");
}

#[test]
fn a_number_is_approached_from_below_after_a_failure() {
    let (_, orders) = search(rules(), |order| passes_if(order.n <= 40_000));
    for pair in orders.windows(2) {
        let ((_, before), (after, _)) = (pair[0], pair[1]);
        let comes_down = after.phase == Phase::Bracket || after.via.is_some() || after.fresh;
        assert!(before.slo == Mark::Pass || comes_down, "{after:?}");
        assert!(after.via.is_none_or(|via| via < after.n && via <= 40_000), "{after:?}");
    }
}

#[test]
fn what_never_fails_is_open_above() {
    let (search, orders) = search(rules(), |_| PASS);
    assert_eq!(search.bracket(Goal::Slo), Bracket { low: Some(100_000), high: None });
    assert_eq!(search.bracket(Goal::Zero), search.bracket(Goal::Slo));
    assert_eq!(*numbers(&orders, Phase::Grow).last().unwrap(), 100_000);
    assert_eq!(numbers(&orders, Phase::Bisect), [0; 0]);
}

#[test]
fn what_holds_nobody_is_told_so() {
    let (search, orders) = search(rules(), |_| FAIL);
    assert_eq!(search.bracket(Goal::Slo), Bracket { low: None, high: Some(1) });
    assert_eq!(numbers(&orders, Phase::Bisect), [250, 62, 15, 3, 1]);
    assert_eq!(search.best(Goal::Slo), None);
}

#[test]
fn a_limit_below_the_first_number_is_found() {
    let (search, _) = search(rules(), |order| passes_if(order.n <= 300));
    let Bracket { low: Some(low), high: Some(high) } = search.bracket(Goal::Slo) else { panic!() };
    assert!(low <= 300 && 300 < high && high - low <= 30, "{low} {high}");
}

#[test]
fn a_server_that_an_overload_outlasts_is_begun_anew_each_time() {
    let mut is_stuck = false;
    let (search, orders) = search(rules(), |order| {
        is_stuck = (is_stuck && !order.fresh) || order.n > 40_000;
        passes_if(!is_stuck)
    });
    assert!(search.has_hysteresis());
    let Bracket { low: Some(low), high: Some(high) } = search.bracket(Goal::Slo) else { panic!() };
    assert!(low <= 40_000 && 40_000 < high && high - low <= 1_200, "{low} {high}");
    let again = numbers(&orders, Phase::Bracket);
    assert_eq!((again.len(), again[0]), (2, again[1]), "the last that passed, and as new");
    assert!(!search.is_noisy(Goal::Slo), "an aftermath tells nothing of the number");
}

#[test]
fn what_does_not_hold_up_gives_way_to_its_predecessor() {
    // Twenty seconds are too short to see what happens above 30,000.
    let (search, orders) = search(rules(), |order| {
        passes_if(order.n <= if order.phase == Phase::Verify { 30_000 } else { 40_000 })
    });
    let Bracket { low: Some(low), high: Some(high) } = search.bracket(Goal::Slo) else { panic!() };
    assert!(low <= 30_000 && 30_000 < high, "{low} {high}");
    assert_eq!(search.verified(Goal::Slo, low), (5, 5));
    let verified = numbers(&orders, Phase::Verify);
    let predecessor = numbers(&orders, Phase::Grow).into_iter().rfind(|n| *n < verified[0]);
    assert!(verified.iter().any(|n| Some(*n) == predecessor), "{verified:?} {predecessor:?}");
}

#[test]
fn a_trial_that_tells_nothing_is_lengthened_three_times() {
    let is_clear = |order: &Order| order.hold >= 80 * SECOND || order.n < 5_000;
    let (found, orders) =
        search(
            rules(),
            |order| {
                if is_clear(order) { passes_if(order.n <= 40_000) } else { UNCLEAR }
            },
        );
    assert!(found.bracket(Goal::Slo).low.is_some_and(|low| low > 38_000));
    let holds = orders.iter().filter(|(it, _)| it.n == 5_063 && it.phase == Phase::Grow);
    let holds: Vec<_> = holds.map(|(order, _)| (order.trial, order.hold.as_secs())).collect();
    assert_eq!(holds, [(1, 20), (2, 40), (3, 80)]);
    let (never, orders) = search(rules(), |order| if order.n > 2_000 { UNCLEAR } else { PASS });
    let Bracket { low: Some(low), high: Some(high) } = never.bracket(Goal::Slo) else { panic!() };
    assert!(low <= 2_000 && 2_000 < high, "what cannot be told did not pass: {low} {high}");
    let longest = orders.iter().filter(|(it, _)| it.phase != Phase::Verify);
    assert_eq!(longest.map(|(order, _)| order.hold).max(), Some(160 * SECOND));
}

#[test]
fn errors_within_the_tolerance_make_two_brackets() {
    let (search, _) = search(rules(), |order| Marks {
        slo: passes_if(order.n <= 40_000).slo,
        zero: passes_if(order.n <= 20_000).zero,
    });
    for (goal, truth) in [(Goal::Slo, 40_000), (Goal::Zero, 20_000)] {
        let Bracket { low: Some(low), high: Some(high) } = search.bracket(goal) else { panic!() };
        assert!(low <= truth && truth < high && high - low <= truth / 16, "{goal:?} {low} {high}");
        assert_eq!(search.verified(goal, low), (5, 5), "{goal:?}");
    }
}

#[test]
fn a_search_ends_in_time_and_verifies_what_it_found() {
    let budget = Budget { end: 900 * SECOND, verify_from: 120 * SECOND };
    let few =
        Rules { budget: Some(budget), verify_trials: 2, verifies_neighbours: false, ..rules() };
    let (search, orders) = search(few, |order| passes_if(order.n <= 40_000));
    assert_eq!((search.end(), orders.len()), (End::OutOfTime, 6 + 2));
    assert_eq!(search.bracket(Goal::Slo), Bracket { low: Some(7_595), high: None });
    let (end, _) = orders.iter().fold((Duration::ZERO, 0), |(sum, _), (it, _)| (sum + it.hold, 0));
    assert!(end < 900 * SECOND);
}

#[test]
fn as_often_as_it_was_tried_so_sure_one_may_be() {
    for (trials, rate) in [(3, 0.37), (5, 0.55), (10, 0.74), (20, 0.86), (59, 0.95)] {
        assert!((pass_rate_low95(trials) - rate).abs() < 0.005, "{trials}");
    }
}

fn any_rules() -> impl Strategy<Value = Rules> {
    (1..5_000_u64, 1..200_000_u64, 1..6_u32, any::<bool>(), 0..2_000_u64).prop_map(
        |(start, max, verify_trials, verifies_neighbours, width)| Rules {
            start,
            max,
            width,
            verify_trials,
            verifies_neighbours,
            ..rules()
        },
    )
}

/// What must hold of the bracket around `truth`, the largest number that passes.
fn encloses(search: &Search, goal: Goal, truth: u64, max: u64) {
    let Bracket { low, high } = search.bracket(goal);
    assert!(low.is_none_or(|low| low <= truth), "{low:?} above {truth}");
    assert!(high.is_none_or(|high| high > truth), "{high:?} not above {truth}");
    assert_eq!((low.is_none(), high.is_none()), (truth == 0, truth >= max));
    if let (Some(low), Some(high)) = (low, high) {
        let width = high - low;
        assert!(width <= 1 || width <= scaled(low, 0.06).max(1), "{low} to {high}");
    }
}

proptest! {
    #[test]
    fn the_bracket_of_a_monotone_server_encloses_the_truth(
        rules in any_rules(), slo in 0..250_000_u64, share in 0..=100_u64,
    ) {
        let (max, zero) = (rules.max, slo * share / 100);
        let (search, _) = search(rules, |order| Marks {
            slo: passes_if(order.n <= slo).slo,
            zero: passes_if(order.n <= zero).zero,
        });
        prop_assert_eq!(search.end(), End::Whole);
        encloses(&search, Goal::Slo, slo, max);
        encloses(&search, Goal::Zero, zero, max);
    }

    #[test]
    fn a_noisy_server_ends_in_a_bracket_that_was_verified(
        rules in any_rules(), truth in 1..250_000_u64, noise in 1..30_u64, seed in any::<u64>(),
    ) {
        let verify_trials = rules.verify_trials;
        let mut rng = Rng::new(seed);
        // Near its limit it sometimes passes and sometimes does not.
        let (search, _) = search(rules, |order| {
            let limit = truth * (100 - rng.below(noise)) / 100;
            passes_if(order.n <= limit)
        });
        let Bracket { low, high } = search.bracket(Goal::Slo);
        prop_assert!(low.is_none_or(|low| low <= truth));
        if let Some(low) = low {
            prop_assert_eq!(search.verified(Goal::Slo, low), (verify_trials, verify_trials));
            prop_assert!(high.is_none_or(|high| high > low));
        }
    }
}
