/**
 * Linux releases, and what came with each of them. A kernel behaves as one release: what came later
 * fails as it did before it was there.
 */

import type { FileOperations } from './fs/file.js';

/** A release of Linux, such as `6.12`; those that there are: {@link KERNEL_VERSIONS}. */
export type KernelVersion = `${3 | 4 | 5 | 6}.${number}`;

/** Major number, and its first and last minor number: from the release that brought dma-buf on. */
const SERIES = [
  [3, 3, 19],
  [4, 0, 20],
  [5, 0, 19],
  [6, 0, 18],
] as const;

/** The releases whose behaviour a kernel can have, oldest first. */
export const KERNEL_VERSIONS: readonly KernelVersion[] = SERIES.flatMap(([major, first, last]) =>
  Array.from({ length: last - first + 1 }, (_, i): KernelVersion => `${major}.${first + i}`),
);

/** The release that a kernel behaves as unless it is told otherwise. */
export const DEFAULT_VERSION: KernelVersion = '6.12';

/** "3.3 to 6.18" */
export const VERSION_RANGE = `${KERNEL_VERSIONS[0]} to ${KERNEL_VERSIONS.at(-1)}`;

export function isKernelVersion(text: string): text is KernelVersion {
  return (KERNEL_VERSIONS as readonly string[]).includes(text);
}

export interface FeatureInfo {
  /** The first release that has it. */
  since: KernelVersion;
  /** The first release that has it no more. */
  until?: KernelVersion;
  /** The commit that brought it, or where else that can be read. */
  source: string;
}

