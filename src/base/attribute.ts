/** Files of sysfs: struct device_attribute. */
import { O_ACCMODE, O_WRONLY } from '../../ioctl/index.js';
import { errno } from '../errno.js';
import type { CharDeviceOperations } from '../fs/char_dev.js';
import type { File } from '../fs/file.js';
import { type Directory, FileNode, GeneratedFile, S_IFREG } from '../fs/tree.js';
import { PAGE_SIZE } from '../mm/page.js';
import { gather, scatter } from '../mm/segments.js';

/**
 * A file in sysfs: one text. What is thrown is what write(2) and read(2) fail with; open(2), where it is only read.
 */
export interface Attribute {
  /** What it says, with its newline. Missing: it cannot be read. */
  readonly show?: (() => string) | undefined;
  /** What was written, as it came. Missing: it cannot be written. */
  readonly store?: ((text: string) => void) | undefined;
}

/** Puts an attribute into a directory; its name may be a path, `power/wakeup`. */
export function addAttribute(directory: Directory, name: string, ops: Attribute): void {
  const { show, store } = ops;
  const parts = name.split('/');
  const base = parts.pop() as string;
  const node =
    show && !store
      ? new GeneratedFile(show, PAGE_SIZE)
      : new FileNode({
          mode: S_IFREG | (show ? 0o644 : 0o200),
          size: PAGE_SIZE,
          f_op: writableOperations(ops),
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

/** What is open: the text as it was when it was last read from its start, and how far it is read. */
interface Opened {
  text: Uint8Array | undefined;
  position: number;
}

const openedOf = (file: File) => file.private_data as Opened;

/** Of a file that can be written, and perhaps read. */
function writableOperations({ show, store }: Attribute): CharDeviceOperations {
  return {
    open(file) {
      if (!show && (file.f_flags & O_ACCMODE) !== O_WRONLY) throw errno('EACCES');
      file.private_data = { text: undefined, position: 0 } satisfies Opened;
    },
    ...(show && {
      read(file, segments, task) {
        const opened = openedOf(file);
        // From the start it is looked at anew, as those do who seek and read again.
        if (opened.position === 0 || !opened.text) opened.text = Buffer.from(show());
        const read = scatter(task.mm, segments, opened.text.subarray(opened.position));
        opened.position += read;
        return read;
      },
    }),
    ...(store && {
      write(_file, segments, task) {
        const bytes = gather(task.mm, segments, PAGE_SIZE);
        store(Buffer.from(bytes).toString());
        return bytes.length;
      },
    }),
    llseek(file, offset, whence) {
      const opened = openedOf(file);
      const from = [0, opened.position][whence];
      if (from === undefined || from + offset < 0) throw errno('EINVAL');
      opened.position = from + offset;
      return opened.position;
    },
  };
}
