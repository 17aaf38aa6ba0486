/** What open(2) of a name in our tree gives. */
import { O_ACCMODE, O_CLOEXEC, O_PATH, O_RDONLY, O_RDWR, O_WRONLY } from '../../ioctl/index.js';
import type { Backing } from '../backing/backing.js';
import { Content, WrittenContent } from '../backing/content.js';
import { DirectoryStandIn } from '../backing/directory_stand_in.js';
import type { KernelCore } from '../core.js';
import { errno } from '../errno.js';
import type { Task } from '../task.js';
import { File, type FileOperations, orNoMemory } from './file.js';
import { type Dentry, Directory, FileNode, GeneratedFile } from './tree.js';

/**
 * A file of the node that has this name, without O_PATH: chrdev_open() and its like. What a driver, or who makes the
 * content, throws is thrown. EISDIR for writing to a directory, EACCES for writing to what is only read, ELOOP.
 */
export function openDentry(dentry: Dentry, task: Task, flags: number): File {
  const { node } = dentry;
  const { kernel } = task;
  if (node instanceof GeneratedFile) return openGenerated(dentry, node.content, kernel, flags);
  if (node instanceof FileNode) {
    // With both bits of the access mode it is neither read nor written.
    const access = flags & O_ACCMODE;
    const served = access === O_WRONLY || access === O_RDWR;
    return !served && node.content
      ? openGenerated(dentry, node.content, kernel, flags)
      : openNode(dentry, node, task, flags);
  }
  if (!(node instanceof Directory)) throw errno('ELOOP');
  if ((flags & O_ACCMODE) !== O_RDONLY) throw errno('EISDIR');
  return directoryFile(dentry, kernel, flags);
}

/**
 * What an open(2) with O_PATH gives: the name, and nothing that a driver sees. Its descriptor is an ordinary one, as
 * seccomp cannot hand over the other kind; see {@link isPathOnly}.
 */
export function pathFile(dentry: Dentry, kernel: KernelCore, flags: number): File {
  return dentry.node instanceof Directory
    ? directoryFile(dentry, kernel, flags)
    : namedFile(dentry, kernel, {}, flags);
}

/** Whether a file was opened with O_PATH: whatever needs more than its name is EBADF. */
export function isPathOnly(file: File): boolean {
  return (file.openFlags & O_PATH) !== 0;
}

/** The directory that a file is of, if it is one of ours. */
export function directoryOf(file: File | undefined): Directory | undefined {
  const node = file?.attributes.dentry?.node;
  return node instanceof Directory ? node : undefined;
}

function openNode(dentry: Dentry, node: FileNode, task: Task, flags: number): File {
  const { backing, native } = node.f_op;
  const make = native ? () => new WrittenContent(dentry.path) : backing;
  const made = make && orNoMemory(task.kernel, make);
  const file = namedFile(dentry, task.kernel, node.f_op, flags, made);
  file.private_data = node.private_data;
  try {
    node.f_op.open?.(file, task);
  } catch (error) {
    file.abandon();
    throw error;
  }
  return file;
}

/** Reads, and all that goes with it, are the machine's; to seek to the start has the content made anew. */
const generatedOperations: FileOperations = {
  native: true,
  rewind(file) {
    const node = file.attributes.dentry?.node;
    if (!(file.backing instanceof Content)) return;
    if (node instanceof FileNode || node instanceof GeneratedFile) {
      file.backing.replace(Buffer.from(node.content?.() ?? ''));
    }
  },
};

function openGenerated(
  dentry: Dentry,
  content: () => string | Uint8Array,
  kernel: KernelCore,
  flags: number,
): File {
  const access = flags & O_ACCMODE;
  if (access === O_WRONLY || access === O_RDWR) throw errno('EACCES');
  return contentFile(dentry, kernel, Buffer.from(content()), flags);
}

function contentFile(dentry: Dentry, kernel: KernelCore, bytes: Uint8Array, flags: number): File {
  const backing = orNoMemory(kernel, () => new Content(dentry.path));
  backing.replace(bytes);
  return namedFile(dentry, kernel, generatedOperations, flags, backing);
}

const directoryOperations: FileOperations = { native: true };

function directoryFile(dentry: Dentry, kernel: KernelCore, flags: number): File {
  const backing = orNoMemory(kernel, () => new DirectoryStandIn());
  return namedFile(dentry, kernel, directoryOperations, flags, backing);
}

function namedFile(
  dentry: Dentry,
  kernel: KernelCore,
  f_op: FileOperations,
  flags: number,
  backing?: Backing,
): File {
  const file = new File(kernel, {
    name: dentry.path,
    f_op,
    attributes: { mode: dentry.node.mode, size: 0, dentry },
    link: () => dentry.link,
    ...(backing && { backing }),
  });
  file.f_flags = flags & ~O_CLOEXEC;
  return file;
}
