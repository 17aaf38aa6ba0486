/** Which header has what `dmabuf-shim/ioctl` defines: a generated header includes it instead of saying it again. */
import * as dmaBuf from '../ioctl/dma-buf.js';
import * as dmaHeap from '../ioctl/dma-heap.js';
import * as fcntl from '../ioctl/fcntl.js';
import * as mman from '../ioctl/mman.js';
import * as poll from '../ioctl/poll.js';
import * as syncFile from '../ioctl/sync_file.js';
import * as udmabuf from '../ioctl/udmabuf.js';
import { isIoctlTable } from './types.js';

const HEADERS: readonly (readonly [header: string, module: object])[] = [
  ['linux/dma-buf.h', dmaBuf],
  ['linux/dma-heap.h', dmaHeap],
  ['linux/sync_file.h', syncFile],
  ['linux/udmabuf.h', udmabuf],
];

/** Modules whose names every C library has, in headers that do not go with Linux's own of the same names. */
const LIBC: readonly object[] = [fcntl, mman, poll];

const byValue = new Map<unknown, string>();
const byName = new Map<string, Macro>();

/** A macro of another header. */
export interface Macro {
  readonly value: bigint;
  /** Undefined if the C library has it: programs include that as they like. */
  readonly header: string | undefined;
}

for (const [header, module] of HEADERS) {
  for (const [name, value] of Object.entries(module)) {
    if (value instanceof Object) byValue.set(value, header);
    if (isIoctlTable(value)) for (const def of Object.values(value)) byValue.set(def, header);
    addMacro(name, value, header);
  }
}
for (const module of LIBC) {
  for (const [name, value] of Object.entries(module)) addMacro(name, value, undefined);
}

function addMacro(name: string, value: unknown, header: string | undefined): void {
  if (typeof value === 'number') byName.set(name, { value: BigInt(value), header });
}

/** The header that has a struct, or an ioctl, of the package's. */
export function headerOf(value: object): string | undefined {
  return byValue.get(value);
}

/** The macro of another header that has this name. */
export function macroNamed(name: string): Macro | undefined {
  return byName.get(name);
}
