/** Names in sysfs: where links lead, directories that go when they are empty. */
import { Directory, Symlink } from '../fs/tree.js';

/**
 * The text of a link in the directory `from` to `target`, both absolute: by the nearest directory that has both
 * below it.
 */
export function relativeLink(from: string, target: string): string {
  const up = from.split('/').slice(1);
  const down = target.split('/').slice(1);
  let common = 0;
  while (common < down.length - 1 && common < up.length && up[common] === down[common]) common++;
  return [...up.slice(common).map(() => '..'), ...down.slice(common)].join('/');
}

/** sysfs_create_link(): an entry `name` in the directory `from` that leads to `target`, both below /sys. */
export function sysfsCreateLink(root: Directory, from: string, target: string, name: string): void {
  root.mkdir(`sys${from}`).add(name, new Symlink(relativeLink(from, target)));
}

/** A directory, by its path below /sys. */
export function sysfsFind(root: Directory, path: string): Directory | undefined {
  let directory: Directory | undefined = root;
  for (const name of `sys${path}`.split('/')) {
    const child: unknown = directory?.get(name);
    directory = child instanceof Directory ? child : undefined;
  }
  return directory;
}

/** Removes an entry, by its path below /sys. */
export function sysfsRemove(root: Directory, path: string): void {
  const slash = path.lastIndexOf('/');
  sysfsFind(root, path.slice(0, slash))?.delete(path.slice(slash + 1));
}

/** Removes a directory below /sys if nothing is left in it. */
export function sysfsRemoveIfEmpty(root: Directory, path: string): void {
  const directory = sysfsFind(root, path);
  if (directory && [...directory.entries()].length === 0) sysfsRemove(root, path);
}
