//! The list of networks, for readers and for programs.

use crate::support::sciurus;

#[test]
fn the_networks_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("archs", sciurus(folder.path(), &["archs"]).expect(0).out);
}

#[test]
fn the_list_as_json_says_where_weights_come_from() {
    let folder = tempfile::tempdir().unwrap();
    let out = sciurus(folder.path(), &["archs", "--json"]).expect(0).out;
    let archs: serde_json::Value = serde_json::from_str(&out).unwrap();
    let named = |name: &str| archs.as_array().unwrap().iter().find(|arch| arch["name"] == name).unwrap();
    assert_eq!(named("resnet50")["parameters"], 23_508_032);
    assert_eq!(named("resnet50")["weights"]["file"], "resnet50-11ad3fa6.pth");
    assert_eq!(named("vit_small_patch16_224")["normalize"]["mean"][0], 0.5);
    assert!(named("resnet10_narrow")["weights"].is_null());
    // Every name that is listed can be asked for.
    for arch in archs.as_array().unwrap() {
        let ran = sciurus(folder.path(), &["train", "nowhere", "--arch", arch["name"].as_str().unwrap()]);
        assert!(ran.expect(2).err.contains("nowhere"), "{arch}");
    }
}
