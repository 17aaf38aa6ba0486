/**
 * What every ioctl answers to what is wrong, tried on one after the other of a table: a closed descriptor, another
 * kind of file, no memory, fields that have to be zero, bits that mean nothing, structs of other sizes.
 */
import { readdirSync } from 'node:fs';
import {
  _IOC,
  _IOC_DIR,
  _IOC_NR,
  _IOC_SIZE,
  _IOC_SIZEMASK,
  _IOC_TYPE,
  type Field,
  type IoctlArg,
  type IoctlDef,
  type StructType,
} from '../ioctl/index.js';
import { type Argument, type Posix, SystemError } from '../src/index.js';

const PAGE = 4096;

export interface Subject {
  readonly sys: Posix;
  readonly fd: number;
  readonly def: IoctlDef;
  /** An argument that is right, made anew. */
  readonly good: () => IoctlArg;
}

/** By what was wrong: the errno, or `ok`; what a call makes is closed again. */
export type Answers = Record<string, string>;

/** What an ioctl that is matched exactly, and that checks its argument, answers. */
export function refusals(subject: Subject): Answers {
  const { def } = subject;
  const answers: Answers = { right: 'ok', 'closed descriptor': 'EBADF', 'other file': 'ENOTTY' };
  if (def.arg === undefined) return answers;
  Object.assign(answers, {
    NULL: 'EFAULT',
    unmapped: 'EFAULT',
    shorter: 'ENOTTY',
    longer: 'ENOTTY',
  });
  for (const what of Object.keys(spoiledFields(subject))) answers[what] = 'EINVAL';
  return answers;
}

/** What it does answer. */
export function tryBadly(subject: Subject): Answers {
  const { sys, fd, def, good } = subject;
  const { request } = def;
  const resized = (by: number) =>
    _IOC(_IOC_DIR(request), _IOC_TYPE(request), _IOC_NR(request), _IOC_SIZE(request) + by);
  const [end, peer] = sys.socketpair();
  const closed = sys.dup(end);
  sys.close(closed);
  const ask = (on: number, number: number, argument: Argument) =>
    outcome(sys, on, number, argument);
  const argument = () => (def.arg ? good() : null);
  const answers: Answers = {
    right: ask(fd, request, argument()),
    'closed descriptor': ask(closed, request, argument()),
    'other file': ask(end, request, argument()),
  };
  for (const each of [end, peer]) sys.close(each);
  if (def.arg === undefined) return answers;
  answers.NULL = ask(fd, request, null);
  answers.unmapped = ask(fd, request, PAGE);
  answers.shorter = ask(fd, resized(-1), good());
  answers.longer = ask(fd, resized(1), good());
  for (const [what, bytes] of Object.entries(spoiledFields(subject))) {
    answers[what] = ask(fd, request, bytes);
  }
  return answers;
}

/** Names of fields that are for later. */
const RESERVED = /^_*(pad|reserved|resv|zero)\d*$/;

/** Good arguments with one thing wrong: by what that is. */
function spoiledFields({ def, good }: Subject): Record<string, Uint8Array> {
  const { kind } = def.arg ?? {};
  if (kind !== 'struct') return {};
  const spoiled: Record<string, Uint8Array> = {};
  for (const field of (def.arg as StructType).fields) {
    const [bit, what] = RESERVED.test(field.name)
      ? [0, 'not 0']
      : [unknownBit(field), 'unknown bit'];
    if (bit === undefined) continue;
    const { bytes } = good();
    const at = field.offset + (bit >> 3);
    bytes[at] = (bytes[at] as number) | (1 << (bit & 7));
    spoiled[`${field.name}: ${what}`] = bytes;
  }
  return spoiled;
}

/** The highest bit of a field of flags that has no name. */
function unknownBit({ flags, type: { kind, size } }: Field): number | undefined {
  if (!flags || kind !== 'integer') return undefined;
  const known = flags.reduce((all, { mask }) => all | BigInt(mask), 0n);
  for (let bit = size * 8 - 1; bit >= 0; bit--) if (!((known >> BigInt(bit)) & 1n)) return bit;
  return undefined;
}

/** A struct as it is where there is memory behind it: what is asked for a larger one than is known finds zeros there. */
export function withRoom(argument: Argument): Argument {
  if (typeof argument !== 'object' || argument === null) return argument;
  const bytes = Buffer.alloc(_IOC_SIZEMASK);
  bytes.set('bytes' in argument ? argument.bytes : (argument as Uint8Array));
  return bytes;
}

function outcome(sys: Posix, fd: number, request: number, argument: Argument): string {
  const given = withRoom(argument);
  const before = new Set(descriptors());
  try {
    sys.ioctl(fd, request, given);
    return 'ok';
  } catch (error) {
    if (error instanceof SystemError) return String(error.code);
    throw error;
  } finally {
    for (const made of descriptors()) if (!before.has(made)) tryClose(sys, made);
  }
}

function descriptors(): number[] {
  return readdirSync('/proc/self/fd').map(Number);
}

/** That of the listing itself is gone by now. */
function tryClose(sys: Posix, fd: number): void {
  try {
    sys.close(fd);
  } catch {
    // Nothing is there.
  }
}
