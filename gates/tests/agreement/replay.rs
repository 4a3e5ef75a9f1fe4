//! `replay.sh` starts a replay only for an intact pack and the very source it judged (PPK-28, A27).

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use contract::digest::Digest;
use gates::proofpack::scripts::template;
use tempfile::TempDir;

use crate::tool::{Outcome, Tool, find};

/// A git checkout, an extracted pack that judged it, and a `cargo` that says how it was called.
struct Scene {
    folder: TempDir,
    git: Tool,
    dash: Tool,
}

impl Scene {
    fn new() -> Option<Self> {
        let needed_for = "replay.sh compares commit and tree";
        let (git, dash) = (find(&["git"], needed_for)?, find(&["dash"], needed_for)?);
        let scene = Self { folder: tempfile::tempdir().expect("a scratch folder"), git, dash };
        fs::create_dir_all(scene.source()).expect("scratch folder takes folders");
        fs::write(scene.source().join("file"), "one\n").expect("scratch folder takes files");
        scene.git(&["init", "-q"]);
        scene.git(&["add", "file"]);
        scene.commit("first");
        fs::create_dir_all(scene.programs()).expect("scratch folder takes folders");
        let cargo = scene.programs().join("cargo");
        fs::write(&cargo, "#!/bin/sh\nprintf 'in %s:' \"$(pwd -P)\"\nprintf ' %s' \"$@\"\n")
            .expect("scratch folder takes files");
        fs::set_permissions(cargo, fs::Permissions::from_mode(0o755)).expect("our own file");
        scene.pack("false");
        Some(scene)
    }

    fn source(&self) -> PathBuf {
        self.real().join("source with spaces")
    }

    fn pack_folder(&self) -> PathBuf {
        self.real().join("pack")
    }

    fn programs(&self) -> PathBuf {
        self.real().join("bin")
    }

    fn real(&self) -> PathBuf {
        self.folder.path().canonicalize().expect("the scratch folder is there")
    }

    fn git(&self, arguments: &[&str]) -> String {
        let outcome = self.git.run(&self.source(), arguments);
        assert_eq!(outcome.exit, Some(0), "{arguments:?}: {outcome:?}");
        outcome.text().trim().to_owned()
    }

    fn commit(&self, message: &str) {
        self.git(&[
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@t.example",
            "commit",
            "-q",
            "--allow-empty",
            "-a",
            "-m",
            message,
        ]);
    }

    /// Writes an extracted pack for the commit that is checked out now.
    fn pack(&self, dirty: &str) {
        let (commit, tree) = (self.git(&["rev-parse", "HEAD"]), self.git(&["rev-parse", "HEAD^{tree}"]));
        let lie = "\\\"dirty\\\":false,\\\"git_commit\\\":\\\"0\\\"";
        let manifest = format!(
            "{{\"format\":\"proofpack/1\",\"note\":\"{lie}\",\"subject\":{{\"artifacts\":[],\"dirty\":{dirty},\
             \"git_commit\":\"{commit}\",\"git_tree\":\"{tree}\",\"name\":\"engine\"}}}}\n"
        );
        let script = |name| template(name).expect("it is a template");
        let files = [
            ("MANIFEST.json", manifest.as_str()),
            ("evidence/rows.jsonl", "{}\n"),
            ("replay.sh", script("replay.sh")),
            ("verify.sh", script("verify.sh")),
        ];
        let mut list = String::new();
        for (path, text) in files {
            crate::world::put(&self.pack_folder(), path, text.as_bytes());
            list += &format!("{}  {path}\n", Digest::of(text.as_bytes()));
        }
        crate::world::put(&self.pack_folder(), "SHA256SUMS.txt", list.as_bytes());
    }

    fn replay(&self, arguments: &[&str], path: &str) -> Outcome {
        let script = self.pack_folder().join("replay.sh").display().to_string();
        let all: Vec<&str> = [script.as_str()].into_iter().chain(arguments.iter().copied()).collect();
        // A caller's git settings must not lead to another repository.
        self.dash.run_with(Path::new("/"), &all, b"", &[("PATH", path), ("GIT_DIR", "/nowhere")])
    }

    fn usual_path(&self) -> String {
        format!("{}:{}", self.programs().display(), std::env::var("PATH").expect("tests run with a PATH"))
    }

    /// Replays on the checkout, and wants a refusal that starts nothing.
    fn assert_refused(&self, exit: i32, word: &str) {
        let outcome = self.replay(&[&self.source().display().to_string()], &self.usual_path());
        assert_eq!(outcome.exit, Some(exit), "{word}: {outcome:?}");
        assert!(outcome.stderr.contains(word) && !outcome.text().contains("xtask"), "{word}: {outcome:?}");
    }
}

#[test]
fn ppk_28_replay_sh_starts_the_tool_in_the_source() {
    let Some(scene) = Scene::new() else { return };
    let source = scene.source().display().to_string();
    let outcome = scene.replay(&[&source], &scene.usual_path());
    assert_eq!(outcome.exit, Some(0), "{outcome:?}");
    let pack = scene.pack_folder().display().to_string();
    let call = format!("in {source}: xtask proofpack replay --tree {pack} --source {source}");
    assert_eq!(outcome.text().lines().last(), Some(call.as_str()));
}

#[test]
fn a27_another_source_is_refused_and_nothing_is_run() {
    let Some(scene) = Scene::new() else { return };
    fs::write(scene.source().join("new"), "").expect("scratch folder takes files");
    scene.assert_refused(1, "FAIL source: ");
    fs::remove_file(scene.source().join("new")).expect("it is there");
    scene.commit("another commit of the same tree");
    scene.assert_refused(1, "FAIL subject: ");
    scene.pack("true");
    scene.assert_refused(1, "FAIL dirty: ");
    scene.pack("maybe");
    scene.assert_refused(1, "FAIL manifest: ");
    scene.pack("false");
    crate::world::put(&scene.pack_folder(), "evidence/rows.jsonl", b"{\"n\":1}\n");
    scene.assert_refused(1, "FAIL hash: evidence/rows.jsonl");
}

#[test]
fn a_missing_tool_or_source_is_exit_2() {
    let Some(scene) = Scene::new() else { return };
    assert_eq!(scene.replay(&[], &scene.usual_path()).exit, Some(2));
    assert_eq!(scene.replay(&["/nowhere"], &scene.usual_path()).exit, Some(2));
    let plain = scene.programs().display().to_string();
    assert_eq!(scene.replay(&[&plain], &scene.usual_path()).exit, Some(2), "no git checkout");
    let few = scene.real().join("few");
    fs::create_dir(&few).expect("the name is free");
    for name in ["dirname", "git", "sed", "sh"] {
        let Some(Tool(program)) = find(&[name], "replay.sh without cargo") else { return };
        symlink(program, few.join(name)).expect("scratch folder takes links");
    }
    let outcome = scene.replay(&[&scene.source().display().to_string()], &few.display().to_string());
    assert_eq!((outcome.exit, outcome.stderr.as_str()), (Some(2), "cannot replay: no cargo\n"));
}
