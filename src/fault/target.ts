/** Whether a call of a program goes to something of ours: faults are for those calls alone. */
import { type Argument, at_flags } from '../abi/arguments.js';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, POLLFD_SIZE } from '../abi/constants.js';
import { allSystemCalls, type SystemCall, systemCall } from '../abi/system_calls.js';
import { isOursAlone } from '../fs/directories.js';
import type { File } from '../fs/file.js';
import { isPathOnly } from '../fs/open.js';
import { Directory } from '../fs/tree.js';
import type { Call } from '../supervisor/call.js';
import type { Context } from '../supervisor/context.js';

/** More than any process may have open. */
const MAX_FDS = 2 ** 20;

/** The places of a call's arguments of a kind. */
function places({ args }: SystemCall, kind: Argument['kind']): number[] {
  return [...args.keys()].filter((index) => args[index]?.kind === kind);
}

/** The kinds of arguments that name something. */
const NAMING: readonly Argument['kind'][] = ['path', 'fd', 'pollfds', 'fd_set'];

/** The system calls that faults can be injected into. */
export const INJECTABLE: ReadonlySet<string> = new Set(
  allSystemCalls
    .filter(([, { args }]) => args.some(({ kind }) => NAMING.includes(kind)))
    .map(([name]) => name),
);

/** Something of ours; the open file, if it is one. */
export interface Target {
  file: File | undefined;
}

/** What a call goes to, if it is ours. EFAULT for arguments that cannot be read. */
export function targetOf(call: Call, name: string, context: Context): Target | undefined {
  const row = systemCall(name);
  if (!row) return undefined;
  if (places(row, 'path').length > 0) return pathTarget(call, row, context);
  for (const fd of fdsOf(call, row)) {
    const target = fdTarget(call, fd);
    if (target) return target;
  }
  return undefined;
}

/** The descriptors that a call names. */
function fdsOf(call: Call, row: SystemCall): number[] {
  const [array] = places(row, 'pollfds');
  if (array !== undefined) return pollFds(call, array);
  const sets = places(row, 'fd_set');
  return sets.length > 0
    ? selectFds(call, sets)
    : places(row, 'fd').map((index) => call.int(index));
}

function fdTarget(call: Call, fd: number): Target | undefined {
  const file = call.task.fget(fd);
  return file && !isPathOnly(file) ? { file } : undefined;
}

function pathTarget(call: Call, row: SystemCall, context: Context): Target | undefined {
  const { kernel, paths } = context;
  const [directory, argument] = [places(row, 'dirfd')[0], places(row, 'path')[0] as number];
  const dirfd = directory === undefined ? AT_FDCWD : call.int(directory);
  const path = paths.readPath(call.task, call.arg(argument));
  // What fstat(3) is made of: AT_EMPTY_PATH.
  if (path === '') return dirfd === AT_FDCWD ? undefined : fdTarget(call, dirfd);
  const flags = row.args.indexOf(at_flags);
  const follow = !row.nofollow && !(flags >= 0 && call.int(flags) & AT_SYMLINK_NOFOLLOW);
  const found = paths.resolve(call.task, dirfd, path, follow);
  if (found?.kind === 'descriptor') {
    const file = kernel.files.at(found.pid, found.fd);
    return file && { file };
  }
  if (found?.kind !== 'node') return undefined;
  const { node } = found.dentry;
  const machines = node instanceof Directory && !isOursAlone(node);
  return machines ? undefined : { file: undefined };
}

function pollFds(call: Call, argument: number): number[] {
  const count = call.uint(argument + 1);
  if (count > MAX_FDS) return [];
  const array = new Uint8Array(count * POLLFD_SIZE);
  call.task.mm.read(call.arg(argument), array);
  const view = new DataView(array.buffer);
  return Array.from({ length: count }, (_, i) => view.getInt32(i * POLLFD_SIZE, true));
}

/** Those in any of the sets. */
function selectFds(call: Call, sets: readonly number[]): number[] {
  const count = Math.min(call.int(0), MAX_FDS);
  if (count <= 0) return [];
  const all = new Uint8Array(Math.ceil(count / 64) * 8);
  const set = new Uint8Array(all.length);
  for (const index of sets) {
    if (call.arg(index) === 0) continue;
    call.task.mm.read(call.arg(index), set);
    for (const [i, byte] of set.entries()) all[i] = (all[i] as number) | byte;
  }
  const fds = Array.from({ length: count }, (_, fd) => fd);
  return fds.filter((fd) => ((all[fd >> 3] as number) >> (fd & 7)) & 1);
}
