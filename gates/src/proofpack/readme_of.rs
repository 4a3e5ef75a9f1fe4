//! The README of a manifest: facts from `gate`, `subject` and `tool`, claims from the registry of gates (PPK-1).

use super::layout::Tables;
use super::manifest::Manifest;
use super::readme::{self, Facts, Part};

/// Renders the README that belongs to this manifest.
#[must_use]
pub fn render(manifest: &Manifest, tables: &Tables) -> String {
    let Manifest { gate, subject, tool, .. } = manifest;
    let parts: Vec<Part<'_>> = gate
        .parts
        .iter()
        .map(|part| Part {
            id: &part.id,
            verdict: part.verdict.word(),
            claim: (tables.claim_of)(&part.id).unwrap_or(""),
        })
        .collect();
    readme::render(&Facts {
        gate: &gate.id,
        verdict: gate.verdict.word(),
        parts: &parts,
        subject: &subject.name,
        commit: subject.git_commit.as_str(),
        tree: subject.git_tree.as_str(),
        dirty: subject.dirty,
        tool: (&tool.name, &tool.version),
    })
}
