//! Directions that the code keeps: which crate may use which, and that no two files use each other but a parent and its child.
//!
//! In: the manifests and sources of the workspace. Out: what is wrong, one line each; nothing where all is well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Context;
use syn::visit::{self, Visit};

/// The crates from the bottom up, each with those of ours that it may use.
const CRATES: [(&str, &[&str]); 12] = [
    ("data", &[]),
    ("kernels", &[]),
    ("photos", &["sciurus-data"]),
    ("insight", &["sciurus-data"]),
    ("gather", &["sciurus-data", "sciurus-photos"]),
    ("clean", &["sciurus-data", "sciurus-photos", "sciurus-insight", "sciurus-kernels"]),
    ("onnx", &["sciurus-data"]),
    (
        "sciurus",
        &[
            "sciurus-data",
            "sciurus-photos",
            "sciurus-insight",
            "sciurus-clean",
            "sciurus-kernels",
            "sciurus-onnx",
        ],
    ),
    ("serve", &["sciurus"]),
    ("studio", &["sciurus"]),
    ("cli", &["sciurus", "sciurus-serve", "sciurus-studio"]),
    ("pretrain", &["sciurus", "sciurus-clean"]),
];

/// Crates of ours that another may offer as a feature, which nothing of its own may need.
const OFFERED: [(&str, &str); 1] = [("sciurus", "sciurus-gather")];

/// Libraries that only these crates may name: tensors, and the network.
const ONLY_IN: [(&str, &[&str]); 4] =
    [("burn", &["sciurus"]), ("burn-flex", &["sciurus"]), ("ureq", &["sciurus"]), ("reqwest", &["gather"])];

/// Everything that is wrong with the layout of a workspace.
pub(crate) fn faults(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    for (name, may_use) in CRATES {
        let folder = root.join("crates").join(name);
        faults.extend(wrong_dependencies(&folder, name, may_use)?);
        let files = Files::read(&folder.join("src"))?;
        faults
            .extend(files.circles().into_iter().map(|circle| format!("{name}: a circle of files: {circle}")));
    }
    Ok(faults)
}

fn wrong_dependencies(folder: &Path, name: &str, may_use: &[&str]) -> anyhow::Result<Vec<String>> {
    let path = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let manifest: toml::Table = toml::from_str(&text)?;
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
    let mut wrong = Vec::new();
    for (dependency, asked) in dependencies.into_iter().flatten() {
        let is_ours = dependency == "sciurus" || dependency.starts_with("sciurus-");
        let is_optional = asked.get("optional").and_then(toml::Value::as_bool) == Some(true);
        let is_offered = is_optional && OFFERED.contains(&(name, dependency));
        if is_ours && !is_offered && !may_use.contains(&dependency.as_str()) {
            wrong.push(format!("{name} may not use {dependency}"));
        }
        let place = ONLY_IN.iter().find(|(library, _)| library == dependency);
        if place.is_some_and(|(_, crates)| !crates.contains(&name)) {
            wrong.push(format!("{name} may not name {dependency}"));
        }
    }
    Ok(wrong)
}

/// A module, by the names that lead to it from the root of its crate.
type Module = Vec<String>;

/// The files of a crate, and what each takes from others.
#[derive(Debug, Default)]
struct Files {
    modules: BTreeMap<Module, Names>,
}

/// What a file says of other files.
#[derive(Debug, Default)]
struct Names {
    /// Names that stand for something elsewhere: `use a::b::C` binds `C`.
    bound: BTreeMap<String, Vec<String>>,
    /// Paths from the crate's root that the file uses.
    used: BTreeSet<Vec<String>>,
}

impl Files {
    fn read(src: &Path) -> anyhow::Result<Self> {
        let mut files = Self::default();
        let mut folders = vec![src.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|ending| ending == "rs") {
                    let module = module(src, &path);
                    let text = std::fs::read_to_string(&path)?;
                    let names = Names::of(&syn::parse_file(&text)?, &module);
                    files.modules.insert(module, names);
                }
            }
        }
        Ok(files)
    }

    /// The file in which a path from the root ends, through whatever re-exports it.
    fn place(&self, path: &[String], hops: usize) -> Option<&Module> {
        let depth = (0..=path.len()).rev().find(|&depth| self.modules.contains_key(&path[..depth]))?;
        let (module, names) = self.modules.get_key_value(&path[..depth])?;
        match path.get(depth).and_then(|name| names.bound.get(name)) {
            Some(elsewhere) if hops > 0 => self.place(elsewhere, hops - 1),
            _ => Some(module),
        }
    }

    /// The files that each file uses, but for its parents and children.
    fn uses(&self) -> BTreeMap<&Module, BTreeSet<&Module>> {
        let is_kin = |a: &Module, b: &Module| a.starts_with(b) || b.starts_with(a);
        let targets = |module: &Module, names: &Names| {
            let places = names.used.iter().filter_map(|path| self.place(path, 8));
            places.filter(|place| !is_kin(module, place)).collect()
        };
        self.modules.iter().map(|(module, names)| (module, targets(module, names))).collect()
    }

    /// Circles, each told once from its first file.
    fn circles(&self) -> Vec<String> {
        let uses = self.uses();
        let mut circles = Vec::new();
        for &start in uses.keys() {
            let mut ways = vec![vec![start]];
            let mut seen = BTreeSet::new();
            while let Some(way) = ways.pop() {
                for &next in &uses[way[way.len() - 1]] {
                    if next == start && way.iter().min() == Some(&start) {
                        let names: Vec<String> = way.iter().map(|module| module.join("::")).collect();
                        circles.push(names.join(" -> "));
                    } else if next != start && seen.insert(next) {
                        ways.push([&way[..], &[next]].concat());
                    }
                }
            }
        }
        circles
    }
}

