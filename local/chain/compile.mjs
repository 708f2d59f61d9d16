// Compiles contracts.sol and prints the creation code of each contract as JSON. How contracts.json is made:
//   node local/chain/compile.mjs > local/chain/contracts.json
import { readFileSync } from "node:fs";
import solc from "solc";

const source = readFileSync(new URL("contracts.sol", import.meta.url), "utf8");
const input = {
  language: "Solidity",
  sources: { "contracts.sol": { content: source } },
  settings: {
    evmVersion: "paris",
    optimizer: { enabled: true, runs: 200 },
    // Without the hash of metadata, so that comments and paths do not change the code.
    metadata: { bytecodeHash: "none", appendCBOR: false },
    outputSelection: { "*": { "*": ["evm.bytecode.object"] } },
  },
};
const output = JSON.parse(solc.compile(JSON.stringify(input)));
const errors = (output.errors ?? []).filter((error) => error.severity === "error");
if (errors.length > 0) {
  console.error(errors.map((error) => error.formattedMessage).join("\n"));
  process.exit(1);
}
const code = Object.fromEntries(
  Object.entries(output.contracts["contracts.sol"]).map(([name, contract]) => [name, contract.evm.bytecode.object]),
);
console.log(JSON.stringify(code, null, 2));
