/** Events of an open file, as input(4), DRM and V4L2 have them: queued by the driver, read in order. */
import type { CType, IoctlArg } from '../../ioctl/index.js';
import { errno } from '../errno.js';
import type { DeviceCallImpl } from './device_call.js';

/** Events that are kept for a file that nobody reads; then the oldest goes. */
const MAX_EVENTS = 4096;

export class EventQueue {
  readonly #type: CType;
  readonly #changed: () => void;
  readonly #events: IoctlArg[] = [];

  constructor(type: CType, changed: () => void) {
    this.#type = type;
    this.#changed = changed;
  }

  get empty(): boolean {
    return this.#events.length === 0;
  }

  push(event: Parameters<CType['create']>[0]): void {
    if (this.#events.length === MAX_EVENTS) this.#events.shift();
    this.#events.push(this.#type.create(event));
    this.#changed();
  }

  /**
   * As many whole events as fit into `size` bytes; waits for the first. EINVAL if not even one fits, EAGAIN with
   * O_NONBLOCK, EINTR. They are back if the call fails after all: the caller has not got them.
   */
  take(size: number, call: DeviceCallImpl): Uint8Array | Promise<Uint8Array> {
    if (size === 0) return new Uint8Array();
    if (size < this.#type.size) throw errno('EINVAL');
    if (!this.empty) return this.#takeNow(size, call);
    if (call.nonblocking) throw errno('EAGAIN');
    return this.#takeLater(size, call);
  }

  #takeNow(size: number, call: DeviceCallImpl): Uint8Array {
    const events = this.#events.splice(0, Math.floor(size / this.#type.size));
    call.onFailure(() => {
      this.#events.unshift(...events);
      this.#changed();
    });
    return Buffer.concat(events.map(({ bytes }) => bytes));
  }

  async #takeLater(size: number, call: DeviceCallImpl): Promise<Uint8Array> {
    // Another reader may have been faster.
    while (this.empty) await call.waitEvent(() => !this.empty);
    return this.#takeNow(size, call);
  }
}
