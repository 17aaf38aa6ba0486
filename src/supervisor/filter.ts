/** The seccomp filter: which system calls of a program are put before the supervisor. */

import {
  ARCH,
  allow,
  assemble,
  type Instruction,
  JEQ_K,
  JGE_K,
  LD_W_ABS,
  NR,
  notify,
  on,
} from '../abi/bpf.js';
import { allSystemCalls, type Needs } from '../abi/system_calls.js';
import { native } from '../native.js';

/** Keeps a signal from making a served call run twice (Linux 5.19). */
const SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV = 1 << 5;

/** System calls of the x32 ABI have this bit; they are let through, as 32-bit programs' are. */
const X32_BIT = 0x40000000;

/** What the launcher is sent: the filter's flags, and the filter as struct sock_filter[]. */
export function buildFilter(needs: Needs): Uint8Array {
  const needed = allSystemCalls.filter(([, call]) => call.needed?.(needs) ?? true);
  const program: Instruction[] = [
    [LD_W_ABS, 0, 0, ARCH],
    [JEQ_K, 1, 0, native.AUDIT_ARCH],
    allow,
    [LD_W_ABS, 0, 0, NR],
    [JGE_K, 0, 1, X32_BIT],
    allow,
    ...needed.flatMap(([name, call]) => on(name, call.filter?.(needs) ?? [notify])),
    allow,
  ];
  const flags = new Uint8Array(new Uint32Array([SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV]).buffer);
  return Buffer.concat([flags, assemble(program)]);
}

const NOTHING: Needs = {
  exact: false,
  reads: 'nowhere',
  writes: 'nowhere',
  polls: false,
  ioctlTypes: new Set(),
  strictCoherency: false,
  watchProcesses: false,
};

/** The calls that are looked at with `exact` alone. */
export const EXACT_CALLS: readonly string[] = allSystemCalls
  .filter(([, { needed }]) => needed?.({ ...NOTHING, exact: true }) && !needed(NOTHING))
  .map(([name]) => name);
