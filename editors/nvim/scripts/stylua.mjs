// Formats Lua files by the rules of .stylua.toml: node stylua.mjs MODULE --check|--write FILE...
// MODULE is the installed npm package @johnnymorganz/stylua, which is the formatter without its command line.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [module, mode, ...files] = process.argv.slice(2);
const stylua = createRequire(import.meta.url)(module);
const enums = { indent_type: 'IndentType', quote_style: 'QuoteStyle', syntax: 'LuaVersion' };

const rules = readFileSync(new URL('../.stylua.toml', import.meta.url), 'utf8');

// A new one for every file: formatCode takes it over.
function config() {
  const made = stylua.Config.new();
  for (const [, name, text] of rules.matchAll(/^(\w+) = (.+)$/gm)) {
    const value = JSON.parse(text);
    made[name] = name in enums ? stylua[enums[name]][value] : value;
  }
  return made;
}

let untidy = 0;
for (const file of files) {
  const before = readFileSync(file, 'utf8');
  let after;
  try {
    after = stylua.formatCode(before, config(), undefined, stylua.OutputVerification.Full);
  } catch (error) {
    throw new Error(`${file}: ${error}`);
  }
  if (before === after) continue;
  if (mode === '--write') writeFileSync(file, after);
  else {
    untidy += 1;
    console.error(`${file} is not formatted: make format`);
  }
}
console.log(`stylua: ${files.length} files, ${untidy} to format`);
process.exit(untidy ? 1 : 0);
