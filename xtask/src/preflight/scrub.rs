//! Takes the folders of this machine out of what tools wrote, before it becomes evidence.

use std::path::{Path, PathBuf};

use gates::proofpack::leak::scrub::scrub;

use crate::workspace::Workspace;

/// The folders of this machine and what stands for them.
#[derive(Debug)]
pub(crate) struct Scrubber(Vec<(String, &'static str)>);

impl Scrubber {
    /// The folders that tools print: workspace, target folder, home and what lies in it, temporary folder. Each also as
    /// the system resolves it, because a checkout may be reached through a link.
    pub(crate) fn new(space: &Workspace) -> Self {
        let from_variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
        let folders = [
            (Some(space.root.clone()), "<workspace>"),
            (from_variable("PWD").filter(|folder| is_same(folder, &space.root)), "<workspace>"),
            (Some(space.target.clone()), "<target>"),
            (from_variable("CARGO_HOME"), "<home>"),
            (from_variable("RUSTUP_HOME"), "<home>"),
            (std::env::home_dir(), "<home>"),
            (Some(std::env::temp_dir()), "<tmp>"),
        ];
        let mut all = Vec::new();
        for (folder, name) in folders {
            let Some(folder) = folder.filter(|folder| folder.is_absolute()) else { continue };
            all.extend(
                [Some(folder.clone()), folder.canonicalize().ok()].into_iter().flatten().map(|path| (path, name)),
            );
        }
        let text = |(path, name): (PathBuf, &'static str)| path.to_str().map(|path| (path.to_owned(), name));
        Self(all.into_iter().filter_map(text).collect())
    }

    /// The text without folders, and how many places were replaced.
    pub(crate) fn scrub(&self, text: &str) -> (String, u64) {
        let folders: Vec<(&str, &str)> = self.0.iter().map(|(path, name)| (path.as_str(), *name)).collect();
        let (text, count) = scrub(text, &folders);
        (text, count as u64)
    }
}

fn is_same(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_machine_are_replaced_and_counted() {
        let scratch = tempfile::tempdir().expect("a temporary folder");
        let root = scratch.path().join("a b/é");
        let space = Workspace { root: root.clone(), target: root.join("target"), defect: None };
        let line = format!("Compiling x ({}) -> {}/debug", root.display(), space.target.display());
        let (text, count) = Scrubber::new(&space).scrub(&line);
        assert_eq!((text.as_str(), count), ("Compiling x (<workspace>) -> <target>/debug", 2));
    }
}
