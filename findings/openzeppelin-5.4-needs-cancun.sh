#!/usr/bin/env bash
# Package    @openzeppelin/contracts 5.3.0 and 5.4.0, compiled by solc 0.8.37 (npm)
# Expected   a minor release of a contract library compiles for the same virtual machines as the one before
# Seen       a contract that uses SignatureChecker compiles for Shanghai with 5.3.0 and does not with 5.4.0: the library
#            now imports one in which the instruction mcopy stands, which the compiler takes for Cancun and later only
# Source     https://github.com/OpenZeppelin/openzeppelin-contracts/pull/5831
# Matters    contract wallets sign through SignatureChecker, and ganache and py-evm's older rules end before Cancun; we
#            pin 5.3.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . \
  solc@0.8.37 before@npm:@openzeppelin/contracts@5.3.0 after@npm:@openzeppelin/contracts@5.4.0
node -e '
const fs = require("fs"), solc = require("solc");
const source = `// SPDX-License-Identifier: MIT
pragma solidity ^0.8.24;
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";
contract Signed {
    function check(address who, bytes32 digest, bytes memory signature) external view returns (bool) {
        return SignatureChecker.isValidSignatureNow(who, digest, signature);
    }
}`;
function errors(release, evmVersion) {
  const settings = { evmVersion, outputSelection: { "*": { "*": ["evm.bytecode.object"] } } };
  const input = { language: "Solidity", sources: { "Signed.sol": { content: source } }, settings };
  const read = path => ({ contents: fs.readFileSync(path.replace("@openzeppelin/contracts", `node_modules/${release}`), "utf8") });
  const found = JSON.parse(solc.compile(JSON.stringify(input), { import: read })).errors || [];
  return found.filter(each => each.severity === "error").map(each => each.message);
}
const seen = [errors("before", "shanghai"), errors("after", "shanghai"), errors("after", "cancun")];
console.log("5.3.0 for Shanghai:", seen[0], "\n5.4.0 for Shanghai:", seen[1], "\n5.4.0 for Cancun:", seen[2]);
process.exit(!seen[0].length && seen[1].some(text => text.includes("mcopy")) && !seen[2].length ? 0 : 1);
'
