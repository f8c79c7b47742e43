#!/usr/bin/env bash
# Package    @foundry-rs/forge 1.7.1 (npm), with the binary package of this platform that it depends on
# Expected   the command `forge` that the package puts on the PATH ends with the exit code of forge itself
# Seen       the launcher ends with 0 whatever forge ends with: a failing `forge test`, or here `forge fmt --check` on a
#            file that is not formatted, counts as passed; the binary that it starts ends with 1
# Source     https://github.com/foundry-rs/foundry/issues/14781
# Matters    a suite of contract tests, or a check in CI, that is run through the launcher can never fail; we depend on
#            the packages of the platforms and start their binaries
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . @foundry-rs/forge@1.7.1
printf 'contract  A { uint  x; }\n' > A.sol
binary=$(ls node_modules/@foundry-rs/forge-*/bin/forge* | head -n 1)

status_of() { "$@" > /dev/null 2>&1 && echo 0 || echo $?; }
own=$(status_of "$binary" fmt --check A.sol)
launched=$(status_of node_modules/.bin/forge fmt --check A.sol)
echo "forge itself ends with $own, the launcher with $launched"
[ "$own" -eq 1 ] && [ "$launched" -eq 0 ]
