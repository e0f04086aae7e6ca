//! The row of words grows and shrinks like a `Vec`, here and on the heap.

use proptest::collection::vec;
use proptest::prelude::*;

use super::samples::cases;
use crate::key::words::{Kind, Segments, Words, header, push_bytes};

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn words_are_like_a_vec(steps in vec((0..4_u8, any::<u64>(), 0..24_usize), 0..40)) {
        let (mut words, mut model) = (Words::new(), Vec::new());
        for (step, word, to) in steps {
            match step {
                0 => {
                    words.truncate(to);
                    model.truncate(to);
                }
                1 => {
                    words.push_number(Kind::Number, word);
                    model.extend([header(Kind::Number, 8), word]);
                }
                _ => {
                    words.push(word);
                    model.push(word);
                }
            }
            prop_assert_eq!(&*words, &model[..]);
            prop_assert_eq!(&*words.clone(), &model[..]);
            prop_assert!(words.here_from(0).is_none_or(|here| here == &model[..]));
        }
    }

    #[test]
    fn bytes_come_out_as_they_went_in(texts in vec(vec(any::<u8>(), 0..40), 0..5)) {
        let mut words = Words::new();
        for text in &texts {
            push_bytes(&mut words, Kind::Text, text);
        }
        let read = Segments::new(&words).map(|segment| {
            let mut bytes = Vec::new();
            segment.each_byte(|byte| bytes.push(byte));
            assert_eq!(segment.start_of(&mut [0; 17]), &bytes[..bytes.len().min(17)]);
            bytes
        });
        let read: Vec<Vec<u8>> = read.collect();
        prop_assert_eq!(read, texts);
    }
}
