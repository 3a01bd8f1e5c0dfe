//! What a person sees, as snapshots.

use sciurus_insight::{
    ClassificationInterpretation, ConfusionMatrix, ErrorRate, Measured, Predictions, TopLossTable, Vocab,
    mistake_weight,
};

use crate::{names, predictions_of};

const PETS: [&str; 37] = [
    "Abyssinian",
    "Bengal",
    "Birman",
    "Bombay",
    "British_Shorthair",
    "Egyptian_Mau",
    "Maine_Coon",
    "Persian",
    "Ragdoll",
    "Russian_Blue",
    "Siamese",
    "Sphynx",
    "american_bulldog",
    "american_pit_bull_terrier",
    "basset_hound",
    "beagle",
    "boxer",
    "chihuahua",
    "english_cocker_spaniel",
    "english_setter",
    "german_shorthaired",
    "great_pyrenees",
    "havanese",
    "japanese_chin",
    "keeshond",
    "leonberger",
    "miniature_pinscher",
    "newfoundland",
    "pomeranian",
    "pug",
    "saint_bernard",
    "samoyed",
    "scottish_terrier",
    "shiba_inu",
    "staffordshire_bull_terrier",
    "wheaten_terrier",
    "yorkshire_terrier",
];

/// Items of each class, spread over its neighbours: the same every time.
fn spread(labels: &[&str], per_class: usize) -> Predictions {
    let classes = labels.len();
    let taken_for = |target: usize, i: usize| match (target * 7 + i * 5) % 11 {
        0 => (target + 1) % classes,
        1 if i.is_multiple_of(2) => (target + i) % classes,
        _ => target,
    };
    let pairs: Vec<_> =
        (0..classes).flat_map(|t| (0..per_class + t % 3).map(move |i| (t, taken_for(t, i)))).collect();
    predictions_of(labels, &pairs)
}

fn confusion_of(labels: &[&str], per_class: usize) -> ConfusionMatrix {
    ConfusionMatrix::new(&spread(labels, per_class))
}

#[test]
fn confusion_of_two_classes() {
    insta::assert_snapshot!(confusion_of(&["grey", "red"], 29));
}

#[test]
fn confusion_of_ten_classes_abbreviates_columns() {
    let labels = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
    insta::assert_snapshot!(confusion_of(&labels, 100));
}

#[test]
fn confusion_of_three_long_labels() {
    let labels = [
        "Callosciurus erythraeus, Pallas's squirrel, of Taiwan",
        "Sciurus carolinensis, the eastern gray squirrel",
        "Sciurus vulgaris, the red squirrel",
    ];
    insta::assert_snapshot!(confusion_of(&labels, 20));
}

#[test]
fn confusion_of_labels_that_abbreviate_alike_is_a_list() {
    let labels = ["n01440764", "n02102040", "n02979186", "n03000684", "n03028079", "n03394916", "n03417042"];
    insta::assert_snapshot!(confusion_of(
        &[&labels[..], &["n03425413", "n03445777", "n03888257"]].concat(),
        30
    ));
}

#[test]
fn a_list_names_the_three_labels_a_class_is_most_often_taken_for() {
    let labels: Vec<String> = (1..=12).map(|i| format!("eastern squirrel {i:02}")).collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let pairs = [(0, 5), (0, 1), (0, 7), (0, 7), (0, 2), (0, 0), (0, 5)];
    let text = ConfusionMatrix::new(&predictions_of(&labels, &pairs)).to_string();
    let first = "eastern squirrel 01      7      6  85.7 %  eastern squirrel 06 2, eastern squirrel 08 2, \
                 eastern squirrel 02 1, 1 more";
    assert_eq!(text.lines().nth(1), Some(first));
}

#[test]
fn confusion_of_37_classes_is_a_list() {
    insta::assert_snapshot!(confusion_of(&PETS, 38));
}

#[test]
fn confusion_with_a_class_that_is_absent_and_wide_letters() {
    insta::assert_snapshot!(ConfusionMatrix::new(&predictions_of(
        &["fox", "écureuil", "松鼠"],
        &[(0, 0), (0, 2), (2, 2)]
    )));
}

#[test]
fn confusion_of_nothing() {
    let predictions = Predictions::from_probabilities(Vocab::new([]), vec![], vec![], vec![], vec![]);
    insta::assert_snapshot!(ConfusionMatrix::new(&predictions.unwrap()));
}

#[test]
fn top_losses() {
    let labels = ["grey", "red"].map(String::from);
    let logits = [3.0, -2.0, 0.5, 0.25, -1.0, 4.0, 2.0, -2.5];
    let (items, paths) = names(4);
    let predictions =
        Predictions::from_logits(Vocab::new(labels), items, paths, &logits, vec![1, 0, 0, 0]).unwrap();
    let top = ClassificationInterpretation::new(predictions).top_losses(3);
    insta::assert_snapshot!(TopLossTable(&top));
}

#[test]
fn summary_as_json() {
    let interpretation = ClassificationInterpretation::new(predictions_of(
        &["grey", "red"],
        &[(0, 0), (0, 1), (1, 1), (1, 1)],
    ));
    let json = serde_json::to_string_pretty(&interpretation.summary(2)).unwrap();
    insta::assert_snapshot!(json);
    assert_eq!(
        serde_json::from_str::<sciurus_insight::InterpretationSummary>(&json).unwrap(),
        interpretation.summary(2)
    );
}

#[test]
fn measured_tells_its_interval_and_what_it_counted() {
    let mut pairs = vec![(0, 0); 58];
    pairs[7] = (0, 1);
    let measured = Measured::new(&ErrorRate, &predictions_of(&["grey", "red"], &pairs));
    assert_eq!(measured.to_string(), "error_rate 0.0172 (95 % interval 0.003 to 0.091, 1 of 58 wrong)");
    let accuracy = Measured::new(&sciurus_insight::Accuracy, &predictions_of(&["grey", "red"], &pairs));
    assert_eq!(accuracy.to_string(), "accuracy 0.9828 (95 % interval 0.909 to 0.997, 57 of 58 right)");
    let other = Measured { name: "f1".into(), value: 0.5, interval: None, items: 58 };
    assert_eq!(other.to_string(), "f1 0.5000 (58 items)");
}

#[test]
fn measured_on_nothing_is_nan_and_survives_json() {
    let nothing = Predictions::from_probabilities(Vocab::new([]), vec![], vec![], vec![], vec![]).unwrap();
    let measured = Measured::new(&ErrorRate, &nothing);
    assert_eq!(measured.to_string(), "error_rate NaN (no items)");
    let json = serde_json::to_string(&measured).unwrap();
    assert!(serde_json::from_str::<Measured>(&json).unwrap().value.is_nan());
}

#[test]
fn the_weight_of_a_mistake() {
    assert_eq!(mistake_weight(0).to_string(), "there are no items to make a mistake on");
    assert_eq!(mistake_weight(1).to_string(), "on 1 item one mistake is 100.0 points");
    assert_eq!(mistake_weight(58).to_string(), "on 58 items one mistake is 1.7 points");
    assert_eq!(mistake_weight(5000).to_string(), "on 5000 items one mistake is 0.02 points");
}
