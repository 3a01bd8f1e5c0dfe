//! What a user is told when something is wrong: snapshots of exit code, standard output and standard error.

use crate::support::sciurus;

#[test]
fn wrong_input_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    std::fs::create_dir_all(path.join("empty")).unwrap();
    std::fs::create_dir_all(path.join("single/only")).unwrap();
    std::fs::write(path.join("single/only/a.jpg"), b"not a picture").unwrap();
    std::fs::write(path.join("model.sciurus"), b"not a model").unwrap();
    let cases: [(&str, &[&str]); 11] = [
        ("missing_folder", &["train", "nowhere"]),
        ("empty_folder", &["train", "empty"]),
        ("single_class", &["inspect", "single"]),
        ("unknown_arch", &["train", "empty", "--arch", "resnet1000"]),
        ("device_not_built", &["predict", "model.sciurus", "empty", "--device", "cuda"]),
        ("broken_model", &["predict", "model.sciurus", "empty"]),
        ("no_run", &["interpret", "empty"]),
        ("weights_and_no_pretrained", &["train", "empty", "--weights", "w.pth", "--no-pretrained"]),
        ("no_verb", &[]),
        ("missing_model", &["predict", "nowhere.sciurus", "empty"]),
        ("tiny_image_size", &["inspect", "single", "--image-size", "1000000"]),
    ];
    for (name, arguments) in cases {
        let ran = sciurus(path, arguments).expect(2);
        insta::assert_snapshot!(name, ran.snapshot(path));
    }
}

#[test]
fn instructions_that_the_processor_lacks_are_refused() {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_sciurus"))
        .args(["predict", "model.sciurus", "photo.jpg"])
        .env("SCIURUS_CPU", "abacus")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("SCIURUS_CPU is `abacus`") && text.contains("avx2"), "{text}");
}
