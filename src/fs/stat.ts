/** What stat(2) says of files and nodes of ours. */
import { AT_FDCWD } from '../abi/constants.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import { makedev } from './dev_t.js';
import type { File } from './file.js';
import { Directory, FileNode, GeneratedFile, type TreeNode } from './tree.js';

const BLOCK = 512;
const PAGE = 4096;

/**
 * Of an open file: `fields`, which hold what the machine says of the memory behind its descriptor,
 * are changed into what Linux says of such a file.
 */
export function statFile(file: File, fields: Float64Array): Float64Array {
  const { node, mode, size } = file.attributes;
  if (node) return statNode(node, node.path, fields);
  fields[Stat.mode] = mode;
  fields[Stat.size] = size;
  fields[Stat.blocks] = size / BLOCK;
  fields[Stat.blksize] = PAGE;
  fields[Stat.nlink] = 1;
  fields[Stat.rdev] = 0;
  return fields;
}

/** Of something in our tree, at `path`. */
export function statNode(node: TreeNode, path: string, fields: Float64Array): Float64Array {
  fields.fill(0);
  fields[Stat.dev] = deviceOf(path);
  fields[Stat.ino] = node.ino;
  fields[Stat.mode] = node.mode;
  fields[Stat.nlink] = 1;
  // Linux's nodes are root's; here they are whose kernel this is, so that they may be opened.
  fields[Stat.uid] = process.getuid?.() ?? 0;
  fields[Stat.gid] = process.getgid?.() ?? 0;
  fields[Stat.blksize] = PAGE;
  if (node instanceof FileNode) {
    fields[Stat.rdev] = node.rdev ? makedev(node.rdev.major, node.rdev.minor) : 0;
    fields[Stat.size] = node.size;
  } else if (node instanceof GeneratedFile) {
    fields[Stat.size] = node.size;
  } else if (node instanceof Directory) {
    const children = [...node.entries()];
    fields[Stat.nlink] = 2 + children.filter(([, child]) => child instanceof Directory).length;
    // As tmpfs counts: 20 bytes an entry, with "." and "..". sysfs and debugfs do not.
    fields[Stat.size] = path.startsWith('/sys/') ? 0 : 20 * (2 + children.length);
  }
  for (const time of [Stat.atimeSec, Stat.mtimeSec, Stat.ctimeSec]) {
    fields[time] = Math.floor(node.time / 1000);
    fields[time + 1] = (node.time % 1000) * 1e6;
  }
  return fields;
}

const devices = new Map<string, number>();

/** The machine's st_dev of /dev or /sys, which ours are part of. */
function deviceOf(path: string): number {
  const top = `/${path.split('/', 2)[1] ?? ''}`;
  let device = devices.get(top);
  if (device === undefined) {
    const fields = new Float64Array(STAT_FIELDS);
    const has = native.fstatat(AT_FDCWD, top, 0, fields) === 0;
    if (!has) native.fstatat(AT_FDCWD, '/', 0, fields);
    device = fields[Stat.dev] as number;
    devices.set(top, device);
  }
  return device;
}

/** access(2): whether whoever runs this kernel may do that with a node or file of this mode. */
export function mayAccess(mode: number, wanted: number): boolean {
  const [R_OK, W_OK, X_OK] = [4, 2, 1];
  const owner = (mode >> 6) & 7;
  const isRoot = process.getuid?.() === 0;
  const isDirectory = (mode & 0o170000) === 0o040000;
  // Root may read and write anything, and execute what is executable for anybody.
  const allowed = isRoot ? R_OK | W_OK | (isDirectory || mode & 0o111 ? X_OK : 0) : owner;
  return (wanted & ~allowed & 7) === 0;
}