/** What came when. A request of ioctl(2) and a function have their own names, all else a name of its own. */
export const FEATURES = {
  dma_buf: {
    since: '3.3',
    source: 'd15bd7ee445d ("dma-buf: Introduce dma buffer sharing mechanism")',
  },
  /** dma_buf_begin_cpu_access() and dma_buf_end_cpu_access(). */
  dma_buf_cpu_access: {
    since: '3.4',
    source: 'fc13020e086b ("dma-buf: add support for kernel cpu access")',
  },
  /** dma_buf_kmap() and dma_buf_kunmap(): single pages for kernel code. */
  dma_buf_kmap: {
    since: '3.4',
    until: '5.6',
    source:
      'fc13020e086b ("dma-buf: add support for kernel cpu access"); "dma-buf: Remove kernel map/unmap hooks" in the drm pull request for 5.6',
  },
  /** mmap(2) of a buffer; before that ENODEV. */
  dma_buf_mmap: { since: '3.5', source: '4c78513e457f ("dma-buf: mmap support")' },
  dma_buf_vmap: {
    since: '3.5',
    source: '"dma-buf: add vmap interface" in the pull request "dma-buf updates for 3.5"',
  },
  /** /sys/kernel/debug/dma_buf/bufinfo */
  dma_buf_bufinfo: { since: '3.10', source: 'b89e35636bc7 ("dma-buf: Add debugfs support")' },
  /** lseek(2), to learn the size; before that ESPIPE. */
  dma_buf_llseek: {
    since: '3.12',
    source: '19e8697ba45e ("dma-buf: Expose buffer size to userspace (v2)")',
  },
  /** Fences, as struct fence. */
  fence: {
    since: '3.17',
    source: 'e941759c74a4 ("fence: dma-buf cross-device synchronization (v18)")',
  },
  /** poll(2) that waits for fences; before that always ready, and EPERM from epoll_ctl(2). */
  dma_buf_poll: { since: '3.17', source: '9b495a588799 ("dma-buf: add poll support, v3")' },
  /** struct dma_buf_export_info instead of a list of arguments. */
  dma_buf_export_info: {
    since: '4.1',
    source:
      '"dma-buf: cleanup dma_buf_export() to make it easily extensible", 2015-01-28; refused for 4.0 (pull request dma-buf-for-3.20)',
  },
  /** With it, ioctl(2) of a buffer at all. */
  DMA_BUF_IOCTL_SYNC: {
    since: '4.6',
    source: 'c11e391da2a8 ("dma-buf: Add ioctls to allow userspace to flush")',
  },
  /** Fences as files, out of staging: SYNC_IOC_MERGE and SYNC_IOC_FILE_INFO as they are. */
  sync_file: { since: '4.7', source: '62304fb1fc08 ("dma-buf/sync_file: de-stage sync_file")' },
  sync_file_get_fence: {
    since: '4.9',
    source: '395dec6f6bc5 ("Documentation: add doc for sync_file_get_fence()")',
  },
  /** /sys/kernel/debug/sync, out of staging. */
  sw_sync: { since: '4.9', source: '35538d7822e8 ("dma-buf/sw_sync: de-stage SW_SYNC")' },
  /** DMA_BUF_IOCTL_SYNC waits for the fences on the buffer, until a signal comes. */
  DMA_BUF_IOCTL_SYNC_waits: {
    since: '4.9',
    source:
      '"dma-buf: Wait on the reservation object when sync\'ing before CPU access" v2, 2016-08-15',
  },
  /** Fences under the name of dma_fence. */
  dma_fence: {
    since: '4.10',
    source: 'f54d1867005c ("dma-buf: Rename struct fence to dma_fence")',
  },
  udmabuf: { since: '4.20', source: 'fbb0de795078 ("Add udmabuf misc device")' },
  dma_fence_chain: {
    since: '5.2',
    source: '7bf60c52e093 ("dma-buf: add new dma_fence_chain container v7")',
  },
  /** Each buffer has an inode, its size and its name in /proc/PID/fd; before that all had anon_inode's. */
  dma_buf_inode: {
    since: '5.3',
    source: 'ed63bb1d1f84 ("dma-buf: give each buffer a full-fledged inode")',
  },
  /** Under the number that 64-bit machines give it, which is DMA_BUF_SET_NAME_B's later. */
  DMA_BUF_SET_NAME: {
    since: '5.3',
    source: 'bb2bb9030425 ("dma-buf: add DMA_BUF_SET_NAME ioctls")',
  },
  /** The lines of a buffer in /proc/PID/fdinfo. */
  dma_buf_fdinfo: {
    since: '5.3',
    source: '"dma-buf: add show_fdinfo handler", in the series of ed63bb1d1f84',
  },
  dma_resv: {
    since: '5.4',
    source: '52791eeec1d9 ("dma-buf: rename reservation_object to dma_resv")',
  },
  dma_buf_dynamic_attach: {
    since: '5.5',
    source: '15fd552d186c ("dma-buf: change DMA-buf locking convention v3")',
  },
  dma_heap: { since: '5.6', source: 'c02a81fba74f ("dma-buf: Add dma-buf heaps framework")' },
  cma_heap: {
    since: '5.6',
    source: 'b61614ec318a ("dma-buf: heaps: Add CMA heap to dmabuf heaps")',
  },
  /** DMA_BUF_IOCTL_SYNC of a udmabuf does something, and END before START is EINVAL. */
  udmabuf_cpu_access: {
    since: '5.6',
    source: '284562e1f348 ("udmabuf: implement begin_cpu_access/end_cpu_access hooks")',
  },
  /** DMA_BUF_SET_NAME as two requests, for pointers of 32 and of 64 bits. */
  DMA_BUF_SET_NAME_A: {
    since: '5.7',
    source: 'a5bff92eaac4 ("dma-buf: Fix SET_NAME ioctl uapi")',
  },
  /** Buffers that move: dma_buf_pin(), dma_buf_unpin() and dma_buf_move_notify(). */
  dma_buf_pin: {
    since: '5.7',
    source: 'bb42df4662a4 ("dma-buf: add dynamic DMA-buf handling v15")',
  },
  /** The system heap allocates blocks of orders 8, 4 and 0; before that single pages. */
  system_heap_orders: {
    since: '5.11',
    source: 'd963ab0f15fb ("dma-buf: system_heap: Allocate higher order pages if available")',
  },
  dma_buf_map: {
    since: '5.11',
    until: '5.18',
    source:
      '6619ccf1bb1d ("dma-buf: Use struct dma_buf_map in dma_buf_vmap() interfaces"); 7938f4218168',
  },
  /** The line "ino:" in /proc/PID/fdinfo, of all files. */
  fdinfo_ino: {
    since: '5.14',
    source: '3845f256a8b5 ("procfs/dmabuf: add inode number to /proc/*/fdinfo")',
  },
  /** /sys/kernel/dmabuf/buffers */
  dma_buf_sysfs_stats: {
    since: '5.15',
    source: 'bdb8d06dfefd ("dmabuf: Add the capability to expose DMA-BUF stats in sysfs")',
  },
  /** /sys/module/udmabuf/parameters */
  udmabuf_parameters: {
    since: '5.15',
    source:
      '"Add module parameters for dma-buf size and list limit" in the pull request drm-misc-next-2021-07-16 for 5.15',
  },
  /** The symbol namespace of dma-buf: modules have to import it. */
  DMA_BUF_namespace: {
    since: '5.16',
    source: '16b0314aa746 ("dma-buf: move dma-buf symbols into the DMA_BUF module namespace")',
  },
  /** DMA_BUF_SET_NAME while devices are attached; before that EBUSY. */
  DMA_BUF_SET_NAME_attached: {
    since: '5.17',
    source: 'e73c317efbf9 ("dma-buf: remove restriction of IOCTL:DMA_BUF_SET_NAME")',
  },
  iosys_map: { since: '5.18', source: '7938f4218168 ("dma-buf-map: Rename to iosys-map")' },
  DMA_BUF_IOCTL_EXPORT_SYNC_FILE: {
    since: '6.0',
    source: '20e10881a043 ("dma-buf: Add an API for exporting sync files (v14)")',
  },
  DMA_BUF_IOCTL_IMPORT_SYNC_FILE: {
    since: '6.0',
    source: '594740497e99 ("dma-buf: Add an API for importing sync files (v10)")',
  },
  /** Importers lock the reservation object, or call the functions that are named _unlocked. */
  dma_buf_unlocked: {
    since: '6.2',
    source:
      '19d6634d8789 ("dma-buf: Add unlocked variant of attachment-mapping functions"), 56e5abba8c3e ("dma-buf: Add unlocked variant of vmapping functions")',
  },
  /** ACLs are set by a call of their own within the kernel. */
  vfs_set_acl: {
    since: '6.2',
    source: '"acl: add vfs posix acl api" of October 2022; the recordings of 6.1 are without it',
  },
  dma_fence_set_deadline: {
    since: '6.4',
    source: 'aec11c8d7cb3 ("dma-buf/dma-fence: Add deadline awareness")',
  },
  fchmodat2: { since: '6.6', source: '09da082b07bb ("fs: Add fchmodat2()")' },
  SYNC_IOC_SET_DEADLINE: {
    since: '6.6',
    source: '63ee44540205 ("dma-buf/sync_file: Add SET_DEADLINE ioctl")',
  },
  SW_SYNC_GET_DEADLINE: {
    since: '6.6',
    source: '70e67aaec2f4 ("dma-buf/sw_sync: Add fence deadline support")',
  },
  /** Kernel code can have the bytes of a udmabuf. */
  udmabuf_vmap: {
    since: '6.2',
    source:
      '"udmabuf: add vmap and vunmap methods to udmabuf_ops" of November 2022; the recordings of 6.1 are without it',
  },
  /** A udmabuf takes memfds by the byte; before that by whole pages, and items of no size. Its
   *  scatterlist has an entry a page; before that one for each run of neighbours. */
  udmabuf_pin_folios: {
    since: '6.11',
    source: 'c6a3194c05e7 ("udmabuf: pin the pages using memfd_pin_folios() API")',
  },
  /** A udmabuf's mappings are of page frames: they take no part in paging, and do not grow. */
  udmabuf_pfnmap: {
    since: '6.11',
    source:
      '"udmabuf: use vmf_insert_pfn and VM_PFNMAP for handling mmap", in the same series for 6.11',
  },
  /** stat(2) takes no path at all for an empty one, with AT_EMPTY_PATH. */
  stat_without_path: {
    since: '6.11',
    source:
      '"vfs: support statx(..., NULL, AT_EMPTY_PATH, ...)" of June 2024; the recordings of 6.1 are without it',
  },
  /** mremap(2) moves what several mappings show. */
  mremap_several: {
    since: '6.17',
    source: '"mm/mremap: permit mremap() move of multiple VMAs", in the mm pull request for 6.17',
  },
} as const satisfies Record<string, FeatureInfo>;

