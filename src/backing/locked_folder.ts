/** A folder among the temporary files that goes with its process, if that comes to do it, or with a later one. */
import { lstatSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { O_CLOEXEC, O_CREAT, O_EXCL, O_NOFOLLOW, O_RDWR } from '../../ioctl/index.js';
import { orThrow } from '../errno.js';
import { native } from '../native.js';

const OWNER_ONLY = 0o600;
/** Its owner has a lock on this file for as long as it lives, however it ends. */
const LOCK = '.lock';
const lockOf = (path: string) => join(path, LOCK);

export class LockedFolder {
  readonly path: string;
  readonly #lock: number;

  /** `prefix`: what the names of all folders of the kind begin with. Those of processes that are gone go now. */
  constructor(prefix: string) {
    removeLeftovers(prefix);
    // It has its name only when it is locked: nobody takes it for one that was left.
    const made = mkdtempSync(join(tmpdir(), 'dmabuf-shim-'));
    const flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    this.#lock = orThrow(native.open(lockOf(made), flags, OWNER_ONLY));
    orThrow(native.ofdLock(this.#lock, 0, true));
    this.path = join(tmpdir(), `${prefix}${made.slice(-6)}`);
    renameSync(made, this.path);
  }

  close(): void {
    rmSync(this.path, { recursive: true, force: true });
    native.close(this.#lock);
  }
}

/** Of this user's, and with a lock that nobody has any more: what is not known to have been left stays. */
function removeLeftovers(prefix: string): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(prefix)) continue;
    const path = join(tmpdir(), name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (!found?.isDirectory() || found.uid !== process.geteuid?.()) continue;
    const lock = native.open(lockOf(path), O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0);
    if (lock < 0) continue;
    if (native.ofdLock(lock, 0, true) === 0) rmSync(path, { recursive: true, force: true });
    native.close(lock);
  }
}
