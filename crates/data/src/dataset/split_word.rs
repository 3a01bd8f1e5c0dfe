//! Which split a folder's name stands for, however it is spelled. In: a name. Out: the split, and what else the name says.

use super::item::Split;

/// What training, validation and test sets are called.
const WORDS: [(Split, &[&str]); 3] = [
    (Split::Train, &["train", "training", "trn"]),
    (Split::Valid, &["valid", "validation", "validate", "val", "dev", "development", "eval", "evaluation"]),
    (Split::Test, &["test", "testing", "tst", "holdout"]),
];

/// Words that say nothing about which split it is.
const FILLERS: [&str; 14] = [
    "set", "data", "dataset", "image", "images", "img", "imgs", "photo", "photos", "picture", "pictures",
    "split", "folder", "samples",
];

/// The split that a folder's name stands for, and the rest of the name in lower case: `Training_Set` is train and nothing
/// else, `seg_train` is train and `seg`. Digits and punctuation only separate words: `val2017`, `01 - Test`.
pub(super) fn split_word(name: &str) -> Option<(Split, String)> {
    let lower = name.to_lowercase();
    let mut words: Vec<&str> = lower.split(|c: char| !c.is_alphabetic()).collect();
    words.retain(|word| !word.is_empty() && !FILLERS.contains(word));
    // The split comes first or last: `test_tube` is a thing, but `tube` and `test_tube` are not splits of one another.
    let ends = [words.len().checked_sub(1), (!words.is_empty()).then_some(0)];
    let (place, split) = ends.into_iter().flatten().find_map(|at| Some((at, word(words[at])?)))?;
    words.remove(place);
    Some((split, words.join(" ")))
}

/// The split that a word means, also with a filler attached: `trainset`.
fn word(word: &str) -> Option<Split> {
    let is =
        |known: &str| word.strip_prefix(known).is_some_and(|rest| rest.is_empty() || FILLERS.contains(&rest));
    WORDS.iter().find(|(_, known)| known.iter().any(|known| is(known))).map(|(split, _)| *split)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_known_however_they_are_spelled() {
        let cases = [
            ("train", Split::Train, ""),
            ("Train", Split::Train, ""),
            ("TRAINING", Split::Train, ""),
            ("training_set", Split::Train, ""),
            ("TrainSet", Split::Train, ""),
            ("train_images", Split::Train, ""),
            ("01 - Training data", Split::Train, ""),
            ("train2017", Split::Train, ""),
            ("seg_train", Split::Train, "seg"),
            ("dogs-train", Split::Train, "dogs"),
            ("val", Split::Valid, ""),
            ("Validation", Split::Valid, ""),
            ("validation_set", Split::Valid, ""),
            ("dev", Split::Valid, ""),
            ("test", Split::Test, ""),
            ("testing", Split::Test, ""),
            ("Test_Set", Split::Test, ""),
            ("seg_test", Split::Test, "seg"),
        ];
        for (name, split, rest) in cases {
            assert_eq!(split_word(name), Some((split, rest.to_owned())), "{name}");
        }
        for name in ["red", "trains", "trainer", "validity", "tests", "", "123", "контроль"] {
            assert_eq!(split_word(name), None, "{name}");
        }
    }
}
