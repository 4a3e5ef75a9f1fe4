"""Asks Python packages that share no code with us. Prints what they object to; exit 1 if they do.

peers.py dsse PUBLIC_KEY_HEX KEYID   envelope on standard input: securesystemslib verifies it
peers.py statement                   statement on standard input: in-toto-attestation validates it
peers.py sbom                        CycloneDX 1.6 on standard input: strict validation
peers.py powershell                  script on standard input: tree-sitter-powershell parses it, and our own lint
"""

import json
import sys


def dsse(data, public_key, keyid):
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import VerificationError
    from securesystemslib.signer import SSlibKey

    key = SSlibKey(keyid, "ed25519", "ed25519", {"public": public_key})
    try:
        Envelope.from_dict(json.loads(data)).verify([key], 1)
    except VerificationError as error:
        return [f"not verified: {error}"]
    return []


def statement(data):
    from google.protobuf import json_format
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    try:
        message = json_format.Parse(data, statement_pb2.Statement())
        Statement.copy_from_pb(message).validate()
    except (json_format.ParseError, ValueError) as error:
        return [str(error)]
    return []


def sbom(data):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode())
    return [] if error is None else [repr(error)]


CMDLETS = {"Get-FileHash", "Join-Path", "New-Object", "Set-StrictMode", "Write-Output"}
FORBIDDEN = ["Invoke-Expression", "Select-String", "Get-Content", "Get-ChildItem"]


def powershell(data):
    import tree_sitter
    import tree_sitter_powershell

    language = tree_sitter.Language(tree_sitter_powershell.language())
    tree = tree_sitter.Parser(language).parse(data)
    found, functions, calls = [], set(), []

    def text(node):
        return data[node.start_byte : node.end_byte].decode("latin-1")

    pending = [tree.root_node]
    while pending:
        node = pending.pop()
        line = node.start_point[0] + 1
        if node.is_error or node.is_missing:
            found.append(f"line {line}: not PowerShell")
        if node.type == "function_name":
            functions.add(text(node))
        if node.type == "command":
            calls.append((line, node))
        pending.extend(node.children)
    for line, node in calls:
        name = text(node).split()[0]
        if name not in CMDLETS | functions:
            found.append(f"line {line}: {name} is an alias, a program or a cmdlet that is not allowed")
        if name == "Get-FileHash" and "-LiteralPath " not in text(node):
            found.append(f"line {line}: {name} without -LiteralPath")
    if any(byte != 0x0A and not 0x20 <= byte <= 0x7E for byte in data):
        found.append("a byte that is neither LF nor printable ASCII")
    script = data.decode("latin-1")
    found.extend(f"{name} is not allowed" for name in FORBIDDEN if name.lower() in script.lower())
    for wanted in ["Set-StrictMode", "$ErrorActionPreference = 'Stop'", "trap {", "$PSScriptRoot"]:
        if wanted not in script:
            found.append(f"{wanted} is missing")
    for plain in [" -eq '", " -ne '", " -match ", " -notmatch ", " -replace ", " -like ", "-Path "]:
        if plain in script:
            found.append(f"{plain.strip()} ignores case or reads wildcards")
    return found


def main():
    peers = {"dsse": dsse, "statement": statement, "sbom": sbom, "powershell": powershell}
    objections = peers[sys.argv[1]](sys.stdin.buffer.read(), *sys.argv[2:])
    print("\n".join(objections))
    sys.exit(1 if objections else 0)


main()
