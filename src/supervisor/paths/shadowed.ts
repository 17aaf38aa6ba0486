/** Nodes that the machine has where this kernel has its own: a link of the machine's may lead to them. */
import { readdirSync } from 'node:fs';
import { AT_FDCWD } from '../../abi/constants.js';
import { Directory, S_IFCHR, S_IFMT } from '../../fs/tree.js';
import { native, STAT_FIELDS, Stat } from '../../native.js';

const stat = new Float64Array(STAT_FIELDS);

/** The device number of a character device of the machine's, links followed. */
function deviceAt(path: string): number | undefined {
  if (native.fstatat(AT_FDCWD, path, 0, stat) < 0) return undefined;
  return ((stat[Stat.mode] as number) & S_IFMT) === S_IFCHR ? stat[Stat.rdev] : undefined;
}

export class ShadowedNodes {
  /** The numbers of those in /dev; on most machines there is none. */
  readonly #numbers = new Set<number>();

  constructor(root: Directory) {
    const dev = root.get('dev');
    for (const name of dev instanceof Directory ? dev.hidden : []) {
      this.#note(`/dev/${name}`);
      for (const below of namesIn(`/dev/${name}`)) this.#note(`/dev/${name}/${below}`);
    }
  }

  #note(path: string): void {
    const number = deviceAt(path);
    if (number !== undefined) this.#numbers.add(number);
  }

  /** Whether that is what the machine's own lookup of a path would end at. */
  isAt(path: string): boolean {
    if (this.#numbers.size === 0) return false;
    const number = deviceAt(path);
    return number !== undefined && this.#numbers.has(number);
  }
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // It is none, or not for us to list: then it is not for programs of ours, either.
  }
}
