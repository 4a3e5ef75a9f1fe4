//! Verifies the SSH signature over the hash list in process (PPK-32, PPK-33). Signing itself is not done here.

use signature::Verifier as _;
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, LineEnding, SshSig};

use super::codes::{Code, Fault, Reason};
use super::layout;
use super::signers::{NAMESPACE, Trust, fingerprint};

/// Largest signature file in bytes (PPK-12).
const SIGNATURE_BYTES_MAX: usize = 4 << 10;

/// Who vouches for a pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// The principal that was asked for and has signed.
    pub principal: String,
    /// `SHA256:` fingerprint of the key.
    pub fingerprint: String,
}

/// Verifies the armored signature over the bytes of the hash list.
///
/// # Errors
/// `E_SIG` with reason missing (no or an empty file), malformed (not the one armored form of an Ed25519 signature with
/// SHA-512), namespace, untrusted, expired, or bad (a trusted key, but other bytes). `E_LIMIT member` over 4 KiB.
pub fn verify(sums: &[u8], armor: Option<&[u8]>, trust: &Trust<'_>) -> Result<Signer, Fault> {
    let refuse = |reason| Fault::new(Code::Sig, reason).at(layout::SIGNATURE);
    let armor = armor.filter(|armor| !armor.is_empty()).ok_or_else(|| refuse(Reason::Missing))?;
    if armor.len() > SIGNATURE_BYTES_MAX {
        return Err(Fault::new(Code::Limit, Reason::Member).at(layout::SIGNATURE).found(armor.len()));
    }
    let signature = parse(armor).ok_or_else(|| refuse(Reason::Malformed))?;
    if signature.namespace() != NAMESPACE {
        return Err(refuse(Reason::Namespace).expected(NAMESPACE).found(signature.namespace()));
    }
    let key = signature.public_key();
    let name = fingerprint(key);
    trust.grant(key).map_err(|reason| refuse(reason).expected(trust.principal).found(&name))?;
    let signed = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, sums).map_err(|_| refuse(Reason::Malformed))?;
    key.verify(&signed, signature.signature()).map_err(|_| refuse(Reason::Bad).found(&name))?;
    Ok(Signer { principal: trust.principal.to_owned(), fingerprint: name })
}

/// The signature, if these bytes are the only armored form of one that a pack may carry.
fn parse(armor: &[u8]) -> Option<SshSig> {
    let signature = SshSig::from_pem(armor).ok()?;
    let is_ed25519 = matches!(signature.public_key(), KeyData::Ed25519(_) | KeyData::SkEd25519(_));
    // Crate ssh-key would take a hardware signature for a file key; the algorithms must be one.
    let is_its_own = signature.algorithm() == signature.public_key().algorithm();
    let is_plain =
        signature.hash_alg() == HashAlg::Sha512 && signature.reserved().is_empty() && signature.version() == 1;
    // Written again it must be the same bytes: no second spelling of one signature.
    let again = signature.to_pem(LineEnding::LF).ok()?;
    (is_ed25519 && is_its_own && is_plain && again.as_bytes() == armor).then_some(signature)
}

#[cfg(test)]
mod tests {
    use ssh_key::private::{Ed25519Keypair, KeypairData};
    use ssh_key::public::{Ed25519PublicKey, SkEd25519};
    use ssh_key::sha2::{Digest as _, Sha256};
    use ssh_key::{Algorithm, PrivateKey, Signature};

    use super::*;
    use crate::proofpack::signers::AllowedSigners;

    const SUMS: &[u8] = b"hash list\n";

