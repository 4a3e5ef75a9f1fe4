# Checks this extracted proofpack offline and writes nothing:
#   powershell -NoProfile -ExecutionPolicy Bypass -File verify.ps1
# Exit 0: intact. Exit 1: a check failed. Exit 2: cannot check. For Windows PowerShell 5.1 and PowerShell 7.
# A script that came with the pack proves nothing until a tool you already trust has checked the pack.
Set-StrictMode -Version 2.0
$ErrorActionPreference = 'Stop'
trap {
    [System.Console]::Error.WriteLine('cannot check: ' + ($_.Exception.Message -creplace '[^ -~]', '?'))
    exit 2
}

function Fail([string] $Check, [string] $Subject) {
    [System.Console]::Error.WriteLine('FAIL ' + $Check + ': ' + ($Subject -creplace '[^ -~]', '?'))
    exit 1
}

function IsPath([string] $Path) {
    $Component = '[A-Za-z0-9_+@=,][A-Za-z0-9._+@=,-]*'
    if ($Path.Length -gt 240 -or $Path -cnotmatch ('\A' + $Component + '(/' + $Component + ')*\z')) { return $false }
    if ($Sealed.Contains($Path)) { return $false }
    $Parts = @($Path.Split([char] '/'))
    if ($Parts.Length -gt 16) { return $false }
    foreach ($Part in $Parts) {
        $Stem = $Part.Split([char] '.')[0].ToUpperInvariant()
        if ($Part.Length -gt 100 -or $Part.EndsWith('.', [System.StringComparison]::Ordinal)) { return $false }
        if ($Stem -cmatch '\A(CON|PRN|AUX|NUL|COM[0-9]|LPT[0-9])\z') { return $false }
    }
    return $true
}

function FirstOrdinal($Names) {
    $Names.Sort([System.StringComparer]::Ordinal)
    return $Names[0]
}

$Folder = [System.IO.Path]::GetFullPath($PSScriptRoot).TrimEnd([char[]] '\/') + [System.IO.Path]::DirectorySeparatorChar
$List = [System.IO.Path]::Combine($Folder, 'SHA256SUMS.txt')
$Sealed = New-Object -TypeName 'System.Collections.Generic.HashSet[string]'
foreach ($Name in @('SHA256SUMS.txt', 'SHA256SUMS.txt.sig', 'attestation.intoto.jsonl')) { $null = $Sealed.Add($Name) }

# The hash list is read as bytes: line readers swallow CR and byte order marks.
$Info = New-Object -TypeName System.IO.FileInfo -ArgumentList $List
if (-not $Info.Exists -or $Info.Length -eq 0 -or $Info.Length -gt 8388608 -or
    ($Info.Attributes -band [System.IO.FileAttributes]::ReparsePoint)) {
    Fail 'list' 'SHA256SUMS.txt is missing, empty or over 8 MiB'
}
$Text = [System.Text.Encoding]::GetEncoding(28591).GetString([System.IO.File]::ReadAllBytes($List))
if ($Text -cmatch '[^\x0A\x20-\x7E]' -or $Text[$Text.Length - 1] -cne [char] 10) {
    Fail 'bytes' 'SHA256SUMS.txt holds other bytes than LF and printable ASCII, or no final LF'
}
$Lines = @($Text.Substring(0, $Text.Length - 1).Split([char] 10))

