/** What programs' filters have to show us, as it follows from what there is to be opened. */
import { _IOC_TYPE } from '../../ioctl/index.js';
import type { Needs, Transfers } from '../abi/system_calls.js';
import { type FileOperations, isServed } from '../fs/file.js';
import { Directory, DynamicDirectory, FileNode } from '../fs/tree.js';

/** What files ask for that are opened by names, `root` and below. */
export function needsOf(root: Directory): Pick<Needs, 'reads' | 'writes' | 'polls' | 'ioctlTypes'> {
  const all = [...fileNodes(root)];
  const where = (often: boolean[]): Transfers => {
    if (often.length === 0) return 'nowhere';
    return often.includes(true) ? 'everywhere' : 'high';
  };
  const read = all.filter(({ f_op }) => isServed(f_op).read);
  const written = all.filter(({ f_op }) => isServed(f_op).write);
  return {
    reads: where(read.map(({ f_op }) => !f_op.seldom)),
    writes: where(written.map(({ f_op }) => !f_op.seldom)),
    polls: all.some(({ f_op }) => f_op.poll !== undefined && !f_op.readsNatively),
    ioctlTypes: new Set(all.flatMap(({ f_op }) => typesOf(f_op))),
  };
}

function* fileNodes(directory: Directory): Iterable<FileNode> {
  for (const [, node] of directory.entries()) {
    if (node instanceof FileNode) yield node;
    // What is in the others comes and goes.
    else if (node instanceof Directory && !(node instanceof DynamicDirectory)) {
      yield* fileNodes(node);
    }
  }
}

/** Filters let these requests through, terminals' and sockets', unless a driver names some of its own. */
const COMMON_TYPES = ['T', '\x89'];

function typesOf({ ioctls = {} }: FileOperations): string[] {
  return Object.values(ioctls).map(({ request }) => _IOC_TYPE(request));
}

/** What a program lacks that was started with these needs, and opens such a file now. */
export function lackOf(needs: Needs, f_op: FileOperations): string[] {
  if (needs.exact) return [];
  const types = typesOf(f_op);
  const { read, write } = isServed(f_op);
  return [
    ...(read && needs.reads === 'nowhere' ? ['read'] : []),
    ...(write && needs.writes === 'nowhere' ? ['write'] : []),
    ...(COMMON_TYPES.some((type) => types.includes(type) && !needs.ioctlTypes.has(type))
      ? ['ioctl']
      : []),
  ];
}
