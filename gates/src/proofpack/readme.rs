//! README.txt of a pack: what was judged, what a PASS claims, what is not claimed, how to check (PPK-1, PPK-37).

/// What the README tells; every field comes from the manifest, the claims from the table of gates.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The gate that was packed.
    pub gate: &'a str,
    /// Overall verdict.
    pub verdict: &'a str,
    /// Each gate inside, its verdict, and the sentence that its PASS claims.
    pub parts: &'a [Part<'a>],
    /// What was judged.
    pub subject: &'a str,
    /// Commit of the subject, hex.
    pub commit: &'a str,
    /// Tree of the subject, hex.
    pub tree: &'a str,
    /// Whether the working tree had uncommitted changes.
    pub dirty: bool,
    /// Name and version of the tool that ran the gate.
    pub tool: (&'a str, &'a str),
}

/// One gate inside.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Gate id.
    pub id: &'a str,
    /// Its verdict.
    pub verdict: &'a str,
    /// What a PASS of it claims; shown only for a PASS.
    pub claim: &'a str,
}

const NOT_CLAIMED: &str = "\
What is not claimed
  That the judged program is free of faults. Each verdict speaks of the runs in evidence/, under policy/gate.json.
  That the machine was honest. A signature says who vouches for it; a replay shows that the evidence comes out again.
  That files outside this pack are what they were. Only the artifacts named in MANIFEST.json are tied to it.
";

const CHECKS: &str = "\
How to check it
  The pack, with the tool:       cargo xtask proofpack verify PACK.zip
  The extracted files, POSIX:    sh verify.sh
  The extracted files, Windows:  powershell -NoProfile -ExecutionPolicy Bypass -File verify.ps1

A script from the pack proves nothing until a tool you already trust has checked the pack.
";

/// Renders the README. Equal facts give equal bytes: printable ASCII, LF.
#[must_use]
pub fn render(facts: &Facts<'_>) -> String {
    let Facts { gate, verdict, subject, commit, tree, tool: (tool, version), .. } = facts;
    let dirty =
        if facts.dirty { "  DIRTY: the working tree had uncommitted changes; no commit reproduces it.\n" } else { "" };
    let parts: String = facts.parts.iter().map(part).collect();
    let text = format!(
        "Proofpack of {gate}: {verdict}\n\nWhat was judged\n  subject  {subject}\n  commit   {commit}\n  tree     {tree}\n\
         {dirty}  tool     {tool} {version}\n\nVerdicts\n{parts}\n{NOT_CLAIMED}\n{CHECKS}"
    );
    // A name from the manifest is ASCII already; should a claim not be, the file still must.
    text.chars().map(|symbol| if matches!(symbol, '\n' | ' '..='~') { symbol } else { '?' }).collect()
}

fn part(part: &Part<'_>) -> String {
    let Part { id, verdict, claim } = part;
    if *verdict == "PASS" { format!("  {id}  {verdict}: {claim}\n") } else { format!("  {id}  {verdict}\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(dirty: bool) -> String {
        let parts = [
            Part { id: "pr-g0", verdict: "PASS", claim: "what is judged is whole" },
            Part { id: "pr-g4", verdict: "FAIL", claim: "it stays good" },
        ];
        let (commit, tree) = ("c".repeat(40), "d".repeat(40));
        let tool = ("xtask", "0.1.0");
        let facts = Facts {
            gate: "pr-g5",
            verdict: "FAIL",
            parts: &parts,
            subject: "engine",
            commit: &commit,
            tree: &tree,
            dirty,
            tool,
        };
        render(&facts)
    }

    #[test]
    fn ppk_1_only_a_pass_states_its_claim() {
        let text = facts(false);
        assert!(text.starts_with("Proofpack of pr-g5: FAIL\n"), "{text}");
        assert!(
            text.contains("  pr-g0  PASS: what is judged is whole\n") && text.contains("  pr-g4  FAIL\n"),
            "{text}"
        );
        assert!(!text.contains("it stays good") && !text.contains("DIRTY"), "{text}");
        assert!(text.bytes().all(|byte| matches!(byte, b'\n' | b' '..=b'~')) && text.ends_with('\n'));
    }

    #[test]
    fn ppk_17_a_dirty_run_says_so() {
        assert!(facts(true).contains("\n  DIRTY: "));
    }

    #[test]
    fn ppk_37_scripts_from_the_pack_prove_nothing_alone() {
        assert!(facts(false).contains("proves nothing until a tool you already trust has checked the pack"));
    }
}