    fn key(seed: u8) -> PrivateKey {
        let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&[seed; 32]));
        PrivateKey::new(pair, "test").expect("a seed is a key")
    }

    fn armor(seed: u8, namespace: &str, hash: HashAlg) -> String {
        let signature = key(seed).sign(namespace, hash, SUMS).expect("an Ed25519 key signs");
        signature.to_pem(LineEnding::LF).expect("a signature has an armored form")
    }

    fn reason(sums: &[u8], armor: Option<&str>, options: &str, at: u64) -> Option<Reason> {
        let public = key(1).public_key().to_openssh().expect("a key has a text form");
        let signers = AllowedSigners::parse(format!("ann {options} {public}\n").as_bytes()).expect("valid list");
        let trust = Trust { signers: &signers, principal: "ann", at };
        verify(sums, armor.map(str::as_bytes), &trust).err().map(|fault| {
            assert_eq!(fault.code, Code::Sig);
            fault.reason
        })
    }

    #[test]
    fn ppk_33_each_reason() {
        let good = armor(1, NAMESPACE, HashAlg::Sha512);
        let verdict = |armor: &str| reason(SUMS, Some(armor), "", 0);
        assert_eq!(verdict(&good), None);
        assert_eq!(reason(SUMS, None, "", 0), Some(Reason::Missing));
        assert_eq!(verdict(""), Some(Reason::Missing), "emptied");
        assert_eq!(verdict("x"), Some(Reason::Malformed));
        assert_eq!(verdict(&armor(2, NAMESPACE, HashAlg::Sha512)), Some(Reason::Untrusted));
        assert_eq!(verdict(&armor(1, "git", HashAlg::Sha512)), Some(Reason::Namespace), "A36");
        assert_eq!(verdict(&armor(1, NAMESPACE, HashAlg::Sha256)), Some(Reason::Malformed));
        assert_eq!(reason(b"other\n", Some(&good), "", 0), Some(Reason::Bad));
        assert_eq!(reason(SUMS, Some(&good), "namespaces=\"git\"", 0), Some(Reason::Namespace));
        let expired = "valid-before=\"19700102Z\"";
        assert_eq!(reason(SUMS, Some(&good), expired, 86_401), Some(Reason::Expired), "A37");
        assert_eq!(reason(SUMS, Some(&good), expired, 86_400), None, "A37 at --verify-time");
        assert_eq!(reason(SUMS, Some(&good), "cert-authority", 0), Some(Reason::Untrusted));
    }

    #[test]
    fn a_signature_has_one_spelling() {
        let good = armor(1, NAMESPACE, HashAlg::Sha512);
        let body: String = good.lines().filter(|line| !line.starts_with('-')).collect();
        let (first, last) = (good.lines().next().expect("a header"), good.lines().last().expect("a footer"));
        for other in [
            good.replace('\n', "\r\n"),
            good.trim_end().to_owned(),
            format!("{good}\n"),
            format!(" {good}"),
            format!("{first}\n{body}\n{last}\n"),
            good.replacen('A', "B", 1),
        ] {
            assert_eq!(reason(SUMS, Some(&other), "", 0), Some(Reason::Malformed), "{other}");
        }
        let long = format!("{good}{}", "\n".repeat(5000));
        let signers = AllowedSigners::parse(b"").expect("an empty list is a list");
        let trust = Trust { signers: &signers, principal: "ann", at: 0 };
        assert_eq!(verify(SUMS, Some(long.as_bytes()), &trust).expect_err("too long").code, Code::Limit);
    }

    #[test]
    fn no_bit_of_a_signature_may_change() {
        let good = key(1).sign(NAMESPACE, HashAlg::Sha512, SUMS).expect("an Ed25519 key signs");
        let bytes = good.signature_bytes().to_vec();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let signature = Signature::new(Algorithm::Ed25519, changed).expect("64 bytes");
            let sig =
                SshSig::new(good.public_key().clone(), NAMESPACE, HashAlg::Sha512, signature).expect("a namespace");
            let armor = sig.to_pem(LineEnding::LF).expect("a signature has an armored form");
            assert_eq!(reason(SUMS, Some(&armor), "", 0), Some(Reason::Bad), "bit {bit}");
        }
    }

    /// What a hardware key signs: hash of its application, flags, counter, hash of the message.
    fn hardware(flags: u8, application: &str) -> (KeyData, SshSig) {
        let file_key = key(1);
        let public = file_key.public_key().key_data().ed25519().expect("an Ed25519 key");
        let public = KeyData::SkEd25519(SkEd25519::new(Ed25519PublicKey(public.0), application));
        let message = SshSig::signed_data(NAMESPACE, HashAlg::Sha512, SUMS).expect("a namespace");
        let trailer = [&[flags][..], &7_u32.to_be_bytes()].concat();
        let signed = [&Sha256::digest("ssh:")[..], &trailer, &Sha256::digest(message)[..]].concat();
        let raw = signature::Signer::<Signature>::sign(&file_key, &signed);
        let raw = Signature::new(Algorithm::SkEd25519, [raw.as_bytes(), &trailer].concat()).expect("69 bytes");
        (public.clone(), SshSig::new(public, NAMESPACE, HashAlg::Sha512, raw).expect("a namespace"))
    }

    #[test]
    fn a_hardware_key_may_sign() {
        for (application, expected) in [("ssh:", None), ("ssh:x", Some(Reason::Bad))] {
            let (public, signature) = hardware(1, application);
            let line = ssh_key::PublicKey::from(public).to_openssh().expect("a key has a text form");
            let signers = AllowedSigners::parse(format!("ann {line}\n").as_bytes()).expect("valid list");
            let trust = Trust { signers: &signers, principal: "ann", at: 0 };
            let armor = signature.to_pem(LineEnding::LF).expect("a signature has an armored form");
            let verdict = verify(SUMS, Some(armor.as_bytes()), &trust);
            assert_eq!(verdict.err().map(|fault| fault.reason), expected, "{application}");
        }
    }

    #[test]
    fn a_hardware_signature_is_none_of_a_file_key() {
        let good = key(1).sign(NAMESPACE, HashAlg::Sha512, SUMS).expect("an Ed25519 key signs");
        let padded = [good.signature_bytes(), &[1, 0, 0, 0, 7]].concat();
        let raw = Signature::new(Algorithm::SkEd25519, padded).expect("69 bytes");
        let forged = SshSig::new(good.public_key().clone(), NAMESPACE, HashAlg::Sha512, raw).expect("a namespace");
        let armor = forged.to_pem(LineEnding::LF).expect("a signature has an armored form");
        assert_eq!(reason(SUMS, Some(&armor), "", 0), Some(Reason::Malformed));
    }
}
