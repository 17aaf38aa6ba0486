import { Kernel } from '../kernel.js';
import { KERNEL_VERSIONS } from '../version.js';
import { defineCommand } from './command.js';
import { kernelVersion } from './options.js';

export const ls = defineCommand({
  name: 'ls',
  usage: ['[--kernel VERSION]'],
  about: `Lists the device nodes that programs see, a line each: the name as --devices takes it, the device
number, and the path. Those whose names begin with a + are there only if they are asked for:
"dmabuf-shim run --devices +NAME".`,
  options: {
    kernel: {
      value: 'VERSION',
      choices: KERNEL_VERSIONS,
      help: 'those that there are in this Linux release, 3.3 to 6.18 (6.12)',
    },
  },
  operands: 'none',
  run(values) {
    using kernel = new Kernel(kernelVersion(values.kernel));
    const visible = new Set(kernel.charDevices.visible);
    const others = [...kernel.charDevices].filter((device) => !visible.has(device));
    for (const device of [...visible, ...others]) {
      const { name, major, minor } = device;
      const asked = `${visible.has(device) ? '' : '+'}${name}`;
      const number = `${major}:${minor}`.padEnd(8);
      const hint = visible.has(device) ? '' : `  (with --devices ${asked})`;
      process.stdout.write(`${asked.padEnd(20)} ${number} /dev/${name}${hint}\n`);
    }
    return 0;
  },
});
