/** Files that somebody edits. */
import { type FSWatcher, watch } from 'node:fs';
import { dirname, join } from 'node:path';

/** Editors write a file in several steps; ms. */
const SETTLE = 50;

/** Tells when one of several files has changed. By their folders, as many editors put a new file in an old one's place. */
export class FileWatch {
  readonly #changed: () => void;
  readonly #folders = new Map<string, FSWatcher>();
  #files = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** From now on these, by their absolute paths. */
  set(files: readonly string[]): void {
    this.#files = new Set(files);
    const folders = new Set(files.map((file) => dirname(file)));
    for (const [folder, watcher] of this.#folders) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#folders.delete(folder);
    }
    for (const folder of folders) {
      if (!this.#folders.has(folder)) this.#folders.set(folder, this.#watch(folder));
    }
  }

  #watch(folder: string): FSWatcher {
    const watcher = watch(folder, (_, name) => {
      if (name === null || !this.#files.has(join(folder, name))) return;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(this.#changed, SETTLE);
      this.#timer.unref();
    });
    watcher.unref();
    return watcher;
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const watcher of this.#folders.values()) watcher.close();
  }
}
