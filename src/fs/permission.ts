/** Who may do what with a node of ours, by its mode and owner: generic_permission(). */
import { CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER } from '../abi/constants.js';
import type { Task } from '../task.js';
import { Directory, type TreeNode } from './tree.js';

export const MAY_EXEC = 1;
export const MAY_WRITE = 2;
export const MAY_READ = 4;

/**
 * Whether `task` may do `wanted`, bits as of access(2), with a node. access(2) asks for the user who has started
 * the program, `as` 'real'; everything else for who it acts as.
 */
export function mayAccess(
  node: TreeNode,
  wanted: number,
  task: Task,
  as: 'real' | 'effective' = 'effective',
): boolean {
  // Who it is makes no difference to most.
  if (
    allows(node.mode, wanted) &&
    allows(node.mode >> 3, wanted) &&
    allows(node.mode >> 6, wanted)
  ) {
    return true;
  }
  const { ids } = task;
  const [uid, gid] = as === 'real' ? [ids.uid, ids.gid] : [ids.fsuid, ids.fsgid];
  const inGroup = () => gid === node.gid || task.credentials.groups.includes(node.gid);
  const shift = uid === node.uid ? 6 : inGroup() ? 3 : 0;
  if (allows(node.mode >> shift, wanted)) return true;
  // Who has started it counts alone: the rights of others that it acts as do not.
  if (as === 'real' && uid !== 0) return false;
  if (node instanceof Directory) {
    if (!(wanted & MAY_WRITE) && task.capable(CAP_DAC_READ_SEARCH)) return true;
    return task.capable(CAP_DAC_OVERRIDE);
  }
  if (wanted === MAY_READ && task.capable(CAP_DAC_READ_SEARCH)) return true;
  // What nobody may execute not even root may.
  return (!(wanted & MAY_EXEC) || (node.mode & 0o111) !== 0) && task.capable(CAP_DAC_OVERRIDE);
}

/** Whether the last three bits of a mode do. */
function allows(mode: number, wanted: number): boolean {
  return (wanted & ~mode & 7) === 0;
}

/** Whether it is the node's owner, or has the rights of one. */
export function isOwner(node: TreeNode, task: Task): boolean {
  return task.ids.fsuid === node.uid || task.capable(CAP_FOWNER);
}
