//! Step 9, second part: who vouches for a pack. Trust comes from the caller's key file and nowhere else.

use super::super::attest::{self, TestResult};
use super::super::build;
use super::super::layout::{ATTESTATION, POLICY, SBOM, SIGNATURE, SUMS, TOOLCHAIN};
use super::super::manifest::Manifest;
use super::super::report::{CheckId, Status};
use super::super::sign;
use super::super::signers::{AllowedSigners, Trust};
use super::Run;
use crate::check::Verdict;

impl Run<'_> {
    /// Signature and attestations. It runs after step 10, since an attested result must be the derived one.
    pub(super) fn trust(&mut self, manifest: Option<&Manifest>, result: Option<TestResult>) {
        let given =
            self.options.allowed_signers.as_ref().zip(self.options.principal.as_ref()).zip(self.options.verify_time);
        let Some(((signers, principal), at)) = given else {
            self.not_run(CheckId::Signature, "no key file");
            return self.not_run(CheckId::Attestation, "no key file");
        };
        let signers = match AllowedSigners::parse(signers) {
            Ok(signers) => signers,
            Err(fault) => return self.report.set(CheckId::Signature, Status::Fail(vec![fault])),
        };
        let trust = Trust { signers: &signers, principal, at };
        let Some(list) = self.intake.held(SUMS) else {
            self.not_run(CheckId::Signature, "no hash list");
            return self.not_run(CheckId::Attestation, "no hash list");
        };
        match sign::verify(list, self.intake.held(SIGNATURE), &trust) {
            Ok(signer) => {
                self.report.signer = Some(signer.principal);
                self.report.set(CheckId::Signature, Status::Pass);
            }
            Err(fault) => self.report.set(CheckId::Signature, Status::Fail(vec![fault])),
        }
        self.attestation(manifest, result, &trust);
    }

    fn attestation(&mut self, manifest: Option<&Manifest>, result: Option<TestResult>, trust: &Trust<'_>) {
        let file = self.intake.held(ATTESTATION);
        if file.is_none() && self.options.require_attestation.is_empty() {
            return self.not_run(CheckId::Attestation, "no attestation");
        }
        let digest = |path: &str| self.intake.measured().get(path).map(|found| found.sha256);
        let (Some(manifest), Some(root), Some(policy), Some(toolchain), Some(sbom)) =
            (manifest, self.report.root, digest(POLICY), digest(TOOLCHAIN), digest(SBOM))
        else {
            return self.not_run(CheckId::Attestation, "the pack is not whole");
        };
        let name = build::file_name(&manifest.gate.id, root);
        let artifacts: Vec<_> =
            manifest.subject.artifacts.iter().map(|file| (file.name.as_str(), file.sha256)).collect();
        let subject = attest::Subject {
            root,
            pack: name.trim_end_matches(".zip"),
            git_commit: manifest.subject.git_commit.as_str(),
            artifacts: &artifacts,
            policy,
            toolchain,
            sbom,
        };
        // Where the verdict was not derived, at least the stored one must not be contradicted.
        let stored = (manifest.gate.verdict != Verdict::Pass).then_some(TestResult::Failed);
        let expected = attest::Expected { subject, result: result.or(stored) };
        let required: Vec<&str> = self.options.require_attestation.iter().map(String::as_str).collect();
        let verified = attest::verify(file, &expected, trust, &required);
        self.report.set(CheckId::Attestation, verified.map_or_else(Status::Fail, |_| Status::Pass));
    }
}
