/**
 * The command line's code as one file (commands.ts with all that it imports), and beside it what V8 compiled of
 * that when the package was installed: to compile it at each start would take longer than the rest of the start.
 */
import { readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { createRequire, Module } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Script } from 'node:vm';

type Commands = typeof import('./commands.js');

/** dist/src/cli.cjs, seen from dist/src/cli/. */
const FILE = fileURLToPath(new URL('../cli.cjs', import.meta.url));
const CACHE = `${FILE}.cache`;

/** As `require` gives it; V8 itself refuses what another version of it compiled. */
export function loadCommands(): Commands {
  const require = createRequire(FILE);
  const cachedData = process.sourceMapsEnabled ? undefined : readCache();
  // Node knows source maps of what it compiles itself only.
  return cachedData ? evaluate(compile(cachedData), require) : require(FILE);
}

/** Runs the commands, and writes what V8 has compiled until then. */
export async function writeCache(args: string[]): Promise<void> {
  const script = compile();
  await evaluate(script, createRequire(FILE)).main(args);
  writeFileSync(`${CACHE}.${process.pid}`, script.createCachedData());
  renameSync(`${CACHE}.${process.pid}`, CACHE);
}

function readCache(): Buffer | undefined {
  try {
    // V8 compares the source's length only.
    return statSync(CACHE).mtimeMs >= statSync(FILE).mtimeMs ? readFileSync(CACHE) : undefined;
  } catch {
    return undefined;
  }
}

function compile(cachedData?: Buffer): Script {
  return new Script(Module.wrap(readFileSync(FILE, 'latin1')), {
    filename: FILE,
    ...(cachedData && { cachedData }),
  });
}

/** As Node does it for a file of CommonJS. */
function evaluate(script: Script, require: NodeJS.Require): Commands {
  const module = { exports: {} };
  script.runInThisContext()(module.exports, require, module, FILE, dirname(FILE));
  return module.exports as Commands;
}
