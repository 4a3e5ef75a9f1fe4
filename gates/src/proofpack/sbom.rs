//! The list of dependencies, CycloneDX 1.6, from what cargo says of the workspace (PPK-38).
//!
//! A pure function of two texts, so that the same lock file gives the same bytes everywhere: no serial number, no
//! timestamp, and no package id, since those of a workspace hold absolute paths.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use contract::canonical;
use serde::Deserialize;
use serde_json::{Value, json};

/// Why no list could be made, as a fragment that names the package or text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SbomError(
    /// What is wrong.
    pub String,
);

impl fmt::Display for SbomError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot list the dependencies: {}", self.0)
    }
}

impl std::error::Error for SbomError {}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Option<Resolve>,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

/// Renders `sbom.cdx.json`, canonical with a final LF.
///
/// `metadata` is the output of `cargo metadata --format-version 1 --locked --offline`, `lock` the text of `Cargo.lock`,
/// `product` name and version of the whole. Packages that nothing in the resolved graph uses are left out.
///
/// # Errors
/// A text that cannot be read, a package without graph node, a registry package without checksum, two packages of one
/// name and version, a value that is not ASCII.
pub fn render(metadata: &str, lock: &str, product: (&str, &str)) -> Result<Vec<u8>, SbomError> {
    let metadata: Metadata = serde_json::from_str(metadata).map_err(|error| SbomError(format!("metadata: {error}")))?;
    let lock: Lock = toml::from_str(lock).map_err(|error| SbomError(format!("Cargo.lock: {error}")))?;
    let resolve = metadata.resolve.ok_or_else(|| SbomError("metadata: no resolved graph".into()))?;
    let nodes: BTreeMap<&str, &[Dependency]> =
        resolve.nodes.iter().map(|node| (node.id.as_str(), node.deps.as_slice())).collect();
    let members: BTreeSet<&str> = metadata.workspace_members.iter().map(String::as_str).collect();
    let needed = reachable(&nodes, &members, |kind| kind.kind.as_deref() != Some("dev"))?;
    let used = reachable(&nodes, &members, |_| true)?;

    let mut refs: BTreeMap<&str, String> = BTreeMap::new();
    for package in metadata.packages.iter().filter(|package| used.contains(package.id.as_str())) {
        let purl = purl(&package.name, &package.version);
        if refs.values().any(|known| *known == purl) {
            return Err(SbomError(format!("{purl}: two packages of one name and version")));
        }
        refs.insert(&package.id, purl);
    }
    let reference =
        |id: &str| refs.get(id).cloned().ok_or_else(|| SbomError("metadata: a node without package".into()));

    let (mut components, mut dependencies) = (BTreeMap::new(), BTreeMap::new());
    for package in metadata.packages.iter().filter(|package| used.contains(package.id.as_str())) {
        let own = reference(&package.id)?;
        let on = nodes.get(package.id.as_str()).copied().unwrap_or(&[]);
        let on = on.iter().map(|dependency| reference(&dependency.pkg)).collect::<Result<BTreeSet<_>, _>>()?;
        components.insert(own.clone(), component(package, &own, needed.contains(package.id.as_str()), &lock)?);
        dependencies.insert(own.clone(), json!({"ref": own, "dependsOn": on}));
    }
    let (name, version) = product;
    let whole = purl(name, version);
    let direct = members.iter().map(|id| reference(id)).collect::<Result<BTreeSet<_>, _>>()?;
    if dependencies.insert(whole.clone(), json!({"ref": whole, "dependsOn": direct})).is_some() {
        return Err(SbomError(format!("{whole}: the product has the name of a package")));
    }
    let bom = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "name": name, "version": version, "purl": whole, "bom-ref": whole},
        },
        "components": components.into_values().collect::<Vec<_>>(),
        "dependencies": dependencies.into_values().collect::<Vec<_>>(),
    });
    let mut bytes = canonical::to_bytes(&bom).map_err(|error| SbomError(error.to_string()))?;
    if !bytes.is_ascii() {
        return Err(SbomError("a name or licence is not ASCII".into()));
    }
    bytes.push(b'\n');
    Ok(bytes)
}

