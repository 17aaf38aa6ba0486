/** Files of sysfs: struct attribute, struct bin_attribute. */
import { O_ACCMODE, O_RDONLY, O_WRONLY } from '../../ioctl/index.js';
import { ErrnoError, errno } from '../errno.js';
import type { CharDeviceOperations } from '../fs/char_dev.js';
import type { File, Segment } from '../fs/file.js';
import { type Directory, FileNode, S_IFREG } from '../fs/tree.js';
import { PAGE_SIZE } from '../mm/page.js';
import { copyFromIter } from '../mm/segments.js';
import type { Task } from '../task.js';

/**
 * A file of text. What is thrown is what write(2) and read(2) fail with; open(2), of who only reads. `K` is what it
 * is of: a device, a class, a driver.
 */
export interface TextAttribute<K = unknown> {
  /** What it says, with its newline. Missing: it cannot be read. */
  readonly show?: ((of: K) => string) | undefined;
  /** What was written, as it came. Missing: it cannot be written. */
  readonly store?: ((text: string, of: K) => void) | undefined;
  /** Permission bits; by default what `show` and `store` make possible: 0444, 0200 or 0644. */
  readonly mode?: number | undefined;
  /** @see FileOperations.seldom */
  readonly seldom?: boolean | undefined;
}

/** struct bin_attribute: a file of bytes, which are read and written as they are. */
export interface BinAttribute<K = unknown> {
  /**
   * What stat(2) says of its size, and where it ends: of what is written the rest is left, or it is EFBIG. 0 by
   * default: it ends where `read` gives nothing.
   */
  readonly size?: number | undefined;
  /** At most `count` bytes from `offset` on. Missing: it cannot be read. */
  readonly read?: ((offset: number, count: number, of: K) => Uint8Array) | undefined;
  /** What was written at `offset`, a page at most. Missing: it cannot be written. */
  readonly write?: ((bytes: Uint8Array, offset: number, of: K) => void) | undefined;
  /** As in {@link TextAttribute}. */
  readonly mode?: number | undefined;
  readonly seldom?: boolean | undefined;
}

export type Attribute<K = unknown> = TextAttribute<K> | BinAttribute<K>;

/** By their names; `power/wakeup` is one in a directory. */
export type Attributes<K = unknown> = Readonly<Record<string, Attribute<K>>>;

/** struct attribute_group */
export interface AttributeGroup<K = unknown> {
  /** The directory that they are in; without it, that of the object. */
  readonly name?: string | undefined;
  readonly attrs: Attributes<K>;
  /** Whether the object has this one of them; all, if it is missing. */
  readonly is_visible?: ((of: K, name: string) => boolean) | undefined;
}

/** The files of groups, by their paths. */
export function attributesOf<K>(groups: readonly AttributeGroup<K>[], of: K): Attributes<K> {
  return Object.fromEntries(
    groups.flatMap(({ name, attrs, is_visible }) =>
      Object.entries(attrs)
        .filter(([each]) => is_visible?.(of, each) ?? true)
        .map(([each, ops]) => [name === undefined ? each : `${name}/${each}`, ops]),
    ),
  );
}

/** Puts an attribute of an object into its directory. */
export function addAttribute<K>(
  directory: Directory,
  name: string,
  attribute: Attribute<K>,
  of: K,
): void {
  const file = fileOf(attribute, of);
  const parts = name.split('/');
  const base = parts.pop() as string;
  const mode = attribute.mode ?? (file.content ? (file.store ? 0o644 : 0o444) : 0o200);
  const node = new FileNode({
    mode: S_IFREG | mode,
    size: file.size,
    f_op: operations(file, mode),
    content: file.content,
  });
  directory.mkdir(parts.join('/')).add(base, node);
}

/** Takes it away, and the directories of its path that are empty then. */
export function removeAttribute(directory: Directory, name: string): void {
  const parts = name.split('/');
  directory.mkdir(parts.slice(0, -1).join('/')).delete(parts.pop() as string);
  if (parts.length === 0) return;
  const [parent] = [...directory.mkdir(parts.join('/')).entries()];
  if (!parent) removeAttribute(directory, parts.join('/'));
}

/** An attribute, whatever its kind. */
interface AttributeFile {
  readonly size: number;
  readonly seldom: boolean | undefined;
  readonly content: (() => Uint8Array) | undefined;
  /** Takes what is written, and gives how much of it that was. */
  readonly store: ((bytes: Uint8Array, offset: number) => number) | undefined;
}

function fileOf<K>(attribute: Attribute<K>, of: K): AttributeFile {
  if ('read' in attribute || 'write' in attribute || 'size' in attribute) {
    const { size = 0, read, write, seldom } = attribute;
    return {
      size,
      seldom,
      content:
        read && (() => readAll((offset, count) => read.call(attribute, offset, count, of), size)),
      store:
        write &&
        ((bytes, offset) => {
          if (size > 0 && offset >= size) throw errno('EFBIG');
          const within = size > 0 ? bytes.subarray(0, size - offset) : bytes;
          write.call(attribute, within, offset, of);
          return within.length;
        }),
    };
  }
  const { show, store, seldom } = attribute as TextAttribute<K>;
  return {
    size: PAGE_SIZE,
    seldom,
    content: show && (() => Buffer.from(show.call(attribute, of))),
    store:
      store &&
      ((bytes) => {
        store.call(attribute, Buffer.from(bytes).toString(), of);
        return bytes.length;
      }),
  };
}

function readAll(read: (offset: number, count: number) => Uint8Array, size: number): Uint8Array {
  const pieces: Uint8Array[] = [];
  let length = 0;
  while (size === 0 || length < size) {
    const count = size === 0 ? PAGE_SIZE : Math.min(PAGE_SIZE, size - length);
    const piece = read(length, count).subarray(0, count);
    if (piece.length === 0) break;
    pieces.push(piece);
    length += piece.length;
  }
  return Buffer.concat(pieces);
}

/** For who opens it to write, and perhaps to read. */
function operations(file: AttributeFile, mode: number): CharDeviceOperations {
  const { content, store, seldom = false } = file;
  const refresh = ({ backing, openFlags }: File) => {
    if (!content || (openFlags & O_ACCMODE) === O_WRONLY) return;
    backing.replace?.(content());
  };
  const storeAt = (segments: readonly Segment[], offset: number, task: Task) => {
    const bytes = copyFromIter(task.mm, segments, PAGE_SIZE);
    return bytes.length > 0 && store ? store(bytes, offset) : 0;
  };
  return {
    seldom,
    native: true,
    open(opened) {
      const access = opened.openFlags & O_ACCMODE;
      if (!content && access !== O_WRONLY) throw errno('EACCES');
      if (access !== O_RDONLY && (!store || (mode & 0o222) === 0)) throw errno('EACCES');
      opened.private_data = 0;
      try {
        refresh(opened);
      } catch (error) {
        // It may be opened to be written all the same.
        if (!(error instanceof ErrnoError)) opened.kernel.bug(opened.link(), error);
      }
    },
    rewind: refresh,
    seek(opened, position) {
      opened.private_data = position;
    },
    ...(store && {
      write(opened, segments, task) {
        const position = opened.private_data as number;
        const taken = storeAt(segments, position, task);
        opened.private_data = position + taken;
        return taken;
      },
      writeAt: (_opened, segments, offset, task) => storeAt(segments, offset, task),
    }),
  };
}
