//! Every text with which a plan is refused, or a file of it left where it is, as its user reads it.

use std::fs;
use std::path::Path;

use sciurus_clean::plan::{Applied, CleanAction, CleanPlan, apply, undo};
use sciurus_data::one_line;

use crate::plan::{item, plan, squirrels, write};

/// Which file stayed and why, a line each.
fn left(what: &str, applied: &Applied, root: &Path) -> String {
    let line = |left: &sciurus_clean::plan::Left| {
        let line = format!("{}: {}", left.path.display(), left.reason);
        format!("  {}\n", one_line(&line.replace(&root.display().to_string(), "FOLDER")))
    };
    format!("{what}\n{}", applied.left.iter().map(line).collect::<String>())
}

#[test]
fn a_plan_that_is_refused() {
    let folder = squirrels();
    let path = folder.path().join("clean.json");
    let refused = |what: &str| {
        let error = CleanPlan::load(&path).unwrap_err().to_string();
        assert!(!error.contains('\n') && !error.contains("{ "), "{error}");
        format!("{what}\n  {}\n", error.replace(&folder.path().display().to_string(), "FOLDER"))
    };
    let of_item = |path_of: &str, action, to: Option<&str>| {
        CleanPlan::new("squirrels", "test", vec![item(path_of, b"", action, to)]).save(&path).unwrap();
        refused(&format!("{path_of} to `{}`", to.unwrap_or("no label")))
    };
    let mut said: String = ["../red/1.jpg", "/etc/passwd", "red/../../1.jpg"]
        .map(|path| of_item(path, CleanAction::SetAside, None))
        .concat();
    for label in [None, Some(".."), Some("a/b"), Some("_set_aside"), Some("")] {
        said += &of_item("red/1.jpg", CleanAction::Relabel, label);
    }
    plan(folder.path()).save(&path).unwrap();
    let whole = fs::read_to_string(&path).unwrap();
    fs::write(&path, whole.replacen("\"format\": ", "\"format\": 9", 1)).unwrap();
    said += &refused("of a newer version");
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    said += &refused("cut short");
    fs::write(&path, "red/1.jpg,grey\n").unwrap();
    said += &refused("another file");
    let copy = squirrels();
    let other = apply(&plan(folder.path()), copy.path()).unwrap_err().to_string();
    said += &format!("of another folder\n  {other}\n")
        .replace(&folder.path().display().to_string(), "FOLDER")
        .replace(&copy.path().display().to_string(), "OTHER");
    insta::assert_snapshot!(said);
}

#[cfg(unix)]
#[test]
fn a_file_that_stays_where_it_is() {
    let folder = squirrels();
    let root = folder.path();
    let mut asked = plan(root);
    asked.items.push(item("red/1.jpg", b"a", CleanAction::SetAside, None));
    asked.items.push(item("red/2.jpg", b"b", CleanAction::SetAside, None));
    asked.items.push(item("red/.hidden.jpg", b"", CleanAction::SetAside, None));
    for path in ["red/link.jpg", "red/folder.jpg"] {
        asked.items.push(item(path, b"", CleanAction::SetAside, None));
    }
    // One in no folder of its label.
    let mut loose = item("photos/4.jpg", b"e", CleanAction::Relabel, Some("grey"));
    loose.label = "red".to_owned();
    asked.items.push(loose);
    write(root, "photos/4.jpg", b"e");
    fs::write(root.join("red/1.jpg"), "edited").unwrap();
    fs::remove_file(root.join("red/2.jpg")).unwrap();
    std::os::unix::fs::symlink("1.jpg", root.join("red/link.jpg")).unwrap();
    fs::create_dir(root.join("red/folder.jpg")).unwrap();
    // A file stands where a class folder is wanted.
    fs::write(root.join("black"), "in the way").unwrap();
    let mut said = left("to be moved", &apply(&asked, root).unwrap(), root);

    let folder = squirrels();
    let root = folder.path();
    apply(&plan(root), root).unwrap();
    fs::write(root.join("red/1.jpg"), "new").unwrap();
    fs::remove_file(root.join("_set_aside/red/2.jpg")).unwrap();
    fs::remove_file(root.join("black/3 é\n.jpg")).unwrap();
    fs::create_dir(root.join("black/3 é\n.jpg")).unwrap();
    said += &left("to be moved back", &undo(root).unwrap(), root);
    insta::assert_snapshot!(said);
}
