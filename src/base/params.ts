/** Modules in sysfs, and their parameters: /sys/module/NAME. Linux: kernel/params.c. */
import type { KernelCore } from '../core.js';
import { errno } from '../errno.js';
import { type Attributes, addAttribute, type TextAttribute } from './attribute.js';
import { type Kobject, kobjectSynthUevent, kobjectUevent } from './kobject_uevent.js';

/** Puts a module's directory into /sys/module. Parameters by their names. */
export function moduleAdd(kernel: KernelCore, name: string, parameters: Attributes = {}): void {
  const module: Kobject = { kernel, devpath: `/module/${name}`, subsystem: 'module' };
  const at = `sys${module.devpath}`;
  const directory = kernel.root.mkdir(at);
  const add = (path: string, ops: TextAttribute) => addAttribute(directory, path, ops, module);
  add('uevent', { store: (text) => kobjectSynthUevent(module, text), seldom: true });
  for (const [each, ops] of Object.entries(parameters)) add(`parameters/${each}`, ops);
  kobjectUevent(module, 'add');
}

const [INT_MIN, INT_MAX] = [-(2n ** 31n), 2n ** 31n - 1n];

/** kstrtoint(): decimal, 0x or 0 before it, a sign, and one newline behind. EINVAL, ERANGE. */
function kstrtoint(text: string): number {
  const [, sign = '', digits] = /^([+-]?)(0x[\da-f]+|\d+)\n?$/i.exec(text) ?? [];
  if (digits === undefined) throw errno('EINVAL');
  const isOctal = /^0\d/.test(digits);
  if (isOctal && /[89]/.test(digits)) throw errno('EINVAL');
  const value = BigInt(isOctal ? `0o${digits.slice(1)}` : digits) * (sign === '-' ? -1n : 1n);
  if (value < INT_MIN || value > INT_MAX) throw errno('ERANGE');
  return Number(value);
}

/** module_param() of an int with permissions 0644: `values[key]`. */
export function intParam<K extends string>(values: Record<K, number>, key: K): TextAttribute {
  return {
    show: () => `${values[key]}\n`,
    store(text) {
      values[key] = kstrtoint(text.split('\0', 1)[0] as string);
    },
    seldom: true,
  };
}
