#!/usr/bin/env bash
# What each of the six programs is made of, with licences and hashes: one CycloneDX file a program in .local/sbom, or in
# the folder that is named first, of the programs that are named after it. From what was restored, so restore first.
set -euo pipefail
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."
folder=${1:-.local/sbom}
programs=(Requests Groups Matching Notifications Console Audit)
if (($# > 1)); then programs=("${@:2}"); fi

export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
dotnet tool restore </dev/null >/dev/null
for program in "${programs[@]}"; do
  dotnet dotnet-CycloneDX "services/$program/$program.csproj" --disable-package-restore --output-format Json \
    --set-name "huzhu-${program,,}" --output "$folder" --filename "${program,,}.json" </dev/null >/dev/null
  echo "$folder/${program,,}.json"
done
