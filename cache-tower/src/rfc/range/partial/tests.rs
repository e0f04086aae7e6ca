use proptest::prelude::*;

use super::*;
use crate::rfc::conditional::testing::{headers, text, validators};

type Fields = &'static [(&'static str, &'static str)];

const TAG: (&str, &str) = ("etag", "\"x\"");
const LM: (&str, &str) = ("last-modified", "@50");
const DATE: (&str, &str) = ("date", "@100");

fn range((first, last): (u64, u64)) -> ByteRange {
    ByteRange::new(first, last).unwrap()
}

fn partial(total: Option<u64>, held: &[(u64, u64)]) -> Partial {
    Partial { total, held: held.iter().copied().map(range).collect() }
}

fn asked(value: &str) -> Option<Asked> {
    Asked::of(&headers(&[("range", value)]))
}

fn lacks(first: u64, last: Option<u64>) -> Answer {
    Answer::Lacks(Gap { first, last })
}

fn ranges(held: &[(u64, u64)]) -> Answer {
    Answer::Ranges(held.iter().copied().map(range).collect())
}

/// RFC, held, the range asked for (none: the whole), what it gets.
type Given = (&'static str, &'static [(u64, u64)], &'static str, Answer);

#[test]
fn a_partial_answer_of_ten_bytes_gives() {
    let rows: Vec<Given> = vec![
        ("9111 3.3 the whole, the end is missing", &[(0, 4)], "", lacks(5, None)),
        ("9111 3.3 the whole, the start is missing", &[(5, 9)], "", lacks(0, Some(4))),
        ("9111 3.3 the whole, the middle is missing", &[(0, 2), (7, 9)], "", lacks(3, Some(6))),
        ("9111 3.3 the whole, both ends are missing", &[(3, 6)], "", Answer::Nothing),
        ("9111 3.3 the whole, between and after", &[(0, 2), (5, 6)], "", lacks(3, None)),
        ("9111 3.3 the whole is there", &[(0, 9)], "", Answer::Whole),
        ("9111 3.3 wholly within", &[(0, 4)], "bytes=1-2", ranges(&[(1, 2)])),
        ("9111 3.3 exactly", &[(0, 4)], "bytes=0-4", ranges(&[(0, 4)])),
        ("9111 3.3 one byte more", &[(0, 4)], "bytes=0-5", lacks(5, Some(5))),
        ("9111 3.3 not at all", &[(0, 4)], "bytes=6-7", lacks(6, Some(7))),
        ("9111 3.3 the last, there", &[(5, 9)], "bytes=-3", ranges(&[(7, 9)])),
        ("9111 3.3 the last, partly", &[(8, 9)], "bytes=-4", lacks(6, Some(7))),
        ("9111 3.3 from, there", &[(5, 9)], "bytes=7-", ranges(&[(7, 9)])),
        ("9111 3.3 from, partly", &[(0, 7)], "bytes=6-", lacks(8, None)),
        ("9111 3.3 to beyond the end, there", &[(5, 9)], "bytes=5-100", ranges(&[(5, 9)])),
        ("9111 3.3 two pieces do not make one", &[(0, 2), (4, 9)], "bytes=1-5", lacks(3, Some(3))),
        ("9111 3.3 several, there", &[(0, 4)], "bytes=0-0,3-4", ranges(&[(0, 0), (3, 4)])),
        ("9111 3.3 several, not all there", &[(0, 4)], "bytes=0-0,8-9", Answer::Nothing),
        ("9110 15.5.17 beyond the end", &[(0, 4)], "bytes=10-", Answer::NotSatisfiable),
        ("9110 14.2 all of it, as a range", &[(0, 9)], "bytes=0-", ranges(&[(0, 9)])),
    ];
    for (row, held, value, expected) in rows {
        assert_eq!(partial(Some(10), held).answer(asked(value).as_ref()), expected, "{row}");
    }
}

#[test]
fn a_partial_answer_of_unknown_length_gives() {
    const HELD: &[(u64, u64)] = &[(0, 4)];
    let rows: Vec<Given> = vec![
        ("9111 3.3 the whole", HELD, "", lacks(5, None)),
        ("9111 3.3 the whole, without its start", &[(5, 9)], "", Answer::Nothing),
        ("9111 3.3 wholly within", HELD, "bytes=0-4", ranges(&[(0, 4)])),
        ("9111 3.3 one byte more", HELD, "bytes=3-5", lacks(5, Some(5))),
        ("9111 3.3 the end is not known", HELD, "bytes=3-", lacks(5, None)),
        ("9111 3.3 the last of what is not known", HELD, "bytes=-2", Answer::Nothing),
        ("9111 3.3 several", HELD, "bytes=0-0,3-4", Answer::Nothing),
        ("9110 15.5.17 whether there is more", HELD, "bytes=7-8", lacks(7, Some(8))),
    ];
    for (row, held, value, expected) in rows {
        assert_eq!(partial(None, held).answer(asked(value).as_ref()), expected, "{row}");
    }
}

#[test]
fn a_piece_is_combined_under_the_same_strong_validator() {
    // RFC, fields of what is stored and of the piece, held of ten bytes, the piece and its total, what is held then.
    type Row = (
        &'static str,
        (Fields, Fields),
        (Option<u64>, &'static [(u64, u64)]),
        ((u64, u64), Option<u64>),
        Option<(Option<u64>, &'static [(u64, u64)])>,
    );
    let ten = Some(10);
    let rows: Vec<Row> = vec![
        ("9111 3.4 same tag", (&[TAG], &[TAG]), (ten, &[(0, 4)]), ((5, 9), ten), Some((ten, &[(0, 9)]))),
        ("9111 3.4 same strong date", (&[LM, DATE], &[LM]), (ten, &[(0, 4)]), ((5, 9), ten), Some((ten, &[(0, 9)]))),
        ("9111 3.4 other tag", (&[TAG], &[("etag", "\"y\"")]), (ten, &[(0, 4)]), ((5, 9), ten), None),
        ("9111 3.4 weak tag", (&[("etag", "W/\"x\"")], &[("etag", "W/\"x\"")]), (ten, &[(0, 4)]), ((5, 9), ten), None),
        ("9111 3.4 weak date", (&[LM], &[LM]), (ten, &[(0, 4)]), ((5, 9), ten), None),
        ("9111 3.4 no validator", (&[], &[]), (ten, &[(0, 4)]), ((5, 9), ten), None),
        ("9111 3.4 with a hole", (&[TAG], &[TAG]), (ten, &[(0, 4)]), ((6, 9), ten), Some((ten, &[(0, 4), (6, 9)]))),
        ("9111 3.4 overlapping", (&[TAG], &[TAG]), (ten, &[(0, 4)]), ((2, 6), ten), Some((ten, &[(0, 6)]))),
        ("9111 3.4 before", (&[TAG], &[TAG]), (ten, &[(5, 9)]), ((0, 1), ten), Some((ten, &[(0, 1), (5, 9)]))),
        ("9111 3.4 closes a hole", (&[TAG], &[TAG]), (ten, &[(0, 1), (5, 9)]), ((2, 4), ten), Some((ten, &[(0, 9)]))),
        ("9110 14.4 other length", (&[TAG], &[TAG]), (ten, &[(0, 4)]), ((5, 9), Some(11)), None),
        ("9110 14.4 length is learnt", (&[TAG], &[TAG]), (None, &[(0, 4)]), ((5, 9), ten), Some((ten, &[(0, 9)]))),
        ("9110 14.4 length stays known", (&[TAG], &[TAG]), (ten, &[(0, 4)]), ((5, 9), None), Some((ten, &[(0, 9)]))),
        ("9110 14.4 beyond what is known", (&[TAG], &[TAG]), (ten, &[(0, 4)]), ((5, 10), None), None),
        ("9110 14.4 held beyond what is learnt", (&[TAG], &[TAG]), (None, &[(0, 10)]), ((0, 4), ten), None),
    ];
    for (row, (stored, newer), (total, held), (piece, piece_total), expected) in rows {
        let partial_answer = partial(total, held);
        let piece = Piece { range: range(piece), total: piece_total };
        let combined = combine(&partial_answer, &validators(stored), piece, &validators(newer));
        let expected = expected.map_or(Combined::Apart, |(total, held)| Combined::Partial(partial(total, held)));
        assert_eq!(combined, expected, "{row}");
    }
}

#[test]
fn pieces_are_bounded() {
    let tag = validators(&[TAG]);
    let mut stored = Partial::of(Piece { range: range((0, 0)), total: None });
    for place in 1..MAX_PIECES as u64 {
        let piece = Piece { range: range((place * 2, place * 2)), total: None };
        let Combined::Partial(more) = combine(&stored, &tag, piece, &tag) else { panic!("{place}") };
        stored = more;
    }
    let piece = Piece { range: range((1_000, 1_000)), total: None };
    assert_eq!(combine(&stored, &tag, piece, &tag), Combined::Apart);
}

#[test]
fn what_is_missing_is_asked_for() {
    // RFC, stored, the gap, Range and If-Range.
    type Row = (&'static str, Fields, (u64, Option<u64>), Option<(&'static str, &'static str)>);
    let rows: [Row; 7] = [
        ("9110 14.2 to the end", &[TAG], (5, None), Some(("bytes=5-", "\"x\""))),
        ("9110 14.2 between", &[TAG], (5, Some(6)), Some(("bytes=5-6", "\"x\""))),
        ("9110 13.1.5 the tag before the date", &[TAG, LM, DATE], (5, None), Some(("bytes=5-", "\"x\""))),
        ("9110 13.1.5 a strong date", &[LM, DATE], (5, None), Some(("bytes=5-", "@50"))),
        ("9110 13.1.5 a weak date", &[LM], (5, None), None),
        ("9110 13.1.5 a weak tag, and no date instead", &[("etag", "W/\"x\""), LM, DATE], (5, None), None),
        ("9110 13.1.5 nothing", &[], (5, None), None),
    ];
    let client = headers(&[
        ("range", "bytes=0-9"),
        ("if-range", "\"z\""),
        ("if-none-match", "\"z\""),
        ("if-modified-since", "@1"),
        ("a", "b"),
    ]);
    for (row, stored, (first, last), expected) in rows {
        let sent = completing(&client, Gap { first, last }, &validators(stored));
        let fields = sent.as_ref().map(|sent| (text(sent, "range").unwrap(), text(sent, "if-range").unwrap()));
        let fields = fields.as_ref().map(|(range, validator)| (range.as_str(), validator.as_str()));
        assert_eq!(fields, expected, "{row}");
        if let Some(sent) = sent {
            assert!(!sent.contains_key(IF_NONE_MATCH) && !sent.contains_key(IF_MODIFIED_SINCE), "{row}");
            assert_eq!(text(&sent, "a").as_deref(), Some("b"), "{row}");
        }
    }
}

proptest! {
    /// Held against a set of places: what is held, what is given, and that what is lacking makes it whole.
    #[test]
    fn a_partial_answer_is_a_set_of_places(
        pieces in proptest::collection::vec((0..30_u64, 0..10_u64), 1..8),
        wanted in (0..30_u64, 0..10_u64),
        is_whole_wanted: bool,
        knows_total: bool,
    ) {
        let tag = validators(&[TAG]);
        let total = 40_u64;
        let known = knows_total.then_some(total);
        let mut places = [false; 40];
        let mut stored: Option<Partial> = None;
        for (first, more) in pieces {
            let piece = Piece { range: range((first, first + more)), total: known };
            places[first as usize..=(first + more) as usize].fill(true);
            stored = Some(match &stored {
                None => Partial::of(piece),
                Some(stored) => match combine(stored, &tag, piece, &tag) {
                    Combined::Partial(more) => more,
                    Combined::Apart => panic!("apart"),
                },
            });
        }
        let stored = stored.unwrap();
        let mut held = [false; 40];
        for range in stored.held() {
            held[range.first as usize..=range.last as usize].fill(true);
        }
        prop_assert_eq!(held, places);
        prop_assert!(stored.held().windows(2).all(|pair| pair[0].last + 1 < pair[1].first));

        let (first, last) = (wanted.0, wanted.0 + wanted.1);
        let request = (!is_whole_wanted).then(|| asked(&format!("bytes={first}-{last}")).unwrap());
        let wanted = if is_whole_wanted { 0..=total - 1 } else { first..=last };
        let is_there = wanted.clone().all(|place| places[place as usize]);
        match stored.answer(request.as_ref()) {
            Answer::Whole => prop_assert!(is_whole_wanted && is_there && knows_total),
            Answer::Ranges(given) => prop_assert!(is_there && given == [range((first, last))]),
            Answer::NotSatisfiable => prop_assert!(false, "it is"),
            Answer::Nothing => prop_assert!(is_whole_wanted && !is_there),
            Answer::Lacks(gap) => {
                prop_assert!(!is_there || (is_whole_wanted && !knows_total));
                let fetched = gap.first..=gap.last.unwrap_or(total - 1);
                prop_assert!(wanted.clone().all(|place| places[place as usize] || fetched.contains(&place)));
                // Nothing is fetched at either end that is there.
                prop_assert!(!places[*fetched.start() as usize] && !places[*fetched.end() as usize] || !knows_total);
            }
        }
    }
}
