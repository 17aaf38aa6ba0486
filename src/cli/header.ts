/** `dmabuf-shim header`: the C header of an interface that a TypeScript file defines. */
import { basename } from 'node:path';
import { DEFAULT_LICENSE, writeHeader } from '../../uapi/header.js';
import { loadUapi } from '../../uapi/model.js';
import { defineCommand } from './command.js';
import { writeOutput } from './output.js';
import { UsageError } from './usage.js';

export const header = defineCommand({
  name: 'header',
  usage: ['[options] FILE.ts'],
  about: `Writes the C header of the constants, structs and ioctls that FILE.ts exports, or that the device uses which it
exports by default: as a UAPI header of Linux, with the comments of the source as kernel-doc. It compiles as C
and C++, and has the same layout for 64-bit and 32-bit programs.`,
  options: {
    output: { value: 'FILE', short: 'o', help: 'write it there instead of to standard output' },
    name: {
      value: 'NAME',
      choices: [],
      help: 'what it will be included as, such as linux/scaler.h, or the macro that guards it, such as SCALER_H; by default the name of the output, or of FILE.ts',
    },
    license: {
      value: 'SPDX',
      choices: ['MIT', 'GPL-2.0'],
      help: `the licence, as an SPDX expression: MIT; by default what a line "SPDX-License-Identifier:" in FILE.ts says, or else that of Linux's own UAPI headers, which any program may include: ${DEFAULT_LICENSE}`,
    },
  },
  after: `The exit status is 2, with a line that says why, if FILE.ts cannot be loaded or defines what C cannot express.`,
  operands: 'files',
  async run(values, positionals) {
    const [file, ...others] = positionals;
    if (file === undefined || others.length > 0) throw new UsageError('one FILE.ts is wanted');
    const { output, license } = values;
    if (license !== undefined && !/^[A-Za-z0-9.+() -]+$/.test(license)) {
      throw new UsageError(`--license takes an SPDX expression such as MIT, not "${license}"`);
    }
    const guard = guardOf(values.name ?? basename(output ?? file).replace(/\.[^.]*$/, '.h'));
    const made = writeHeader(await loadUapi(file), {
      guard,
      ...(license !== undefined && { license }),
    });
    for (const warning of made.warnings) {
      process.stderr.write(`dmabuf-shim header: warning: ${warning}\n`);
    }
    if (output === undefined) process.stdout.write(made.text);
    else writeOutput(output, made.text, file);
    return 0;
  },
});

/**
 * The guard of a header that is included as `linux/scaler.h`: `_UAPI_LINUX_SCALER_H`, as Linux has it. What
 * is a macro's name already is taken as it is.
 */
function guardOf(name: string): string {
  if (/^[A-Za-z_]\w*$/.test(name)) return name;
  if (!/^[\w./-]+\.h$/.test(name)) {
    throw new UsageError(`--name takes a header such as linux/scaler.h, or a macro, not "${name}"`);
  }
  const words = name.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
  return `_UAPI_${words.join('_').toUpperCase()}`;
}
