/** The file systems that a kernel's tree is made of, by where they are mounted. */

export type FileSystem = 'sysfs' | 'debugfs' | 'devtmpfs' | 'tmpfs';

/** <linux/magic.h> */
const MAGIC: Readonly<Record<FileSystem, number>> = {
  sysfs: 0x62656572,
  debugfs: 0x64626720,
  devtmpfs: 0x01021994,
  tmpfs: 0x01021994,
};

const MOUNTS = [
  ['/sys/kernel/debug', 'debugfs'],
  ['/sys', 'sysfs'],
  ['/dev', 'devtmpfs'],
] as const;

/** Where the file system is mounted that has this absolute path of ours. */
export function mountPoint(path: string): string {
  const mount = MOUNTS.find(([point]) => path === point || path.startsWith(`${point}/`));
  return mount?.[0] ?? `/${path.split('/', 2)[1] ?? ''}`;
}

export function fileSystemAt(path: string): FileSystem {
  const point = mountPoint(path);
  return MOUNTS.find(([each]) => each === point)?.[1] ?? 'tmpfs';
}

/** f_type of statfs(2). */
export function magicAt(path: string): number {
  return MAGIC[fileSystemAt(path)];
}

/** Whether only the kernel makes and removes names there: sysfs, debugfs. */
export function isKernelsAlone(path: string): boolean {
  const type = fileSystemAt(path);
  return type === 'sysfs' || type === 'debugfs';
}
