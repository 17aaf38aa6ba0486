/** What programs' filters have to show us, as it follows from what there is to be opened. */
import { _IOC_TYPE } from '../../ioctl/index.js';
import type { Needs, Transfers } from '../abi/system_calls.js';
import type { FileOperations } from '../fs/file.js';
import { Directory, DynamicDirectory, FileNode } from '../fs/tree.js';

/** What files ask for that are opened by names, `root` and below. */
export function needsOf(root: Directory): Pick<Needs, 'reads' | 'writes' | 'ioctlTypes'> {
  const all = [...fileNodes(root)].map(({ f_op }) => f_op);
  const where = (files: FileOperations[]): Transfers => {
    if (files.length === 0) return 'nowhere';
    return files.every(({ seldom }) => seldom) ? 'high' : 'everywhere';
  };
  return {
    reads: where(all.filter(({ read }) => read)),
    writes: where(all.filter(({ write }) => write)),
    ioctlTypes: new Set(all.flatMap(typesOf)),
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
  return [
    ...(f_op.read && needs.reads === 'nowhere' ? ['read'] : []),
    ...(f_op.write && needs.writes === 'nowhere' ? ['write'] : []),
    ...(COMMON_TYPES.some((type) => types.includes(type) && !needs.ioctlTypes.has(type))
      ? ['ioctl']
      : []),
  ];
}
