import { chmodSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { O_CLOEXEC, O_DIRECTORY, O_RDONLY } from '../../ioctl/index.js';
import { native } from '../native.js';
import { OwnInode } from './own_inode.js';

/**
 * What a program has open, or for its working directory, that is in a directory which only this kernel has: a real
 * directory, empty, and removed as soon as it is open: nothing is left on disk.
 */
export class DirectoryStandIn extends OwnInode {
  readonly access = O_RDONLY;

  constructor() {
    const directory = mkdtempSync(join(tmpdir(), 'dmabuf-shim-'));
    // Who may change into it is not the machine's to decide.
    chmodSync(directory, 0o755);
    const fd = native.open(directory, O_DIRECTORY | O_CLOEXEC, 0);
    rmdirSync(directory);
    super(fd);
  }

  override open(flags: number): number {
    return super.open(flags | O_DIRECTORY);
  }
}