# Every line first, then the order of all lines, then names that some file system would take for one.
for ($Index = 0; $Index -lt $Lines.Length; $Index++) {
    if ($Lines[$Index] -cnotmatch '\A[0-9a-f]{64}  .' -or -not (IsPath $Lines[$Index].Substring(66))) {
        Fail 'grammar' ('SHA256SUMS.txt line ' + ($Index + 1))
    }
}
for ($Index = 1; $Index -lt $Lines.Length; $Index++) {
    if ([string]::CompareOrdinal($Lines[$Index - 1].Substring(66), $Lines[$Index].Substring(66)) -ge 0) {
        Fail 'order' ('SHA256SUMS.txt line ' + ($Index + 1))
    }
}
$Files = New-Object -TypeName 'System.Collections.Generic.HashSet[string]'
$Above = New-Object -TypeName 'System.Collections.Generic.HashSet[string]'
$HasEvidence = $false
for ($Index = 0; $Index -lt $Lines.Length; $Index++) {
    $Path = $Lines[$Index].Substring(66)
    $Name = $Path.ToLowerInvariant()
    $Clash = $Files.Contains($Name) -or $Above.Contains($Name)
    for ($Cut = $Name.IndexOf([char] '/'); $Cut -ge 0; $Cut = $Name.IndexOf([char] '/', $Cut + 1)) {
        $Clash = $Clash -or $Files.Contains($Name.Substring(0, $Cut))
        $null = $Above.Add($Name.Substring(0, $Cut))
    }
    if ($Clash) { Fail 'clash' ('SHA256SUMS.txt line ' + ($Index + 1)) }
    $null = $Files.Add($Name)
    if ($Path.StartsWith('evidence/', [System.StringComparison]::Ordinal)) { $HasEvidence = $true }
}
if (-not $HasEvidence) { Fail 'evidence' 'SHA256SUMS.txt names no file under evidence/' }

# .NET lists hidden files too. Links are reported, never followed.
$Present = New-Object -TypeName 'System.Collections.Generic.HashSet[string]'
$Special = New-Object -TypeName 'System.Collections.Generic.List[string]'
$Odd = New-Object -TypeName 'System.Collections.Generic.List[string]'
$Pending = New-Object -TypeName 'System.Collections.Generic.Stack[string]'
$Pending.Push($Folder)
while ($Pending.Count -gt 0) {
    $Parent = New-Object -TypeName System.IO.DirectoryInfo -ArgumentList $Pending.Pop()
    foreach ($Entry in @($Parent.GetFileSystemInfos())) {
        $Path = $Entry.FullName.Substring($Folder.Length).Replace('\', '/')
        $Shown = $Path -creplace '[^A-Za-z0-9._+@=,/-]', '?'
        $IsFolder = [bool] ($Entry.Attributes -band [System.IO.FileAttributes]::Directory)
        if ($Entry.Attributes -band [System.IO.FileAttributes]::ReparsePoint) {
            $Special.Add($Shown)
        } else {
            if ($Entry.Name -cmatch '[^A-Za-z0-9._+@=,-]') { $Odd.Add($Shown) }
            if ($IsFolder) { $Pending.Push($Entry.FullName) } else { $null = $Present.Add($Path) }
        }
    }
}
if ($Special.Count -gt 0) { Fail 'special' (FirstOrdinal $Special) }
if ($Odd.Count -gt 0) { Fail 'name' (FirstOrdinal $Odd) }

foreach ($Line in $Lines) {
    if (-not $Present.Remove($Line.Substring(66))) { Fail 'missing' $Line.Substring(66) }
}
$Present.ExceptWith($Sealed)
if ($Present.Count -gt 0) {
    $Extra = New-Object -TypeName 'System.Collections.Generic.List[string]'
    $Extra.AddRange($Present)
    Fail 'extra' (FirstOrdinal $Extra)
}
foreach ($Line in $Lines) {
    $Full = [System.IO.Path]::Combine($Folder, $Line.Substring(66))
    $Hash = (Get-FileHash -LiteralPath $Full -Algorithm SHA256).Hash.ToLowerInvariant()
    if ($Hash -cne $Line.Substring(0, 64)) { Fail 'hash' $Line.Substring(66) }
}

$Root = (Get-FileHash -LiteralPath $List -Algorithm SHA256).Hash.ToLowerInvariant()
Write-Output ('OK ' + $Lines.Length + ' files, root ' + $Root)
exit 0