export type Feature = keyof typeof FEATURES;

/** What nodes came with, by the names that `devices` takes; one that is not here was always there. */
export const NODE_FEATURES: Readonly<Record<string, Feature>> = {
  'dma_heap/system': 'dma_heap',
  'dma_heap/reserved': 'cma_heap',
  udmabuf: 'udmabuf',
};

/** What a release has. */
export function featuresOf(version: KernelVersion): ReadonlySet<Feature> {
  const place = (release: KernelVersion) => KERNEL_VERSIONS.indexOf(release);
  const has = ({ since, until }: FeatureInfo) =>
    place(since) <= place(version) && (until === undefined || place(version) < place(until));
  const features = Object.entries(FEATURES) as [Feature, FeatureInfo][];
  return new Set(features.filter(([, info]) => has(info)).map(([name]) => name));
}

/** Whatever behaves as a release: a kernel. */
interface Release {
  has(feature: Feature): boolean;
}

/** What {@link operationsAsOf} has answered: it is asked for each file. */
const answered = new WeakMap<Release, Map<FileOperations, FileOperations>>();

/** `operations` as the kernel's release has them: without those that came later. */
export function operationsAsOf(
  kernel: Release,
  operations: FileOperations,
  introduced: { readonly [Name in keyof FileOperations]?: Feature },
): FileOperations {
  let known = answered.get(kernel);
  if (!known) {
    known = new Map();
    answered.set(kernel, known);
  }
  let left = known.get(operations);
  if (!left) {
    left = withoutLater(kernel, operations, introduced);
    known.set(operations, left);
  }
  return left;
}

function withoutLater(
  kernel: Release,
  operations: FileOperations,
  introduced: { readonly [Name in keyof FileOperations]?: Feature },
): FileOperations {
  const missing = (Object.entries(introduced) as [keyof FileOperations, Feature][]).filter(
    ([, feature]) => !kernel.has(feature),
  );
  if (missing.length === 0) return operations;
  const left = { ...operations };
  for (const [name] of missing) delete left[name];
  return left;
}