fn module(src: &Path, file: &Path) -> Module {
    let inside: PathBuf = file.strip_prefix(src).unwrap_or(file).with_extension("");
    let mut parts: Module = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts
        .last()
        .is_some_and(|last| last == "mod" || (parts.len() == 1 && (last == "lib" || last == "main")))
    {
        parts.pop();
    }
    parts
}

impl Names {
    fn of(file: &syn::File, module: &Module) -> Self {
        let mut reader = Reader { module, names: Self::default() };
        reader.visit_file(file);
        reader.names
    }
}

/// Collects paths; what stands in tests counts for nothing.
struct Reader<'a> {
    module: &'a Module,
    names: Names,
}

impl Reader<'_> {
    /// A path as it is written, from the crate's root; `None` of other crates.
    fn absolute(&self, path: &[String]) -> Option<Vec<String>> {
        let parents = path.iter().take_while(|part| *part == "super").count();
        let rest = |skipped: usize, base: &[String]| [base, &path[skipped..]].concat();
        match path.first()?.as_str() {
            "crate" => Some(rest(1, &[])),
            "self" => Some(rest(1, self.module)),
            "super" => Some(rest(parents, &self.module[..self.module.len().saturating_sub(parents)])),
            _ => None,
        }
    }

    fn import(&mut self, tree: &syn::UseTree, mut path: Vec<String>) {
        match tree {
            syn::UseTree::Path(part) => {
                path.push(part.ident.to_string());
                self.import(&part.tree, path);
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.import(tree, path.clone()));
            }
            syn::UseTree::Name(name) => self.bind(name.ident.to_string(), &name.ident, path),
            syn::UseTree::Rename(rename) => self.bind(rename.rename.to_string(), &rename.ident, path),
            syn::UseTree::Glob(_) => {}
        }
    }

    fn bind(&mut self, name: String, ident: &syn::Ident, mut path: Vec<String>) {
        if ident != "self" {
            path.push(ident.to_string());
        }
        // A path without `crate` or `super` may begin at a child of this file.
        let here = [&self.module[..], &path[..]].concat();
        let absolute = self.absolute(&path).unwrap_or(here);
        self.names.used.insert(absolute.clone());
        self.names.bound.insert(name, absolute);
    }
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    let is_cfg_test = |attribute: &syn::Attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    };
    attributes.iter().any(is_cfg_test)
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) {
            self.import(&item.tree, Vec::new());
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let Some(absolute) = self.absolute(&parts) {
            self.names.used.insert(absolute);
        }
        visit::visit_path(self, path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(sources: &[(&str, &str)]) -> Files {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in sources {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Files::read(folder.path()).unwrap()
    }

    #[test]
    fn the_layout_of_this_workspace_holds() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        assert_eq!(faults(&root).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn circles_are_found_through_re_exports_and_in_bodies() {
        let root = ("lib.rs", "mod a; mod b; mod c; pub use b::B;");
        let files = of(&[
            root,
            ("a.rs", "use crate::B; pub struct A;"),
            ("b.rs", "pub struct B; fn f() { let _ = crate::c::C; }"),
            ("c.rs", "use super::a::A; pub struct C;"),
        ]);
        assert_eq!(files.circles(), ["a -> b -> c"]);
        let files = of(&[
            root,
            ("a.rs", "use crate::B; pub struct A;"),
            ("b.rs", "pub struct B; #[cfg(test)] mod tests { use crate::a::A; }"),
            ("c.rs", "use super::a::A; pub struct C;"),
        ]);
        assert!(files.circles().is_empty(), "tests may use what they like");
    }

    #[test]
    fn a_parent_and_its_child_may_use_each_other() {
        let files = of(&[
            ("lib.rs", "mod a;"),
            ("a/mod.rs", "mod b; use b::B; pub struct A;"),
            ("a/b.rs", "use super::A; pub struct B;"),
        ]);
        assert!(files.circles().is_empty());
    }

    #[test]
    fn a_crate_may_not_use_what_stands_above_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(
            folder.path().join("Cargo.toml"),
            "[dependencies]\nsciurus-gather = \"1\"\nburn = \"1\"\n",
        )
        .unwrap();
        let wrong = wrong_dependencies(folder.path(), "data", &[]).unwrap();
        assert_eq!(
            wrong,
            ["data may not use sciurus-gather", "data may not name burn"]
                .map(String::from)
                .into_iter()
                .rev()
                .collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_is_offered_may_not_be_needed() {
        let folder = tempfile::tempdir().unwrap();
        let with = |dependency: &str| {
            std::fs::write(folder.path().join("Cargo.toml"), format!("[dependencies]\n{dependency}\n"))
                .unwrap();
            wrong_dependencies(folder.path(), "sciurus", &[]).unwrap()
        };
        assert!(with("sciurus-gather = { workspace = true, optional = true }").is_empty());
        assert_eq!(with("sciurus-gather.workspace = true"), ["sciurus may not use sciurus-gather"]);
    }
}
