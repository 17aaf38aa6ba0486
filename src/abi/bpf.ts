/** Classic BPF, as seccomp filters are written in: on struct seccomp_data. */
import { native } from '../native.js';

/** struct sock_filter. */
export type Instruction = [code: number, jt: number, jf: number, k: number];

// <linux/bpf_common.h>
export const LD_W_ABS = 0x20;
export const ALU_AND_K = 0x54;
export const ALU_OR_K = 0x44;
/** Into and from the first word of scratch memory: the former to the second register. */
export const STORE: Instruction = [0x02, 0, 0, 0];
export const LOAD_X: Instruction = [0x61, 0, 0, 0];
export const JEQ_X = 0x1d;
export const JGT_X = 0x2d;
export const JEQ_K = 0x15;
export const JGE_K = 0x35;
export const JSET_K = 0x45;
const RET_K = 0x06;
export const RET_A = 0x16;

// <linux/seccomp.h>
const SECCOMP_RET_ALLOW = 0x7fff0000;
export const SECCOMP_RET_ERRNO = 0x00050000;
const SECCOMP_RET_USER_NOTIF = 0x7fc00000;

/** Offsets in struct seccomp_data. */
export const NR = 0;
export const ARCH = 4;
export const argLow = (index: number) => 16 + index * 8;
export const argHigh = (index: number) => 20 + index * 8;

/** The machine's kernel makes the call. */
export const allow: Instruction = [RET_K, 0, 0, SECCOMP_RET_ALLOW];
/** The supervisor is asked. */
export const notify: Instruction = [RET_K, 0, 0, SECCOMP_RET_USER_NOTIF];
/** The call fails, and does nothing. */
export const fail = (errno: number): Instruction => [RET_K, 0, 0, SECCOMP_RET_ERRNO | errno];

/** `body`, which ends in a return, for one system call; none if this machine does not have it. */
export function on(name: string, body: readonly Instruction[]): Instruction[] {
  const nr = native.SYS[name];
  return nr === undefined ? [] : [[JEQ_K, 0, body.length, nr], ...body];
}

/** Returns `result` if the word at `offset` is `value`. */
export function when(offset: number, value: number, result: Instruction): Instruction[] {
  return [[LD_W_ABS, 0, 0, offset], [JEQ_K, 0, 1, value], result];
}

/** Returns `result` if any of `bits` is set in the word at `offset`. */
export function whenSet(offset: number, bits: number, result: Instruction): Instruction[] {
  return [[LD_W_ABS, 0, 0, offset], [JSET_K, 0, 1, bits], result];
}

/** struct sock_filter[]. */
export function assemble(program: readonly Instruction[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(program.length * 8));
  program.forEach(([code, jt, jf, k], i) => {
    bytes.setUint16(i * 8, code, true);
    bytes.setUint8(i * 8 + 2, jt);
    bytes.setUint8(i * 8 + 3, jf);
    bytes.setUint32(i * 8 + 4, k >>> 0, true);
  });
  return new Uint8Array(bytes.buffer);
}
