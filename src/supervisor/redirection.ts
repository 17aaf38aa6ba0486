/**
 * Where shells redirect their output to a file that is seldom written, `echo change >uevent`, and their descriptor has a
 * number that the filter does not look at. They get the writing end of a pipe there. It is in packet mode: each write(2)
 * is one packet, and is stored before the next call of any program is answered. That a text is refused the log alone can
 * tell: the write is over by then.
 */
import { O_CLOEXEC, O_DIRECT, O_NONBLOCK } from '../../ioctl/index.js';
import { EPOLLIN, F_SETFL } from '../abi/constants.js';
import { ErrnoError, orThrow } from '../errno.js';
import type { File } from '../fs/file.js';
import { ArgumentMemory } from '../mm/uaccess.js';
import { native } from '../native.js';
import { KERN_ERR } from '../printk.js';
import { LocalTask } from '../syscall/local_task.js';

/** PIPE_BUF: what is longer comes as several packets. */
const packet = new Uint8Array(4096);

/** The end to write to, of which the caller has the only descriptor. EMFILE, ENFILE. */
export function openRedirection(file: File): number {
  const { releases } = file.kernel;
  const [reading, writing] = orThrow(native.pipe(O_CLOEXEC | O_DIRECT)) as [number, number];
  native.fcntl(reading, F_SETFL, O_NONBLOCK);
  const storeAll = () => {
    for (;;) {
      const length = native.read(reading, packet);
      if (length <= 0) return;
      store(file, packet.slice(0, length));
    }
  };
  file.hold();
  releases.watchPeer(reading, {
    events: EPOLLIN,
    ready: storeAll,
    gone() {
      storeAll();
      native.close(reading);
      file.unhold();
    },
  });
  return writing;
}

function store(file: File, bytes: Uint8Array): void {
  const { kernel, f_op } = file;
  const task = new LocalTask(kernel);
  task.mm = new ArgumentMemory(bytes);
  const segment = { address: ArgumentMemory.ADDRESS, length: bytes.length };
  try {
    f_op.write?.(file, [segment], task);
  } catch (error) {
    const what = `${JSON.stringify(Buffer.from(bytes).toString())} written to ${file.link()}`;
    if (!(error instanceof ErrnoError)) kernel.bug(what, error);
    else kernel.printk(KERN_ERR, `dmabuf-shim: ${what}: ${error.code}`);
  }
}
