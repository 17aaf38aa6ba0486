/** epoll_ctl(2) with buffers of ours. */

import { POLLPRI } from '../../../ioctl/index.js';
import { EPOLL_CTL_ADD, EPOLL_CTL_DEL } from '../../abi/constants.js';
import type { KernelCore } from '../../core.js';
import { Errno } from '../../errno.js';
import type { EpollCompanion, File } from '../../fs/file.js';
import { isNative, pollMaskOf } from '../../fs/readiness.js';
import { native } from '../../native.js';
import { PerKernel } from '../../per_kernel.js';
import { KERN_WARNING } from '../../printk.js';
import { type Answer, type Call, CONTINUE, type Handler } from '../call.js';
import { fileOf } from '../calls/fd.js';
import { Companion } from './companion.js';
import { PrioritySignal } from './signals.js';

const EPOLLNORM_AND_BAND = 0x3c0;
const EPOLLRDHUP = 0x2000;
/** struct epoll_event is packed on x86-64 alone. */
const EVENT_SIZE = process.arch === 'x64' ? 12 : 16;

/**
 * A memfd cannot be waited for. In its place a companion goes into the program's epoll instance, under
 * the program's own data: a descriptor of ours that is ready when the buffer is.
 *
 * Linux knows an entry by the file and the number of the descriptor; there is one companion for each
 * of those, so that it can be entered, changed and taken out as Linux's entry could. It goes when it is taken out of
 * the last instance, or with the file: nobody tells when an instance is closed.
 */
function epoll_ctl(call: Call): Answer {
  const [epfd, op, fd] = [call.int(0), call.int(1), call.int(2)];
  const file = fileOf(call, 2);
  if (!file?.f_op.poll || isNative(file)) return CONTINUE;
  const event = new Uint8Array(EVENT_SIZE);
  if (op !== EPOLL_CTL_DEL) {
    call.task.mm.read(call.arg(3), event);
    const events = new DataView(event.buffer);
    const wanted = events.getUint32(0, true);
    // A buffer says neither of these; a socket does.
    events.setUint32(0, (wanted & ~(EPOLLNORM_AND_BAND | EPOLLRDHUP)) >>> 0, true);
    file.f_op.poll(file, wanted);
  }
  const own = call.task.dupDescriptor(epfd);
  try {
    const companion = op === EPOLL_CTL_ADD ? companionOf(file, fd) : file.companions.get(fd);
    if (!companion) return -Errno.ENOENT;
    const result = companion.control(own, op, event);
    if (result === 0 && op === EPOLL_CTL_ADD) companion.registrations++;
    if (result === 0 && op === EPOLL_CTL_DEL) companion.registrations--;
    if (companion.registrations === 0) {
      file.companions.delete(fd);
      companion.close();
    }
    return result;
  } finally {
    native.close(own);
  }
}

/** Says so, once, where POLLPRI cannot be told. */
const sayIfDeaf = new PerKernel((kernel: KernelCore): boolean => {
  if (!PrioritySignal.works) {
    const text = 'dmabuf-shim: epoll does not tell of POLLPRI: that takes Linux 5.15; poll does';
    kernel.printk(KERN_WARNING, text);
  }
  return PrioritySignal.works;
});

function companionOf(file: File, fd: number): EpollCompanion {
  if (pollMaskOf(file) & POLLPRI) sayIfDeaf.of(file.kernel);
  const companion = file.companions.get(fd) ?? new Companion(file);
  file.companions.set(fd, companion);
  return companion;
}

export const epollCalls = { epoll_ctl } satisfies Record<string, Handler>;