/// Everything that the members need through edges of a wanted kind.
fn reachable<'a>(
    nodes: &BTreeMap<&'a str, &'a [Dependency]>,
    members: &BTreeSet<&'a str>,
    is_wanted: impl Fn(&DependencyKind) -> bool,
) -> Result<BTreeSet<&'a str>, SbomError> {
    let mut found = members.clone();
    let mut pending: Vec<&str> = members.iter().copied().collect();
    while let Some(id) = pending.pop() {
        let dependencies = nodes.get(id).ok_or_else(|| SbomError("metadata: a package without a graph node".into()))?;
        for dependency in dependencies.iter().filter(|dependency| dependency.dep_kinds.iter().any(&is_wanted)) {
            if found.insert(&dependency.pkg) {
                pending.push(&dependency.pkg);
            }
        }
    }
    Ok(found)
}

fn component(package: &Package, own: &str, is_needed: bool, lock: &Lock) -> Result<Value, SbomError> {
    let is_program = package.targets.iter().any(|target| target.kind.iter().any(|kind| kind == "bin"));
    let is_member = package.source.is_none();
    let mut fields = json!({
        "type": if is_program && is_member { "application" } else { "library" },
        "name": package.name,
        "version": package.version,
        "purl": own,
        "bom-ref": own,
        "scope": if is_needed { "required" } else { "excluded" },
    });
    if !is_member {
        let same =
            |row: &&Locked| row.name == package.name && row.version == package.version && row.source == package.source;
        let checksum = lock.package.iter().find(same).and_then(|row| row.checksum.as_ref());
        let checksum = checksum.ok_or_else(|| SbomError(format!("{own}: no checksum in Cargo.lock")))?;
        fields["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
    }
    if let Some(license) = &package.license {
        fields["licenses"] = json!([{"expression": expression(license)}]);
    }
    Ok(fields)
}

/// Before SPDX expressions, cargo wrote alternatives with a slash.
fn expression(license: &str) -> String {
    license.split('/').map(str::trim).collect::<Vec<_>>().join(" OR ")
}

/// A package URL; `+` of build metadata is a reserved letter there.
fn purl(name: &str, version: &str) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

    fn package(id: &str, license: Option<&str>, kind: &str) -> Value {
        let (name, version) = id.split_once('@').expect("ids of this test are name@version");
        let source = if kind == "lib" { json!(REGISTRY) } else { Value::Null };
        json!({"id": id, "name": name, "version": version, "license": license, "source": source, "targets": [{"kind": [kind]}]})
    }

    fn node(id: &str, deps: &[(&str, &str)]) -> Value {
        let kind = |kind: &str| if kind.is_empty() { Value::Null } else { kind.into() };
        let dep = |(pkg, of): &(&str, &str)| json!({"name": "x", "pkg": pkg, "dep_kinds": [{"kind": kind(of), "target": null}]});
        json!({"id": id, "deps": deps.iter().map(dep).collect::<Vec<_>>()})
    }

    fn metadata() -> Value {
        json!({
            "packages": [
                package("tool@0.1.0", Some("MIT OR Apache-2.0"), "bin"),
                package("b@1.0.0+x", Some("Unlicense/MIT"), "lib"),
                package("a@1.0.0", None, "lib"),
                package("gen@1.0.0", Some("MIT"), "lib"),
                package("testing@2.0.0", Some("MIT"), "lib"),
                package("unused@1.0.0", Some("MIT"), "lib"),
            ],
            "workspace_members": ["tool@0.1.0"],
            "resolve": {"nodes": [
                node("tool@0.1.0", &[("b@1.0.0+x", ""), ("testing@2.0.0", "dev"), ("gen@1.0.0", "build")]),
                node("b@1.0.0+x", &[("a@1.0.0", "")]),
                node("a@1.0.0", &[]),
                node("gen@1.0.0", &[]),
                node("testing@2.0.0", &[("a@1.0.0", "")]),
            ]},
        })
    }

    fn lock() -> String {
        let row = |id: &str| {
            let (name, version) = id.split_once('@').expect("ids of this test are name@version");
            format!(
                "[[package]]\nname = \"{name}\"\nversion = \"{version}\"\nsource = \"{REGISTRY}\"\nchecksum = \"{}\"\n",
                "ab".repeat(32)
            )
        };
        ["a@1.0.0", "b@1.0.0+x", "gen@1.0.0", "testing@2.0.0"].map(row).concat()
    }

    fn rendered(metadata: &Value, lock: &str) -> Result<Value, SbomError> {
        let bytes = render(&metadata.to_string(), lock, ("whole", "0.1.0"))?;
        assert_eq!(bytes.last(), Some(&b'\n'));
        Ok(canonical::parse_evidence(&bytes).expect("canonical JSON"))
    }

    #[test]
    fn ppk_38_fields_and_order() {
        let bom = rendered(&metadata(), &lock()).expect("a whole graph");
        let of =
            |key: &str| bom["components"].as_array().expect("a list").iter().map(|c| c[key].clone()).collect::<Value>();
        let refs = [
            "pkg:cargo/a@1.0.0",
            "pkg:cargo/b@1.0.0%2Bx",
            "pkg:cargo/gen@1.0.0",
            "pkg:cargo/testing@2.0.0",
            "pkg:cargo/tool@0.1.0",
        ];
        assert_eq!(of("bom-ref"), json!(refs));
        assert_eq!(of("purl"), of("bom-ref"));
        assert_eq!(of("scope"), json!(["required", "required", "required", "excluded", "required"]));
        assert_eq!(of("type"), json!(["library", "library", "library", "library", "application"]));
        assert_eq!(bom["components"][1]["licenses"], json!([{"expression": "Unlicense OR MIT"}]));
        assert_eq!(bom["components"][0]["hashes"][0]["content"], "ab".repeat(32));
        assert_eq!(bom["components"][4].get("hashes"), None, "nothing was downloaded for it");
        assert_eq!(bom["components"][0].get("licenses"), None, "it names none");
        let depends = |at: usize| bom["dependencies"][at]["dependsOn"].clone();
        assert_eq!(depends(1), json!([refs[0]]));
        assert_eq!(depends(4), json!([refs[1], refs[2], refs[3]]));
        assert_eq!(
            (bom["dependencies"][5]["ref"].clone(), depends(5)),
            (json!("pkg:cargo/whole@0.1.0"), json!([refs[4]]))
        );
        for absent in ["serialNumber", "timestamp"] {
            assert!(!bom.to_string().contains(absent));
        }
    }

    #[test]
    fn the_order_of_the_input_does_not_matter() {
        let mut other = metadata();
        for list in ["/packages", "/resolve/nodes", "/resolve/nodes/0/deps"] {
            other.pointer_mut(list).and_then(Value::as_array_mut).expect("a list").reverse();
        }
        assert_eq!(rendered(&other, &lock()), rendered(&metadata(), &lock()));
    }

    #[test]
    fn a_gap_is_an_error() {
        let broken = |pointer: &str, value: Value| {
            let mut metadata = metadata();
            *metadata.pointer_mut(pointer).expect("the place is there") = value;
            rendered(&metadata, &lock()).expect_err("a gap").0
        };
        assert!(broken("/resolve", Value::Null).contains("no resolved graph"));
        assert!(broken("/resolve/nodes/1/id", "x@1.0.0".into()).contains("without a graph node"));
        assert!(broken("/packages/2/id", "x@1.0.0".into()).contains("without package"));
        assert!(broken("/packages/2/version", "1.0.1".into()).contains("pkg:cargo/a@1.0.1: no checksum"));
        assert!(broken("/packages/2/license", "\u{e9}".into()).contains("not ASCII"));
        assert!(broken("/packages/0/name", "whole".into()).contains("the product has the name"));
        let mut twins = metadata();
        twins["packages"][2]["name"] = "gen".into();
        assert!(rendered(&twins, &lock()).expect_err("twins").0.contains("two packages of one name"));
        assert!(render("{}", "", ("w", "1")).is_err() && render(&metadata().to_string(), "x", ("w", "1")).is_err());
    }
}
