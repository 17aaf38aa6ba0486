import { existsSync, mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { checkHeaders, headersIn, summary, uapiHeaders } from '../../uapi/import/check.js';
import { CompileError, FrontEnd, NoCompiler } from '../../uapi/import/clang.js';
import { importHeader } from '../../uapi/import/convert.js';
import { printModule } from '../../uapi/import/print.js';
import { defineCommand } from './command.js';
import { writeOutput } from './output.js';
import { UsageError } from './usage.js';

export const importHeaderCommand = defineCommand({
  name: 'import-header',
  usage: ['[options] HEADER', '--check [options] [HEADER or FOLDER …]'],
  about: `Writes the definitions of a C header, in TypeScript, to import from 'dmabuf-shim/ioctl': its structs, its
ioctls, and its constants. clang reads the header; what cannot be said in TypeScript is left out, with the
reason, at the end.`,
  options: {
    output: {
      value: 'FILE',
      short: 'o',
      help: 'write there, not to standard output; with --check, a folder for all modules',
    },
    include: {
      value: 'FOLDER',
      short: 'I',
      multiple: true,
      help: 'look for included headers there, too; may be given again',
    },
    cc: { value: 'COMMAND', choices: ['clang'], help: 'the clang to use (clang)' },
    check: {
      help: "convert all headers (Linux's, if none is given), load what comes of them, and compare sizes, offsets, signs, requests and constants with what gcc says; a line of numbers, exit status 1 if something differs",
    },
    verbose: { help: 'with --check, also what is refused, and which headers do not compile' },
  },
  operands: 'files',
  async run(values, positionals) {
    const include = (values.include ?? []).map((folder) => resolve(folder));
    const frontEnd = new FrontEnd({ include, ...(values.cc !== undefined && { cc: values.cc }) });
    try {
      if (values.check) return await check(frontEnd, positionals, { ...values, include });
      const [header, ...more] = positionals;
      if (header === undefined) throw new UsageError('no header given');
      if (more.length > 0) throw new UsageError(`one header at a time, not also ${more[0]}`);
      return await convert(frontEnd, existing(header), include, values.output);
    } catch (error) {
      if (error instanceof NoCompiler) throw new UsageError(error.message);
      if (!(error instanceof CompileError)) throw error;
      process.stderr.write(`dmabuf-shim import-header: ${error.message}\n`);
      return 1;
    }
  },
});

function existing(path: string): string {
  if (!existsSync(path)) throw new UsageError(`there is no ${path}`);
  return resolve(path);
}

async function convert(
  frontEnd: FrontEnd,
  path: string,
  include: readonly string[],
  output: string | undefined,
): Promise<number> {
  const header = await importHeader(frontEnd, path, { include });
  const text = printModule(header, await frontEnd.target());
  if (output === undefined) {
    process.stdout.write(text);
    return 0;
  }
  writeOutput(output, text, path);
  return 0;
}

async function check(
  frontEnd: FrontEnd,
  given: readonly string[],
  options: {
    include: readonly string[];
    output?: string | undefined;
    verbose?: boolean | undefined;
  },
): Promise<number> {
  const { include, output, verbose } = options;
  if (output !== undefined) mkdirSync(output, { recursive: true });
  const paths = given.length > 0 ? headersIn(given.map(existing)) : uapiHeaders();
  const result = await checkHeaders(frontEnd, paths, {
    include,
    output: output && resolve(output),
  });
  for (const line of result.wrong) process.stdout.write(`differs: ${line}\n`);
  if (verbose) {
    for (const { what, name, file, line, why } of result.leftOut) {
      process.stdout.write(`refused: ${file}:${line}: ${what} ${name}: ${why.message}\n`);
    }
    for (const { path, message } of result.failed) {
      process.stdout.write(`does not compile: ${path}: ${message}\n`);
    }
  }
  process.stdout.write(`${summary(result)}\n`);
  return result.wrong.length === 0 ? 0 : 1;
}
