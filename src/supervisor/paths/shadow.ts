/**
 * Stand-ins for directories that only this kernel has. A program's descriptor or working directory
 * there is a real directory, empty, and removed as soon as it is open: nothing is left on disk.
 */
import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { O_CLOEXEC, O_DIRECTORY, O_NONBLOCK } from '../../../ioctl/index.js';
import { orThrow } from '../../errno.js';
import { native } from '../../native.js';

export class ShadowDirectories {
  readonly #fds = new Map<string, number>();
  /** By what /proc/PID/fd and /proc/PID/cwd show of a removed directory. */
  readonly #paths = new Map<string, string>();

  /** A new descriptor of the directory at `path` (one of ours), close-on-exec here. */
  open(path: string, flags: number): number {
    let fd = this.#fds.get(path);
    if (fd === undefined) {
      const directory = mkdtempSync(join(tmpdir(), 'dmabuf-shim-'));
      fd = orThrow(native.open(directory, O_DIRECTORY | O_CLOEXEC, 0));
      rmdirSync(directory);
      this.#fds.set(path, fd);
      this.#paths.set(`${directory} (deleted)`, path);
    }
    // O_PATH descriptors cannot be handed over (seccomp's ADDFD refuses them): an ordinary one does.
    return orThrow(native.reopen(fd, (flags & (O_NONBLOCK | O_DIRECTORY)) | O_CLOEXEC));
  }

  /** The path that a link of /proc stands for, if it is that of a stand-in. */
  pathOf(link: string): string | undefined {
    return this.#paths.get(link);
  }

  /** Whether any program was ever given one. */
  get used(): boolean {
    return this.#fds.size > 0;
  }

  close(): void {
    for (const fd of this.#fds.values()) native.close(fd);
    this.#fds.clear();
    this.#paths.clear();
  }
}
