import { parseArgs } from 'node:util';
import { Kernel } from '../kernel.js';
import { kernelVersion } from './options.js';
import { UsageError } from './usage.js';

const USAGE = `Usage: dmabuf-shim ls [--kernel VERSION]

Lists the device nodes that programs see, a line each: the name as --devices takes it, the device
number, and the path. Those whose names begin with a + are there only if they are asked for:
"dmabuf-shim run --devices +NAME". VERSION is a Linux release, 3.3 to 6.18 (6.12).
`;

export function ls(args: string[]): number {
  const { values } = parse(args);
  if (values.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  using kernel = new Kernel(kernelVersion(values.kernel));
  const visible = new Set(kernel.charDevices.visible);
  const others = [...kernel.charDevices].filter((device) => !visible.has(device));
  for (const device of [...visible, ...others]) {
    const { name, major, minor } = device;
    const asked = `${visible.has(device) ? '' : '+'}${name}`;
    process.stdout.write(`${asked.padEnd(20)} ${`${major}:${minor}`.padEnd(8)} /dev/${name}\n`);
  }
  return 0;
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      options: { kernel: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
