#!/usr/bin/env bash
# Package    @foundry-rs/anvil 1.7.1 (npm), the binary package of this platform that it depends on
# Expected   a chain that was kept with --state goes on where it was: a block's time is later than that of its parent
# Seen       --state keeps the blocks but not how far the clock was moved (evm_increaseTime): after a restart the next
#            block has the time of the machine, here ten days before its parent
# Source     https://github.com/foundry-rs/foundry/issues/10331
# Matters    deadlines lie in moved time: after a restart a window that had ended is open again. Whoever goes on with
#            such a chain calls evm_setTime with the time of the last block first
set -euo pipefail
work=$(mktemp -d)
node=
trap '[ -z "$node" ] || kill "$node" 2> /dev/null || true; wait; rm -rf "$work"' EXIT
cd "$work"

npm install --silent --no-audit --no-fund --prefix . @foundry-rs/anvil@1.7.1
anvil=$(ls node_modules/@foundry-rs/anvil-*/bin/anvil* | head -n 1)
port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close(); })')

ask() { # METHOD PARAMS: the answer's result, or for a block its time
  node -e '
const [port, method, params] = process.argv.slice(1);
const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: JSON.parse(params) });
fetch(`http://127.0.0.1:${port}`, { method: "POST", headers: { "content-type": "application/json" }, body })
  .then(answer => answer.json())
  .then(({ result }) => console.log(result && result.timestamp ? Number(result.timestamp) : result), () => process.exit(1));
' "$port" "$1" "$2"
}
start() {
  "$anvil" --port "$port" --state state.json --silent &
  node=$!
  for _ in $(seq 100); do ask eth_chainId '[]' > /dev/null 2>&1 && return; sleep 0.1; done
  echo "anvil does not answer" >&2
  return 2
}
stop() { kill "$node"; wait "$node" || true; node=; }

start
ask evm_increaseTime '[864000]' > /dev/null
ask evm_mine '[]' > /dev/null
parent=$(ask eth_getBlockByNumber '["latest", false]')
stop
start
kept=$(ask eth_getBlockByNumber '["latest", false]')
ask evm_mine '[]' > /dev/null
child=$(ask eth_getBlockByNumber '["latest", false]')
echo "last block before the restart: $parent, the same after it: $kept, its child: $child"
[ "$kept" -eq "$parent" ] && [ "$child" -lt "$parent" ]
