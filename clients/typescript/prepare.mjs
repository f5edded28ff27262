/** Builds the package; where it is installed right from a clone, what builds it is fetched first. */

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const compiler = `${here}node_modules/typescript/bin/tsc`;
const run = (...command) => execFileSync(process.execPath, command, { cwd: here, stdio: "inherit" });

if (!existsSync(compiler)) {
  run(process.env.npm_execpath, "ci", "--ignore-scripts", "--prefix", here);
}
run(compiler);
