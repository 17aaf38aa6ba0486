/** Directories: listings of those that this kernel adds to, and working directories in its own. */
import { O_DIRECTORY, O_RDONLY } from '../../../ioctl/index.js';
import { AT_FDCWD, SEEK_CUR, SEEK_SET } from '../../abi/constants.js';
import { Errno, orThrow } from '../../errno.js';
import { isOursAlone } from '../../fs/directories.js';
import { isKernelsAlone } from '../../fs/file_system.js';
import { directoryOf, isPathOnly, pathFile } from '../../fs/open.js';
import { MAY_EXEC, mayAccess } from '../../fs/permission.js';
import { type Dentry, Directory, S_IFMT, type TreeNode } from '../../fs/tree.js';
import { type InjectedCall, native, STAT_FIELDS, Stat } from '../../native.js';
import { type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import type { Context } from '../context.js';
import { injectOrRefuse, redirect } from '../inject.js';

const DT_DIR = 4;

interface Entry {
  ino: bigint;
  /** DT_CHR, DT_DIR … */
  type: number;
  name: Uint8Array;
}

export function directoryCalls({ paths, kernel, watches }: Context) {
  /**
   * The machine's entries and ours. The position of the open directory counts entries, so that
   * rewinddir, telldir and seekdir, which only set it, work on it as it is.
   */
  function getdents64(call: Call): Answer {
    const fd = call.int(0);
    const file = call.task.lookUp(fd, stat);
    const dentry = file?.attributes.dentry;
    if (file && isPathOnly(file)) return -Errno.EBADF;
    if (dentry && !(dentry.node instanceof Directory)) return CONTINUE;
    // Of a directory that the kernel has removed Linux still shows itself, and where it was.
    if (dentry?.unlinked && !isKernelsAlone(dentry.path)) return -Errno.ENOENT;
    // What is called so in the caller's mounts or below its root may be another directory: what it is counts.
    const [dev, ino] = [stat[Stat.dev] as number, stat[Stat.ino] as number];
    const directory = directoryOf(file) ?? kernel.directories.find(dev, ino);
    if (!directory || (!file && !addsTo(directory))) return CONTINUE;
    // Opened once more: the caller's own position counts the entries of both.
    const machine = file ? undefined : call.task.openDescriptor(fd, O_DIRECTORY);
    const entries = listing(directory, machine);
    if (file) watches.listed(file);
    const own = call.task.dupDescriptor(fd);
    try {
      const position = orThrow(native.lseek(own, 0, SEEK_CUR));
      const { bytes, count } = pack(entries, position, call.uint(2));
      if (count === 0 && position < entries.length) return -Errno.EINVAL;
      call.task.mm.write(call.arg(1), bytes);
      orThrow(native.lseek(own, position + count, SEEK_SET));
      return bytes.length;
    } finally {
      native.close(own);
    }
  }

  function chdir(call: Call): Answer {
    const found = paths.find(call, AT_FDCWD, 0, true);
    switch (found?.kind) {
      case undefined:
      case 'descriptor':
        return CONTINUE;
      case 'error':
        return -Errno[found.code];
      case 'machine':
        return redirect(call, 0, found.path);
      case 'node':
        return enter(call, found.dentry);
    }
  }

  /** The caller changes into the stand-in of a directory of ours. */
  function enter(call: Call, dentry: Dentry): Answer {
    if (!(dentry.node instanceof Directory)) return -Errno.ENOTDIR;
    if (!mayAccess(dentry.node, MAY_EXEC, call.task)) return -Errno.EACCES;
    const file = pathFile(dentry, kernel, O_RDONLY);
    try {
      return file.lend(O_RDONLY, (fd) => {
        const fchdir: InjectedCall = { nr: native.SYS.fchdir as number, args: [-1], fd: [0, 0] };
        const loan = { fds: [fd], apart: false };
        return injectOrRefuse(call, 'change into this directory', [fchdir], loan);
      });
    } finally {
      file.put();
    }
  }

  function getcwd(call: Call): Answer {
    const dentry = call.task.cwd?.endsWith(' (deleted)') && call.task.cwdFile?.attributes.dentry;
    if (!dentry) return CONTINUE;
    if (dentry.unlinked) return -Errno.ENOENT;
    const { path } = dentry;
    const bytes = Buffer.from(`${path}\0`);
    if (bytes.length > call.arg(1)) return -Errno.ERANGE;
    call.task.mm.write(call.arg(0), bytes);
    return bytes.length;
  }

  return { getdents64, chdir, getcwd } satisfies Record<string, Handler>;
}

const stat = new Float64Array(STAT_FIELDS);

/** Whether a directory has anything in it that the machine's own lacks. */
function addsTo(directory: Directory): boolean {
  const { path } = directory.dentry;
  if (directory.hidesAny) return true;
  for (const { name } of directory.dentries()) {
    if (native.access(`${path}/${name}`) !== 0) return true;
  }
  return false;
}

/** What there is in a directory of ours, and in the machine's, of which `fd` is a descriptor that is closed. */
function listing(directory: Directory, fd: number | undefined): Entry[] {
  const entries = new Map<string, Entry>();
  const add = (name: string, ino: number | bigint, type: number) =>
    entries.set(name, { ino: BigInt(ino), type, name: Buffer.from(name, 'latin1') });
  if (fd === undefined) {
    add('.', directory.ino, DT_DIR);
    add('..', inoAbove(directory), DT_DIR);
  } else {
    readMachine(fd, (name, ino, type) => {
      if (!directory.hides(Buffer.from(name, 'latin1').toString())) add(name, ino, type);
    });
  }
  for (const { name, node } of directory.dentry.unlinked ? [] : directory.dentries()) {
    if (node instanceof Directory && entries.has(Buffer.from(name).toString('latin1'))) continue;
    add(Buffer.from(name).toString('latin1'), node.ino, typeOf(node));
  }
  return [...entries.values()];
}

/** The inode number of the directory that one of ours is in. */
function inoAbove(directory: Directory): number {
  const { parent } = directory.dentry;
  if (!parent || isOursAlone(parent)) return parent?.ino ?? directory.ino;
  const error = native.fstatat(AT_FDCWD, parent.dentry.path || '/', 0, stat);
  return error < 0 ? parent.ino : (stat[Stat.ino] as number);
}

/** DT_* of a node: the upper bits of its mode. */
function typeOf(node: TreeNode): number {
  return (node.mode & S_IFMT) >> 12;
}

/** struct linux_dirent64: u64 d_ino, s64 d_off, u16 d_reclen, u8 d_type, name with its NUL. */
const NAME = 19;

function readMachine(fd: number, add: (name: string, ino: bigint, type: number) => void): void {
  const buffer = Buffer.alloc(32768);
  try {
    for (;;) {
      const length = orThrow(native.getdents64(fd, buffer));
      if (length === 0) return;
      for (let at = 0; at < length; at += buffer.readUInt16LE(at + 16)) {
        const end = buffer.indexOf(0, at + NAME);
        const name = buffer.toString('latin1', at + NAME, end);
        add(name, buffer.readBigUInt64LE(at), buffer.readUInt8(at + 18));
      }
    }
  } finally {
    native.close(fd);
  }
}

/** As many entries, from `from` on, as fit `room` bytes. */
function pack(entries: Entry[], from: number, room: number): { bytes: Uint8Array; count: number } {
  const records: Buffer[] = [];
  let length = 0;
  for (const [i, entry] of entries.slice(from).entries()) {
    const size = Math.ceil((NAME + entry.name.length + 1) / 8) * 8;
    if (length + size > room) break;
    const record = Buffer.alloc(size);
    record.writeBigUInt64LE(entry.ino, 0);
    record.writeBigInt64LE(BigInt(from + i + 1), 8);
    record.writeUInt16LE(size, 16);
    record.writeUInt8(entry.type, 18);
    record.set(entry.name, NAME);
    records.push(record);
    length += size;
  }
  return { bytes: Buffer.concat(records), count: records.length };
}
