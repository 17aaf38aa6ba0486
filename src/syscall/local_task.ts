import { O_CLOEXEC } from '../../ioctl/index.js';
import { F_DUPFD, F_DUPFD_CLOEXEC } from '../abi/constants.js';
import type { KernelCore } from '../core.js';
import { orThrow } from '../errno.js';
import type { File } from '../fs/file.js';
import { readinessOf } from '../fs/readiness.js';
import {
  type Credentials,
  credentialsOf,
  type Ids,
  isCapable,
  umaskOf,
} from '../host/credentials.js';
import { statusOf } from '../host/status.js';
import { type Process, processOf, readComm } from '../host/threads.js';
import { ProcessMemory, type UserMemory } from '../mm/uaccess.js';
import { native, STAT_FIELDS, Stat } from '../native.js';
import type { Given, Task } from '../task.js';

const stat = new Float64Array(STAT_FIELDS);

/** This process as a caller. */
export class LocalTask implements Task {
  readonly kernel: KernelCore;
  readonly pid = process.pid;
  readonly process: Process = processOf(process.pid);
  readonly comm = readComm(process.pid);
  mm: UserMemory = new ProcessMemory(process.pid);
  fd = -1;

  constructor(kernel: KernelCore) {
    this.kernel = kernel;
  }

  get credentials(): Credentials {
    return credentialsOf(statusOf(this.pid));
  }

  get ids(): Ids {
    return this.credentials;
  }

  get umask(): number {
    return umaskOf(statusOf(this.pid));
  }

  capable(capability: number): boolean {
    return isCapable(this.pid, statusOf(this.pid), capability);
  }

  fget(fd: number): File | undefined {
    return this.lookUp(fd, stat);
  }

  fgetAll(fds: Int32Array): (File | undefined)[] {
    return Array.from(fds, (fd) => this.fget(fd));
  }

  mayHave(): boolean {
    return true;
  }

  pollNow(fds: Uint8Array): number {
    return native.poll(fds, 0);
  }

  /** As {@link fget}, and `fields` gets what the machine says of the descriptor. */
  lookUp(fd: number, fields: Float64Array): File | undefined {
    if (native.fstat(fd, fields) < 0) return undefined;
    const { files } = this.kernel;
    const [dev, ino] = [fields[Stat.dev] as number, fields[Stat.ino] as number];
    const file = files.find(dev, ino, this.pid, fd);
    file?.seen(this.pid, fd);
    return file;
  }

  openDescriptor(fd: number, flags: number): number {
    return orThrow(native.reopen(fd, flags | O_CLOEXEC));
  }

  tryDuplicate(fd: number): number {
    return native.fcntl(fd, F_DUPFD_CLOEXEC, 0);
  }

  modeOf(fd: number): number | undefined {
    return native.fstat(fd, stat) < 0 ? undefined : stat[Stat.mode];
  }

  installFd(file: File, flags: number): number {
    const command = flags & O_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD;
    const fd = file.lend(flags, (own) => orThrow(native.fcntl(own, command, 0)));
    // Programs that inherit it have it at this number.
    readinessOf(this.kernel).isAnywhere(file);
    const { observers } = this.kernel;
    if (observers.active) observers.tell('descriptorInstalled', file, fd, this.pid);
    return fd;
  }

  withdrawFds(given: readonly Given[]): void {
    for (const { file, fd } of given) {
      native.close(fd);
      this.kernel.observers.tell('descriptorWithdrawn', file, fd, this.pid);
    }
  }
}
