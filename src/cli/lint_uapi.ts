/** `dmabuf-shim lint-uapi`: is this interface one that can be kept for ever? */
import { readFileSync } from 'node:fs';
import { type Description, describe, isDescription } from '../../uapi/lint/description.js';
import { type LintResult, lintUapi, tally } from '../../uapi/lint/lint.js';
import type { Finding } from '../../uapi/lint/rules.js';
import type { DeviceDefinition, DeviceOptions } from '../kit/define_device.js';
import { defineCommand } from './command.js';
import { deviceOptions } from './devices.js';
import { writeOutput } from './output.js';
import { UsageError } from './usage.js';

export const lintUapiCommand = defineCommand({
  name: 'lint-uapi',
  usage: ['[options] FILE'],
  about: `Reviews the ioctls and structs that FILE declares, in TypeScript, by what Linux asks for in its documents
"ioctl based interfaces" and "(How to avoid) Botching up ioctls"; and calls each ioctl of its devices, with
each reserved bit set, a wrong size, no memory and so on, to see what is answered.`,
  options: {
    against: {
      value: 'FILE.json',
      help: 'also report what breaks programs that were built for what --save wrote',
    },
    save: { value: 'FILE.json', help: 'write a description of the interface' },
    json: { help: 'findings as JSON' },
    'no-run': { help: 'only read the declarations: call nothing' },
    strict: { help: 'fail with warnings, too' },
    'device-options': {
      value: 'NAME=VALUE,...',
      choices: [],
      help: 'options of the devices that are tried',
    },
  },
  after: `A device can say what arguments are right, for them to be tried: "examples", of defineDevice().
The exit status is 1 if there are errors, 2 for a wrong option or a file that cannot be loaded.`,
  operands: 'files',
  async run(values, positionals) {
    const [path] = positionals;
    if (path === undefined || positionals.length > 1) throw new UsageError('one file is wanted');
    const list = values['device-options'];
    const result = await lintUapi(path, {
      run: !values['no-run'],
      against: values.against === undefined ? undefined : readDescription(values.against),
      ...(list !== undefined && {
        deviceOptions: (definition) => checkedOptions(definition, list),
      }),
    });
    if (values.save !== undefined && result.uapi) {
      writeOutput(values.save, `${JSON.stringify(describe(result.uapi), null, 2)}\n`, path);
    }
    await write(values.json ? toJson(result) : toText(path, result));
    const count = tally(result.findings);
    const status = count.error > 0 || (values.strict && count.warning > 0) ? 1 : 0;
    // A handler may have left what never lets go of this process: a timer, a wait.
    if (result.calls > 0) process.exit(status);
    return status;
  },
});

function checkedOptions(definition: DeviceDefinition, list: string): DeviceOptions {
  const { name, options = {} } = definition;
  const values = deviceOptions(definition, list);
  for (const [key, value] of Object.entries(values)) {
    if (!(key in options)) {
      const names = Object.keys(options).join(', ') || 'none';
      throw new UsageError(`${name} has no option ${key}; there are: ${names}`);
    }
    if (Number.isNaN(value)) throw new UsageError(`${name}: ${key} is a number`);
  }
  return values;
}

function readDescription(path: string): Description {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new UsageError(`${path}: ${(error as Error).message}`);
  }
  if (!isDescription(value)) throw new UsageError(`${path} is not what --save writes`);
  return value;
}

function write(text: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(text, () => resolve()));
}

function toJson({ findings, calls }: LintResult): string {
  return `${JSON.stringify({ findings, summary: { ...tally(findings), calls } }, null, 2)}\n`;
}

function toText(path: string, { findings, calls }: LintResult): string {
  const { error, warning, note } = tally(findings);
  const tried = calls > 0 ? `, ${calls} calls tried` : '';
  const total = `${count(error, 'error')}, ${count(warning, 'warning')}, ${count(note, 'note')}${tried}`;
  return `${findings.map((finding) => line(path, finding)).join('')}${path}: ${total}\n`;
}

/** As a compiler has it, for editors to jump to. */
function line(path: string, finding: Finding): string {
  const { place, severity, subject, problem, remedy, rule, section } = finding;
  const where = place ? `${place.file}:${place.line}` : path;
  return `${where}: ${severity}: ${subject}: ${problem} [${rule}]\n    ${remedy} (${section})\n`;
}

function count(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? '' : 's'}`;
}
