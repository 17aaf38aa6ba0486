/** open(2) and its kin. */
import {
  O_CLOEXEC,
  O_CREAT,
  O_DIRECT,
  O_DIRECTORY,
  O_EXCL,
  O_NOCTTY,
  O_NOFOLLOW,
  O_PATH,
  O_RDONLY,
  O_TRUNC,
  O_WRONLY,
  struct,
  u64,
  type View,
} from '../../../ioctl/index.js';
import { AT_FDCWD } from '../../abi/constants.js';
import { Errno } from '../../errno.js';
import { openFileNode, pathFile } from '../../fs/char_dev.js';
import type { FoundDescriptor, FoundNode } from '../../fs/namei.js';
import { Directory, FileNode, GeneratedFile } from '../../fs/tree.js';
import { PAGE_SIZE } from '../../mm/page.js';
import { openContent, openGenerated } from '../../syscall/generated.js';
import { ANSWERED, type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import type { Context } from '../context.js';
import { fdinfo } from '../fdinfo.js';
import { redirect } from '../inject.js';

const open_how = struct('open_how', { flags: u64, mode: u64, resolve: u64 });

/** What open(2) does once, and is no property of the open file. */
const OPENING_FLAGS = O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_DIRECTORY | O_NOFOLLOW | O_DIRECT;

/** What counts beside O_PATH. */
const PATH_FLAGS = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

export function openCalls({ paths, shadows, kernel }: Context) {
  function open(call: Call, dirfd: number, argument: number, asked: number): Answer {
    const flags = asked & O_PATH ? asked & PATH_FLAGS : asked;
    const follow = !(flags & O_NOFOLLOW) && !(flags & O_CREAT && flags & O_EXCL);
    const found = paths.find(call, dirfd, argument, follow);
    switch (found?.kind) {
      case undefined:
        return CONTINUE;
      case 'error':
        return -Errno[found.code];
      case 'node':
        return openNode(call, found, flags);
      case 'descriptor':
        return openDescriptor(call, found, flags);
      case 'machine':
        return redirect(call, argument, found.path);
    }
  }

  function openNode(call: Call, { node, path }: FoundNode, flags: number): Answer {
    const cloexec = (flags & O_CLOEXEC) !== 0;
    if (flags & O_CREAT && flags & O_EXCL) return -Errno.EEXIST;
    if (node instanceof Directory) {
      if (flags & O_CREAT || flags & (O_WRONLY | 2)) return -Errno.EISDIR;
      return call.answerNewFd(shadows.open(path, flags), cloexec);
    }
    if (flags & O_DIRECTORY) return -Errno.ENOTDIR;
    if (node instanceof FileNode) return openDevice(call, node, flags);
    if (node instanceof GeneratedFile) return call.answerNewFd(openGenerated(node, flags), cloexec);
    return -Errno.ELOOP; // A link that was not to be followed.
  }

  function openDevice(call: Call, node: FileNode, flags: number): Answer {
    if (flags & O_DIRECT) return -Errno.EINVAL;
    const pathOnly = (flags & O_PATH) !== 0;
    const { observers } = kernel;
    // With its descriptor the caller goes on: the path may then be something else.
    observers.call?.keep();
    const file = pathOnly ? pathFile(node, kernel) : openFileNode(node, call.task, flags);
    try {
      const kept = pathOnly ? O_RDONLY : flags & ~OPENING_FLAGS;
      const number = call.task.numberOf(file);
      file.lend(kept, (fd) => call.answerFd(fd, (flags & O_CLOEXEC) !== 0, number));
      if (observers.active) {
        observers.tell('descriptorInstalled', file, call.answered, call.task.pid);
      }
      return ANSWERED;
    } finally {
      file.put();
    }
  }

  /** Opening /proc/PID/fd/N opens what the descriptor is of, once more. */
  function openDescriptor(call: Call, found: FoundDescriptor, flags: number): Answer {
    const file = kernel.files.at(found.pid, found.fd);
    if (!file) return CONTINUE;
    if (found.of === 'fdinfo') {
      kernel.settle();
      const fd = openContent(fdinfo(file, found.path), flags);
      return call.answerNewFd(fd, (flags & O_CLOEXEC) !== 0);
    }
    if (flags & O_CREAT && flags & O_EXCL) return -Errno.EEXIST;
    if (flags & O_NOFOLLOW) return flags & O_PATH ? CONTINUE : -Errno.ELOOP;
    if (flags & O_DIRECTORY) return -Errno.ENOTDIR;
    const { node } = file.attributes;
    if (node) return openDevice(call, node, flags);
    // An anonymous inode has no way to be opened.
    return flags & O_PATH ? CONTINUE : -Errno.ENXIO;
  }

  /** What is ours has the size that it has. */
  function truncate(call: Call): Answer {
    if (call.signed(1) < 0) return CONTINUE;
    const found = paths.find(call, AT_FDCWD, 0, true);
    switch (found?.kind) {
      case undefined:
        return CONTINUE;
      case 'error':
        return -Errno[found.code];
      case 'descriptor':
        return kernel.files.at(found.pid, found.fd) ? -Errno.EINVAL : CONTINUE;
      case 'node':
        return found.node instanceof Directory ? -Errno.EISDIR : -Errno.EINVAL;
      case 'machine':
        return redirect(call, 0, found.path);
    }
  }

  return {
    truncate,
    open: (call) => open(call, AT_FDCWD, 0, call.int(1)),
    openat: (call) => open(call, call.int(0), 1, call.int(2)),
    creat: (call) => open(call, AT_FDCWD, 0, O_CREAT | O_WRONLY | O_TRUNC),
    openat2(call) {
      const how = readHow(call);
      if (how?.resolve !== 0n) return CONTINUE;
      const flags = Number(how.flags);
      // What does not go together is refused, before anybody looks at the path.
      if (flags & O_PATH && flags & ~PATH_FLAGS) return CONTINUE;
      if (how.mode !== 0n && !(flags & O_CREAT)) return CONTINUE;
      return open(call, call.int(0), 1, flags);
    },
  } satisfies Record<string, Handler>;
}

/** The struct of openat2(2), unless there is anything in it that the machine refuses, or knows and we do not. */
function readHow(call: Call): View<typeof open_how> | undefined {
  const size = call.arg(3);
  if (size < open_how.size || size > PAGE_SIZE) return undefined;
  const bytes = new Uint8Array(size);
  if (call.task.mm.readSome(call.arg(2), bytes) < size) return undefined;
  if (bytes.subarray(open_how.size).some((byte) => byte !== 0)) return undefined;
  const how = open_how.view(bytes);
  return BigInt.asUintN(31, how.flags) === how.flags ? how : undefined;
}
