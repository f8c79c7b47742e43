#!/usr/bin/env bash
# Package    solc 0.8.37 (npm), its command solcjs
# Expected   `solcjs --standard-json` writes one JSON document on standard output, as the native compiler does
# Seen       a line of prose about SMT solvers comes first, on standard output too, wherever no solver is installed, for
#            sources that ask for no model checking
# Source     https://docs.soliditylang.org/en/latest/using-the-compiler.html ("Compiler Input and Output JSON
#            Description"); the line comes from solcjs in https://github.com/argotorg/solc-js
# Matters    whatever drives the compiler by standard JSON (forge, py-solc-x) takes the answer for malformed; we call
#            the package's function compile() from a wrapper of a few lines
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . solc@0.8.37
cat > input.json <<'JSON'
{
  "language": "Solidity",
  "sources": { "A.sol": { "content": "// SPDX-License-Identifier: MIT\npragma solidity ^0.8.0;\ncontract A {}" } },
  "settings": { "outputSelection": { "*": { "*": ["abi"] } } }
}
JSON
# A PATH without solvers, so that the outcome does not hang on this machine.
mkdir path && ln -s "$(command -v node)" path/node
PATH="$PWD/path" node_modules/.bin/solcjs --standard-json < input.json > output
node -e '
const lines = require("fs").readFileSync("output", "utf8").split("\n");
const parses = text => { try { JSON.parse(text); return true; } catch { return false; } };
console.log("first line: " + lines[0]);
process.exit(!parses(lines.join("\n")) && lines[0].startsWith(">>>") && parses(lines.slice(1).join("\n")) ? 0 : 1);
'
