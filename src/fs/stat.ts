/** What stat(2) says of files and nodes of ours. */
import { AT_FDCWD } from '../abi/constants.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import { makedev } from './dev_t.js';
import type { File } from './file.js';
import { fileSystemAt, mountPoint } from './file_system.js';
import { type Dentry, Directory, FileNode, GeneratedFile } from './tree.js';

const BLOCK = 512;
const PAGE = 4096;

/**
 * Of an open file: `fields`, which hold what the machine says of the memory behind its descriptor,
 * are changed into what Linux says of such a file.
 */
export function statFile(file: File, fields: Float64Array): Float64Array {
  const { dentry, mode, size } = file.attributes;
  if (dentry) return statNode(dentry, fields);
  fields[Stat.mode] = mode;
  fields[Stat.size] = size;
  fields[Stat.blocks] = size / BLOCK;
  fields[Stat.blksize] = PAGE;
  fields[Stat.nlink] = 1;
  fields[Stat.rdev] = 0;
  return fields;
}

/** Of something in our tree. */
export function statNode({ node, path }: Dentry, fields: Float64Array): Float64Array {
  const type = fileSystemAt(path);
  fields.fill(0);
  fields[Stat.dev] = sDev(path);
  fields[Stat.ino] = node.ino;
  fields[Stat.mode] = node.mode;
  fields[Stat.nlink] = node.names;
  fields[Stat.uid] = node.uid;
  fields[Stat.gid] = node.gid;
  fields[Stat.blksize] = PAGE;
  if (node instanceof FileNode) {
    fields[Stat.rdev] = node.rdev ? makedev(node.rdev.major, node.rdev.minor) : 0;
    fields[Stat.size] = node.size;
  } else if (node instanceof GeneratedFile) {
    fields[Stat.size] = node.size;
  } else if (node instanceof Directory) {
    const children = [...node.dentries()];
    const directories = children.filter((child) => child.node instanceof Directory);
    // sysfs does not count what is gone.
    const gone = node.names === 0 && path !== '' && type !== 'sysfs';
    fields[Stat.nlink] = gone ? 0 : 2 + directories.length;
    // As tmpfs counts: 20 bytes an entry, with "." and "..". sysfs and debugfs do not.
    fields[Stat.size] = type === 'sysfs' || type === 'debugfs' ? 0 : 20 * (2 + children.length);
  } else if (type !== 'sysfs') {
    fields[Stat.size] = Buffer.byteLength(node.target);
  }
  const times = [node.atime, node.mtime, node.ctime];
  for (const [i, { sec, nsec }] of times.entries()) {
    fields[Stat.atimeSec + 2 * i] = sec;
    fields[Stat.atimeSec + 2 * i + 1] = nsec;
  }
  return fields;
}

const knownSDev = new Map<string, number>();

/** s_dev: the machine's st_dev of the file system that a path of ours is part of. */
function sDev(path: string): number {
  const top = mountPoint(path);
  let dev = knownSDev.get(top);
  if (dev === undefined) {
    const fields = new Float64Array(STAT_FIELDS);
    const has = native.fstatat(AT_FDCWD, top, 0, fields) === 0;
    if (!has) native.fstatat(AT_FDCWD, '/', 0, fields);
    dev = fields[Stat.dev] as number;
    knownSDev.set(top, dev);
  }
  return dev;
}
