/** Descriptors that this process was started with: Node keeps those above 2 from the programs that it starts. */
import { O_ACCMODE, O_NONBLOCK } from '../../ioctl/index.js';
import { F_GETFD, F_GETFL, F_SETFD, KCMP_FILE } from '../abi/constants.js';
import { openFiles } from '../host/self.js';
import { native } from '../native.js';

/** <fcntl.h> */
const FD_CLOEXEC = 1;

/** What Node has for itself, a letter each: blocking pipes and others, of which it has both ends, and these. */
const NODES_KINDS: Readonly<Record<string, string>> = {
  'anon_inode:[eventpoll]': 'E',
  'anon_inode:[io_uring]': 'U',
  'anon_inode:[eventfd]': 'V',
};
/** What it opens first: libuv's lock, which is the only blocking pipe, and the rest of an event loop. */
const FIRST_LOOP = /EU*BBNNV/;

interface Descriptor {
  fd: number;
  /** What /proc shows: the file's name, or its kind. */
  link: string;
  closeOnExec: boolean;
  /** F_GETFL's. */
  flags: number;
}

/**
 * Those from 3 on, to be asked for before we open any ourselves. Node marks all that it opens, and of what
 * it inherits the lowest, as close-on-exec; it opens its own at the lowest free numbers. So what has no
 * mark was inherited, and so was what is below the first of Node's. Where there are gaps among the
 * inherited, Node's own are in between, and it is kind and parent that tell.
 */
export function inheritedDescriptors(): number[] {
  const open = descriptors();
  const kinds = new Map(open.map((descriptor) => [descriptor, nodesKind(descriptor, open)]));
  const candidates = open.filter((descriptor) => kinds.get(descriptor));
  const loop = FIRST_LOOP.exec(candidates.map((candidate) => kinds.get(candidate)).join(''));
  const first = loop ? candidates[loop.index] : undefined;
  const lock = loop ? candidates[loop.index + loop[0].indexOf('B')] : undefined;
  const isNodes = (descriptor: Descriptor) =>
    candidates.includes(descriptor) &&
    descriptor.fd >= (first?.fd ?? 0) &&
    !(lock && kinds.get(descriptor) === 'B' && descriptor.link !== lock.link) &&
    !parentHas(descriptor);
  return open.filter((descriptor) => !isNodes(descriptor)).map(({ fd }) => fd);
}

/** For `stdio`: the given ones stay where they are, and what spawn adds goes to a number that is free. */
export function stdioBeside(inherited: readonly number[]): ('inherit' | 'ignore')[] {
  const stdio: ('inherit' | 'ignore')[] = ['inherit', 'inherit', 'inherit'];
  while (inherited.includes(stdio.length)) stdio.push('ignore');
  return stdio;
}

/** Lets programs that are started from now on have them. */
export function passOn(inherited: readonly number[]): void {
  for (const fd of inherited) native.fcntl(fd, F_SETFD, 0);
}

/** They are the program's: as long as we had them too, nobody would see that it has closed one. */
export function letGo(inherited: readonly number[]): void {
  for (const fd of inherited) native.close(fd);
}

/** In the order of their numbers. */
function descriptors(): Descriptor[] {
  const found: Descriptor[] = [];
  // That of child_process.fork, which Node reads from.
  const channel = (process.channel as { fd?: number } | undefined)?.fd;
  for (const { fd, link } of openFiles()) {
    if (fd < 3 || fd === channel) continue;
    const closeOnExec = (native.fcntl(fd, F_GETFD, 0) & FD_CLOEXEC) !== 0;
    found.push({ fd, link, closeOnExec, flags: native.fcntl(fd, F_GETFL, 0) });
  }
  return found.sort((a, b) => a.fd - b.fd);
}

/** Its letter, if it is of a kind that Node has for itself. */
function nodesKind({ link, closeOnExec, flags }: Descriptor, open: Descriptor[]): string {
  if (!closeOnExec) return '';
  const blocking = !(flags & O_NONBLOCK);
  const otherEnd = (other: Descriptor) => other.link === link && (other.flags ^ flags) & O_ACCMODE;
  const kind = NODES_KINDS[link];
  if (kind && !(kind === 'V' && blocking)) return kind;
  if (link.startsWith('pipe:') && open.some(otherEnd)) return blocking ? 'B' : 'N';
  // By its options Node is told to listen to a debugger, or to load what may listen or connect;
  // with a socket that listens libuv keeps a /dev/null, for when descriptors run out.
  const told = process.execArgv.length > 0 || process.env.NODE_OPTIONS;
  return told && /^(socket:|\/dev\/null$)/.test(link) ? 'S' : '';
}

/** What another process has too is not what Node has opened in this one. */
function parentHas({ fd }: Descriptor): boolean {
  return native.kcmp(process.pid, process.ppid, KCMP_FILE, fd, fd) === 0;
}
